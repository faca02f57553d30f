"""Tables into features: the same numbers as scikit-learn, and nothing that breaks it."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.impute import SimpleImputer
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from sterna.domains.reader import Options
from sterna.domains.table_domains import load_table
from sterna.domains.tables import TableInputs, table_inputs
from sterna.domains.text import TextInputs
from sterna.errors import RequestError
from sterna.preparations.table import TablePreparation

DATA = Path(os.environ.get("STERNA_DATA", Path(__file__).resolve().parents[3] / "shared" / "data"))


def table(columns: Any, kinds: dict[str, str] | None = None) -> TableInputs:
    inputs, _ = table_inputs(pd.DataFrame(columns), columns=kinds)
    assert isinstance(inputs, TableInputs)
    return inputs


def by_sklearn(train: np.ndarray[Any, Any], rows: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Numbers alone: filled, standardised, and the marks beside their columns, column by column."""
    parts = []
    for i in range(train.shape[1]):
        imputer = SimpleImputer(strategy="median", add_indicator=True).fit(train[:, [i]])
        scaler = StandardScaler().fit(imputer.transform(train[:, [i]])[:, :1])
        filled = imputer.transform(rows[:, [i]])
        parts += [scaler.transform(filled[:, :1]), filled[:, 1:]]
    return np.hstack(parts)


NUMBER = st.none() | st.floats(-1e6, 1e6, width=32)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(NUMBER, NUMBER), min_size=3, max_size=30),
    st.lists(st.tuples(NUMBER, NUMBER), min_size=1, max_size=5),
)
def test_numbers_as_scikit_learn_prepares_them(train: list[Any], rows: list[Any]) -> None:
    known, asked = np.array(train, dtype=np.float64), np.array(rows, dtype=np.float64)
    if np.isnan(known).all(axis=0).any() or (np.nanstd(known, axis=0) < 1e-3).any():
        return  # scikit-learn drops an empty column; a constant one has a test of its own
    names = ["p", "q"]
    preparation = TablePreparation().fit(table(pd.DataFrame(known, columns=names)))
    made = preparation.items(table(pd.DataFrame(asked, columns=names)))
    np.testing.assert_allclose(made, np.clip(by_sklearn(known, asked), -1e6, 1e6), rtol=1e-4, atol=1e-5)
    assert made.dtype == np.float32
    assert made.shape == (len(rows), preparation.width)


def test_categories_as_scikit_learn_encodes_them() -> None:
    random = np.random.default_rng(0)
    words = random.choice(["a", "b", "c", "d"], 200, p=[0.5, 0.3, 0.15, 0.05]).astype(object)
    words[random.random(200) < 0.1] = None
    rare = [*words[:-2], "x", "y"]
    train = table({"w": rare})
    preparation = TablePreparation().fit(train)
    encoder = OneHotEncoder(handle_unknown="ignore", min_frequency=2, sparse_output=False)
    expected = encoder.fit_transform(np.array(rare, dtype=object)[:, None])
    # scikit-learn: a, b, c, d, missing, rare; here: a, b, c, d, rare, missing.
    np.testing.assert_array_equal(preparation.items(train), expected[:, [0, 1, 2, 3, 5, 4]])
    assert preparation.features == ["w = a", "w = b", "w = c", "w = d", "w = (rare)", "w missing"]
    np.testing.assert_array_equal(
        preparation.items(table({"w": ["b", "never seen", None, "y"]})),
        [[0, 1, 0, 0, 0, 0], [0, 0, 0, 0, 0, 0], [0, 0, 0, 0, 0, 1], [0, 0, 0, 0, 1, 0]],
    )


def test_a_column_with_very_many_categories_stays_narrow() -> None:
    words = [f"town {i % 400}" for i in range(4000)]
    preparation = TablePreparation().fit(table({"w": words, "n": range(4000)}, {"w": "category"}))
    assert preparation.width == 50 + 1 + 1


