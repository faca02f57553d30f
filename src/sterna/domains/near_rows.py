"""Table rows that are the same but for how they were written: rounded, in other case, with other spaces, in part."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np
import pandas as pd

from sterna.domains.text import plain_words

Array = np.ndarray[Any, Any]

CHANCE = 0.1
"""Pairs of rows that would look alike by chance, were the columns independent, may be so many in the whole table."""

DIGITS = 3
"""A number that ends in zeros is taken as rounded to tens or more only where so many digits are left."""

MISSING = -1
_EQUAL = 1e-6  # of numbers that went through arithmetic or float32
_AT_ONCE = 2_000_000  # pairs
_LOOKED_AT = 30  # columns, for the most telling one
_MOST = 50_000_000  # pairs: where even the most telling column leaves more, rows of two tables are hardly told apart


def plain_cells(column: pd.Series[Any]) -> Array:
    """The cells of a column without numbers, ``(n,)`` strings: dates by their day, words without case and spaces."""
    if pd.api.types.is_datetime64_any_dtype(column):
        return np.asarray(column.dt.strftime("%Y-%m-%d").fillna(""), dtype=object)
    return np.array([plain_words(str(cell)) if pd.notna(cell) else "" for cell in column], dtype=object)


def plain_column(column: pd.Series[Any]) -> pd.Series[Any]:
    """A column as it would be written in the plainest way: numbers to four digits."""
    if column.dtype != np.float64:
        return pd.Series(plain_cells(column), dtype="str")
    values = column.to_numpy()
    size = np.where(np.isfinite(values) & (values != 0), np.abs(values), 1.0)
    unit = 10.0 ** (np.floor(np.log10(size)) - 3)
    return pd.Series(np.round(values / unit) * unit)


def told_apart(columns: Sequence[pd.Series[Any]]) -> bool:
    """Whether rows of these columns, as they are written plainly, are hardly alike by chance.

    Examples
    --------
    >>> told_apart([pd.Series([0.1234, 0.2345, 0.3456])]), told_apart([pd.Series([0.1234, 0.2345, 0.3456])] * 4)
    (False, True)
    """
    rows = len(columns[0]) if columns else 0
    if rows < 2:
        return False
    counts = [column.value_counts(dropna=False).to_numpy() for column in columns]
    alike = [max(1, int((found * (found - 1)).sum())) / (rows * (rows - 1)) for found in counts]
    return bool(np.log(alike).sum() <= np.log(CHANCE) - 2 * np.log(rows))


def steps_of(values: Array) -> Array:
    """The decimal place that each number ends in, ``(n,)``: 0.1 for 63.3, 1 for 63, 0 for one of full precision.

    Examples
    --------
    >>> steps_of(np.array([63.3, 63.0, 12350.0, 0.0, 1 / 3])).tolist()
    [0.1, 1.0, 10.0, 1.0, 0.0]
    """
    steps, size = np.zeros(len(values)), np.abs(values)
    whole = np.isfinite(values)
    for place in range(12, -7, -1):
        step = 10.0**-place
        whole &= np.abs(np.round(values, place) - values) <= 4e-16 * size
        if place < 0:
            whole &= step * 10 ** (DIGITS - 1) <= size
        steps[whole] = step
    return steps


class _Column:
    """One column that both tables have."""

    def __init__(self, ours: Array, theirs: Array) -> None:
        self.ours, self.theirs = ours, theirs
        self.itself = int(ours is theirs)  # then each row agrees with one that is no other: itself
        self.sorted = np.argsort(theirs, kind="stable")
        self.in_order = theirs[self.sorted]

    def ranges(self) -> tuple[Array, Array]:
        """Of each of our rows, from where to where in `sorted` the rows lie that may agree with it."""
        reach = self.reach()
        low = np.searchsorted(self.in_order, self.ours - reach, side="left")
        return low, np.searchsorted(self.in_order, self.ours + reach, side="right")

    def reach(self) -> Array:
        """How far the cell of a row that agrees can lie, ``(n,)``."""
        return np.zeros(len(self.ours))

    def agree(self, mine: Array, other: Array) -> Array:
        """Whether the cells of these pairs agree."""
        return np.asarray(self.ours[mine] == self.theirs[other])

    def chance(self, mine: Array, other: Array) -> Array:
        """How likely a row of theirs, drawn at random, agrees as these pairs do."""
        low, high = (np.searchsorted(self.in_order, self.ours[mine], side=side) for side in ("left", "right"))
        return np.asarray(np.maximum(high - low - self.itself, 1) / len(self.theirs))


class _Numbers(_Column):
    def __init__(self, ours: Array, theirs: Array) -> None:
        super().__init__(ours, theirs)
        self.our_steps, self.their_steps = steps_of(ours), steps_of(theirs)
        spread = float(np.nanstd(theirs)) if np.isfinite(theirs).any() else 0.0
        self.spread = spread or 1.0

    def reach(self) -> Array:
        coarsest = float(self.their_steps.max(initial=0.0))
        return np.asarray(np.maximum(self.our_steps, coarsest) + _EQUAL * np.abs(self.ours))

    def _tolerance(self, mine: Array, other: Array) -> Array:
        """What of their distance is due to the coarser of the two cells."""
        ours, theirs = self.our_steps[mine], self.their_steps[other]
        return np.where(ours == theirs, 0.0, np.maximum(ours, theirs)) + _EQUAL * np.abs(self.ours[mine])

    def agree(self, mine: Array, other: Array) -> Array:
        a, b = self.ours[mine], self.theirs[other]
        near = np.abs(a - b) <= self._tolerance(mine, other)
        return np.asarray(near | (np.isnan(a) & np.isnan(b)))

    def chance(self, mine: Array, other: Array) -> Array:
        a, reach = self.ours[mine], self._tolerance(mine, other)
        low = np.searchsorted(self.in_order, a - reach, side="left")
        others = np.searchsorted(self.in_order, a + reach, side="right") - low - 1 - self.itself
        grain = np.maximum(2 * reach, np.maximum(self.our_steps[mine], self.their_steps[other]))
        alone = np.minimum(1 / len(self.theirs), grain / self.spread)
        found = np.where(others > 0, others / len(self.theirs), alone)
        return np.asarray(np.where(np.isnan(a), max(1, np.isnan(self.theirs).sum()) / len(self.theirs), found))


def near_rows(ours: pd.DataFrame, theirs: pd.DataFrame, kinds: Mapping[str, str]) -> Array:
    """Which of our rows are rows of the other table in another form, ``(n,)`` bool.

    Numbers agree where they are the same at the precision of the coarser of the two; words without case and spaces,
    where the two tables share any in the column; dates by their day. Rows count as the same only where so much
    agreement cannot be chance: two tables that share one column of yes and no are full of rows that agree.

    Parameters
    ----------
    ours, theirs
        Tables as they were typed.
    kinds
        The columns to compare, and what they hold in both: ``number`` or something else.
    """
    found = np.zeros(len(ours), dtype=bool)
    for mine, _ in _alike(ours, theirs, kinds):
        found[mine] = True
    return found


def near_pairs(table: pd.DataFrame, kinds: Mapping[str, str]) -> Array:
    """Pairs of rows of one table that are the same in another form, ``(m, 2)``; see :func:`near_rows`.

    No two rows should be equal: of many copies there are very many pairs.
    """
    found = [np.stack(pair, axis=1) for pair in _alike(table, None, kinds)]
    return np.concatenate([np.empty((0, 2), dtype=np.int64), *found])


def _alike(ours: pd.DataFrame, theirs: pd.DataFrame | None, kinds: Mapping[str, str]) -> Iterator[tuple[Array, Array]]:
    """Pairs of rows that are the same, some at a time; of one table alone, each pair once."""
    tables = (ours,) if theirs is None else (ours, theirs)
    if not kinds or not all(map(len, tables)):
        return
    column = cache(lambda name: _column(tables, name, kinds[name]))
    if theirs is not None:  # m and f beside male and female, or the name of each site, tell nothing of a row
        words = (name for name, kind in kinds.items() if kind == "category")
        apart = {name for name in words if not set(column(name).ours) & set(column(name).theirs) - {MISSING}}
        kinds = {name: kind for name, kind in kinds.items() if name not in apart}
        if not kinds:
            return
    first = min(map(column, list(kinds)[:_LOOKED_AT]), key=lambda one: int(np.subtract(*one.ranges()[::-1]).sum()))
    enough = np.log(CHANCE) - np.log(len(ours)) - np.log(len(tables[-1]))
    for mine, other in _pairs(first):
        if theirs is None:
            mine, other = mine[mine < other], other[mine < other]
        for name in kinds:
            if not len(mine):  # so that of very many columns few need be looked at
                break
            agree = column(name).agree(mine, other)
            mine, other = mine[agree], other[agree]
        else:
            chances = np.sum([np.log(np.maximum(column(n).chance(mine, other), 1e-30)) for n in kinds], axis=0)
            yield mine[chances <= enough], other[chances <= enough]


def _column(tables: Sequence[pd.DataFrame], name: str, kind: str) -> _Column:
    if kind == "number":
        values = [np.asarray(table[name], dtype=np.float64) for table in tables]
        return _Numbers(values[0], values[-1])
    cells = [cell or None for table in tables for cell in plain_cells(table[name])]
    codes = pd.factorize(np.array(cells, dtype=object))[0]  # MISSING where a cell is
    parts = np.split(codes, [len(tables[0])]) if len(tables) > 1 else [codes]
    return _Column(parts[0], parts[-1])


def _pairs(column: _Column) -> Iterator[tuple[Array, Array]]:
    """Pairs of rows that may agree in this column, some at a time."""
    low, high = column.ranges()
    count = high - low
    if count.sum() > _MOST:
        return
    ends = np.cumsum(count)
    for part in np.split(np.arange(len(count)), np.flatnonzero(np.diff(ends // _AT_ONCE)) + 1):
        mine = np.repeat(part, count[part])
        inside = np.arange(len(mine)) - np.repeat(np.cumsum(count[part]) - count[part], count[part])
        yield mine, column.sorted[np.repeat(low[part], count[part]) + inside]
