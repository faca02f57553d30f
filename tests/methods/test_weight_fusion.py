"""weight-fusion: a weighted mean of two bodies under the target's head, exact at its ends."""

import numpy as np
import pytest
import torch

from sterna import RequestError, load_transfer, transfer
from sterna.methods.method import make_method
from sterna.methods.parameters.fine_tuning import FineTuning
from sterna.methods.parameters.weight_fusion import ALPHAS, WeightFusion
from sterna.networks import load_network, save_network
from sterna.record.choice import Choice
from sterna.selection.validator import FEW

RATE = 0.01


@pytest.fixture
def problem(source, digits, problem_of):
    """So few rows that validation is not kept apart in the end."""
    return problem_of(source, digits(120))[0]


@pytest.fixture
def fused(seeded, trainer):
    """Makes the fused network of a problem and a share of the source's weights."""
    return lambda problem, alpha: seeded(WeightFusion(alpha=alpha, learning_rate=RATE), problem, trainer(epochs=2))


@pytest.fixture
def tuned(seeded, trainer):
    """Makes the tuned network of a problem."""
    return lambda problem: seeded(FineTuning(share=1.0, learning_rate=RATE), problem, trainer(epochs=2))


def test_the_ends_are_the_tuned_network_and_the_sources_body_bit_for_bit(problem, source, fused, tuned, weights_of):
    expected = tuned(problem).state_dict()
    first, last = fused(problem, 0).state_dict(), fused(problem, 1).state_dict()
    assert all(torch.equal(first[name], value) for name, value in expected.items())
    theirs = weights_of(source.body.module)
    assert all(torch.equal(last[f"body.module.{name}"], value) for name, value in theirs.items())
    assert all(torch.equal(last[n], v) for n, v in expected.items() if n.startswith("head."))


def test_in_between_the_body_is_the_mean_and_the_head_the_targets(problem, source, fused, tuned, weights_of):
    before = weights_of(source.body.module)
    expected, network = tuned(problem), fused(problem, 0.3)
    found, ours = network.state_dict(), expected.body.module.state_dict()
    for name, value in before.items():
        mean = 0.3 * value.double() + 0.7 * ours[name].double()
        if "running" not in name:
            assert torch.allclose(found[f"body.module.{name}"].double(), mean, atol=1e-6), name
        if "num_batches" in name:
            assert torch.equal(found[f"body.module.{name}"], ours[name])
        if name.endswith("0.weight"):
            assert not torch.equal(value, ours[name])
        assert torch.equal(source.body.module.state_dict()[name], value)  # the source's own are as they were
    assert all(torch.equal(found[n], v) for n, v in expected.state_dict().items() if n.startswith("head."))


@pytest.fixture
def watched(monkeypatch):
    """The rows that each tuning saw."""
    seen, run = [], FineTuning.run

    def watching(self, bench):
        seen.append((set(bench.problem.train.tolist()), set(bench.problem.validation.tolist())))
        return run(self, bench)

    monkeypatch.setattr(FineTuning, "run", watching)
    return seen


def test_the_share_is_searched_on_rows_that_were_not_tuned_on(problem, trainer, seeded, fused, watched):
    assert len(problem.validation) < FEW
    coach = trainer(epochs=2)
    network = seeded(WeightFusion(learning_rate=RATE), problem, coach)
    every, train = {*problem.train.tolist(), *problem.validation.tolist()}, set(problem.train.tolist())
    assert watched == [(train, set()), (every, set())]
    # What is told is told of the network that is kept.
    assert [row["stage"] for row in coach.log.history] == ["fine-tuning"] * 2
    alpha = coach.log.chosen["alpha"]
    assert alpha in ALPHAS and Choice("alpha", alpha, "validation", len(problem.validation)) in coach.log.choices
    expected = fused(problem.joined(), alpha).state_dict()  # the share is then used for a network tuned on all
    assert all(torch.equal(value, expected[name]) for name, value in network.state_dict().items())


def test_the_search_takes_the_share_that_validates_best(source, digits, problem_of, trainer, seeded):
    problem, _ = problem_of(source, digits(640))
    assert len(problem.validation) >= FEW
    coach = trainer(epochs=1)
    network = seeded(WeightFusion(learning_rate=0.003), problem, coach)
    rows, targets = problem.validation, problem.targets[problem.validation]

    def right(network):
        outputs = trainer().outputs(network, problem.inputs, rows)
        found = problem.task.metrics(problem.task.statistics(outputs, targets))
        return found[problem.task.metric][0]

    others = [seeded(WeightFusion(alpha=a, learning_rate=0.003), problem, trainer(epochs=1)) for a in (0, 0.5, 1)]
    assert right(network) >= max(right(other) for other in others)


def test_without_validation_rows_the_share_is_a_half_and_that_is_said(problem, trainer, seeded):
    coach = trainer(epochs=1)
    seeded(WeightFusion(), problem.joined(), coach)
    assert coach.log.messages == ["There are no validation rows to search alpha with, so it is 0.5."]
    assert "alpha" not in coach.log.chosen and not any(choice.by == "validation" for choice in coach.log.choices)


def test_training_may_go_on_from_the_fused_weights(problem, trainer, seeded):
    coach = trainer()
    seeded(WeightFusion(alpha=0.5, epochs=1, epochs_after=2, learning_rate=RATE), problem, coach)
    stages = [(row["stage"], row["epoch"]) for row in coach.log.history]
    assert stages[-2:] == [("after-fusion", 1), ("after-fusion", 2)]
    losses = [row["loss"] for row in coach.log.history if row["stage"] == "after-fusion"]
    assert losses[1] < losses[0]


def test_it_survives_saving_and_answers_new_inputs(source, digits, digits_arrays, tmp_path):
    result = transfer(
        source,
        digits(120),
        method="weight-fusion",
        settings={"alpha": 0.4},
        epochs=1,
        control="none",
        out=tmp_path / "a",
        seeds=1,
    )
    images = digits_arrays[0][1500:1540]
    assert np.array_equal(load_transfer(tmp_path / "a").outputs(images), result.outputs(images))
    save_network(result.network, tmp_path / "n")
    assert np.array_equal(load_network(tmp_path / "n").head.weight.detach(), result.network.head.weight.detach())


@pytest.mark.parametrize("alpha", [-0.1, 1.01, "half", None, True, float("nan"), [0.5]])
def test_a_share_out_of_bounds_is_refused_in_one_sentence(alpha):
    with pytest.raises(
        RequestError, match="setting alpha is .*, but expected a number from 0 to 1, or search; see: ste"
    ):
        make_method("weight-fusion", {"alpha": alpha})


def test_its_settings_are_shown_with_their_bounds():
    alpha = WeightFusion.about()["settings"][0]
    assert alpha["name"] == "alpha" and "≥ 0 ≤ 1" in alpha["values"] and "search" in alpha["values"]
