"""joint-training: one head or two, UPGrad as torchjd computes it, and digits that it learns."""

import numpy as np
import pandas as pd
import pytest
import torch
from torchjd.aggregation import UPGrad
from torchjd.autojac import backward

from sterna import Domain, RequestError, load_domain
from sterna.bench.side_by_side import sides_of
from sterna.methods.method import Needs, make_method
from sterna.methods.networks import joint_training
from sterna.methods.networks.joint_training import JointTraining, in_own_units, networks_of
from sterna.networks.saved import load_network, save_network
from sterna.sources.source import Source
from sterna.training.trainer import Trainer


@pytest.fixture
def halves(digits_arrays):
    """Source and target digits: ``halves("classes")``, ``halves("shift")``."""

    def make(how, rows=120, labels=60):
        images, labels_of = digits_arrays
        if how == "classes":
            low, high = np.flatnonzero(labels_of < 5)[:rows], np.flatnonzero(labels_of >= 5)[: rows + labels]
            source, target = images[low], images[high]
        else:
            low, high = np.arange(rows), np.arange(rows, 2 * rows + labels)
            source, target = images[low], 255 - images[high]
        names = [[str(v) for v in labels_of[part]] for part in (low, high)]
        splits = {"train": range(labels), "validation": [], "test": range(labels, len(high))}
        splits = {name: list(part) for name, part in splits.items() if len(part)}
        known = Source("digits", data=Domain.from_arrays(source, names[0], name="source"))
        return known, Domain.from_arrays(target, names[1], name="target", splits=splits)

    return make


def made(halves, problem_of, how="shift", **more):
    source, domain = halves(how, **more)
    problem, splits = problem_of(source, domain)
    return problem, domain.take(splits.test)


def right(network, trainer, test):
    outputs = trainer.outputs(network, test.inputs)
    return float(np.mean(outputs.argmax(1) == network.task.encode(test.labels)))


def test_one_head_answers_the_same_classes_and_two_others(halves, problem_of, bench_of, trainer):
    for how, one in (("shift", True), ("classes", False)):
        problem, _ = made(halves, problem_of, how)
        bench = bench_of(problem)
        source, target, _ = networks_of(bench, sides_of(bench))
        assert (source.head is target.head) is one and source.body is target.body
        assert target.head.out_features == problem.task.outputs
        assert source.head.out_features == problem.known.task.outputs


def watched_step(halves, problem_of, trainer, monkeypatch, how, aggregator):
    """The gradients that the one step of a training followed (at most of length 1), the objective and its batch."""
    problem, _ = made(halves, problem_of, how)
    seen, fit = {}, Trainer.fit

    def watching(self, objective, stream, groups, **more):
        seen["before"] = {k: v.clone() for k, v in objective.state_dict().items()}
        seen.update(objective=objective, batch=next(iter(stream.epoch(0))))
        found = fit(self, objective, stream, groups, **more)
        seen["gradients"] = {n: p.grad.clone() for n, p in objective.named_parameters() if p.grad is not None}
        return found

    monkeypatch.setattr(Trainer, "fit", watching)
    coach = trainer(epochs=1)
    coach.budget = type(coach.budget)(steps=1)
    JointTraining(aggregator=aggregator, augment=False).fit(problem, coach)
    return seen


