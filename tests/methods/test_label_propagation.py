"""label-propagation: against the closed form, and on data whose groups are the classes."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression

from sterna import Domain, RequestError, Source, transfer
from sterna.bench import Bench
from sterna.methods.examples import label_propagation
from sterna.methods.examples.label_propagation import (
    LabelPropagation,
    class_weights,
    spread_labels,
)
from sterna.methods.method import make_method
from sterna.networks.saved import load_network, save_network
from sterna.record.choice import Choice


def moons(rows, seed=0, shift=0.0, names=("up", "down")):
    from sklearn.datasets import make_moons

    x, y = make_moons(rows, noise=0.06, random_state=seed)
    return Domain.from_arrays(
        pd.DataFrame(x + np.array([shift, 0]), columns=["a", "b"]), np.array(names, dtype=object)[y]
    )


def test_spreading_reaches_its_closed_form():
    random = np.random.default_rng(0)
    x, alpha = random.normal(size=(60, 3)), 0.6
    codes = np.full(60, -1)
    codes[:9] = np.arange(9) % 3
    apart = np.linalg.norm(x[:, None] - x[None], axis=2)
    near = np.argsort(apart, axis=1)[:, 1:7]  # the six nearest others
    w = np.zeros((60, 60))
    np.put_along_axis(w, near, 1, axis=1)
    w = np.maximum(w, w.T)
    s = w / np.sqrt(np.outer(w.sum(1), w.sum(0)))
    y = np.zeros((60, 4))
    y[np.arange(9), codes[:9]] = 1
    exact = np.linalg.solve(np.eye(60) - alpha * s, (1 - alpha) * y)
    total = exact.sum(1, keepdims=True)
    wanted = np.divide(exact, total, out=np.zeros_like(exact), where=total > 1e-15)
    found = spread_labels(x, codes, 4, 6, alpha)
    np.testing.assert_allclose(found, wanted, atol=1e-6)
    assert (found[:, 3] == 0).all()  # a class that no row has


def test_one_neighbour_joins_pairs():
    """A row is no neighbour of its own, and an edge goes both ways: 0–1 and 2–3, whose labels are at one end each."""
    found = spread_labels(np.array([[0.0], [1.0], [10.0], [11.0]]), np.array([0, -1, -1, 1]), 2, 1, 0.5)
    np.testing.assert_allclose(found, [[1, 0], [1, 0], [0, 1], [0, 1]])


def test_a_row_that_no_label_reaches_has_no_class():
    x = np.concatenate([np.linspace(0, 1, 8), np.linspace(100, 101, 8)])[:, None]
    found = spread_labels(x, np.array([0, 1] + [-1] * 14), 2, 3, 0.5)
    assert (found[8:] == 0).all() and (found[:8].sum(1) > 0.999).all()


def test_unlabelled_rows_show_the_groups_that_a_few_labels_alone_do_not(problem_of, trainer, tmp_path):
    """Eight labelled digits: a linear head on the spread labels knows more than one on the labels alone."""
    from sklearn.datasets import load_digits

    x, y = load_digits(return_X_y=True)
    keep = np.flatnonzero(np.isin(y, [1, 7, 8, 9]))[:400]
    domain = Domain.from_arrays(pd.DataFrame(x[keep]), [f"d{v}" for v in y[keep]])
    wins = []
    for seed in range(3):
        problem, _ = problem_of(None, domain, labels_per_class=2, seed=seed)
        problem = problem.joined()
        coach = trainer(seed=seed)
        network = LabelPropagation().fit(problem, coach).network
        codes = problem.task.encode(domain.labels)
        right = (trainer().outputs(network, domain.inputs).argmax(1) == codes).mean()
        rows = problem.train
        columns = network.preparation.items(problem.inputs)[rows]
        alone = LogisticRegression(C=1.0).fit(columns, problem.targets[rows])
        wins.append(right - alone.score(network.preparation.items(domain.inputs), codes))
        penalty = coach.log.chosen["penalty"]
        assert coach.log.choices == [Choice("penalty", penalty, "cross-validation on spread labels", 8)]
    assert np.mean(wins) > 0.03
    save_network(network, tmp_path / "kept")
    answers = trainer().outputs(network, domain.inputs)
    np.testing.assert_array_equal(trainer().outputs(load_network(tmp_path / "kept"), domain.inputs), answers)


def test_without_target_labels_those_of_the_source_spread(problem_of, trainer):
    target = moons(200, seed=1, shift=0.1)
    problem, _ = problem_of(Source("known", data=moons(60)), target, labels=0)
    coach = trainer()
    network = LabelPropagation(neighbours=5).fit(problem, coach).network
    codes = problem.task.encode(target.labels)
    assert (trainer().outputs(network, target.inputs).argmax(1) == codes).mean() > 0.8
    assert coach.log.selected_by(0) == (
        "without target labels; cross-validation on spread labels: 60 labelled source examples (penalty)"
    )


def test_no_hidden_target_label_is_looked_at(problem_of, trainer):
    target = moons(120, seed=1)
    problem, splits = problem_of(None, target, labels=10)
    other = target.labels.copy()
    hidden = np.concatenate([splits.unlabelled, splits.test])
    other[hidden] = np.where(other[hidden] == "up", "down", "up")
    again, _ = problem_of(None, replace(target, labels=other), splits=splits)
    first = LabelPropagation().fit(problem, trainer()).network.head.weight.detach()
    np.testing.assert_array_equal(first, LabelPropagation().fit(again, trainer()).network.head.weight.detach())


def test_labelled_rows_keep_their_label_and_the_weight_of_their_class(problem_of, trainer, monkeypatch):
    seen = {}
    true = label_propagation.fit_layer

    def spy(x, targets, task, weights, *more):
        seen.update(targets=targets, weights=weights)
        return true(x, targets, task, weights, *more)

    monkeypatch.setattr(label_propagation, "fit_layer", spy)
    problem, _ = problem_of(None, moons(90), labels=20, balance="weights")
    LabelPropagation().run(Bench(problem, trainer(), make_method))
    count = len(problem.train)
    np.testing.assert_array_equal(seen["targets"][:count], np.eye(2)[problem.targets[problem.train]])
    np.testing.assert_allclose(seen["targets"].sum(1), 1)
    np.testing.assert_array_equal(seen["weights"][:count], problem.weights[problem.train])
    own, weights = np.eye(3)[[0, 0, 2]], np.array([2.0, 4.0, 5.0])
    assert class_weights(own, weights).tolist() == [3.0, 1.0, 5.0]


def test_many_rows_are_bounded_by_a_drawn_part_and_that_is_said(problem_of, trainer, monkeypatch):
    monkeypatch.setattr(label_propagation, "MOST", 30)
    sizes = []
    true = label_propagation.spread_labels

    def spy(x, *more):
        sizes.append(len(x))
        return true(x, *more)

    monkeypatch.setattr(label_propagation, "spread_labels", spy)
    problem, _ = problem_of(Source("known", data=moons(50)), moons(200, seed=1), labels=60)
    coach = trainer()
    LabelPropagation().fit(problem, coach)
    assert sizes == [90]  # 30 labelled, 30 unlabelled, 30 of the source
    assert coach.log.messages[0] == "Labels spread to 30 of the 100 unlabelled target rows, drawn at random."


def test_a_source_with_other_classes_lends_no_labels(problem_of, trainer):
    other = moons(60, names=("left", "right"))
    problem, _ = problem_of(Source("other", data=other), moons(80, seed=1), labels=10)
    alone, _ = problem_of(None, moons(80, seed=1), labels=10)
    np.testing.assert_array_equal(
        LabelPropagation().fit(problem, trainer()).network.head.weight.detach(),
        LabelPropagation().fit(alone, trainer()).network.head.weight.detach(),
    )


def test_bad_requests_are_one_sentence(problem_of, trainer):
    with pytest.raises(RequestError, match="label-propagation needs labelled examples"):
        transfer(
            Source("other", data=moons(60, names=("l", "r"))), moons(80), method="label-propagation", labels=0, seeds=1
        )
    number = Domain.from_arrays(np.random.default_rng(0).normal(size=(50, 2)), np.linspace(0, 1, 50))
    with pytest.raises(RequestError, match="label-propagation is for rows of one class each, but the task here is reg"):
        transfer(None, number, method="label-propagation", control="none", task="regression", seeds=1)
    with pytest.raises(RequestError, match="setting alpha is 1"):
        make_method("label-propagation", {"alpha": 1})
    far, _ = problem_of(Source("far", data=moons(40, shift=500.0)), moons(60), labels=0)
    with pytest.raises(RequestError, match="no label of the source reaches any target row"):
        LabelPropagation().fit(far, trainer())
