"""A column's values as the kind that somebody asks for, or a sentence why they are none."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from sterna.domains import table_cells as cells_of
from sterna.domains.raw_table import RawColumn
from sterna.domains.schema import ColumnKind
from sterna.errors import RequestError


def as_kind(column: pd.Series[Any], kind: ColumnKind, where: str) -> pd.Series[Any]:
    """A plain column ``(n,)`` as the kind that is asked for; see `read_as`."""
    return read_as(RawColumn(column, where), kind)


def read_as(column: RawColumn, kind: ColumnKind, note: Callable[[str], None] | None = None) -> pd.Series[Any]:
    """A column's values ``(n,)`` as the kind that is asked for.

    Where a number is asked for, a few words among the numbers are taken as missing and noted.

    Raises
    ------
    RequestError
        If its values are of another kind.
    """
    plain = column.plain
    if kind == "empty" or plain.isna().all():
        nothing = pd.Series(np.full(len(plain), np.nan), plain.index, name=plain.name)
        return nothing if kind != "category" and kind != "text" else nothing.astype("str")
    if kind == "text":
        return column.strings
    if kind == "category":
        return column.words
    if kind == "date":
        return _asked_dates(column)
    if column.is_words:
        return finite(_asked_numbers(column, note))
    if plain.dtype != np.float64:
        raise RequestError(f"{column.named} holds dates, not numbers.")
    return finite(plain)


def finite(column: pd.Series[Any]) -> pd.Series[Any]:
    """Numbers ``(n,)`` with NaN for infinite ones."""
    values = column.to_numpy(np.float64)
    fine = np.isfinite(values)
    return column if fine.all() else pd.Series(np.where(fine, values, np.nan), column.index, name=column.name)


def _asked_dates(column: RawColumn) -> pd.Series[Any]:
    plain = column.plain
    if not column.is_words and plain.dtype != np.float64:
        return plain
    cells = column.cells if column.is_words else cells_of.clean(column.words)
    parsed, ambiguous = cells_of.dates(cells, compact=True)
    if parsed is None and len(cells) > cells.null_count:
        why = "day and month cannot be told apart" if ambiguous else f"it holds {pc.drop_null(cells)[0].as_py()!r}"
        raise RequestError(f"{column.named} cannot be read as dates ({why}); write them as 2024-01-31.")
    if parsed is None:
        parsed = np.full(len(cells), np.datetime64("NaT", "us"))
    return pd.Series(parsed, plain.index, name=plain.name)


def _asked_numbers(column: RawColumn, note: Callable[[str], None] | None) -> pd.Series[Any]:
    cells = column.cells
    values = cells_of.numbers(cells)
    if values is None:
        good = cells_of.number_like(cells)
        valid = cells.is_valid().to_numpy(zero_copy_only=False)
        word = cells.filter(pa.array(valid & ~good))[0].as_py()
        if good.sum() * 2 < valid.sum():
            raise RequestError(
                f"{column.named} should hold numbers, but {int((valid & ~good).sum())} of its "
                f"{int(valid.sum())} values are not, such as {word!r}; is it a category?"
            )
        values = cells_of.numbers(pc.if_else(pa.array(good), cells, pa.scalar(None, pa.large_string())))
        if note is not None:
            count = int((valid & ~good).sum())
            note(f"{column.where}: {count} values that are no numbers, such as {word!r}, are taken as missing")
    return pd.Series(values, column.plain.index, name=column.plain.name)
