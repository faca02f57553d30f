"""What is told of single rows: as columns that rules speak of, and which could not be read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import pandas as pd


class Unread(NamedTuple):
    """A file among those to be answered that could not be read.

    Attributes
    ----------
    place
        Its place among all of them, those that could not be read counted.
    name
        What a person would call it.
    why
        The reason, short.
    """

    place: int
    name: str
    why: str


class Columns(NamedTuple):
    """Rows as named columns of cells: what rules can speak of.

    Attributes
    ----------
    frame
        The cells, one row a row: columns of strings, float64 or dates.
    asked
        Columns that a rule may be drawn on, and what is asked of a cell: ``number`` (its value), ``category`` (which
        it is) or ``text`` (what it contains).
    owner
        What has these columns, in a sentence: ``"the table"``.
    """

    frame: pd.DataFrame
    asked: Mapping[str, str]
    owner: str
