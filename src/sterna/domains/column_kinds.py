"""A column's values as the kind that somebody asks for, or a sentence why they are none."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from sterna.domains import table_cells as cells_of
from sterna.domains.columns import ColumnKind
from sterna.domains.date_forms import Dates, order, read_dates
from sterna.domains.raw_table import RawColumn
from sterna.errors import RequestError


def as_kind(column: pd.Series[Any], kind: ColumnKind, where: str) -> pd.Series[Any]:
    """A plain column ``(n,)`` as the kind that is asked for; see `read_as`."""
    return read_as(RawColumn(column, where), kind)[0]


def read_as(
    column: RawColumn, kind: ColumnKind, note: Callable[[str], None] | None = None, form: str = ""
) -> tuple[pd.Series[Any], str]:
    """A column's values ``(n,)`` as the kind that is asked for, and how they are written.

    Where a number or a date is asked for, a few words among them are taken as missing and noted.

    Parameters
    ----------
    form
        How an earlier table writes this column.

    Raises
    ------
    RequestError
        If its values are of another kind.
    """
    plain = column.plain
    if kind == "empty" or plain.isna().all():
        nothing = pd.Series(np.full(len(plain), np.nan), plain.index, name=plain.name)
        return (nothing if kind != "category" and kind != "text" else nothing.astype("str")), form
    if kind == "text":
        return column.strings, ""
    if kind == "category":
        return column.words, ""
    if kind == "date":
        return _asked_dates(column, note, form)
    if column.is_words:
        return _asked_numbers(column, note, form)
    if plain.dtype != np.float64:
        raise RequestError(f"{column.named} holds dates, not numbers.")
    return finite(plain), form


def finite(column: pd.Series[Any]) -> pd.Series[Any]:
    """Numbers ``(n,)`` with NaN for infinite ones."""
    values = column.to_numpy(np.float64)
    fine = np.isfinite(values)
    return column if fine.all() else pd.Series(np.where(fine, values, np.nan), column.index, name=column.name)


def _asked_dates(column: RawColumn, note: Callable[[str], None] | None, form: str) -> tuple[pd.Series[Any], str]:
    plain = column.plain
    if not column.is_words and plain.dtype != np.float64:
        return plain, form
    cells = column.cells if column.is_words else cells_of.clean(column.words)
    found = read_dates(cells, form, compact=True)
    if found is None or found.ambiguous or mostly(cells, found.odd & ~found.codes):
        why = "day and month cannot be told apart"
        if found is None or mostly(cells, found.odd & ~found.codes):
            odd = cells.is_valid() if found is None else pa.array(found.odd)
            why = f"it holds {cells.filter(odd)[0].as_py()!r}"
        raise RequestError(f"{column.named} cannot be read as dates ({why}); write them as 2024-01-31.")
    say_dates(column, cells, found, note, form)
    return pd.Series(found.values, plain.index, name=plain.name), found.form


def say_dates(
    column: RawColumn, cells: pa.Array, found: Dates, note: Callable[[str], None] | None, form: str = ""
) -> None:
    """Note what a column of dates holds beside dates, and an order that an earlier table does not have."""
    if note is None:
        return
    if found.odd.any():
        note(_missing(column, cells, found.odd, "dates"))
    if "%y" in found.form:
        note(f"{column.where}: years of two digits are read as 1969 to 2068")
    if form and order(found.form) != order(form) and order(found.form):
        note(f"{column.where}: dates are read with the {order(found.form)} first, otherwise than in training")


def _asked_numbers(column: RawColumn, note: Callable[[str], None] | None, form: str) -> tuple[pd.Series[Any], str]:
    cells, found = column.cells, column.numbers(form)
    if mostly(cells, found.odd):
        word = cells.filter(pa.array(found.odd))[0].as_py()
        raise RequestError(
            f"{column.named} should hold numbers, but {int(found.odd.sum())} of its "
            f"{len(cells) - cells.null_count} values are not, such as {word!r}; is it a category?"
        )
    if note is not None and found.odd.any():
        note(_missing(column, cells, found.odd, "numbers"))
    return finite(pd.Series(found.values, column.plain.index, name=column.plain.name)), str(found.form)


def mostly(cells: pa.Array, odd: np.ndarray[Any, Any]) -> bool:
    """Whether more than half of the cells that are there are odd ones."""
    return bool(int(odd.sum()) * 2 > len(cells) - cells.null_count)


def _missing(column: RawColumn, cells: pa.Array, odd: np.ndarray[Any, Any], what: str) -> str:
    word, count = cells.filter(pa.array(odd))[0].as_py(), int(odd.sum())
    return f"{column.where}: {count} values that are no {what}, such as {word!r}, are taken as missing"
