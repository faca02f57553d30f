"""parameter-sharing: what is common is common, what is fixed stays, and shared gradients are those computed by hand."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from sterna import Domain, load_domain
from sterna.bench.side_by_side import sides_of, streams_of
from sterna.methods.method import Needs
from sterna.methods.networks.parameter_sharing import APART, Linked, ParameterSharing, linked
from sterna.networks.network import Network
from sterna.networks.saved import load_network, save_network
from sterna.record.choice import Choice
from sterna.selection.cross_validation import sample_of
from sterna.sources.source import Source
from sterna.tasks import Classification
from sterna.training.trainer import Trainer


def tables(seed=0, rows=200, labels=60):
    """Two tables without a column in common whose labels depend on one direction each."""
    random = np.random.default_rng(seed)
    x, z = random.normal(size=(rows, 4)), random.normal(size=(labels + 200, 3))
    source = Domain.from_arrays(pd.DataFrame(x, columns=list("abcd")), np.where(x @ [1, 1, -1, 0] > 0, "late", "paid"))
    wanted = np.where(z @ [1.0, -1.0, 0.5] > 0, "bad", "good")
    splits = {"train": list(range(labels)), "test": list(range(labels, len(z)))}
    return Source("t", data=source), Domain.from_arrays(pd.DataFrame(z, columns=list("uvw")), wanted, splits=splits)


def low_and_high(digits_arrays, rows=160, labels=60):
    images, labels_of = digits_arrays
    low, high = np.flatnonzero(labels_of < 5)[:rows], np.flatnonzero(labels_of >= 5)[: labels + 200]
    names = [[str(v) for v in labels_of[part]] for part in (low, high)]
    splits = {"train": list(range(labels)), "test": list(range(labels, len(high)))}
    known = Source("low", data=Domain.from_arrays(images[low], names[0]))
    return known, Domain.from_arrays(images[high], names[1], splits=splits)


def right(network, trainer, domain, splits):
    test = domain.take(splits.test)
    outputs = trainer.outputs(network, test.inputs)
    return float(np.mean(outputs.argmax(1) == network.task.encode(test.labels)))


@pytest.fixture
def objectives(monkeypatch):
    """The objectives of every fit, as they were before and are after it."""
    seen = []
    fit = Trainer.fit

    def watching(self, objective, *args, **more):
        before = {k: v.clone() for k, v in objective.state_dict().items()}
        found = fit(self, objective, *args, **more)
        seen.append((objective, before))
        return found

    monkeypatch.setattr(Trainer, "fit", watching)
    return seen


# -- weights ----------------------------------------------------------------------------------------


def test_hard_sharing_has_one_common_part_and_a_head_for_each(digits_arrays, problem_of, trainer, objectives, tmp_path):
    known, domain = low_and_high(digits_arrays)
    problem, splits = problem_of(known, domain)
    network = ParameterSharing(epochs=8).fit(problem, trainer()).network
    objective, before = objectives[0]
    assert objective.source.body is objective.target.body is network.body
    assert objective.source.head is not network.head
    assert objective.source.head.out_features == objective.target.head.out_features == 5
    for part in ("source.head.weight", "target.head.weight", "target.body.module.stage1.0.0.weight"):
        assert not torch.equal(before[part], objective.state_dict()[part])
    assert right(network, trainer(), domain, splits) > 0.8
    save_network(network, tmp_path / "n")
    loaded = load_network(tmp_path / "n")
    assert right(loaded, trainer(), domain, splits) == right(network, trainer(), domain, splits)


def test_tables_with_other_columns_have_a_first_layer_each(problem_of, trainer, objectives, tmp_path):
    known, domain = tables()
    problem, splits = problem_of(known, domain)
    network = ParameterSharing(epochs=10).fit(problem, trainer()).network
    objective, _ = objectives[0]
    ours, theirs = objective.target.body.module, objective.source.body.module
    assert ours.layer2 is theirs.layer2 and ours.layer1 is not theirs.layer1
    assert (ours.layer1[0].in_features, theirs.layer1[0].in_features) == (3, 4)
    assert right(network, trainer(), domain, splits) > 0.8
    save_network(network, tmp_path / "n")
    loaded = load_network(tmp_path / "n")
    found = trainer().outputs(loaded, domain.take(splits.test).inputs)
    np.testing.assert_array_equal(found, trainer().outputs(network, domain.take(splits.test).inputs))


# -- fixed ------------------------------------------------------------------------------------------


def test_the_fixed_part_is_the_source_models_bit_for_bit(digits_arrays, source, problem_of, trainer, weights_of):
    known, domain = low_and_high(digits_arrays)
    problem, _ = problem_of(source.with_data(known.data), domain)
    coach = trainer()
    network = ParameterSharing(mode="fixed").fit(problem, coach).network
    before, after = weights_of(source.body), network.body.state_dict()
    assert all(torch.equal(value, after[name]) for name, value in before.items())
    assert network.body_is_frozen() and network.body is not source.body
    penalty = coach.log.chosen["penalty"]
    assert coach.log.choices == [Choice("penalty", penalty, "cross-validation", len(problem.train))]


def test_without_a_model_it_is_learnt_from_the_sources_rows_alone(problem_of, trainer, objectives):
    known, domain = tables()
    problem, splits = problem_of(known, domain)
    network = ParameterSharing(mode="fixed").fit(problem, trainer(epochs=10)).network
    first, second = objectives
    learnt = first[0].state_dict()
    for name, value in network.body.module.layer2.state_dict().items():
        assert torch.equal(value, learnt[f"network.body.module.layer2.{name}"]), name
        assert torch.equal(value, second[1][f"network.body.module.layer2.{name}"]), name
    assert not torch.equal(second[1]["network.body.module.layer1.0.weight"], network.body.module.layer1[0].weight)
    assert not any(p.requires_grad for p in network.body.module.layer2.parameters())
    assert not network.body.train().module.layer2.training
    assert right(network, trainer(), domain, splits) > 0.7


def test_the_targets_labels_do_not_reach_the_fixed_part(problem_of, trainer):
    from dataclasses import replace

    known, domain = tables()
    found = []
    for flip in (False, True):
        problem, _ = problem_of(known, domain)
        if flip:
            problem = replace(problem, targets=1 - problem.targets)
        torch.manual_seed(0)
        network = ParameterSharing(mode="fixed").fit(problem, trainer(epochs=2)).network
        found.append(network.body.module.layer2.state_dict())
    assert all(torch.equal(value, found[1][name]) for name, value in found[0].items())


# -- gradients --------------------------------------------------------------------------------------


def test_linked_values_are_their_own_and_their_gradients_the_sum():
    one, other = (torch.randn(3, 2, requires_grad=True) for _ in range(2))
    assert torch.equal(linked(one, other), one)
    (linked(one, other) * 2).sum().backward()
    (linked(other, one) ** 2).sum().backward()
    by_hand = 2 + 2 * other.detach()
    torch.testing.assert_close(one.grad, by_hand)
    torch.testing.assert_close(other.grad, by_hand)


@pytest.mark.parametrize("make", [tables, low_and_high])
def test_both_copies_receive_the_sum_of_the_gradients_at_their_own_weights(make, digits_arrays, problem_of, bench_of):
    known, domain = make(digits_arrays) if make is low_and_high else make()
    problem, _ = problem_of(known, domain)
    bench = bench_of(problem)
    sides = sides_of(bench, copies=True)
    source = Network(sides.source_preparation, sides.source, nn.Linear(128, problem.known.task.outputs))
    target = Network(sides.target_preparation, sides.target, nn.Linear(128, problem.task.outputs), task=problem.task)
    objective = Linked(source, target, problem.known.task)
    if sides.private:
        objective.common = tuple(n for n in objective.common if n.startswith("module.layer2."))
    ours, theirs = dict(target.body.named_parameters()), dict(source.body.named_parameters())
    assert all(torch.equal(ours[name], theirs[name]) for name in objective.common)  # one start
    with torch.no_grad():
        for p in source.body.parameters():
            p.add_(0.05 * torch.randn_like(p))
    batch = next(iter(streams_of(bench, sides, augment=False).epoch(0)))
    objective.eval()  # no dropout: the same losses twice
    objective.progress = APART
    sum(objective(batch).values()).backward()
    found = {name: p.grad.clone() for name, p in objective.named_parameters()}
    own = {}
    for side, network, task in (("source", source, problem.known.task), ("target", target, problem.task)):
        loss = task.loss(network(batch[side].inputs), batch[side].targets, batch[side].weights)
        parameters = dict(network.named_parameters())
        gradients = torch.autograd.grad(loss, list(parameters.values()))
        own |= {f"{side}.{name}": g for name, g in zip(parameters, gradients, strict=True)}
    common = {f"body.{name}" for name in objective.common}
    for name, gradient in found.items():
        side, _, path = name.partition(".")
        wanted = own[f"source.{path}"] + own[f"target.{path}"] if path in common else own[name]
        torch.testing.assert_close(gradient, wanted, rtol=1e-4, atol=1e-6, msg=name)


def test_apart_each_copy_learns_from_its_own_domain_alone(problem_of, bench_of):
    known, domain = tables()
    problem, _ = problem_of(known, domain)
    bench = bench_of(problem)
    sides = sides_of(bench, copies=True)
    source, target = (
        Network(sides.target_preparation, b, nn.Linear(128, 2), task=problem.task) for b in (sides.source, sides.target)
    )
    objective = Linked(source, target, problem.known.task)
    batch = next(iter(streams_of(bench, sides, augment=False).epoch(0)))
    objective.progress = 0.0
    objective(batch)["source"].backward()
    assert all(p.grad is None for p in target.parameters()) and all(p.grad is not None for p in source.parameters())


def test_the_copies_keep_the_difference_they_have_once_they_move_alike(problem_of, trainer, monkeypatch, objectives):
    known, domain = tables()
    problem, splits = problem_of(known, domain)
    differences, loss = [], Linked.forward

    def watching(self, batch):
        """Before a step, so what the steps up to this progress have left."""
        ours, theirs = (getattr(self, side).body.module.layer2[0].weight for side in ("target", "source"))
        differences.append((self.progress, (ours - theirs).detach().clone()))
        return loss(self, batch)

    monkeypatch.setattr(Linked, "forward", watching)
    network = ParameterSharing(mode="gradients", epochs=20).fit(problem, trainer()).network
    early = max(d.abs().max().item() for progress, d in differences if progress < APART)
    together = [
        d for progress, d in differences if progress > 0.6
    ]  # Adam has nearly forgotten the steps they took apart
    moved = (together[0] - together[-1]).abs().max().item()
    assert early > 1e-3 and moved < 0.1 * together[-1].abs().max().item()
    objective, _ = objectives[0]
    assert objective.source.body.module.layer2 is not objective.target.body.module.layer2
    assert right(network, trainer(), domain, splits) > 0.8


def test_each_copy_has_statistics_of_its_own(digits_arrays, problem_of, trainer, objectives):
    known, domain = low_and_high(digits_arrays)
    problem, splits = problem_of(known, domain)
    network = ParameterSharing(mode="gradients", epochs=5).fit(problem, trainer()).network
    ours, theirs = (
        objectives[0][0].state_dict()[f"{side}.body.module.stem.1.running_mean"] for side in ("target", "source")
    )
    assert not torch.allclose(ours, theirs, atol=1e-4)
    assert right(network, trainer(), domain, splits) > 0.5


def test_credit_of_another_country_with_other_columns(shared_data, problem_of, trainer):
    taiwan = load_domain(str(shared_data / "tab_credit_taiwan.csv.gz"), label="default_next_month")
    german = load_domain(str(shared_data / "tab_credit_german.csv.gz"), label="bad_credit")
    known = Source("taiwan", data=taiwan.take(np.random.default_rng(0).permutation(len(taiwan))[:800]))
    problem, splits = problem_of(known, german, labels=100)
    test = german.take(splits.test)
    task = Classification(problem.task.classes, "auroc")
    for mode in ("fixed", "weights", "gradients"):
        network = ParameterSharing(mode=mode, epochs=3).fit(problem.joined(), trainer()).network
        outputs = trainer().outputs(network, test.inputs)
        found = task.metrics(task.statistics(outputs, task.encode(test.labels)))
        assert found["auroc"][0] > 0.65, mode


def test_what_it_needs():
    assert ParameterSharing.needs == Needs.SOURCE_DATA | Needs.TARGET_LABELS


def test_a_fixed_part_gets_a_head_that_was_fitted_on_every_label(problem_of, trainer):
    """Also beyond the rows that cross-validation looks at."""
    random = np.random.default_rng(0)
    x = random.normal(size=(2600, 3))
    frame = pd.DataFrame(x, columns=list("abc"))
    known = Source("known", data=Domain.from_arrays(frame[:200], x[:200] @ [1.0, -1.0, 0.5]))
    problem, _ = problem_of(known, Domain.from_arrays(frame, x @ [1.0, -1.0, 0.5]))
    rows = np.setdiff1d(problem.train, sample_of(problem.train, problem.targets, problem.task, problem.seed))
    assert len(rows) > 100
    other = problem.targets.copy()
    other[rows] += 3
    means = []
    for targets in (problem.targets, other):
        network = (
            ParameterSharing(mode="fixed", epochs=1).fit(replace(problem, targets=targets), trainer(epochs=1)).network
        )
        means.append(trainer().outputs(network, problem.inputs, problem.train).mean())
    # A linear fit with an intercept answers the mean label in the mean.
    assert means[1] - means[0] == pytest.approx(3 * len(rows) / len(problem.train), abs=0.01)
