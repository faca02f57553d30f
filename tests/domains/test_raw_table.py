"""A cell is typed once, when it is read."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from sterna.domains import table_cells
from sterna.domains.inputs import Inputs
from sterna.domains.joined import joined_inputs
from sterna.domains.raw_table import RawColumn, RawTable
from sterna.domains.reader import Options
from sterna.domains.table_domains import load_table
from sterna.errors import RequestError
from sterna.preparations.table import TablePreparation

ROWS = """town,patient,fold,seen,age,note,price,split,ward,label
Bern,7,1,2024-01-31,30,"a long note, of many words",1.5,train,a,yes
Bern,8,2,2024-02-28,?,"another note that is long",2.5 kg,train,a,no
 Genf,9,1,2024-03-31,50,"yet another of the long notes",3.5,test,b,yes
Bern,7,3,,60,"the last one of these long notes",4.5,test,b,no
"""


@pytest.fixture
def cleaned(monkeypatch: pytest.MonkeyPatch) -> dict[str, Counter[str]]:
    """How often each column was typed (`plain`) and its cells cleaned (`clean`)."""
    counts: dict[str, Counter[str]] = {"plain": Counter(), "clean": Counter()}
    for form, count in counts.items():
        original = getattr(table_cells, form)

        def counted(column, *rest, original=original, count=count):
            count[str(column.name)] += 1
            return original(column, *rest)

        monkeypatch.setattr(table_cells, form, counted)
    return counts


def loaded(folder: Path) -> Inputs:
    (folder / "patients.csv").write_text(ROWS, encoding="utf-8")
    return load_table(
        folder / "patients.csv",
        Options(group="patient", domain_column="town", domain="Bern", columns={"ward": "category", "price": "number"}),
    ).inputs


def test_each_column_is_cleaned_once_whoever_asks(tmp_path, cleaned):
    loaded(tmp_path)
    # Of the split column and of "fold", which only sounds like one, the reader of splits asks first, then the schema.
    assert cleaned["plain"] == dict.fromkeys(ROWS.split("\n")[0].split(","), 1)
    assert cleaned["clean"] == dict.fromkeys(set(ROWS.split("\n")[0].split(",")) - {"label"}, 1)  # "NA" may be a class


def test_preparing_and_joining_clean_nothing_again(tmp_path, cleaned):
    inputs = loaded(tmp_path)
    for count in cleaned.values():
        count.clear()
    prepared = TablePreparation().fit(inputs)
    features = prepared.items(inputs)
    both = joined_inputs(inputs, inputs)
    assert not cleaned["plain"] and not cleaned["clean"]
    assert prepared.features[:3] == ["fold", "seen: year", "seen: month"]
    assert len(both) == 6
    np.testing.assert_array_equal(prepared.items(both), np.concatenate([features, features]))


def test_rows_that_are_taken_keep_what_was_read():
    table = RawTable(pd.DataFrame({"x": [" a ", "1.0", "?"]}, dtype="str"), "t")
    read = table.column("x")
    assert read.words.tolist()[:2] == ["a", "1"] and read.words.isna().tolist() == [False, False, True]
    taken = table.take(np.array([2, 1])).column("x")
    assert taken.cells.to_pylist() == [None, "1.0"]
    assert taken.words.iloc[1] == "1" and taken.plain.tolist() == ["?", "1.0"]
    assert table.last("x") is read
    assert table.column("x") is not read


def test_an_error_names_the_column_the_table_and_its_use():
    table = RawTable(pd.DataFrame({"x": [[1], [2]], "y": [1, 2]}), "t.jsonl")
    with pytest.raises(RequestError, match=r"^Group column 'x' of t\.jsonl holds nested values \(list\)"):
        _ = table.column("x", "group").plain
    with pytest.raises(RequestError, match=r"^group='z': t\.jsonl has no such column\. It has 'x', 'y'\.$"):
        table.need("z", "group")
    assert RawColumn(pd.Series([True, False], name="b"), "column 'b'").strings.tolist() == ["True", "False"]


def test_a_long_cell_is_named_in_linear_time():
    import time

    started = time.perf_counter()
    for text in ("1" * 200_000 + "x", "1" * 200_000 + "." + "1" * 200_000 + "x", "1" * 200_000):
        assert table_cells.word(text) == text
    assert time.perf_counter() - started < 1
