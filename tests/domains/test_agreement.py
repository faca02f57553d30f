"""A table that comes after another is read as that one was, and what differs is said."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from sterna.domains import Domain, load_domain
from sterna.domains.schema import Schema, infer_schema
from sterna.domains.table_domains import load_inputs
from sterna.domains.tables import TableInputs
from sterna.errors import RequestError
from sterna.preparations.table import TablePreparation


def written(tmp_path, name, **columns):
    path = tmp_path / name
    pd.DataFrame(columns).to_csv(path, index=False)
    return path


@pytest.fixture
def first(tmp_path):
    """Month first, decimal commas, towns."""
    columns = {
        "when": [f"{m:02d}/{d}/2024" for m in range(1, 11) for d in (13, 25)],
        "size": [f"{i},5" for i in range(20)],
        "town": ["Bern", "Genf"] * 10,
        "y": ["a", "b"] * 10,
    }
    return load_domain(written(tmp_path, "first.csv", **columns), label="y")


def cells(domain: Domain, column: str) -> list:
    assert isinstance(domain.inputs, TableInputs)
    return domain.inputs.frame[column].tolist()


def test_the_first_table_decides_how_the_next_is_read(tmp_path, first):
    later = written(tmp_path, "later.csv", when=["03/04/2024"], size=["1.234"], town=["Bern"], y=["a"])
    assert "day and month cannot be told apart" in " ".join(load_inputs(later, {"drop": ["y"]})[1])
    schema = json.loads(json.dumps(first.reading["schema"]))
    inputs, _ = load_inputs(later, {"drop": ["y"], "schema": schema})
    assert inputs.frame["when"].tolist() == [pd.Timestamp("2024-03-04")]
    assert inputs.frame["size"].tolist() == [1234]
    test = written(
        tmp_path, "test.csv", when=["03/04/2024", "05/06/2024"], size=["1,234", "2,5"],
        town=["Bern", "Genf"], y=["a", "b"],
    )  # fmt: skip
    joined = load_domain(tmp_path / "first.csv", label="y", test=test)
    assert cells(joined, "when")[-2:] == [pd.Timestamp("2024-03-04"), pd.Timestamp("2024-05-06")]
    assert cells(joined, "size")[-2:] == [1.234, 2.5]


def test_another_order_is_said(tmp_path, first):
    later = written(tmp_path, "later.csv", when=["13/04/2024", "25/06/2024"], size=["1", "2"], town=["Bern", "Genf"])
    inputs, notes = load_inputs(later, {"schema": first.reading["schema"]})
    assert inputs.frame["when"].tolist() == [pd.Timestamp("2024-04-13"), pd.Timestamp("2024-06-25")]
    assert any("'when' of later.csv: dates are read with the day first, otherwise than in training" in n for n in notes)


def test_odd_cells_of_a_later_table_are_missing_and_said_with_column_and_count(tmp_path, first):
    later = written(
        tmp_path, "later.csv", when=["03/04/2024", "soon", "05/06/2024"], size=["1,5", "2,5", "big"],
        town=["Bern", "bern", "Lima"], more=[7, 8, 9],
    )  # fmt: skip
    inputs, notes = load_inputs(later, {"schema": first.reading["schema"]})
    assert inputs.frame["when"].isna().tolist() == [False, True, False]
    assert inputs.frame["size"].isna().tolist() == [False, False, True]
    assert "column 'when' of later.csv: 1 values that are no dates, such as 'soon', are taken as missing" in notes
    assert "column 'size' of later.csv: 1 values that are no numbers, such as 'big', are taken as missing" in notes
    assert "columns not used, which nothing was learnt from: 'more'" in notes
    assert TablePreparation().fit(first.inputs).unknown(inputs) == [
        "column 'town': 2 values that no training row had, such as 'bern' (as against 'Bern'), count as no category"
    ]


def test_what_is_said_of_a_test_set(tmp_path, first):
    columns = {"when": ["03/14/2024", "x", "05/16/2024"], "size": ["1,5", "2,5", "3"], "town": ["Bern", "bern", "Lima"]}
    test = written(tmp_path, "test.csv", **columns, y=["a", "b", "a"])
    notes = load_domain(tmp_path / "first.csv", label="y", test=test).notes
    assert "column 'when' of test.csv: 1 values that are no dates, such as 'x', are taken as missing" in notes
    assert (
        "column 'town' of test set test.csv: 2 values that first.csv never has, such as 'bern' (as against 'Bern')"
        in notes
    )


@pytest.mark.parametrize(("one", "other"), [("numbers", "words"), ("words", "numbers"), ("dates", "numbers")])
def test_columns_of_different_kinds_are_refused_by_name(one, other):
    held = {"numbers": ["37.5", "38"], "words": ["high", "low"], "dates": ["2024-01-31", "2024-02-01"]}
    first, second = (_table(x=held[kind], z=["1", "2"]) for kind in (one, other))
    with pytest.raises(RequestError, match=rf"Column 'x' holds {other} in b.csv .*, but {one} in a.csv .*drop='x'"):
        first.compared(second, "a.csv", "b.csv")


def test_codes_that_are_numbers_in_one_table_are_no_other_kind():
    first, second = _table(x=["1", "2", "unknown"] * 3), _table(x=["1", "2", "2"] * 3)
    assert [c.kind for c in first.schema] == ["category"] and [c.kind for c in second.schema] == ["number"]
    assert first.compared(second, "a", "b") == []
    assert second.compared(first, "a", "b") == []


def _table(**columns):
    schema, typed, _ = infer_schema(pd.DataFrame(columns))
    return TableInputs(typed, schema)


def test_an_input_may_be_called_as_labels_are(tmp_path):
    frame = pd.DataFrame({"class": [1, 2, 3] * 10, "age": range(30)})
    domain = Domain.from_arrays(frame, np.where(frame["class"] > 1, "died", "lived"))
    inputs, notes = load_inputs(written(tmp_path, "new.csv", **frame), {"schema": domain.reading["schema"]})
    assert inputs.columns == ("class", "age") and notes == []
    bare, _ = load_inputs(tmp_path / "new.csv", {})
    assert bare.columns == ("age",)


def test_how_columns_were_read_survives_json():
    schema = _table(a=["1,5", "2"], b=["x", "y"], id=[1, 2]).schema
    state = json.loads(json.dumps(schema.state()))
    assert state["a"] == {"kind": "number", "form": "1234,5"}
    assert Schema.from_state(state).state() == schema.state()


def test_what_names_the_rows_is_kept_as_it_stands(tmp_path):
    numbers = {"id": range(30), "x": range(30), "y": ["a", "b"] * 15}
    first = load_domain(written(tmp_path, "first.csv", **numbers), label="y")
    again = written(tmp_path, "new.csv", id=["12345678901234567891", "007"], row_id=["r1", "r2"], x=[1, 2])
    inputs, notes = load_inputs(again, {"drop": ["y"], "schema": first.reading["schema"]})
    assert inputs.identifiers() == {"id": ["12345678901234567891", "007"], "row_id": ["r1", "r2"]}
    assert notes == [] and list(inputs.kinds) == ["x"]
    dropped, _ = load_inputs(again, {"drop": ["y", "id"], "schema": _table(x=["1", "2"]).reading()["schema"]})
    assert list(dropped.identifiers()) == ["id", "row_id"]
