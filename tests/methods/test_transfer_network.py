"""transfer-network: the source stays or trains gently, runs once where frozen, and the gate says its weight."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from sterna import Domain, RequestError, load_source
from sterna.methods.method import Needs, make_method
from sterna.methods.networks.transfer_network import TransferNetwork, once, scaled
from sterna.methods.parameters.feature_extraction import FeatureExtraction
from sterna.networks import ImagePreparation
from sterna.networks.freezing import freeze
from sterna.networks.network import Network
from sterna.networks.pair import PairBody
from sterna.networks.saved import load_network, save_network
from sterna.networks.small import small_body
from sterna.networks.views import Views
from sterna.preparations.pair import PairPreparation
from sterna.training.linear import in_memory, moments


@pytest.mark.parametrize("join", ["concatenate", "gate"])
def test_a_frozen_source_stays_bit_for_bit_and_comes_back(
    join, source, digits, problem_of, trainer, weights_of, tmp_path
):
    before = weights_of(source.body)
    problem, _ = problem_of(source, digits(120))
    network = TransferNetwork(join=join).fit(problem, trainer(epochs=2)).network
    halves = network.body.halves
    for name, value in halves["first"].state_dict().items():
        assert torch.equal(value, before[name]), name
    assert not any(p.requires_grad for p in halves["first"].parameters())
    start = small_body(problem.inputs.take(problem.train), seed=problem.seed)[0].state_dict()
    assert not torch.equal(halves["second"].state_dict()["module.stem.0.weight"], start["module.stem.0.weight"])
    save_network(network, tmp_path / "n")
    loaded = load_network(tmp_path / "n")
    rows = problem.inputs.take(np.arange(20))
    np.testing.assert_array_equal(trainer().outputs(loaded, rows), trainer().outputs(network, rows))


def test_a_trained_source_moves_at_a_tenth_of_the_rate_and_the_users_weights_stay(
    source, digits, problem_of, trainer, weights_of, monkeypatch
):
    from sterna.training.trainer import Trainer

    seen = []
    fit = Trainer.fit
    monkeypatch.setattr(
        Trainer, "fit", lambda self, o, s, groups, **k: seen.extend(groups) or fit(self, o, s, groups, **k)
    )
    before = weights_of(source.body)
    problem, _ = problem_of(source, digits(100))
    network = TransferNetwork(train_source=True).fit(problem, trainer(epochs=1)).network
    assert all(torch.equal(value, before[name]) for name, value in source.body.state_dict().items())
    moved = {n for n, v in network.body.halves["first"].state_dict().items() if not torch.equal(v, before[n])}
    assert moved and not any("running" in name or "batches" in name for name in moved)
    rates = {id(p): group["base"] for group in seen for p in group["params"]}
    first, second = network.body.halves.values()
    deepest = [p for p in first.view(first.blocks[-1]).parameters() if p.requires_grad]
    assert {round(rates[id(p)], 9) for p in second.parameters()} == {1e-3}
    assert all(rates[id(p)] <= 1e-4 for p in first.parameters() if p.requires_grad) and deepest
    every = {id(p) for p in network.parameters() if p.requires_grad}
    assert every <= set(rates)


@pytest.mark.parametrize("outputs", [("last",), ("block1", "last")])
def test_a_frozen_source_runs_once_whatever_the_epochs(outputs, source, digits, problem_of, trainer):
    rows = []
    # Copies of the body take the hook along.
    source.body.module.block0.register_forward_hook(lambda module, inputs, out: rows.append(len(out)))
    problem, _ = problem_of(replace(source, body=source.body.selecting(outputs)), digits(100))
    runs = []
    for epochs in (1, 4):
        rows.clear()
        TransferNetwork().fit(problem, trainer(seed=epochs, epochs=epochs))
        runs.append(sum(rows))
    assert 0 < runs[0] <= len(problem.inputs) and runs[1] <= len(problem.inputs)


@pytest.mark.parametrize("outputs", [("last",), ("block1", "last")])
def test_what_is_trained_is_the_network_that_is_kept(outputs, source, digits, problem_of, trainer, bench_of):
    problem, _ = problem_of(source, digits(60))
    body = source.body.copied().selecting(outputs)
    freeze(body)
    small, own = small_body(problem.inputs, seed=0)
    pair = PairBody(body, small)
    network = Network(
        PairPreparation(source.preparation, own), pair, torch.nn.Linear(pair.width, 10), task=problem.task
    )
    shorter, inputs = once(network, pair, network.preparation, bench_of(problem))
    found = trainer().outputs(shorter, inputs, np.array([7, 3, 40]))
    np.testing.assert_allclose(found, trainer().outputs(network, problem.inputs, np.array([7, 3, 40])), atol=1e-5)


def test_a_source_that_gives_several_blocks_works_as_well(source, digits, problem_of, trainer):
    several = replace(source, body=source.body.selecting(["block1", "last"]))
    problem, _ = problem_of(several, digits(80))
    network = TransferNetwork().fit(problem, trainer(epochs=1)).network
    assert network.body.halves["first"].width == 36 and network.body.width == 36 + 128


def test_the_scale_gives_both_halves_one_pace():
    random = np.random.default_rng(0)
    features = (random.normal(size=(400, 640)) * random.uniform(0.01, 9, 640) + 5).astype(np.float32)
    layer = scaled(features, 64)
    mean, deviation = moments(in_memory(features), np.ones(400))
    both = torch.from_numpy(np.concatenate([features, np.ones((400, 3))], 1)).float()
    found = layer(both).numpy()
    np.testing.assert_allclose(found[:, :640], (features - mean) / deviation / 10, atol=1e-4)
    np.testing.assert_array_equal(found[:, 640:], 1)
    standard = random.normal(size=(400, 64))
    assert np.abs(found[:, :640]).sum(1).mean() == pytest.approx(np.abs(standard).sum(1).mean(), rel=0.1)


def test_the_gates_weight_is_told_and_no_label_chose_it(source, digits, problem_of, trainer):
    problem, _ = problem_of(source, digits(100))
    coach = trainer(epochs=2)
    network = TransferNetwork(join="gate").fit(problem, coach).network
    scale, gate = network.map
    items = network.preparation.items(problem.inputs)
    with torch.inference_mode():
        batch = network.preparation.collate([items[int(row)] for row in problem.train])
        x = scale(network.eval().body(batch)).numpy()
    values = {name: p.detach().numpy() for name, p in gate.gate.named_parameters()}
    by_hand = (1 / (1 + np.exp(-(x @ values["weight"].T + values["bias"])))).mean()
    assert coach.log.chosen["gate"] == pytest.approx(by_hand, abs=1e-4)
    assert coach.log.messages == [
        f"transfer-network: on the training rows the gate gives the source {by_hand:.0%} of the weight."
    ]
    assert not any(choice.compared for choice in coach.log.choices)
    assert coach.log.selected_by() == "nothing was selected: fixed settings"


@pytest.fixture
def blind_source():
    """A source for grey images that sees their mean brightness and little else."""
    module = torch.nn.Sequential(torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten(), torch.nn.Linear(1, 6))
    return load_source(module, preparation=ImagePreparation(size=8, mean=(0.5,), std=(0.25,), crop=1.0, channels=1))


@pytest.mark.parametrize("join", ["concatenate", "gate"])
def test_the_new_body_sees_what_the_source_does_not(join, blind_source, digits, problem_of, trainer):
    domain = digits(300, splits=(150, 20))
    problem, splits = problem_of(blind_source, domain)
    test = domain.take(splits.test)
    network = TransferNetwork(join=join).fit(problem, trainer(epochs=10)).network
    alone = FeatureExtraction(blocks="last").fit(problem, trainer()).network
    right = [
        (trainer().outputs(n, test.inputs).argmax(1) == problem.task.encode(test.labels)).mean()
        for n in (network, alone)
    ]
    assert right[0] > 0.6 and right[1] < 0.4


def test_colour_photographs_at_96_pixels_beside_a_small_body_are_mirrored(problem_of, trainer):
    timm = pytest.importorskip("timm")
    random = np.random.default_rng(0)
    images = random.integers(0, 160, (24, 20, 20, 3), dtype=np.uint8)
    images[::2, :, :, 0] += 90
    body = timm.create_model("resnet10t", num_classes=0)
    known = load_source(body.eval(), preparation=ImagePreparation(size=96, crop=1.0))
    problem, _ = problem_of(known, Domain.from_arrays(images, ["red", "grey"] * 12))
    network = TransferNetwork().fit(problem, trainer(epochs=2)).network
    halves = network.preparation
    assert (halves.first.size, halves.second.size, network.views) == (96, 20, Views.MIRRORED)
    flipped = Domain.from_arrays(np.ascontiguousarray(images[:, :, ::-1]))
    found = [trainer().outputs(network, inputs) for inputs in (problem.inputs, flipped.inputs)]
    by_row = {key: row for key, row in zip(Domain.from_arrays(images).inputs.keys(), found[1], strict=True)}
    for key, row in zip(problem.inputs.keys(), found[0], strict=True):
        np.testing.assert_allclose(row, by_row[key], atol=1e-3)


def test_a_table_source_stands_beside_the_targets_own_columns(problem_of, trainer, tmp_path):
    from sterna.methods.controls.scratch import Scratch
    from sterna.sources.source import Source

    random = np.random.default_rng(1)
    frame = pd.DataFrame(random.normal(size=(200, 3)), columns=list("abc"))
    domain = Domain.from_arrays(frame, np.where(frame["a"] + frame["b"] > 0, "yes", "no"))
    first, _ = problem_of(None, domain)
    earlier = Scratch().fit(first, trainer(epochs=10)).network
    known = Source("earlier", earlier.body, earlier.preparation, earlier.head, earlier.task)
    problem, _ = problem_of(known, domain, labels=60)
    network = TransferNetwork().fit(problem, trainer(epochs=5)).network
    assert network.preparation.first is earlier.preparation and network.preparation.second is not earlier.preparation
    found = trainer().outputs(network, domain.inputs).argmax(1)
    assert (found == problem.task.encode(domain.labels)).mean() > 0.85


def test_needs_and_bad_settings():
    assert TransferNetwork.needs == Needs.SOURCE_MODEL | Needs.TARGET_LABELS
    with pytest.raises(RequestError, match="join is 'add'"):
        make_method("transfer-network", {"join": "add"})
