"""weak-labels: rules label rows, a model learns from them."""

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression

from sterna import Domain, RequestError
from sterna.bench.drawn_rules import RulesFound
from sterna.methods.method import make_method
from sterna.methods.rules.weak_labels import WeakLabels, labelled_by_rules, voted_labels
from sterna.networks import load_network, save_network
from sterna.record.choice import Choice
from sterna.rules import parse_rules
from sterna.selection.cross_validation import PENALTIES
from sterna.tasks import Classification, Regression

RULES = "IF age > 0.8 THEN ill (0.9)\nIF age < -0.8 THEN well (0.9)\nIF pressure > 1.5 THEN ill (0.75)"


def people(rows, seed):
    random = np.random.default_rng(seed)
    x = random.normal(size=(rows, 2))
    x[:, 1] += 0.7 * x[:, 0]
    y = np.where(x[:, 0] + 0.5 * x[:, 1] + random.normal(size=rows) * 0.3 > 0, "ill", "well")
    return Domain.from_arrays(pd.DataFrame(x, columns=["age", "pressure"]), list(y), name="people")


def test_votes_and_margins_by_hand(problem_of, bench_of):
    x = [[1.0, 0], [-1, 2], [0, 0], [1, 2], [0, 2]] * 4
    domain = Domain.from_arrays(pd.DataFrame(x, columns=["age", "pressure"]), ["ill", "well"] * 10, name="d")
    problem, splits = problem_of(None, domain, labels=0)
    weak = labelled_by_rules(bench_of(problem), RulesFound(parse_rules(RULES)))
    seen = np.array(x)[splits.unlabelled]
    fired = seen[(np.abs(seen[:, 0]) > 0.8) | (seen[:, 1] > 1.5)]
    np.testing.assert_array_equal(weak.target.inputs.frame.to_numpy(), fired)
    odds = {(1, 0): 9, (-1, 2): 3 / 9, (1, 2): 27, (0, 2): 3}  # of ill against well: products of c / (1 - c)
    for row, target, weight in zip(fired, weak.targets, weak.weights, strict=True):
        ratio = odds[tuple(row)]
        ill = ratio / (1 + ratio)
        assert problem.task.classes[target] == ("ill" if ill > 0.5 else "well")
        assert weight == pytest.approx(abs(2 * ill - 1))


def test_rules_that_contradict_each_other_leave_the_row_out(problem_of, bench_of):
    problem, _ = problem_of(None, people(60, 0), labels=0)
    rules = parse_rules("IF age > -9 THEN ill (0.8)\nIF age < 0 THEN well (0.8)")
    weak = labelled_by_rules(bench_of(problem), RulesFound(rules))
    assert (weak.target.inputs.frame["age"] >= 0).all() and set(weak.targets) == {problem.task.classes.index("ill")}
    even = labelled_by_rules(
        bench_of(problem), RulesFound(parse_rules("IF age > -9 THEN well (0.5)\nIF age > 0 THEN ill (0.8)"))
    )
    assert (even.target.inputs.frame["age"] > 0).all() and len(even.target)
    targets, weights = voted_labels(np.array([[0.0, 0.0], [2.0, -2.0]]), Classification(("a", "b")))
    assert weights[0] == 0 and targets[1] == 0


def test_the_head_is_weighted_logistic_regression_on_votes_and_labels(problem_of, trainer, bench_of, monkeypatch):
    monkeypatch.setattr("sterna.selection.cross_validation.PENALTIES", (0.1,))
    problem, _ = problem_of(None, people(150, 0), labels=20)
    problem = problem.joined()
    run = trainer()
    network = make_method("weak-labels", {"rules": RULES}).fit(problem, run).network
    weak = labelled_by_rules(bench_of(problem), RulesFound(parse_rules(RULES)))
    assert (weak.weights[:20] == 1).all() and len(weak.target) > 60
    np.testing.assert_array_equal(weak.targets[:20], problem.targets[problem.train])
    x = weak.target.inputs.frame.to_numpy()
    z = (x - x.mean(0)) / x.std(0)
    outputs = run.outputs(network, weak.target.inputs)
    # Of two classes scikit-learn fits one logit d. Two logits that differ by d are smallest at -d/2 and d/2, and then
    # cost λ/2 · d²/2: half the penalty, twice the C.
    own = LogisticRegression(C=2 / (0.1 * weak.weights.sum()), tol=1e-8).fit(z, weak.targets, weak.weights)
    assert np.abs(outputs[:, 1] - outputs[:, 0] - own.decision_function(z)).max() < 2e-3
    assert Choice("penalty", run.log.chosen["penalty"], "cross-validation", 20) in run.log.choices and 0.1 in PENALTIES