def test_dates_are_taken_apart() -> None:
    days = pd.to_datetime(["2024-01-31", "2023-06-04T12:00", None, "1969-12-31"], format="ISO8601")
    inputs = table({"d": days})
    preparation = TablePreparation().fit(inputs)
    assert preparation.features == ["d: year", "d: month", "d: day of week", "d: days", "d missing"]
    parts = np.array([[2024, 1, 2, 19753], [2023, 6, 6, 19512.5], [np.nan] * 4, [1969, 12, 2, -1]])
    parts[2] = np.nanmedian(parts, axis=0)
    np.testing.assert_allclose(
        preparation.items(inputs)[:, :4], StandardScaler().fit_transform(parts), rtol=1e-5, atol=1e-6
    )
    np.testing.assert_array_equal(preparation.items(inputs)[:, 4], [0, 0, 1, 0])


CELLS = {
    "n": st.none() | st.floats(allow_nan=True, allow_infinity=True),
    "w": st.none() | st.text(max_size=2),
    "d": st.none() | st.dates().map(str),
}


@settings(max_examples=80, deadline=None)
@given(st.data(), st.integers(1, 25))
def test_any_table_gives_finite_features_and_the_same_after_a_round_trip(data: st.DataObject, n: int) -> None:
    columns = {name: data.draw(st.lists(cell, min_size=n, max_size=n)) for name, cell in CELLS.items()}
    train = table({**columns, "always": np.ones(n), "never": [None] * n}, {"w": "category"})
    preparation = TablePreparation().fit(train)
    made = preparation.items(train)
    assert np.isfinite(made).all()
    assert made.shape == (n, preparation.width) == (n, len(preparation.features))
    again = TablePreparation.from_state(json.loads(json.dumps(preparation.state(), allow_nan=False)))
    np.testing.assert_array_equal(again.items(train), made)
    assert again.fingerprint() == preparation.fingerprint()


def test_a_constant_column_is_zero() -> None:
    preparation = TablePreparation().fit(table({"x": [0.1] * 7, "y": range(7)}))
    made = preparation.items(table({"x": [0.1, 0.1, None], "y": [0, 1, 2]}))
    np.testing.assert_allclose(made[:, 0], 0.0, atol=1e-12)


def test_a_column_without_training_values_gives_no_feature_and_breaks_nothing() -> None:
    train = table(
        {"age": [1.0, 2.0, 4.0], "thal": [None] * 3, "ca": [np.nan] * 3}, {"ca": "number", "thal": "category"}
    )
    preparation = TablePreparation().fit(train)
    assert preparation.features == ["age"]
    made = preparation.items(table({"age": [1.0, 2.0], "thal": ["a", "b"], "ca": ["x", "y"]}))
    assert made.shape == (2, 1)
    # The other way round: learnt with values, applied without any.
    other = TablePreparation().fit(table({"age": [1.0, 2.0] * 2, "thal": ["a", "b"] * 2, "ca": [3.0, np.nan] * 2}))
    made = other.items(table({"age": [1.5], "thal": [None], "ca": [None]}))
    np.testing.assert_array_equal(made, [[0, 0, 0, 0, 1]])


def test_values_are_read_as_in_training() -> None:
    preparation = TablePreparation().fit(table({"n": [1.0, 3.0, 5.0], "w": ["3", "x", "3"]}))
    made = preparation.items(table({"n": ["3", "n.a.", "5"], "w": [3.0, 3.0, 4.0]}))
    np.testing.assert_allclose(made[:, 0], [0, 0, 1.2247449])
    np.testing.assert_array_equal(made[:, 1], [1, 1, 0])
    with pytest.raises(
        RequestError, match="column 'n' of the table should hold numbers|Column 'n' of the table should"
    ):
        preparation.items(table({"n": ["a", "b"], "w": ["x", "x"]}))


def test_another_table_is_refused_by_its_columns() -> None:
    preparation = TablePreparation().fit(table({"age": [1, 2], "sex": ["f", "m"]}))
    with pytest.raises(RequestError, match=r"lacks 'age' and has 'agge', 'town' instead\. Did you mean 'agge'"):
        preparation.items(table({"agge": [1], "sex": ["f"], "town": ["Bern"]}))
    extra = preparation.items(table({"town": ["Bern"], "sex": ["m"], "age": [2]}))
    np.testing.assert_array_equal(extra, preparation.items(table({"age": [2], "sex": ["m"]})))


