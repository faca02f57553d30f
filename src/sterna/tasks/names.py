"""Names of classes, in the order that people expect."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from decimal import Decimal


def natural_order(names: Iterable[str]) -> list[str]:
    """Sort names by value if all are numbers, else by letter with inner numbers compared by value."""
    names = list(names)
    values = [_value(name) for name in names]
    if all(math.isfinite(v) for v in values):
        return [name for _, name in sorted(zip(values, names, strict=True))]
    return sorted(names, key=lambda name: (_pieces(name), name))


def _value(name: str) -> float:
    try:
        return float(name)
    except ValueError:
        return math.nan


def _pieces(name: str) -> list[str | Decimal]:
    # Text is at even places, digits at odd ones, so that two names always compare like with like. Python refuses to
    # read 4,301 digits as an int.
    return [Decimal(p) if i % 2 else p.casefold() for i, p in enumerate(re.split(r"(\d+)", name))]
