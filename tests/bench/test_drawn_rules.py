"""Rules for a method: on which columns of the source they are drawn."""

import numpy as np
import pandas as pd
import pytest

from sterna import Domain
from sterna.bench.drawn_rules import RulesFound, rules_for, shared_columns
from sterna.methods.method import make_method
from sterna.rules import parse_rules


def test_columns_of_another_kind_or_mostly_empty_are_left_aside():
    def inputs(**columns):
        return Domain.from_arrays(pd.DataFrame(columns)).inputs

    ours = inputs(a=[1.0, 2, 3, 4], b=[1.0, 2, 3, 4], c=["x", "y", "x", "y"], A=[1.0, 2, 3, 5])
    theirs = inputs(a=[1.0, None, None, None], b=["u", "v", "u", "v"], c=["x", None, "y", "y"], z=[1.0, 2, 3, 4])
    assert shared_columns(ours, theirs, {}) == ["c"]
    assert shared_columns(ours, theirs, {"A": "z", "b": "a"}) == ["c", "A"]


def people(rows, share, seed):
    """Ill with a share; two signs that are independent given that, and a third that is the first again."""
    random = np.random.default_rng(seed)
    ill = random.random(rows) < share
    a, b = (random.random(rows) < np.where(ill, 0.6, 0.2) for _ in range(2))
    frame = pd.DataFrame({"a": a * 1.0, "b": b * 1.0, "c": a * 1.0})
    return Domain.from_arrays(frame, ["ill" if each else "well" for each in ill], name="people", columns=KINDS)


KINDS = dict.fromkeys("abc", "number")


def test_written_rules_count_the_share_of_their_class_among_the_training_labels(problem_of, bench_of):
    problem, _ = problem_of(None, people(400, 0.8, 0), labels=100)
    bench = bench_of(problem.joined())
    counts = np.bincount(bench.problem.targets[bench.problem.train], minlength=2)
    shares = (counts + 1) / (counts.sum() + 2)
    found = RulesFound(parse_rules("IF a = 1 THEN ill (0.9)\nIF b = 1 THEN ill (0.9)")).votes(bench)
    odds = shares[0] / shares[1] * (9 / (shares[0] / shares[1])) ** 2  # each turns the odds of the share into 9
    outputs = found.outputs(np.ones((1, 2), bool))[0]
    assert np.exp(outputs[0] - outputs[1]) == pytest.approx(odds)
    drawn = RulesFound(parse_rules("IF a = 1 THEN ill (0.9)"), written=False).votes(bench)
    np.testing.assert_allclose(drawn.outputs(np.ones((1, 1), bool)), [[np.log(9), 0]])


def test_training_labels_tell_rules_that_repeat_each_other(problem_of, bench_of):
    problem, _ = problem_of(None, people(3000, 0.4, 1), labels=1500)
    bench = bench_of(problem.joined())
    sure = 0.4 * 0.6 / (0.4 * 0.6 + 0.6 * 0.2)
    rules = f"IF a = 1 THEN ill ({sure})\nIF {{}} = 1 THEN ill ({sure})"
    apart, again = (rules_for(bench, make_method("rule-head", {"rules": rules.format(name)})) for name in "bc")
    assert apart.overlap < 0.4 < 0.8 < again.overlap
    (choice,) = again.choices
    assert choice.what == "overlap of rules" and choice.value == again.overlap and choice.labels > 100
    problem, _ = problem_of(None, people(300, 0.4, 1), labels=0)
    assert rules_for(bench_of(problem), make_method("rule-head", {"rules": "IF a = 1 THEN ill (0.9)"})).choices == ()
