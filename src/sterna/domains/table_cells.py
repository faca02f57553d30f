"""Cells: what one column's values are (numbers, dates, words), parsed a whole column at a time."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from sterna.domains.labels import EXACT
from sterna.errors import RequestError

Array = np.ndarray[Any, Any]

MISSING = ("", "?", "NA", "N/A", "n/a", "#N/A", "<NA>", "NaN", "nan", "NULL", "null", "None")
"""What counts as a missing cell in a table column (in a label or a text, only an empty cell does)."""

_MISSING = pa.array(MISSING, pa.large_string())
_NUMBER = r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$"
_PLAIN = re.compile(r"[+-]?((0|[1-9][0-9]*)(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?\Z")
_WHOLE = re.compile(r"[+-]?[0-9]+\Z")


def plain(column: pd.Series[Any], where: str) -> pd.Series[Any]:
    """The column as one of: strings (``str``), ``float64``, or naive UTC ``datetime64``.

    Booleans and pandas categories become strings, as do whole numbers that no float64 holds; time spans become days.

    Parameters
    ----------
    column
        Any column of a DataFrame, shape ``(n,)``.
    where
        How an error names it: ``"column 'age' of heart.csv"``.

    Raises
    ------
    RequestError
        If a cell holds a list, a mapping, bytes or a complex number.
    """
    kind = column.dtype
    if pd.api.types.is_datetime64_any_dtype(kind):
        return _naive(column)
    if pd.api.types.is_timedelta64_dtype(kind):
        return pd.Series(column.to_numpy() / np.timedelta64(1, "D"), column.index, name=column.name)
    if pd.api.types.is_bool_dtype(kind) or isinstance(kind, pd.CategoricalDtype):
        return _strings(column.astype(object))
    if pd.api.types.is_complex_dtype(kind):
        raise RequestError(f"{_capital(where)} holds complex numbers; give their parts as two number columns.")
    if pd.api.types.is_integer_dtype(kind) and not column.dropna().between(-EXACT, EXACT).all():
        return column.astype("str")
    if pd.api.types.is_numeric_dtype(kind):
        return pd.Series(column.to_numpy(np.float64, na_value=np.nan), column.index, name=column.name)
    return column if kind == "str" else _plain_objects(column, where)


def _plain_objects(column: pd.Series[Any], where: str) -> pd.Series[Any]:
    kind = pd.api.types.infer_dtype(column, skipna=True)
    if kind in ("integer", "floating", "mixed-integer-float", "decimal", "empty"):
        if kind != "floating" and column.map(_long, na_action="ignore").eq(True).any():
            return _strings(column)
        return pd.to_numeric(column, errors="coerce").astype(np.float64)
    if kind in ("date", "datetime", "datetime64"):
        return _naive(pd.to_datetime(column, utc=True))
    nested = column.map(lambda cell: isinstance(cell, list | tuple | dict | set | bytes | np.ndarray))
    if nested.any():
        cell = column[nested].iloc[0]
        raise RequestError(
            f"{_capital(where)} holds nested values ({type(cell).__name__}); a table column holds one number, word or "
            f"date a row: leave it out with drop=[{str(column.name)!r}]."
        )
    return column.astype("str") if kind == "string" else _strings(column)


def _strings(column: pd.Series[Any]) -> pd.Series[Any]:
    """Any scalars as words; a whole number is written without a point, so that 1 and 1.0 are one word."""

    def word(cell: Any) -> str:
        whole = isinstance(cell, float | np.floating) and float(cell).is_integer()
        return str(int(cell)) if whole or _long(cell) else str(cell)

    return column.map(word, na_action="ignore").astype("str")


def _long(cell: Any) -> bool:
    """Whether a cell is a whole number with more digits than a float64 holds."""
    if isinstance(cell, Decimal):
        return cell.is_finite() and abs(cell) > EXACT and cell == cell.to_integral_value()
    return isinstance(cell, int) and abs(cell) > EXACT


def _naive(column: pd.Series[Any]) -> pd.Series[Any]:
    return column if column.dt.tz is None else column.dt.tz_convert("UTC").dt.tz_localize(None)


def _capital(where: str) -> str:
    return where[:1].upper() + where[1:]


def arrow(strings: Any) -> pa.Array:
    """Strings ``(n,)`` in one piece: a column of a file that was read in several blocks has as many."""
    cells = pa.array(strings, pa.large_string(), from_pandas=True)
    return cells.combine_chunks() if isinstance(cells, pa.ChunkedArray) else cells


def clean(strings: pd.Series[Any]) -> pa.Array:
    """Trimmed strings ``(n,)``, with null for every missing cell."""
    cells = pc.utf8_trim_whitespace(arrow(strings))
    return pc.if_else(pc.is_in(cells, _MISSING), pa.scalar(None, pa.large_string()), cells)


def series(cells: pa.Array, index: pd.Index[Any], name: str) -> pd.Series[Any]:
    """Arrow strings as a pandas column."""
    return pd.Series(cells.to_pandas().array, index=index, name=name, dtype="str")


def numbers(cells: pa.Array) -> Array | None:
    """Strings as float64 ``(n,)`` (NaN where missing), or ``None`` when any of them is not a plain number."""
    try:
        return np.asarray(pc.fill_null(pc.cast(cells, pa.float64()), np.nan).to_numpy(zero_copy_only=False))
    except pa.ArrowInvalid:
        return None


def number_like(cells: pa.Array) -> Array:
    """Which strings are plain numbers, ``(n,)`` bool; a missing cell is not."""
    found = pc.fill_null(pc.match_substring_regex(cells, _NUMBER), False)
    return np.asarray(found.to_numpy(zero_copy_only=False))


def are_whole(cells: pa.Array) -> bool:
    """Whether all strings are digits of whole numbers; a missing cell says nothing."""
    return bool(pc.all(pc.match_substring_regex(cells, r"^[+-]?\d+$"), min_count=0).as_py())


def has_codes(cells: pa.Array) -> bool:
    """Whether some number is written with a leading zero, as post codes are: then they are words."""
    return bool(pc.any(pc.match_substring_regex(cells, r"^0\d+$")).as_py())


def words(column: pd.Series[Any]) -> pd.Series[Any]:
    """A plain column as words, each cell by itself (see :func:`word`), dates in ISO form, missing cells null."""
    return named(series(clean(column), column.index, str(column.name)) if column.dtype == "str" else column)


def named(column: pd.Series[Any]) -> pd.Series[Any]:
    """Clean strings, numbers or dates ``(n,)`` as words; each distinct value is named once."""
    codes, distinct = pd.factorize(column)
    values = pd.Series(distinct, dtype=object)
    names = values.map(word).astype("str") if column.dtype == "str" else _strings(values)
    chosen = names.reindex(codes).array  # a missing cell has the code -1, which no name has
    return pd.Series(chosen, index=column.index, name=column.name, dtype="str")


def word(text: str) -> str:
    """A word of a table: numbers are written one way, whatever stands beside them in a column.

    A number with a leading zero, as post codes have, is no number, and whole numbers keep all their digits.

    Examples
    --------
    >>> [word(text) for text in ("1.0", "+1", "1e3", "2.50", "007", "1.0 mg", "12345678901234567890")]
    ['1', '1', '1000', '2.5', '007', '1.0 mg', '12345678901234567890']
    """
    if _WHOLE.match(text):
        return text.lstrip("+")
    if not _PLAIN.match(text):
        return text
    value = float(text)
    return str(int(value)) if value.is_integer() else str(value)
