"""Training from cached activations at the cut is the training it replaces."""

import numpy as np
import pytest
import torch

from sterna.bench import tuning
from sterna.bench.bench import Bench
from sterna.domains import Domain
from sterna.domains.splits import make_splits
from sterna.experiment.problem import make_problem
from sterna.methods.method import make_method
from sterna.networks import Network
from sterna.networks.small import small_body
from sterna.tasks import infer_task
from sterna.training.cache import FeatureCache
from sterna.training.recipe import Recipe
from sterna.training.trainer import Trainer


@pytest.fixture
def problem():
    random = np.random.default_rng(0)
    codes = random.integers(0, 2, 60)
    images = random.integers(0, 120, (60, 16, 16), dtype=np.uint8)
    images[codes == 1, :8] += 100
    domain = Domain.from_arrays(images, codes.astype(str))
    task = infer_task(domain)
    splits = make_splits(domain, task.encode(domain.labels), seed=0)
    return make_problem((), domain, task, splits, "none", 0)


def tuned(problem, folder, monkeypatch, cut):
    body, preparation = small_body(problem.inputs, seed=0)
    torch.manual_seed(0)
    network = Network(preparation, body, problem.task.head(body.width), task=problem.task)
    calls = []
    kept = tuning.from_the_cut
    monkeypatch.setattr(tuning, "from_the_cut", lambda *a: calls.append(r := kept(*a) if cut else None) or r)
    trainer = Trainer(device="cpu", cache=FeatureCache(folder))
    recipe = Recipe(
        1e-3, epochs=3, layer_decay=0.9, augment=False, average=False, patience=None, frozen_blocks=2, gradual=True
    )
    tuning.train(Bench(problem, trainer, make_method), network, recipe, "fit")
    monkeypatch.undo()
    return network, calls[0]


def test_cached_activations_change_nothing(problem, tmp_path, monkeypatch):
    plain, _ = tuned(problem, tmp_path / "a", monkeypatch, cut=False)
    short, found = tuned(problem, tmp_path / "b", monkeypatch, cut=True)
    assert found is not None
    assert len(found[0].body.blocks) == len(plain.body.blocks) - 2
    for (name, a), b in zip(plain.state_dict().items(), short.state_dict().values(), strict=True):
        torch.testing.assert_close(a, b, atol=1e-4, rtol=1e-3, msg=name)
    images = torch.rand(4, 1, 16, 16)
    torch.testing.assert_close(plain.eval()(images), short.eval()(images), atol=1e-3, rtol=1e-3)
