"""What each column holds."""

from __future__ import annotations

import datetime

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sterna.domains.column_kinds import as_kind
from sterna.domains.schema import Column, Schema, infer_schema
from sterna.errors import RequestError


def kinds(frame: pd.DataFrame, columns: dict[str, str] | None = None) -> dict[str, str]:
    schema, _, _ = infer_schema(frame, columns)
    return {c.name: "identifier" if c.identifier else c.kind for c in schema}


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (["1", " 2.5 ", "-3e2", "", "NA", "?", ".5", "+7"], "number"),
        (["1", "2", "three"], "category"),
        (["1,5", "2,5"], "number"),
        (["1,5", "2.5"], "category"),
        (["12 kg", "13 kg"], "category"),
        (["007", "123"], "category"),
        (["0", "10", "0.5"], "number"),
        (["2024-01-31", "2024-02-01T10:30:00", ""], "date"),
        (["2024/1/31", "2024/2/1"], "date"),
        (["2024年1月31日", "2024年12月1日"], "date"),
        (["31.1.2024", "1.2.2024 10:30"], "category"),  # two ways to write dates in one column: not guessed
        (["31.1.2024", "1.2.2024"], "date"),
        (["13/01/2024", "01/02/2024"], "date"),
        (["01/13/2024", "01/02/2024"], "date"),
        (["01/02/2024", "03/04/2024"], "category"),
        (["05/05/2024", "06/06/2024"], "date"),
        (["", "NA", "?", "null"], "empty"),
        (["yes", "no", "None"], "category"),
        (["it was a good film", "it was a bad film", "no"], "text"),
        (["房间很舒服，早餐很好吃，服务也不错", "太差了，没有热水，再也不会来了"], "text"),
        ([True, False, None], "category"),
        ([1, 2.5, None], "number"),
        ([1, "a", None], "category"),
        ([datetime.date(2024, 1, 31), None], "date"),
        ([None, None], "empty"),
    ],
)
def test_the_kind_follows_from_all_values(values: list[object], kind: str) -> None:
    assert kinds(pd.DataFrame({"x": pd.Series(values, dtype=object)})) == {"x": kind}


def test_typed_columns_keep_their_type() -> None:
    frame = pd.DataFrame(
        {
            "whole": pd.array([1, None, 3], dtype="Int64"),
            "flag": [True, False, True],
            "zone": pd.to_datetime(["2024-01-31T23:00-02:00"] * 3, utc=True).tz_convert("America/Noronha"),
            "span": pd.to_timedelta([1, 2, 3], unit="D") / 2,
            "level": pd.Categorical([1, 2, 1]),
        }
    )
    schema, typed, _ = infer_schema(frame)
    assert [c.kind for c in schema] == ["number", "category", "date", "number", "category"]
    assert typed["whole"].tolist()[0::2] == [1.0, 3.0]
    assert schema["whole"].missing == 1
    assert typed["flag"].tolist() == ["True", "False", "True"]
    assert typed["zone"].iloc[0] == pd.Timestamp("2024-02-01 01:00")
    assert typed["span"].tolist() == [0.5, 1.0, 1.5]
    assert typed["level"].tolist() == ["1", "2", "1"]


def test_the_callers_frame_is_not_changed() -> None:
    frame = pd.DataFrame({"x": ["1", "NA"], "y": [np.inf, 1.0]})
    before = frame.copy(deep=True)
    infer_schema(frame, {"x": "category"})
    pd.testing.assert_frame_equal(frame, before)


@given(st.lists(st.none() | st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=30))
def test_numbers_are_read_back_exactly(values: list[float | None]) -> None:
    written = pd.DataFrame({"x": pd.Series(["" if v is None else repr(v) for v in values], dtype="str")})
    _, typed, _ = infer_schema(written)
    assert [None if np.isnan(v) else v for v in typed["x"]] == values


@settings(deadline=None)
@given(st.lists(st.dates(datetime.date(1700, 1, 1), datetime.date(2200, 1, 1)), min_size=1, max_size=20))
def test_dates_are_read_back_exactly_however_they_are_written(days: list[datetime.date]) -> None:
    for pattern in (
        "{0.year:04d}-{0.month:02d}-{0.day:02d}",
        "{0.year}/{0.month}/{0.day}",
        "{0.day}.{0.month}.{0.year}",
    ):
        frame = pd.DataFrame({"x": pd.Series([pattern.format(day) for day in days], dtype="str")})
        schema, typed, _ = infer_schema(frame)
        assert schema["x"].kind == "date"
        assert [moment.date() for moment in typed["x"]] == days


