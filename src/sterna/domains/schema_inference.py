"""What each column of a raw table holds, guessed from its values unless the user said it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, get_args

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from sterna.domains import table_cells as cells_of
from sterna.domains.column_kinds import finite, read_as
from sterna.domains.raw_table import RawColumn, RawTable
from sterna.domains.schema import Column, ColumnKind, Schema, summary
from sterna.errors import RequestError, closest

_SETTABLE = tuple(kind for kind in get_args(ColumnKind) if kind != "empty")
_IDENTIFIER_NAME = re.compile(r"^(id|index|row|rownames?|.*[_ ]id|unnamed: \d+)$", re.IGNORECASE)
_ENOUGH_ROWS = 20  # with fewer, all values distinct says nothing
_UNIT = r"^[+-]?\d[\d.,]*\s*[^\d\s.,:/-][^\d]*$"


def infer_schema(
    frame: pd.DataFrame, columns: Mapping[str, str] | None = None, *, name: str = "the table"
) -> tuple[Schema, pd.DataFrame, list[str]]:
    """Say what each column holds, and give the table with its cells read accordingly.

    A column of plain numbers is a number, of dates a date, of long and mostly different strings a text, else a
    category. A number written with a leading zero (a post code) or with a unit is a word: nothing is guessed. Strings
    that differ in every row, and whole numbers that do in a column called ``id``, are identifiers.

    Parameters
    ----------
    frame
        The raw columns, ``(n, d)``: strings as in the file, or typed.
    columns
        What the user says some columns hold: ``{"ca": "category"}``.
    name
        How errors name the table.

    Returns
    -------
    schema
        One `Column` for each column.
    typed
        ``(n, d)``: float64 (numbers, empty), ``str`` (categories, texts) or ``datetime64``; missing is NaN, null or
        NaT.
    notes
        What a user should know.

    Raises
    ------
    RequestError
        If `columns` names an unknown column or kind, or one that its values contradict.
    """
    return type_columns(RawTable(frame, name), columns)


def type_columns(table: RawTable, columns: Mapping[str, str] | None = None) -> tuple[Schema, pd.DataFrame, list[str]]:
    """As `infer_schema`, of a table that was read already; it keeps nothing of its columns afterwards."""
    given = _checked(columns or {}, table.names, table.name)
    notes = _Notes()
    found: list[Column] = []
    typed: dict[str, pd.Series[Any]] = {}
    for name in table.names:
        column = table.last(name)
        identifier = False
        if name in given:
            kind = given[name]
            values = read_as(column, kind, notes.add)
        elif isinstance(column.values.dtype, pd.CategoricalDtype):
            values, kind = column.words, "category"
        else:
            values, kind, identifier = _inferred(column, notes)
        missing = int(values.isna().sum())
        if kind != "empty" and missing == len(values):
            values, kind = _nothing(column), "empty"
        typed[name] = values
        found.append(Column(name, kind, missing, summary(values, kind), identifier, name in given))
    notes.columns(
        "left out, a different value in every row as identifiers have", [c.name for c in found if c.identifier]
    )
    notes.columns("without any value", [c.name for c in found if c.kind == "empty"])
    return Schema(tuple(found), len(table)), pd.DataFrame(typed, index=table.index), notes.said


def _nothing(column: RawColumn) -> pd.Series[Any]:
    return pd.Series(np.full(len(column.values), np.nan), column.values.index)


def _inferred(column: RawColumn, notes: _Notes) -> tuple[pd.Series[Any], ColumnKind, bool]:
    """Typed values, their kind, and whether they look like identifiers."""
    name, plain = column.name, column.plain
    if plain.dtype == np.float64:
        return _numbers_found(name, plain, notes)
    if not column.is_words:
        return plain, "date", False
    cells = column.cells
    count = len(cells) - cells.null_count
    if not count:
        return _nothing(column), "empty", False
    values = cells_of.numbers(cells)
    if values is not None and not cells_of.has_codes(cells):
        return _numbers_found(name, pd.Series(values, plain.index), notes)
    parsed, ambiguous = cells_of.dates(cells)
    if parsed is not None:
        return pd.Series(parsed, plain.index), "date", False
    if ambiguous:
        notes.add(
            f"column {name!r} is read as a category: day and month cannot be told apart; write dates as 2024-01-31"
        )
    distinct = pc.unique(pc.drop_null(cells))
    if _reads_like_text(distinct, count):
        notes.add(
            f"column {name!r} holds free text, which no table learner sees; text={name!r} makes a text domain of it"
        )
        return plain.where(plain.str.strip() != ""), "text", False
    identifier = len(distinct) == count >= _ENOUGH_ROWS
    if not identifier and not ambiguous:
        notes.almost_numbers(name, cells, distinct)
    return column.words, "category", identifier


def _numbers_found(name: str, values: pd.Series[Any], notes: _Notes) -> tuple[pd.Series[Any], ColumnKind, bool]:
    infinite = int(np.isinf(values.to_numpy()).sum())
    if infinite:
        notes.add(f"column {name!r}: {infinite} infinite values are taken as missing")
    values = finite(values)
    if not _IDENTIFIER_NAME.match(name):
        return values, "number", False
    present = values.dropna()
    return values, "number", len(present) >= _ENOUGH_ROWS and bool((present % 1 == 0).all()) and present.is_unique


def _reads_like_text(distinct: pa.Array, count: int) -> bool:
    """Mostly different strings, most of them several words, or long in a script without spaces."""
    if len(distinct) * 2 < count:
        return False
    lengths = pc.utf8_length(distinct)
    several = pc.match_substring_regex(distinct, r"\S\s+\S+\s+\S|([\x{2E80}-\x{9FFF}\x{AC00}-\x{D7AF}].*){8}")
    return bool(pc.mean(lengths).as_py() >= 12 and pc.mean(pc.cast(several, pa.int8())).as_py() > 0.5)


def _checked(columns: Mapping[str, str], known: list[str], name: str) -> dict[str, ColumnKind]:
    checked: dict[str, ColumnKind] = {}
    for column, kind in columns.items():
        if column not in known:
            raise RequestError(f"columns= names {column!r}, which {name} has not.{closest(column, known)}")
        if kind not in _SETTABLE:
            raise RequestError(
                f"columns={{{column!r}: {kind!r}}}: a column can be {', '.join(_SETTABLE)}.{closest(kind, _SETTABLE)}"
            )
        checked[column] = kind  # type: ignore[assignment]  # checked in the line above
    return checked


class _Notes:
    """What the user should know, said once a matter and not once a column."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def add(self, note: str) -> None:
        self.said.append(note)

    def columns(self, matter: str, names: list[str]) -> None:
        if names:
            more = f" and {len(names) - 10} more" if len(names) > 10 else ""
            self.add(f"column{'s' * (len(names) > 1)} {matter}: {', '.join(names[:10])}{more}")

    def almost_numbers(self, name: str, cells: pa.Array, distinct: pa.Array) -> None:
        """A category that is nearly a number column is seldom meant: say which word stands in the way."""
        good = cells_of.number_like(distinct)
        if good.mean() > 0.5 and not cells_of.has_codes(cells):
            word = distinct.filter(pa.array(~good))[0].as_py()
            self.add(
                f"column {name!r} is read as a category because it holds {word!r}; columns={{{name!r}: 'number'}} "
                "takes such values as missing"
            )
        elif bool(pc.all(pc.match_substring_regex(distinct, _UNIT)).as_py()) and len(distinct) > 1:
            self.add(
                f"column {name!r} looks like numbers with units ({distinct[0].as_py()!r}) and is read as a category"
            )