@pytest.mark.parametrize("how", ["shift", "classes"])
def test_upgrad_is_torchjds_on_all_that_is_common_and_own_heads_receive_the_sum(
    halves, problem_of, trainer, monkeypatch, how
):
    seen = watched_step(halves, problem_of, trainer, monkeypatch, how, "upgrad")
    objective, batch = seen["objective"], seen["batch"]
    objective.load_state_dict(seen["before"])
    objective.train()
    objective.zero_grad(set_to_none=True)
    terms = objective(batch)
    heads = list({id(p): p for n in (objective.target, objective.source) for p in n.head.parameters()}.values())
    common = [*objective.target.body.parameters(), *(heads if how == "shift" else [])]  # one head for the same classes
    own = [] if how == "shift" else heads
    assert {id(p) for p in objective.shared} == {id(p) for p in common}
    backward(list(terms.values()), inputs=[*common, *own])
    jacobian = torch.cat([p.jac.flatten(1) for p in common], 1).double()
    combined = UPGrad(pref_vector=torch.ones(2, dtype=torch.float64))(jacobian)
    names = {id(p): name for name, p in objective.named_parameters()}
    sums = [part.jac.sum(0) for part in own]
    length = torch.cat([combined, *(each.flatten().double() for each in sums)]).norm()
    factor = min(1.0, 1.0 / float(length))
    found = torch.cat([seen["gradients"][names[id(p)]].flatten() for p in common]).double()
    torch.testing.assert_close(found, combined * factor, rtol=1e-3, atol=1e-5)
    for part, each in zip(own, sums, strict=True):
        torch.testing.assert_close(seen["gradients"][names[id(part)]], each * factor, rtol=1e-3, atol=1e-6)


def test_upgrad_raises_neither_loss_where_the_gradients_conflict_and_is_their_sum_elsewhere():
    ones = torch.ones(2)
    conflict, peace = torch.tensor([[1.0, 0.0], [-0.8, 1.0]]), torch.tensor([[1.0, 0.2], [0.3, 1.0]])
    assert (conflict @ UPGrad(pref_vector=ones)(conflict) >= -1e-5).all() and (conflict @ conflict.sum(0) > -1).all()
    torch.testing.assert_close(UPGrad(pref_vector=ones)(peace), peace.sum(0), atol=1e-5, rtol=1e-5)


def test_where_gradients_conflict_the_aggregator_changes_the_result(halves, problem_of, trainer):
    problem, _ = made(halves, problem_of)
    found = []
    for aggregator in ("sum", "upgrad"):
        torch.manual_seed(0)
        found.append(
            JointTraining(aggregator=aggregator, augment=False).fit(problem, trainer(epochs=2)).network.state_dict()
        )
    assert any(not torch.allclose(value, found[1][name], atol=1e-4) for name, value in found[0].items())


def test_inverted_digits_are_learnt_with_the_sources_labels(halves, problem_of, trainer, tmp_path):
    problem, test = made(halves, problem_of, rows=200, labels=60)
    network = JointTraining(epochs=10, augment=False).fit(problem.joined(), trainer()).network
    assert right(network, trainer(), test) > 0.6
    save_network(network, tmp_path / "n")
    np.testing.assert_array_equal(
        trainer().outputs(load_network(tmp_path / "n"), test.inputs), trainer().outputs(network, test.inputs)
    )


def test_a_source_models_body_keeps_its_statistics_and_the_source_its_weights(
    halves, source, problem_of, trainer, weights_of
):
    known, domain = halves("classes")
    problem, _ = problem_of(source.with_data(known.data), domain)
    before = weights_of(source.body)
    network = JointTraining().fit(problem, trainer(epochs=1)).network
    after = source.body.state_dict()
    assert all(torch.equal(value, after[name]) for name, value in before.items())
    changed = {n for n, v in network.body.state_dict().items() if not torch.equal(v, before[n])}
    assert changed and not any("running" in name or "batches" in name for name in changed)


def test_numbers_are_learnt_in_the_targets_units_from_tables_with_other_columns(problem_of, bench_of, trainer):
    random = np.random.default_rng(0)
    x, z = random.normal(size=(200, 3)), random.normal(size=(120, 2))
    source = Domain.from_arrays(pd.DataFrame(x, columns=list("abc")), x @ [1.0, 2.0, 0.5] * 10 + 50)
    target = Domain.from_arrays(pd.DataFrame(z, columns=["u", "v"]), z @ [1.0, -1.0] * 10 + 50)
    problem, _ = problem_of(Source("numbers", data=source), target)
    sides = sides_of(bench_of(problem))
    assert sides.private and sides.common(sides.source) is sides.common(sides.target)
    network = JointTraining().fit(problem, trainer()).network
    rows = problem.validation
    outputs = trainer().outputs(network, problem.inputs, rows)[:, 0]
    assert 1 - np.mean((outputs - problem.targets[rows]) ** 2) / np.var(problem.targets[rows]) > 0.8