def test_identifiers_are_flagged_with_a_note() -> None:
    n = 40
    frame = pd.DataFrame(
        {
            "id": np.arange(n),
            "patient": [f"P{i:03d}" for i in range(n)],
            "weight": np.linspace(50, 90, n),
            "visits": np.arange(n),
            "town": ["Bern", "Genf"] * (n // 2),
        }
    )
    schema, _, notes = infer_schema(frame)
    assert [c.name for c in schema if c.identifier] == ["id", "patient"]
    assert schema.used == ["weight", "visits", "town"]
    assert any("id, patient" in note for note in notes)
    assert kinds(frame, {"patient": "category", "id": "number"})["patient"] == "category"
    assert not any(c.identifier for c in infer_schema(frame.head(19))[0])  # too few rows to tell


def test_the_user_has_the_last_word() -> None:
    frame = pd.DataFrame(
        {"ca": ["0.0", "1", "2.0", ""], "day": ["20240131", "20240201", "", "20240201"], "n": list("12x4")}
    )
    schema, typed, notes = infer_schema(frame, {"ca": "category", "day": "date", "n": "number"})
    assert [c.kind for c in schema] == ["category", "date", "number"]
    assert all(c.given for c in schema)
    assert typed["ca"].tolist()[:3] == ["0", "1", "2"]
    assert typed["day"].iloc[0] == pd.Timestamp("2024-01-31")
    assert typed["n"].isna().tolist() == [False, False, True, False]
    assert "'x'" in notes[0]


def test_what_the_values_contradict_is_refused() -> None:
    frame = pd.DataFrame({"word": ["a", "b", "3"], "day": ["01/02/2024", "03/04/2024", None]})
    with pytest.raises(RequestError, match=r"'word' of the table should hold numbers, but 2 of its 3 .*'a'"):
        infer_schema(frame, {"word": "number"})
    with pytest.raises(RequestError, match="day and month cannot be told apart"):
        infer_schema(frame, {"day": "date"})
    with pytest.raises(RequestError, match=r"'wrod', which heart\.csv has not\. Did you mean 'word'"):
        infer_schema(frame, {"wrod": "number"}, name="heart.csv")
    with pytest.raises(RequestError, match="a column can be number, category, date, text"):
        infer_schema(frame, {"word": "catgory"})
    with pytest.raises(RequestError, match=r"nested values \(list\).*drop=\['x'\]"):
        infer_schema(pd.DataFrame({"x": [[1], [2]]}))


def test_what_is_doubtful_is_said() -> None:
    def notes(values: list[object]) -> str:
        return " ".join(infer_schema(pd.DataFrame({"x": values}))[2])

    assert "infinite" in notes([1.0, np.inf, 2.0])
    assert "because it holds 'unknown'" in notes(["1", "2", "3", "unknown"])
    assert "units or marks ('12 kg')" in notes(["12 kg", "13 kg", "12 kg"])
    assert "day and month" in notes(["01/02/2024", "03/04/2024"])
    assert "without any value: x" in notes(["", "NA"])
    assert "free text" in notes(["a very good film", "a very bad film"])
    assert notes(["red", "green", "red"]) == ""


def test_values_are_read_as_another_tables_kind() -> None:
    index = pd.RangeIndex(3)
    empty = pd.Series([np.nan] * 3, index)
    for kind in ("number", "category", "date", "empty", "text"):
        assert as_kind(empty, kind, "x").isna().all()  # type: ignore[arg-type]
    whole = pd.Series([3.0, np.nan, 7.0], index)
    assert as_kind(whole, "category", "x").tolist()[0::2] == ["3", "7"]
    assert as_kind(whole, "category", "x").isna().tolist() == [False, True, False]
    with pytest.raises(RequestError, match="dates, not numbers"):
        as_kind(pd.Series(pd.to_datetime(["2024-01-01"])), "number", "x")


def test_the_schema_prints_as_a_table() -> None:
    frame = pd.DataFrame({"age": [41.0, None], "town": ["Bern", "Genf"], "thal": ["", ""]})
    schema, _, _ = infer_schema(frame, {"town": "category"})
    assert str(schema).splitlines() == [
        "column  kind              missing  values",
        "age     number            1        41 to 41",
        "town    category (given)  0        2: Bern, Genf",
        "thal    empty             2",
    ]
    many = Schema(tuple(Column(f"x{i}", "number", 0) for i in range(100)), rows=1)
    assert many.describe(limit=10).splitlines()[-1] == "... and 90 more columns"
