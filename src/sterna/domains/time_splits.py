"""Splits from past to future: what is tested comes after what was learnt from."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from sterna.domains.inputs import Rows
from sterna.errors import RequestError

Times = np.ndarray[Any, Any]
"""When each row was, ``(n,)``: float64 or ``datetime64[us]``; NaN or NaT where that is not known."""


def last_part(
    rows: Rows, times: Times, units: Callable[[Rows], np.ndarray], fraction: float, gap: float
) -> tuple[Rows, Rows]:
    """The rows before, and the last rows by time.

    Parameters
    ----------
    rows
        Row numbers ``(m,)``, each with a time.
    times
        Of all rows, ``(n,)``.
    units
        Gives the unit of each row; an earlier row of a unit that the last part has is in neither.
    fraction
        About this share of the rows is the last part; rows of one time are on one side.
    gap
        So long before the last part begins, rows are in neither: days, or the unit of numbers.

    Returns
    -------
    The earlier rows and the last ones, each sorted.

    Raises
    ------
    RequestError
        If there are no two different times.
    """
    distinct, counts = np.unique(times[rows], return_counts=True)
    if len(distinct) < 2:
        raise RequestError(
            f"All {len(rows)} rows to split by time have one time ({said(distinct[0]) if len(distinct) else 'none'}); "
            "leave time out, or give more."
        )
    after = np.cumsum(counts[::-1])[:-1]  # rows from each distinct time on, the last time first
    first = distinct[::-1][int(np.abs(after - fraction * len(rows)).argmin())]
    last = np.sort(rows[times[rows] >= first])
    earlier = rows[times[rows] < before(first, gap)]
    return np.sort(earlier[~np.isin(units(earlier), units(last))]), last


def before(first: Any, gap: float) -> Any:
    """The time that a row must be earlier than, where the next part begins at `first`."""
    return first - (np.timedelta64(round(gap * 86_400_000_000), "us") if isinstance(first, np.datetime64) else gap)


def known_times(times: Times) -> np.ndarray:
    """Which rows have a time, ``(n,)`` bool."""
    return ~(np.isnat(times) if times.dtype.kind == "M" else np.isnan(times))


def said(time: Any) -> str:
    """A time for people: a date without the hours where there are none.

    Examples
    --------
    >>> said(np.datetime64("2024-01-31T00:00:00.000000")), said(np.float64(7.0))
    ('2024-01-31', '7')
    """
    if isinstance(time, np.datetime64):
        return str(time.astype("datetime64[s]")).removesuffix("T00:00:00").replace("T", " ")
    return f"{time:g}"
