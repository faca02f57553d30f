"""Colour images are answered with their mirror images: by every network, before and after it was saved."""

import copy

import numpy as np
import pytest
import torch

from sterna import Domain, Source
from sterna.methods.controls.scratch import Scratch
from sterna.methods.method import make_method
from sterna.networks import Network, load_network, save_network
from sterna.networks.statistics import recalibrate, standings
from sterna.networks.views import Views


def coloured(images):
    """A left and a right side of other colours, so that a mirror image is another image."""
    shade = np.linspace(0.3, 1, images.shape[2])
    return np.stack([images * shade, images, images * shade[::-1]], axis=3).astype(np.uint8)


@pytest.fixture(scope="module")
def domains(digits_arrays):
    images, labels = digits_arrays[0][:240], np.array([f"d{v}" for v in digits_arrays[1][:240]])
    return {
        "colour": Domain.from_arrays(coloured(images), labels, name="colour"),
        "grey": Domain.from_arrays(images, labels, name="grey"),
    }


@pytest.fixture(scope="module")
def network_of_colours(domains, problem_of, module_trainer):
    problem, _ = problem_of(None, domains["colour"])
    network = Scratch().fit(problem, module_trainer(epochs=2)).network
    assert network.views is Views.MIRRORED
    return network


@pytest.fixture
def learnt(domains, network_of_colours):
    """What was learnt from colour images, as a source (each test has a copy)."""
    network = copy.deepcopy(network_of_colours)
    return Source(
        "run:colour", network.body, network.preparation, network.head, network.task, data=domains["colour"],
        views=network.views,
    )  # fmt: skip


def test_a_body_answers_with_the_mean_of_both_also_block_by_block(learnt):
    body, images = learnt.body.eval(), torch.randn(5, 3, 16, 16)
    names = [*(block.name for block in body.blocks), "last"]
    with torch.inference_mode():
        found = learnt.views.features(body, images, names)
        plain, turned = body.features(images, names), body.features(images.flip(-1), names)
        last = body(images), body(images.flip(-1))
        for name in names:
            torch.testing.assert_close(found[name], (plain[name] + turned[name]) / 2)
        network = Network(learnt.preparation, body, torch.nn.Identity(), views=learnt.views).eval()
        assert torch.equal(network.features(images), (last[0] + last[1]) / 2)
        assert not torch.allclose(plain["last"], turned["last"], atol=1e-3)
        in_training = learnt.views.features(body.train(), images[:2], ["last"])["last"]
        assert torch.equal(in_training, body(images[:2]))


def test_the_cache_tells_views_apart(learnt, domains, trainer):
    coach, inputs = trainer(), domains["colour"].inputs
    asked = (learnt.body, learnt.preparation, inputs, ["last"])
    seen, plain = coach.features(*asked, Views.MIRRORED).array(), coach.features(*asked).array()
    assert np.abs(seen - plain).max() > 1e-3
    batch = learnt.preparation.collate([learnt.preparation.items(inputs)[row] for row in range(4)])
    with torch.inference_mode():
        wanted = (learnt.body.eval()(batch) + learnt.body(batch.flip(-1))) / 2
    np.testing.assert_allclose(seen[:4], wanted, atol=1e-5)
    np.testing.assert_allclose(coach.features(*asked, Views.MIRRORED).array(), seen)


@pytest.mark.parametrize(("target", "views"), [("colour", Views.MIRRORED), ("grey", Views.ONE)])
def test_a_source_is_seen_in_a_mirror_where_the_target_has_one(target, views, domains, learnt, problem_of):
    problem, _ = problem_of(learnt, domains[target])
    assert problem.source_views is views and problem.source_body is learnt.body


FROZEN = [
    ("feature-extraction", {}),
    ("fine-tuning", {"freeze_until": "stage3.1", "epochs": 1, "linear_probe": False}),
    ("task-nesting", {}),
    ("parameter-sharing", {"mode": "fixed"}),
    ("transfer-network", {"epochs": 1}),
    ("prototypes", {}),
]


@pytest.mark.parametrize(("method", "settings"), FROZEN, ids=[name for name, _ in FROZEN])
@pytest.mark.parametrize("target", ["colour", "grey"])
def test_a_saved_network_answers_as_it_was_scored(
    method, settings, target, domains, learnt, problem_of, trainer, tmp_path
):
    if method == "fine-tuning":
        settings = {**settings, "freeze_until": learnt.body.blocks[-1].name}
    problem, splits = problem_of(learnt, domains[target], labels=60)
    network = make_method(method, settings).fit(problem, trainer(epochs=1)).network
    test = domains[target].inputs.take(splits.test)
    scored = trainer().outputs(network, test)
    save_network(network, tmp_path / "kept")
    np.testing.assert_allclose(trainer().outputs(load_network(tmp_path / "kept"), test), scored, atol=1e-5)
    own = method in ("task-nesting",)  # asks the source as it is
    assert own or (network.views is Views.MIRRORED) == (target == "colour")


def test_batch_normalisation_is_measured_as_it_is(learnt, domains):
    body = learnt.body.copied()
    before = {name: tensor.clone() for name, tensor in body.module.state_dict().items()}
    items = learnt.preparation.items(domains["colour"].inputs)
    batch = learnt.preparation.collate([items[row] for row in range(64)])
    recalibrate(body, [batch], standings(body, [batch]))
    for name, tensor in body.module.state_dict().items():
        torch.testing.assert_close(tensor, before[name], msg=name)


@pytest.mark.parametrize(("theirs", "ours"), [("colour", "grey"), ("colour", "colour"), ("grey", "colour")])
@pytest.mark.parametrize("mode", ["fixed", "weights", "gradients"])
def test_a_common_part_is_mirrored_as_the_target_asks(theirs, ours, mode, domains, problem_of, trainer, tmp_path):
    problem, splits = problem_of(Source("known", data=domains[theirs]), domains[ours], labels=60)
    network = make_method("parameter-sharing", {"mode": mode, "epochs": 1}).fit(problem, trainer(epochs=1)).network
    assert (network.views is Views.MIRRORED) == (ours == "colour")
    test = domains[ours].inputs.take(splits.test)
    save_network(network, tmp_path / "kept")
    again = trainer().outputs(load_network(tmp_path / "kept"), test)
    np.testing.assert_allclose(again, trainer().outputs(network, test), atol=1e-5)