def test_without_labels_it_answers_where_rules_are_silent_and_claims_no_label(problem_of, trainer, tmp_path):
    domain = people(400, 1)
    problem, splits = problem_of(None, domain, labels=0)
    run = trainer()
    network = make_method("weak-labels", {"rules": RULES}).fit(problem, run).network
    assert not run.log.choices and run.log.messages[-1].startswith("Rules labelled ")
    test = domain.take(splits.test)
    silent = np.abs(test.inputs.frame["age"].to_numpy()) < 0.8
    right = run.outputs(network, test.inputs).argmax(axis=1) == problem.task.encode(test.labels)
    assert right.mean() > 0.8 and right[silent].mean() > 0.65
    save_network(network, tmp_path / "n")
    np.testing.assert_array_equal(
        run.outputs(load_network(tmp_path / "n"), test.inputs), run.outputs(network, test.inputs)
    )


def test_texts_without_a_model_learn_words_that_no_rule_names(problem_of, trainer, tmp_path):
    random = np.random.default_rng(0)
    good = random.random(200) < 0.5
    texts = [
        f"{random.choice(['很好吃', '送得准时'] if g else ['难吃', '送得太慢'])} {'热的' if g else '冷的'} {i}"
        for i, g in enumerate(good)
    ]
    domain = Domain.from_arrays(texts, ["1" if g else "0" for g in good], name="texts")
    problem, splits = problem_of(None, domain, labels=0)
    rules = "IF text CONTAINS 好吃 THEN 1 (0.9)\nIF text CONTAINS 难吃 THEN 0 (0.9)"
    run = trainer()
    network = make_method("weak-labels", {"rules": rules}).fit(problem, run).network
    test = domain.take(splits.test)
    assert (problem.task.answers(run.outputs(network, test.inputs)) == test.labels).mean() > 0.95  # by hot and cold
    save_network(network, tmp_path / "n")
    np.testing.assert_array_equal(
        run.outputs(load_network(tmp_path / "n"), test.inputs), run.outputs(network, test.inputs)
    )


def test_numbers_are_voted_too(problem_of, trainer, bench_of):
    x = np.linspace(0, 10, 120)
    domain = Domain.from_arrays(pd.DataFrame({"x": x, "y": x**2}), 3 * x + 1, name="numbers")
    problem, _ = problem_of(None, domain, labels=20, task="regression")
    rules = "IF x < 3 THEN 5 (0.9)\nIF x > 7 THEN 26.5 (0.5)"
    weak = labelled_by_rules(bench_of(problem), RulesFound(parse_rules(rules)))
    voted = weak.target.inputs.frame["x"].to_numpy()[len(problem.train) :]
    np.testing.assert_allclose(weak.weights[len(problem.train) :], np.where(voted < 3, 0.9, 0.5))
    np.testing.assert_allclose(
        weak.targets[len(problem.train) :], problem.task.encode(np.where(voted < 3, 5.0, 26.5)), rtol=1e-5
    )
    network = make_method("weak-labels", {"rules": rules}).fit(problem, trainer()).network
    found = problem.task.answers(trainer().outputs(network, domain.inputs))
    assert np.corrcoef(found, domain.labels)[0, 1] > 0.95
    assert voted_labels(np.array([[0.5]]), Regression())[1] == [1]


def test_rules_that_say_nothing_are_refused_when_there_is_no_label(problem_of, trainer):
    problem, _ = problem_of(None, people(60, 0), labels=0)
    with pytest.raises(
        RequestError, match="No rule says anything on the .* unlabelled target rows.*sterna rules check"
    ):
        make_method("weak-labels", {"rules": "IF age > 100 THEN ill (0.9)"}).fit(problem, trainer())


@pytest.mark.parametrize("kind", ["table", "text"])
def test_votes_for_one_class_alone_teach_nothing_and_that_is_said(kind, problem_of, trainer):
    rows = [f"{'good' if i % 2 else 'bad'} thing {i}" for i in range(40)]
    inputs = rows if kind == "text" else pd.DataFrame({"a": [float(i % 2) for i in range(40)]})
    domain = Domain.from_arrays(inputs, ["yes" if i % 2 else "no" for i in range(40)])
    problem, _ = problem_of(None, domain, labels=0)
    rules = f"IF {'text CONTAINS bad' if kind == 'text' else 'a = 0'} THEN no (0.9)\nOTHERWISE yes (0.8)"
    with pytest.raises(RequestError, match="rows that have a vote or a label are of the class 'no', so nothing is"):
        WeakLabels(rules=rules).fit(problem, trainer())
