"""What each column of a raw table holds, guessed from its values unless the user said it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NamedTuple, get_args

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from sterna.domains import table_cells as cells_of
from sterna.domains.column_kinds import finite, read_as, say_dates
from sterna.domains.columns import Column, ColumnKind, Schema, summary
from sterna.domains.date_forms import looks_compact, looks_dated, looks_monthly, read_dates
from sterna.domains.labels import EXACT
from sterna.domains.raw_table import RawColumn, RawTable
from sterna.domains.schema_notes import Notes
from sterna.errors import RequestError, closest

_SETTABLE = tuple(kind for kind in get_args(ColumnKind) if kind != "empty")
IDENTIFIER_NAME = re.compile(r"^(id|index|row|rownames?|.*[_ ]id|unnamed: \d+)$", re.IGNORECASE)
ENOUGH_ROWS = 20  # with fewer, all values distinct says nothing


def infer_schema(
    frame: pd.DataFrame, columns: Mapping[str, str] | None = None, *, name: str = "the table"
) -> tuple[Schema, pd.DataFrame, list[str]]:
    """Say what each column holds, and give the table with its cells read accordingly.

    A column of numbers is a number, in whichever way they are written (``3,14``, ``1.234,50``, ``12 %``), of dates a
    date, of long and mostly different strings a text, else a category. A number written with a leading zero (a post
    code) or with a unit is a word: nothing is guessed. Strings that differ in every row, and whole numbers that do in a
    column called ``id``, are identifiers.

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


def type_columns(
    table: RawTable, columns: Mapping[str, str] | None = None, like: Schema | None = None
) -> tuple[Schema, pd.DataFrame, list[str]]:
    """As `infer_schema`, of a table that was read already; it keeps nothing of its columns afterwards.

    Parameters
    ----------
    like
        The schema of an earlier table: its columns are read as there, where their values allow it.
    """
    given = _checked(columns or {}, table.names, table.name)
    earlier = {} if like is None else {column.name: column for column in like}
    notes = Notes()
    found: list[Column] = []
    typed: dict[str, pd.Series[Any]] = {}
    for name in table.names:
        column, before = table.last(name), earlier.get(name)
        if like is not None and (before.identifier if before else IDENTIFIER_NAME.match(name)):
            values, kind, form, identifier = _Read(column.strings, "category", identifier=True)
        else:
            values, kind, form, identifier = _read(column, given.get(name), before, notes)
        missing = int(values.isna().sum())
        if kind != "empty" and missing == len(values):
            values, kind = pd.Series(np.full(len(values), np.nan), values.index), "empty"
        typed[name] = values
        found.append(Column(name, kind, missing, summary(values, kind), identifier, name in given, form))
    notes.of_schema(found if like is None else [column for column in found if _is_new(column, earlier)])
    return Schema(tuple(found), len(table)), pd.DataFrame(typed, index=table.index), notes.said


def _is_new(column: Column, earlier: Mapping[str, Column]) -> bool:
    """Whether a later table has a column that the earlier one lacks, or one without any value that it has there."""
    before = earlier.get(column.name)
    if before is None:
        return not column.identifier
    return column.kind == "empty" and before.kind != "empty" and not before.identifier


class _Read(NamedTuple):
    """Typed values, their kind, how they are written, and whether they look like identifiers."""

    values: pd.Series[Any]
    kind: ColumnKind
    form: str = ""
    identifier: bool = False


def _read(column: RawColumn, kind: ColumnKind | None, earlier: Column | None, notes: Notes) -> _Read:
    if kind is not None:
        values, form = read_as(column, kind, notes.add, earlier.form if earlier else "")
        return _Read(values, kind, form)
    if isinstance(column.values.dtype, pd.CategoricalDtype):
        return _Read(column.words, "category")
    return _inferred(column, notes) if earlier is None else _read_again(column, earlier, notes)


def _read_again(column: RawColumn, earlier: Column, notes: Notes) -> _Read:
    """As an earlier table has the column; as it looks by itself where its values are of another kind.

    Whoever needs it in the earlier kind says then that it is of another.
    """
    if earlier.kind in ("number", "date"):
        try:
            values, form = read_as(column, earlier.kind, notes.add, earlier.form)
            return _Read(values, earlier.kind, form)
        except RequestError:
            return _inferred(column, Notes())._replace(identifier=False)
    if earlier.kind == "text":
        return _Read(column.strings, "text")
    own = _inferred(column, Notes())._replace(identifier=False)
    if earlier.kind == "category" and own.kind in ("text", "date"):
        return _Read(column.words, "category")
    return own


def _inferred(column: RawColumn, notes: Notes) -> _Read:
    name, plain = column.name, column.plain
    if plain.dtype == np.float64:
        return _numbers_found(name, plain, notes)
    if not column.is_words:
        return _Read(plain, "date")
    cells = column.cells
    count = len(cells) - cells.null_count
    if not count:
        return _Read(pd.Series(np.full(len(plain), np.nan), plain.index), "empty")
    numbers, codes = column.numbers(), cells_of.has_codes(cells)
    if not numbers.odd.any() and not codes and not looks_monthly(cells):
        notes.form(name, numbers)
        found = _numbers_found(name, pd.Series(numbers.values, plain.index), notes, str(numbers.form))
        ids = _names_rows(name, found.values, cells)
        if ids and found.values.abs().max() > EXACT:
            return _Read(column.words, "category", identifier=True)
        return found._replace(identifier=ids)
    dates = read_dates(cells)
    dated = dates is not None and not (dates.odd & ~dates.codes).any()
    if dates is not None and dated and not dates.ambiguous:
        say_dates(column, cells, dates, notes.add)
        return _Read(pd.Series(dates.values, plain.index), "date", dates.form)
    distinct = pc.unique(pc.drop_null(cells))
    if _reads_like_text(distinct, count) and np.mean(looks_dated(distinct)) <= 0.5:
        notes.add(
            f"column {name!r} holds free text, which no table learner sees; text={name!r} makes a text domain of it"
        )
        return _Read(plain.where(plain.str.strip() != ""), "text")
    doubtful = notes.almost(name, cells, distinct, None if codes else numbers, dates)
    return _Read(column.words, "category", identifier=not doubtful and len(distinct) == count >= ENOUGH_ROWS)


def _numbers_found(name: str, values: pd.Series[Any], notes: Notes, form: str = "") -> _Read:
    infinite = int(np.isinf(values.to_numpy()).sum())
    if infinite:
        notes.add(f"column {name!r}: {infinite} infinite values are taken as missing")
    values = finite(values)
    if looks_compact(values.to_numpy()):
        notes.add(
            f"column {name!r} looks like dates ({values.dropna().iloc[0]:.0f}) and is read as numbers; "
            f"columns={{{name!r}: 'date'}} reads dates"
        )
    return _Read(values, "number", form, _names_rows(name, values, values.dropna()))


def _names_rows(name: str, values: pd.Series[Any], written: pd.Series[Any] | pa.Array) -> bool:
    """Whether a column of whole numbers is called like one of ids, and each of its cells is another."""
    present = values.dropna()
    if not IDENTIFIER_NAME.match(name) or len(present) < ENOUGH_ROWS or not (present % 1 == 0).all():
        return False
    return len(pc.unique(pa.array(written).drop_null())) == len(present)


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
