"""Answers as CSV: what a spreadsheet opens."""

from __future__ import annotations

import io

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sterna.store.answers import csv_of


@pytest.mark.parametrize("cell", ["=1+1", "+cmd", "-x", "@SUM(A1)", "\tx", '=HYPERLINK("a","b")'])
def test_no_word_is_a_formula(cell):
    written = csv_of(pd.DataFrame({"name": [cell], cell: ["plain"]}))
    read = pd.read_csv(io.StringIO(written), dtype=str)
    assert read["name"].tolist() == [f"'{cell}"] and read.columns.tolist() == ["name", f"'{cell}"]


@pytest.mark.parametrize("cell", ["-1", "+2.5", "-1.234,5", "-3%", "-1e5", "plain", "a=b", "红", ""])
def test_numbers_and_other_words_stay(cell):
    assert csv_of(pd.DataFrame({"answer": [cell, "x"]})).splitlines()[1].strip('"') == cell


@settings(deadline=None)
@given(st.floats(allow_nan=False, allow_infinity=False, min_value=-1e14, max_value=1e14))
def test_numbers_have_few_digits_and_lose_no_whole_ones(value):
    cell = csv_of(pd.DataFrame({"p": [value]})).splitlines()[1]
    assert float(cell) == pytest.approx(value, rel=5e-6, abs=0) and abs(float(cell) - value) <= 0.5
    assert len(cell.strip("-").replace(".", "")) <= 18


def test_missing_answers_stay_empty():
    assert csv_of(pd.DataFrame({"a": [None, "x"], "p": [np.nan, 0.1 + 0.2]})) == "a,p\n,\nx,0.3\n"