def linear(labels_of, rows, seed):
    """A table whose labels are a function of its first column."""
    x = np.random.default_rng(seed).normal(size=(rows, 4))
    return Domain.from_arrays(pd.DataFrame(x, columns=list("abcd")), labels_of(x[:, 0]))


@pytest.mark.parametrize(
    ("ours", "theirs", "two"),
    [
        (lambda a: 3 * a + 1, lambda a: 30 * a + 100, True),
        (lambda a: 3 * a + 1, lambda a: 12 * a + 1, True),  # only the spread is another
        (lambda a: 3 * a + 1, lambda a: 3 * a + 100, True),  # only the mean is
        (lambda a: 3 * a + 1, lambda a: 3 * a + 1, False),
        (lambda a: 3 * a + 1, lambda a: 5 * a + 3, False),  # a shift, as in rows of another year
    ],
)
def test_numbers_in_other_units_have_a_head_for_each_side_and_are_learnt(
    problem_of, bench_of, trainer, ours, theirs, two
):
    known = Source("numbers", data=linear(ours, 200, 1))
    domain = linear(theirs, 160, 2)
    problem, splits = problem_of(known, domain, labels=60)
    bench = bench_of(problem)
    asked = in_own_units(bench)
    told = "other units" in "".join(bench.trainer.log.messages)
    assert (asked.known.task is not problem.task) is two and told is two
    assert asked.known.same_task is not two
    if two:
        learnt = asked.known.task.as_features(torch.from_numpy(asked.known.targets))
        assert abs(learnt.mean()) < 1e-5 and learnt.std(correction=0) == pytest.approx(1, abs=1e-5)
        np.testing.assert_array_equal(asked.known.targets, asked.known.domain.labels)
    else:
        assert asked is problem
    bench = bench.on(asked)
    source, target, _ = networks_of(bench, sides_of(bench))
    assert (source.head is not target.head) is two
    network = JointTraining().fit(problem.joined(), trainer()).network
    rest = domain.take(np.sort(np.concatenate([splits.test, splits.unlabelled])))
    answers = problem.task.answers(trainer().outputs(network, rest.inputs))
    assert 1 - np.mean((answers - rest.labels) ** 2) / np.var(rest.labels) > 0.8


def test_hearts_of_another_hospital(shared_data, problem_of, trainer):
    path = shared_data / "tab_heart_4hospitals.csv.gz"
    every = load_domain(str(path), label="disease", drop=["num"])
    hospital = every.inputs.frame["hospital"].astype(str).to_numpy()
    known = Source("cleveland", data=every.take(np.flatnonzero(hospital == "cleveland")))
    problem, splits = problem_of(known, every.take(np.flatnonzero(hospital == "hungarian")), labels=20)
    for aggregator in ("sum", "upgrad"):
        network = JointTraining(aggregator=aggregator, epochs=6).fit(problem.joined(), trainer()).network
        test = every.take(np.flatnonzero(hospital == "hungarian")).take(splits.test)
        assert right(network, trainer(), test) > 0.65


def test_needs_and_bad_settings(monkeypatch):
    assert JointTraining.needs == Needs.SOURCE_DATA | Needs.TARGET_LABELS
    with pytest.raises(RequestError, match="weight"):
        make_method("joint-training", {"weight": 0})

    def missing(module, extra):
        raise RequestError(f"{module} {extra}")

    monkeypatch.setattr(joint_training, "require", missing)
    with pytest.raises(RequestError, match="torchjd joint"):
        JointTraining(aggregator="upgrad").fit(None, None)
