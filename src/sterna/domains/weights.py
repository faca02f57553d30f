"""Weights of rows: how much each counts in training and in scores."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from sterna.errors import RequestError

WEIGHT_NAME = re.compile(
    r"^(((sample|sampling|survey|case|row|instance|observation|frequency|probability|final|design)[_\- ]?)?"
    r"(weights?|weighting)|[pfai]weights?|fnlwgt|(stichproben)?gewichtung|(样本|抽样|行)?权[重值])$",
    re.IGNORECASE,
)
"""A column of such a name may be meant to weigh the rows."""

WIDEST = 1e12
"""How many times the smallest weight above 0 the largest may be: training has seven digits."""


def as_weights(values: Any, where: str = "weights") -> np.ndarray:
    """Weights ``(n,)`` float64.

    Raises
    ------
    RequestError
        If one is missing, infinite, below 0 or no number, or far too large beside another.
    """
    try:
        weights = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError):
        weights = np.array([np.nan])
    wrong = np.flatnonzero(~(np.isfinite(weights) & (weights >= 0)))
    if weights.ndim != 1 or len(wrong):
        which = f"row {wrong[0]} has {np.asarray(values, dtype=object)[wrong[0]]}" if len(wrong) else "they are no list"
        raise RequestError(f"{where}: one finite number of 0 or more is needed for each row, but {which}.")
    some = weights[weights > 0]
    if len(some) and some.max() / WIDEST > some.min():
        raise RequestError(f"{where}: from {some.min():g} to {some.max():g} is too far; the smallest would count as 0.")
    return weights


def not_all_zero(weights: np.ndarray, where: str) -> np.ndarray:
    """The weights, if one of them is above 0.

    Raises
    ------
    RequestError
        If all are 0.
    """
    if len(weights) and not weights.any():
        raise RequestError(f"{where}: all weights are 0, so no row counts; give one above 0.")
    return weights


def relative(weights: np.ndarray, rows: np.ndarray | slice = slice(None)) -> np.ndarray:
    """Weights ``(n,)`` with mean 1 over some of the rows; equal ones are exactly 1, and stay so if all are 0.

    Examples
    --------
    >>> relative(np.array([0.1, 0.1, 0.1])), relative(np.array([3.0, 1.0, 0.0]), np.array([0, 1]))
    (array([1., 1., 1.]), array([1.5, 0.5, 0. ]))
    """
    most = weights[rows].max(initial=0.0)
    if not most > 0:
        return np.ones(len(weights))
    found: np.ndarray = weights / most
    found /= found[rows].mean()
    return found


def weights_in(names: Sequence[str]) -> list[str]:
    """Those of some columns that are called like a weight."""
    return [name for name in names if WEIGHT_NAME.match(name.strip())]


def weight_hint(names: Sequence[str]) -> str:
    """How the first of some columns would weigh the rows."""
    return f"weight={names[0]!r} takes it as the weight of each row in training and in scores"