def test_identifiers_and_texts_give_no_feature() -> None:
    n = 30
    texts = [f"row number {i} says this" for i in range(n)]
    columns = {"id": range(n), "text": texts, "age": np.arange(n) % 7}
    assert TablePreparation().fit(table(columns)).features == ["age"]
    with pytest.raises(RequestError, match=r"No column .*: id \(identifier\), text \(text\)"):
        TablePreparation().fit(table({"id": range(n), "text": texts}))


def test_a_column_of_few_rows_is_never_lost_as_an_identifier() -> None:
    preparation = TablePreparation().fit(table({"w": ["a", "b"] * 20, "n": range(40)}))
    asked = table({"w": [f"w{i}" for i in range(25)] + ["a"], "n": range(26)})
    assert asked.schema["w"].identifier
    assert preparation.items(asked)[:, 0].tolist() == [0.0] * 25 + [1.0]


def test_misuse_is_one_sentence() -> None:
    with pytest.raises(RequestError, match="not fitted"):
        TablePreparation().items(table({"x": [1]}))
    with pytest.raises(RequestError, match="takes a table, but came upon text"):
        TablePreparation().fit(TextInputs(["a"]))


def test_only_training_rows_are_learnt_from() -> None:
    inputs = table({"x": [0.0, 2.0, 1e9], "w": ["a", "b", "c"]})
    preparation = TablePreparation().fit(inputs.take(np.array([0, 1])))
    assert preparation.features == ["x", "w = a", "w = b"]
    assert preparation.columns is not None
    assert preparation.columns[0].means == (1.0,)
    assert "1000000000" not in json.dumps(preparation.state())


def test_batches_are_float_tensors() -> None:
    import torch

    inputs = table({"x": [0.0, 2.0, 4.0], "w": ["a", "b", "a"]})
    preparation = TablePreparation().fit(inputs)
    items = preparation.items(inputs)
    batch = preparation.collate([items[2], items[0]])
    assert batch.dtype == torch.float32
    np.testing.assert_array_equal(batch.numpy(), items[[2, 0]])
    batch += 1
    np.testing.assert_array_equal(items, preparation.items(inputs))


@pytest.mark.parametrize("hospital", ["cleveland", "hungarian", "switzerland", "va_long_beach"])
def test_heart_disease_as_scikit_learn_prepares_it(hospital: str) -> None:
    path = DATA / "tab_heart_4hospitals.csv.gz"
    if not path.is_file():
        pytest.skip(f"{path.name} is not in {DATA}; set STERNA_DATA")
    options: dict[str, Any] = {"label": "disease", "drop": ["num"], "domain_column": "hospital"}
    source = load_table(path, Options(domain="cleveland", **options)).inputs
    target = load_table(path, Options(domain=hospital, **options)).inputs
    raw = pd.read_csv(path)
    numbers = {
        h: part.drop(columns=["hospital", "num", "disease"]).to_numpy(np.float64) for h, part in raw.groupby("hospital")
    }
    made = TablePreparation().fit(source).items(target)
    np.testing.assert_allclose(made, by_sklearn(numbers["cleveland"], numbers[hospital]), rtol=1e-5, atol=1e-5)
    own = TablePreparation().fit(target).items(target)
    np.testing.assert_allclose(own, by_sklearn(numbers[hospital], numbers[hospital]), rtol=1e-5, atol=1e-5)


def test_words_are_rare_below_one_in_a_hundred_rows_or_ten_rows() -> None:
    def own(n: int, often: int) -> bool:
        words = ["b" if i < often else "a" for i in range(n)]
        return "w = b" in TablePreparation().fit(table({"w": words})).features

    assert own(4, 1) and own(100, 1)
    assert not own(101, 1) and own(101, 2)
    assert not own(5000, 9) and own(5000, 10)
