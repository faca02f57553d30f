"""Which rules fire: against a plain loop over cells."""

import numpy as np
import pandas as pd
import pytest

from sterna import Domain, RequestError
from sterna.rules import fires, parse_rules


def table(**columns):
    kinds = columns.pop("kinds", None)
    return Domain.from_arrays(pd.DataFrame(columns), columns=kinds).inputs


@pytest.fixture
def rows():
    return table(
        age=[50.0, 60.0, np.nan, 70.5],
        sex=["m", "f", None, "m"],
        code=["1", "2", "x", "01"],
        when=pd.to_datetime(["2024-01-31", None, "2024-02-01", "2023-05-05"]),
        kinds={"code": "category"},
    )


@pytest.mark.parametrize(
    ("when", "expected"),
    [
        ("age >= 60", [0, 1, 0, 1]),
        ("age > 60", [0, 0, 0, 1]),
        ("age <= 60", [1, 1, 0, 0]),
        ("age < 60", [1, 0, 0, 0]),
        ("age = 60", [0, 1, 0, 0]),
        ("age != 60", [1, 0, 0, 1]),
        ('age = "60"', [0, 1, 0, 0]),
        ("age IN (50, 70.5)", [1, 0, 0, 1]),
        ("age IS MISSING", [0, 0, 1, 0]),
        ("age IS NOT MISSING", [1, 1, 0, 1]),
        ("sex = m", [1, 0, 0, 1]),
        ("sex != m", [0, 1, 0, 0]),
        ("sex IN (f, d)", [0, 1, 0, 0]),
        ("sex IS MISSING", [0, 0, 1, 0]),
        ("sex CONTAINS M", [1, 0, 0, 1]),
        ("sex NOT CONTAINS m", [0, 1, 0, 0]),
        ('code = "1"', [1, 0, 0, 0]),
        ("code = 1", [1, 0, 0, 1]),
        ("code != 1", [0, 1, 1, 0]),
        ("code IN (2, x)", [0, 1, 1, 0]),
        ("when IS MISSING", [0, 1, 0, 0]),
        ("age >= 60 AND sex = m", [0, 0, 0, 1]),
        ("age IS MISSING AND sex IS MISSING", [0, 0, 1, 0]),
    ],
)
def test_conditions_on_cells_of_each_kind(rows, when, expected):
    found = fires(parse_rules(f"IF {when} THEN 1 (0.5)"), rows)
    assert found.dtype == bool and found[:, 0].tolist() == [bool(v) for v in expected]


def test_texts_are_one_column_without_regard_to_case():
    texts = Domain.from_arrays(["Very GOOD", "bad, very BAD", "", "Straße 好吃"]).inputs
    rules = parse_rules(
        "IF text CONTAINS good THEN 1 (0.9)\nIF text NOT CONTAINS bad THEN 1 (0.6)\nIF text IS MISSING THEN 0 (0.5)\n"
        'IF text CONTAINS "STRASSE" AND text CONTAINS 好 THEN 1 (0.5)'
    )
    assert fires(rules, texts).astype(int).tolist() == [[1, 1, 0, 0], [0, 0, 0, 0], [0, 0, 1, 0], [0, 1, 0, 1]]


def test_many_rows_as_a_loop_would_say():
    random = np.random.default_rng(0)
    x = random.normal(size=(500, 2)).round(1)
    x[random.random(x.shape) < 0.1] = np.nan
    words = random.choice(["a", "b", "c"], 500)
    inputs = table(u=x[:, 0], v=x[:, 1], w=words)
    rules = parse_rules("IF u > 0.3 AND v <= 0.2 THEN 1 (0.5)\nIF v IS MISSING AND w IN (a, b) THEN 1 (0.5)")
    expected = [[u > 0.3 and v <= 0.2, bool(np.isnan(v)) and w in "ab"] for (u, v), w in zip(x, words, strict=True)]
    assert fires(rules, inputs).tolist() == expected


def test_a_column_that_is_not_there_or_holds_words_is_refused(rows):
    with pytest.raises(RequestError, match="column 'agee', which the table has not.*Did you mean 'age'"):
        fires(parse_rules("IF agee > 1 THEN 1 (0.5)"), rows)
    with pytest.raises(RequestError, match="Column 'sex', which the rules compare with a number, should hold numbers"):
        fires(parse_rules("IF sex > 1 THEN 1 (0.5)"), rows)
    with pytest.raises(RequestError, match="holds dates, not numbers"):
        fires(parse_rules("IF when > 1 THEN 1 (0.5)"), rows)
    texts = Domain.from_arrays(["a b", "c d"]).inputs
    with pytest.raises(RequestError, match="column 'review', which a text domain has not"):
        fires(parse_rules("IF review CONTAINS a THEN 1 (0.5)"), texts)


def test_images_have_no_rules(digits):
    with pytest.raises(RequestError, match="table columns and of texts, but came upon images"):
        fires(parse_rules("OTHERWISE 1 (0.5)"), digits(10).inputs)


def test_a_row_fires_the_same_rules_whatever_rows_stand_beside_it():
    rules = parse_rules('IF g = "1.0" THEN ill (0.9)\nIF g = 1 THEN ill (0.8)\nIF g != "1.00" THEN well (0.7)')
    for others in ([], ["unknown"], ["2.5"]):
        inputs = table(g=["1.0", "1", "2.0", *others], kinds={"g": "category"})
        assert fires(rules, inputs)[:3].tolist() == [[True, True, False], [True, True, False], [False, False, True]]
