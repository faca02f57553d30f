"""Scores and gains, as a record holds them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

Word = Annotated[str, BeforeValidator(lambda value: str(value) if isinstance(value, int | float) else value)]
"""A name; class names that are numbers are names too."""

Number = Annotated[float, BeforeValidator(lambda value: math.nan if value is None else value)]
"""A number; one that is null was not finite."""

Count = Annotated[int, Field(ge=0, le=2**53)]
"""How many there are of something."""

Verdict = Literal["helps", "unclear", "hurts"]


@dataclass(frozen=True)
class Score:
    """A metric on the test rows, with its 95 % interval."""

    value: Number = math.nan
    low: Number = math.nan
    high: Number = math.nan


@dataclass(frozen=True)
class Gain:
    """What transfer was worth against one control; positive means transfer is better, for errors too.

    Attributes
    ----------
    metric : str
        What was compared.
    control : str
        Against which control.
    value, low, high : float
        The gain in the metric's units, and its 95 % interval.
    verdict : {"helps", "unclear", "hurts"}
        Whether the interval lies above 0, spans it, or lies below it.
    higher_is_better : bool
        Whether the metric itself is better when larger.
    """

    metric: str
    control: str
    value: Number
    low: Number
    high: Number
    verdict: Verdict
    higher_is_better: bool = True


Scores = dict[str, Score]
"""Metric → its score."""
