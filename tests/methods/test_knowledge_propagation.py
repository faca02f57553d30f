"""knowledge-propagation: tuned from the source's weights, which are then added once more."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from sterna import RequestError, load_transfer, transfer
from sterna.bench import Fitted
from sterna.methods.method import make_method
from sterna.methods.parameters.fine_tuning import FineTuning
from sterna.methods.parameters.knowledge_propagation import BETAS, KnowledgePropagation, added
from sterna.networks.network import Network
from sterna.record.choice import Choice
from sterna.training.trainer import Trainer

RATE = 0.01


@pytest.fixture
def problem(source, digits, problem_of):
    return problem_of(source, digits(120))[0]


@pytest.fixture
def propagated(seeded, trainer):
    """Makes the network of a problem and a factor of the source's weights."""
    return lambda problem, beta: seeded(KnowledgePropagation(beta=beta, learning_rate=RATE), problem, trainer(epochs=2))


@pytest.fixture
def tuned(seeded, trainer):
    """Makes the tuned network of a problem."""
    return lambda problem: seeded(FineTuning(learning_rate=RATE), problem, trainer(epochs=2))


def test_without_an_addend_it_is_fine_tuning_bit_for_bit(problem, tuned, propagated):
    expected, found = tuned(problem).state_dict(), propagated(problem, 0).state_dict()
    assert list(found) == list(expected)
    assert all(torch.equal(found[name], value) for name, value in expected.items())


def test_a_whole_run_without_an_addend_is_fine_tunings(source, digits, digits_arrays):
    runs = [
        transfer(source, digits(120), method=method, settings=settings, epochs=2, control="none", seeds=1)
        for method, settings in (("fine-tuning", {}), ("knowledge-propagation", {"beta": 0}))
    ]
    images = digits_arrays[0][1500:1540]
    assert np.array_equal(runs[0].outputs(images), runs[1].outputs(images))
    assert runs[0].scores == runs[1].scores


@pytest.mark.parametrize("beta", [-0.3, 0.2, 1.0])
def test_parameters_are_added_and_all_else_is_the_tuned_networks(problem, source, tuned, propagated, weights_of, beta):
    before = weights_of(source.body.module)
    expected, found = tuned(problem).state_dict(), propagated(problem, beta).state_dict()
    parameters = {name for name, _ in source.body.module.named_parameters()}
    for name, value in before.items():
        here = f"body.module.{name}"
        if name in parameters:
            total = expected[here].double() + beta * value.double()
            torch.testing.assert_close(found[here].double(), total, atol=1e-6, rtol=1e-5, msg=name)
        elif "num_batches" in name:
            assert torch.equal(found[here], expected[here])
        assert torch.equal(source.body.module.state_dict()[name], value)
    assert all(torch.equal(found[name], value) for name, value in expected.items() if name.startswith("head."))
    assert all(bool((v >= 0).all()) for n, v in found.items() if n.endswith("running_var"))


def test_buffers_that_are_no_statistics_are_not_scaled():
    class Positions(nn.Module):
        def __init__(self):
            super().__init__()
            self.register_buffer("table", torch.ones(3))
            self.weight = nn.Parameter(torch.ones(2))

    tuned = {"table": torch.ones(3), "weight": torch.full((2,), 3.0)}
    found = added(tuned, Positions(), 0.5)
    assert found["table"].tolist() == [1, 1, 1] and found["weight"].tolist() == [3.5, 3.5]


def test_features_grow_by_one_plus_beta_where_the_sum_is_a_scaling(problem, source, trainer, monkeypatch):
    """As the page says: W_t = W_s makes the sum (1+β)W_s, which batch normalisation leaves but for its own scale."""

    def untouched(self, bench):
        body = source.body.copied()
        return Fitted(Network(source.prepared(problem.inputs), body, nn.Linear(24, 10), task=problem.task))

    monkeypatch.setattr(FineTuning, "run", untouched)
    plain, scaled = (KnowledgePropagation(beta=b).fit(problem, trainer()).network for b in (0, 0.25))
    items = plain.preparation.items(problem.inputs)
    x = plain.preparation.collate([items[i] for i in range(60)])
    with torch.no_grad():
        a, b = plain.eval().body(x), scaled.eval().body(x)
    torch.testing.assert_close(b, 1.25 * a, atol=0.02, rtol=0.02)


def test_the_factor_is_searched_on_rows_that_were_not_tuned_on(problem, trainer, seeded, propagated, monkeypatch):
    seen, fit, outputs = [], Trainer.fit, Trainer.outputs

    def watching(self, objective, stream, groups, *, stage, **more):
        seen.append((stage, len(stream.rows)))
        return fit(self, objective, stream, groups, stage=stage, **more)

    def answering(self, network, inputs, rows=None):
        if len(seen) == 2:  # the search has begun, with nothing added
            seen.append({name: tensor.clone() for name, tensor in network.state_dict().items()})
        return outputs(self, network, inputs, rows)

    assert BETAS[0] == 0
    monkeypatch.setattr(Trainer, "fit", watching)
    monkeypatch.setattr(Trainer, "outputs", answering)
    coach = trainer(epochs=2)
    network = seeded(KnowledgePropagation(learning_rate=RATE), problem, coach)
    train, validation = len(problem.train), len(problem.validation)
    # Fine-tuning trains without the validation rows, chooses its share by them, and trains with them: that is all.
    assert seen[:2] == [("fine-tuning", train), ("fine-tuning-on-all", train + validation)] and len(seen) == 3
    alone = FineTuning(learning_rate=RATE, share=coach.log.chosen["share of the tuned weights"])
    held = seeded(alone, replace(problem, validation=problem.validation[:0]), trainer(epochs=2)).state_dict()
    assert all(torch.equal(value, held[name]) for name, value in seen[2].items())
    beta = coach.log.chosen["beta"]
    assert beta in BETAS and Choice("beta", beta, "validation", validation) in coach.log.choices
    expected = propagated(problem, beta).state_dict()
    assert all(torch.equal(value, expected[name]) for name, value in network.state_dict().items())


def test_without_validation_rows_nothing_is_added_and_that_is_said(problem, trainer, seeded):
    coach = trainer(epochs=1)
    network = seeded(KnowledgePropagation(), problem.joined(), coach)
    assert coach.log.messages == ["There are no validation rows to search beta with, so it is 0."]
    expected = seeded(FineTuning(), problem.joined(), trainer(epochs=1)).state_dict()
    assert all(torch.equal(value, expected[name]) for name, value in network.state_dict().items())


def test_it_survives_saving(source, digits, digits_arrays, tmp_path):
    result = transfer(
        source, digits(120), method="knowledge-propagation", settings={"beta": 0.1}, epochs=1, control="none",
        out=tmp_path / "a", seeds=1,
    )  # fmt: skip
    images = digits_arrays[0][1500:1540]
    assert np.array_equal(load_transfer(tmp_path / "a").outputs(images), result.outputs(images))


@pytest.mark.parametrize("beta", [-1, 1.01, "much", None, False, float("nan"), float("inf")])
def test_a_factor_out_of_bounds_is_refused_in_one_sentence(beta):
    with pytest.raises(RequestError, match="setting beta is .*, but expected a number above -1 and up to 1, or search"):
        make_method("knowledge-propagation", {"beta": beta})
