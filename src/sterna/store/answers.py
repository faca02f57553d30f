"""Answers as CSV: few digits, and no cell that a spreadsheet would run as a formula."""

from __future__ import annotations

import re
from typing import Any

import pandas as pd

_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_NUMBER = re.compile(r"[+-]?[.,\s]*\d[\d.,\s]*([eE][+-]?\d+)?%?")


def csv_of(frame: pd.DataFrame) -> str:
    """A table of answers as CSV.

    A word that begins with ``=``, ``+``, ``-`` or ``@`` and is no number gets ``'`` before it, for a spreadsheet would
    take it for a formula. Numbers are written with six digits, or to two behind the point where those are more.
    """
    shown = pd.DataFrame({name: frame[name].map(_shown, na_action="ignore") for name in frame.columns})
    return str(shown.rename(columns=_shown).to_csv(index=False))


def _shown(cell: Any) -> Any:
    if isinstance(cell, float):
        return _few_digits(cell)
    if isinstance(cell, str) and cell.startswith(_FORMULA) and not _NUMBER.fullmatch(cell):
        return f"'{cell}"
    return cell


def _few_digits(value: float) -> str:
    """A number with six digits; whole digits are never rounded.

    >>> [_few_digits(value) for value in (0.30000000000000004, 1234567.891, 1.9710601e-05, 3.0)]
    ['0.3', '1234567.89', '1.97106e-05', '3']
    """
    whole = len(str(int(abs(value)))) if abs(value) < 1e15 else 17
    return f"{value:.{max(6, whole + 2)}g}"
