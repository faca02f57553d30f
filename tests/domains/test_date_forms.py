"""Dates as people write them, in the order that a column leaves no doubt about, or that an earlier table has."""

from __future__ import annotations

import datetime

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sterna.domains.date_forms import Dates, looks_dated, read_dates
from sterna.domains.schema import infer_schema
from sterna.errors import RequestError


def read(cells: list[str | None], known: str = "") -> Dates:
    found = read_dates(pa.array(cells, pa.large_string()), known)
    assert found is not None
    return found


def days(found: Dates) -> list[str]:
    return np.datetime_as_string(found.values.astype("datetime64[D]")).tolist()


@pytest.mark.parametrize(
    ("cell", "day"),
    [
        ("1 Jan 2021", "2021-01-01"),
        ("Jan 5, 2021", "2021-01-05"),
        ("3rd March 2020", "2020-03-03"),
        ("12-Sept-21", "2021-09-12"),
        ("May 7 1975", "1975-05-07"),
        ("31 Dec 2020 9:30", "2020-12-31"),
        ("31.1.24", "2024-01-31"),
        ("28/10/65", "2065-10-28"),
        ("28/10/75", "1975-10-28"),
        ("10/28/21", "2021-10-28"),
        ("2024年1月31日", "2024-01-31"),
        ("9998-12-31", "9998-12-31"),
        ("2024-01-31 09:30:00 UTC", "2024-01-31"),
        ("2024-01-31T23:30:00-02:00", "2024-02-01"),
        ("13/02/2024 3:30 PM", "2024-02-13"),
        ("03JAN2019", "2019-01-03"),  # as SAS writes them
        ("03JAN2019:12:30:00", "2019-01-03"),
        ("٣١/١/٢٠٢٤", "2024-01-31"),
        ("\u200e31.1.2024", "2024-01-31"),
    ],
)
def test_dates_are_read_in_many_forms(cell: str, day: str) -> None:
    assert days(read([cell])) == [day]


@settings(deadline=None)
@given(st.lists(st.dates(datetime.date(1970, 1, 1), datetime.date(2068, 12, 31)), min_size=1, max_size=20))
def test_months_by_name_and_short_years_are_read_back_exactly(moments: list[datetime.date]) -> None:
    for pattern in ("%d %b %Y", "%B %d, %Y", "%d.%m.%y", "%d-%b-%y"):
        assert days(read([moment.strftime(pattern) for moment in moments])) == [str(moment) for moment in moments]


def test_an_earlier_table_decides_the_order() -> None:
    assert read(["03/04/2024"]).ambiguous
    assert days(read(["03/04/2024"], "%m/%d/%Y")) == ["2024-03-04"]
    assert days(read(["03/04/2024"], "%d/%m/%Y")) == ["2024-04-03"]
    assert days(read(["03-04-24"], "%m/%d/%Y")) == ["2024-03-04"]  # other marks, the same order
    some = ["03/04/2024", "05/06/2024", "07/08/2024", "09/10/2024", "13/01/2024"]
    assert days(read(some, "%m/%d/%Y")) == ["2024-03-04", "2024-05-06", "2024-07-08", "2024-09-10", "NaT"]
    turned = ["13/01/2024", "03/04/2024", "25/12/2023"]  # most of it can only be day first
    assert days(read(turned, "%m/%d/%Y")) == ["2024-01-13", "2024-04-03", "2023-12-25"]
    assert read(["03/04/2024"], "ISO8601").ambiguous


@pytest.mark.parametrize("word", ["now", "today", "NOW", "Today"])
def test_a_date_is_never_read_from_the_clock(word: str) -> None:
    found = read(["2024-01-01", "2024-01-02", word])
    assert days(found) == ["2024-01-01", "2024-01-02", "NaT"] and found.odd.tolist() == [False, False, True]
    frame = pd.DataFrame({"when": ["2024-01-01", "2024-01-02", word] * 10})
    schema, typed, notes = infer_schema(frame)
    assert schema["when"].kind == "category" and typed["when"].tolist()[2] == word
    assert any(f"because it holds {word!r}; columns={{'when': 'date'}}" in note for note in notes)
    _, typed, notes = infer_schema(frame, {"when": "date"})
    assert int(typed["when"].isna().sum()) == 10
    assert any(f"10 values that are no dates, such as {word!r}, are taken as missing" in note for note in notes)


@pytest.mark.parametrize(
    "code", ["-1", "-9999", "-999", "9999", "99999999", "0", "0000-00-00", "0000-00-00 00:00:00", "9999-12-31"]
)
def test_usual_codes_for_a_missing_date_are_missing_and_said(code: str) -> None:
    schema, typed, notes = infer_schema(pd.DataFrame({"when": ["2024-01-01", code]}))
    assert schema["when"].kind == "date" and schema["when"].missing == 1
    assert typed["when"].iloc[0] == pd.Timestamp("2024-01-01")
    assert f"column 'when' of the table: 1 values that are no dates, such as {code!r}, are taken as missing" in notes


