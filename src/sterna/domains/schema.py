"""The schema of a table: what each column holds, said out loud, and what the user may say instead."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from sterna.domains import table_cells as cells_of
from sterna.errors import RequestError, closest

ColumnKind = Literal["number", "category", "date", "text", "empty"]
"""What a column can hold; ``empty`` when no row has a value."""

_SETTABLE = tuple(kind for kind in get_args(ColumnKind) if kind != "empty")
_IDENTIFIER_NAME = re.compile(r"^(id|index|row|rownames?|.*[_ ]id|unnamed: \d+)$", re.IGNORECASE)
_ENOUGH_ROWS = 20  # with fewer, all values distinct says nothing
_UNIT = r"^[+-]?\d[\d.,]*\s*[^\d\s.,:/-][^\d]*$"


@dataclass(frozen=True)
class Column:
    """One column.

    Attributes
    ----------
    name
        As in the file.
    kind
        What it holds.
    missing
        How many rows have no value.
    summary
        Its range or its values, for a person.
    identifier
        Whether its values look like row identifiers; then no learner sees it.
    given
        Whether the user said what it holds.
    """

    name: str
    kind: ColumnKind
    missing: int
    summary: str = ""
    identifier: bool = False
    given: bool = False


@dataclass(frozen=True)
class Schema:
    """The columns of a table in order.

    >>> print(Schema((Column("age", "number", 0, "29 to 77"),), rows=303))
    column  kind    missing  values
    age     number  0        29 to 77
    """

    columns: tuple[Column, ...]
    rows: int

    def __iter__(self) -> Iterator[Column]:
        return iter(self.columns)

    def __getitem__(self, name: str) -> Column:
        return next(c for c in self.columns if c.name == name)

    @property
    def names(self) -> list[str]:
        """All column names in order."""
        return [c.name for c in self.columns]

    @property
    def used(self) -> list[str]:
        """The columns a learner may see: all but identifiers."""
        return [c.name for c in self.columns if not c.identifier]

    def bare(self) -> Schema:
        """The kinds alone: no count and no value of any row."""
        return Schema(tuple(replace(c, missing=0, summary="") for c in self.columns), rows=-1)

    def of(self, frame: pd.DataFrame) -> Schema:
        """The same kinds, with the counts and values of other typed rows ``(n, d)``."""
        found = [
            replace(c, missing=int(frame[c.name].isna().sum()), summary=_summary(frame[c.name], c.kind)) for c in self
        ]
        return Schema(tuple(found), len(frame))

    def describe(self, limit: int = 60) -> str:
        """The schema as a plain text table, of at most `limit` columns."""
        lines = [("column", "kind", "missing", "values")]
        for c in self.columns[:limit]:
            kind = "identifier" if c.identifier else c.kind
            lines.append((c.name, kind + " (given)" * c.given, str(c.missing), c.summary))
        widths = [max(len(line[i]) for line in lines) for i in range(3)]
        rows = ["  ".join([*(cell.ljust(w) for cell, w in zip(line, widths, strict=False)), line[3]]) for line in lines]
        more = len(self.columns) - limit
        return "\n".join([row.rstrip() for row in rows] + ([f"... and {more} more columns"] if more > 0 else []))

    def __str__(self) -> str:
        return self.describe()


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
    given = _checked(columns or {}, [str(c) for c in frame.columns], name)
    notes = _Notes()
    found: list[Column] = []
    typed: dict[str, pd.Series[Any]] = {}
    for column in frame.columns:
        where = f"column {column!r} of {name}"
        plain = cells_of.plain(frame[column], where)
        if str(column) in given:
            kind = given[str(column)]
            values = as_kind(plain, kind, where, notes.add)
            identifier = False
        elif isinstance(frame[column].dtype, pd.CategoricalDtype):
            values, kind, identifier = cells_of.words(plain), "category", False
        else:
            values, kind, identifier = _inferred(str(column), plain, notes)
        missing = int(values.isna().sum())
        if kind != "empty" and missing == len(values):
            values, kind = pd.Series(np.full(len(values), np.nan), values.index), "empty"
        typed[str(column)] = values
        found.append(Column(str(column), kind, missing, _summary(values, kind), identifier, str(column) in given))
    notes.columns(
        "left out, a different value in every row as identifiers have", [c.name for c in found if c.identifier]
    )
    notes.columns("without any value", [c.name for c in found if c.kind == "empty"])
    return Schema(tuple(found), len(frame)), pd.DataFrame(typed, index=frame.index), notes.said


def as_kind(column: pd.Series[Any], kind: ColumnKind, where: str, note: Any = None) -> pd.Series[Any]:
    """A plain column's values as the kind that is asked for.

    Where a number is asked for, a few words among the numbers are taken as missing and noted.

    Raises
    ------
    RequestError
        If its values are of another kind.
    """
    kept = pd.Series(np.full(len(column), np.nan), column.index, name=column.name)
    if kind == "empty" or column.isna().all():
        return kept if kind != "category" and kind != "text" else kept.astype("str")
    if kind == "text":
        return column if column.dtype == "str" else cells_of.words(column)
    if kind == "category":
        return cells_of.words(column)
    strings = column.dtype == "str"
    if kind == "number":
        if not strings and column.dtype != np.float64:
            raise RequestError(f"{where[:1].upper()}{where[1:]} holds dates, not numbers.")
        return _finite(_asked_numbers(column, where, note) if strings else column)
    if not strings and column.dtype == np.float64:
        column = cells_of.words(column)
    if column.dtype != "str":
        return column
    cells = cells_of.clean(column)
    parsed, ambiguous = cells_of.dates(cells, compact=True)
    if parsed is None and len(cells) > cells.null_count:
        why = "day and month cannot be told apart" if ambiguous else f"it holds {pc.drop_null(cells)[0].as_py()!r}"
        raise RequestError(f"{where[:1].upper()}{where[1:]} cannot be read as dates ({why}); write them as 2024-01-31.")
    return kept.astype("datetime64[us]") if parsed is None else pd.Series(parsed, column.index, name=column.name)


def _asked_numbers(column: pd.Series[Any], where: str, note: Any) -> pd.Series[Any]:
    cells = cells_of.clean(column)
    values = cells_of.numbers(cells)
    if values is None:
        good = cells_of.number_like(cells)
        valid = cells.is_valid().to_numpy(zero_copy_only=False)
        word = cells.filter(pa.array(valid & ~good))[0].as_py()
        if good.sum() * 2 < valid.sum():
            raise RequestError(
                f"{where[:1].upper()}{where[1:]} should hold numbers, but {int((valid & ~good).sum())} of its "
                f"{int(valid.sum())} values are not, such as {word!r}; is it a category?"
            )
        values = cells_of.numbers(pc.if_else(pa.array(good), cells, pa.scalar(None, pa.large_string())))
        if note is not None:
            count = int((valid & ~good).sum())
            note(f"{where}: {count} values that are no numbers, such as {word!r}, are taken as missing")
    return pd.Series(values, column.index, name=column.name)


def _finite(column: pd.Series[Any]) -> pd.Series[Any]:
    values = column.to_numpy(np.float64)
    finite = np.isfinite(values)
    return column if finite.all() else pd.Series(np.where(finite, values, np.nan), column.index, name=column.name)


def _inferred(name: str, plain: pd.Series[Any], notes: _Notes) -> tuple[pd.Series[Any], ColumnKind, bool]:
    """Typed values, their kind, and whether they look like identifiers."""
    if plain.dtype == np.float64:
        return _numbers_found(name, plain, notes)
    if plain.dtype != "str":
        return plain, "date", False
    cells = cells_of.clean(plain)
    count = len(cells) - cells.null_count
    if not count:
        return pd.Series(np.full(len(plain), np.nan), plain.index), "empty", False
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
    return cells_of.words(plain), "category", identifier


def _numbers_found(name: str, values: pd.Series[Any], notes: _Notes) -> tuple[pd.Series[Any], ColumnKind, bool]:
    infinite = int(np.isinf(values.to_numpy()).sum())
    if infinite:
        notes.add(f"column {name!r}: {infinite} infinite values are taken as missing")
    values = _finite(values)
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


def _summary(values: pd.Series[Any], kind: ColumnKind) -> str:
    if values.isna().all():
        return ""
    if kind == "number":
        numbers = values.to_numpy(np.float64)
        return f"{np.nanmin(numbers):.6g} to {np.nanmax(numbers):.6g}"
    if kind == "date":
        return f"{values.min():%Y-%m-%d} to {values.max():%Y-%m-%d}"
    if kind == "category":
        counts = values.value_counts()
        return (
            f"{len(counts)}: {', '.join(_short(str(v)) for v in counts.index[:5])}{', ...' if len(counts) > 5 else ''}"
        )
    return repr(_short(str(values.dropna().iloc[0]), 40)) if kind == "text" else ""


def _short(word: str, length: int = 20) -> str:
    return word if len(word) <= length else word[: length - 3] + "..."


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
