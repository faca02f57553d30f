"""Two processes that share uneven batches learn what one learns: every objective, with batch normalisation.

This file is also the program that the two processes run.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from sterna.bench.adapting import Adaptation
from sterna.bench.side_by_side import TwoDomains
from sterna.domains.images import ImageArray
from sterna.methods.features.dan import KernelDistance
from sterna.methods.features.dann import DomainClassifier
from sterna.methods.features.deep_coral import CovarianceDistance
from sterna.methods.networks.parameter_sharing import Linked
from sterna.methods.rules.rule_penalty import Penalised
from sterna.networks.network import Network
from sterna.networks.small import small_body
from sterna.tasks import Classification, Regression
from sterna.training.batches import Streams
from sterna.training.cache import FeatureCache
from sterna.training.objective import Supervised
from sterna.training.schedule import Budget
from sterna.training.strategy import strategy_on
from sterna.training.trainer import Trainer

TASK = Classification(("a", "b", "c"))
FITS = ("plain", "weights", "numbers", "few", "dan", "dann", "deep-coral", "joint", "joint-upgrad", "linked", "rules")


def rows(count: int, seed: int) -> ImageArray:
    return ImageArray(np.random.default_rng(seed).integers(0, 256, (count, 12, 12), dtype=np.uint8))


def network(task=TASK, seed: int = 0, like: Network | None = None) -> Network:
    body, preparation = small_body(rows(40, 1), seed=seed)
    collate = preparation.collate
    preparation.collate = lambda items: collate(items).double()  # Adam makes much of the last digits of tiny gradients
    torch.manual_seed(seed)
    return Network(preparation, body if like is None else like.body, task.head(body.width), task=task).double()


def fit(what: str, trainer: Trainer) -> nn.Module:
    """One objective of this name, after five steps."""
    ours, seed = network(), np.random.default_rng(0)
    labels, shares = seed.integers(0, 3, 40), seed.dirichlet([1, 1, 1], 40)
    weights = seed.uniform(0.1, 3, 40)

    def stream(count=33, seed=2, targets=labels, **more):
        given = None if targets is None else targets[:count]
        return trainer.stream(ours.preparation, rows(count, seed), given, batch_size=7, **more)

    both = {"source": stream(40, 3), "target": stream(33, 2)}
    if what == "numbers":
        task = Regression().fitted(weights)
        ours = network(task)
        objective, batches = Supervised(ours, task), stream(targets=weights)
    elif what in ("plain", "weights", "few"):
        objective = Supervised(ours, TASK, label_smoothing=0.1)
        batches = stream(1 if what == "few" else 33, weights=weights if what == "weights" else None)
    elif what in ("dan", "dann", "deep-coral"):
        term = {"dan": KernelDistance, "dann": DomainClassifier, "deep-coral": CovarianceDistance}[what]
        objective = Adaptation(ours, TASK, term(ours.body.width), 0.5)
        batches = Streams(source=stream(40, 3), target=stream(33, 2, None), labelled=stream(21, 4, weights=weights))
    elif what == "rules":
        objective = Penalised(ours, TASK, 0.5)
        batches = Streams(target=stream(), rules=stream(25, 5, shares, weights=weights))
    elif what == "linked":
        objective, batches = Linked(network(seed=1), ours, TASK), Streams(**both)
    else:
        objective, batches = TwoDomains(network(like=ours), ours, TASK, 0.5), Streams(**both)
        if what == "joint-upgrad":
            from torchjd.aggregation import UPGrad

            objective.shared, objective.aggregator = tuple(ours.body.parameters()), UPGrad()
    groups = [{"params": list(objective.parameters()), "lr": 0.003, "weight_decay": 0.01}]
    trainer.fit(objective, batches, groups, stage=what, epochs=9)
    return objective


def fit_all(folder: Path) -> None:
    strategy = strategy_on(torch.device("cpu"))
    for what in FITS:
        trainer = Trainer(seed=3, device="cpu", cache=FeatureCache(folder / "cache"), budget=Budget(steps=5))
        found = fit(what, trainer)
        torch.save([found.state_dict(), trainer.log.history], folder / f"{what}-{strategy.rank}-{strategy.world}.pt")
    strategy.leave()


@pytest.fixture(scope="module")
def fits(tmp_path_factory):
    """A folder with the weights and the history of each fit, by one process and by two."""
    folder = tmp_path_factory.mktemp("fits")
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    with subprocess.Popen(
        [*command, __file__, str(folder)], env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    ) as two:  # fmt: skip
        fit_all(folder)
        said, _ = two.communicate(timeout=180)
    assert two.returncode == 0, said[-2000:]
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("what", FITS)
def test_two_processes_learn_what_one_learns(fits, what):
    (one, history), (first, first_history), (second, _) = (
        torch.load(fits / f"{what}-{rank}-{world}.pt", weights_only=True) for rank, world in ((0, 1), (0, 2), (1, 2))
    )
    atol = 1e-4 if what in ("dan", "dann") else 1e-7  # these compare domains in float32
    for name, value in one.items():
        assert torch.equal(first[name], second[name]), name
        if what != "few" or not name.endswith("running_var"):  # of one row each process has a copy
            torch.testing.assert_close(first[name], value, atol=atol, rtol=1e-5, msg=lambda text: f"{what}: {text}")
    losses = [[row["loss"] for row in each] for each in (history, first_history)]
    assert losses[0] == pytest.approx(losses[1], abs=1e-6)  # what is said is the loss of the whole batch


if __name__ == "__main__":
    fit_all(Path(sys.argv[1]))