def test_numbers_that_look_like_dates_are_said() -> None:
    cells = [20240131, 20240229, None, 20231201]
    for frame in (pd.DataFrame({"x": cells}), pd.DataFrame({"x": [str(c) if c else "" for c in cells]})):
        schema, _, notes = infer_schema(frame)
        assert schema["x"].kind == "number"
        assert (
            "column 'x' looks like dates (20240131) and is read as numbers; columns={'x': 'date'} reads dates" in notes
        )
        assert infer_schema(frame, {"x": "date"})[0]["x"].summary == "2023-12-01 to 2024-02-29"
    for other in ([20240131, 20241301], [20240131.5, 20240201], [20240131], [18991231, 19000101]):
        assert infer_schema(pd.DataFrame({"x": other}))[2] == []


def test_typed_dates_far_away_are_described() -> None:
    far = pd.DataFrame({"when": np.array(["-0001-01-01", "20240-01-01"], "datetime64[s]")})
    assert infer_schema(far)[0]["when"].summary == "-001-01-01 to 20240-01-01"


def test_dates_are_never_left_out_as_identifiers() -> None:
    frame = pd.DataFrame({"x": [*(f"2024-01-{i:02d}" for i in range(1, 31)), "unknown"]})
    schema, _, notes = infer_schema(frame)
    assert not schema["x"].identifier and any("'unknown'" in note for note in notes)
    frame = pd.DataFrame({"x": [f"{i}. Januar 2021" for i in range(1, 31)]})
    schema, _, notes = infer_schema(frame)
    assert not schema["x"].identifier and any("looks like dates ('1. Januar 2021')" in note for note in notes)
    frame = pd.DataFrame({"x": [f"{i}/2/2021" for i in range(1, 13)] + [f"2/{i}/2021" for i in range(3, 13)]})
    schema, _, notes = infer_schema(frame)
    assert not schema["x"].identifier and any("day and month cannot be told apart" in note for note in notes)


@pytest.mark.parametrize(
    "cells",
    [
        ["2023-W29", "2023-W30"],
        ["KW 29/2023", "KW 30/2023"],
        ["2023Q3", "2023Q4"],
        ["Jul-23", "Aug-23"],
        ["2023年7月", "2023年8月"],
        ["令和5年7月1日", "令和5年8月1日"],
        ["2023. 7. 1.", "2023. 8. 1."],
        ["Monday, July 17, 2023", "Friday, August 4, 2023"],
        ["Mon, 17 Jul 2023 10:00:00 +0000", "Fri, 04 Aug 2023 09:00:00 +0000"],
        ["17/07/2023 10:05 CET", "18/07/2023 10:06 CET"],
        ["3 de enero de 2019", "27 de febrero del 2019"],
        ["2023年7月17日03时51分", "2023年8月4日10時39分"],
        ["Q1 2019", "Q2 2019"],
        ["27 марта 2020 г.", "3 апреля 2021 г."],
        ["2020년 4월 27일", "2021년 12월 3일"],
        ["segunda-feira, 27 de abril de 2020", "terça-feira, 3 de maio de 2021"],
        ["2020 04 27", "2021 12 03"],
        ["2020_04_27", "2021_12_03"],
        ["27042020", "03122021"],
        ["04.2020", "12.2021"],  # months, and no decimals
    ],
)
def test_what_looks_like_dates_and_is_not_read_as_such_is_said(cells: list[str]) -> None:
    schema, _, notes = infer_schema(pd.DataFrame({"x": cells * 10}))
    assert schema["x"].kind == "category"
    assert any(f"looks like dates ({cells[0]!r}) and is read as a category; write dates as" in note for note in notes)
    ordinary = ["32132020", "12345678", "Gate 12", "model 2023", "H2O", "12 apples", "W3", "2023/145", "1.2.3.4"]
    assert not looks_dated(pa.array(ordinary, pa.large_string())).any()


def test_mostly_words_are_no_dates() -> None:
    with pytest.raises(RequestError, match="cannot be read as dates .it holds 'soon'."):
        infer_schema(pd.DataFrame({"x": ["2024-01-01", "soon", "late"]}), {"x": "date"})
    with pytest.raises(RequestError, match="cannot be read as dates .it holds 'soon'."):  # not that the order is open
        infer_schema(pd.DataFrame({"x": ["soon", "03/04/2021", "late"]}), {"x": "date"})
