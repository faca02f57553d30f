"""What rules are worth on labelled rows."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binomtest

from sterna import Domain
from sterna.rules import judge, parse_rules
from sterna.rules.judgement import wilson
from sterna.tasks import Classification, Regression


@pytest.mark.parametrize(("right", "count"), [(0, 5), (3, 7), (50, 50), (812, 1000)])
def test_wilson_as_scipy_has_it(right, count):
    expected = binomtest(right, count).proportion_ci(method="wilson")
    np.testing.assert_allclose(wilson(right, count), [expected.low, expected.high], atol=1e-6)


def test_coverage_precision_and_abstention_by_hand():
    inputs = Domain.from_arrays(pd.DataFrame({"x": [1.0, 2, 3, 4, np.nan]})).inputs
    rules = parse_rules("IF x > 2 THEN b (0.9)\nIF x > 10 THEN a (0.9)\nIF x = 1 THEN a (0.9)")
    found = judge(rules, inputs, np.array([0, 0, 1, 0, 1]), Classification(("a", "b")))
    assert [(r.rows, r.coverage, r.precision) for r in found.rules] == [(2, 0.4, 0.5), (0, 0.0, None), (1, 0.2, 1.0)]
    assert found.abstained == pytest.approx(0.4) and found.rows == 5
    assert found.accuracy == pytest.approx(2 / 3)  # of rows 1, 3 and 4
    assert found.value == pytest.approx(3 / 5)  # rows 2 and 5 get the first class


def test_rules_below_even_odds_are_named():
    inputs = Domain.from_arrays(pd.DataFrame({"x": [1.0, 2, 3]})).inputs
    rules = parse_rules("IF x > 2 THEN b (0.4)\nIF x > 1 THEN a (0.5)\nOTHERWISE a (0.3)")
    assert judge(rules, inputs, np.array([0, 1, 0]), Classification(("a", "b"))).against == ("1", "otherwise")
    assert judge(rules, inputs, np.array([0, 1, 0]), Classification(("a", "b", "c"))).against == ("otherwise",)


def test_numbers_have_errors():
    inputs = Domain.from_arrays(pd.DataFrame({"x": [1.0, 2, 3]})).inputs
    found = judge(parse_rules("IF x > 1 THEN 10 (0.9)"), inputs, np.array([0.0, 8.0, 11.0]), Regression())
    assert found.rules[0].error == pytest.approx(1.5) and found.accuracy is None and found.metric == "r2"
