"""Which rows of a table are kept, and which belong together: the domain, the split that came with it, groups."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from sterna.domains.column_kinds import mostly, read_as
from sterna.domains.inputs import Rows
from sterna.domains.labels import is_missing
from sterna.domains.raw_table import RawTable, row_called
from sterna.domains.weights import not_all_zero
from sterna.errors import RequestError, closest, quoted

SPLIT_NAMES = ("split", "set", "fold", "partition")
"""A column of one of these names may say which split a row belongs to."""

_SPLITS = {
    "train": re.compile(r"^train(ing)?([_\- ].*)?$", re.IGNORECASE),
    "validation": re.compile(r"^(val|valid|validation|dev)([_\- ].*)?$", re.IGNORECASE),
    "test": re.compile(r"^test(ing)?([_\- ].*)?$", re.IGNORECASE),
}


def rows_of_domain(table: RawTable, column: str | None, value: str | None) -> Rows:
    """The rows ``(n,)`` whose `column` holds `value`."""
    if column is None:
        raise RequestError(
            f"domain={value!r} is given for {table.name} without domain_column=NAME, the column to look for it in."
        )
    table.need(column, "domain_column")
    values = table.column(column).words
    known = sorted(values.dropna().unique())
    if value is None:
        raise RequestError(
            f"domain_column={column!r} needs domain=VALUE, which rows of {table.name} to keep: {quoted(known, 30)}."
        )
    rows = np.flatnonzero((values == str(value).strip()).fillna(False).to_numpy(bool))
    if not len(rows):
        raise RequestError(
            f"domain={value!r}: no row of {table.name} has it in column {column!r}.{closest(str(value), known)} "
            f"It holds {quoted(known, 30)}."
        )
    return rows.astype(np.int64)


def find_splits(table: RawTable, taken: Sequence[str | None]) -> tuple[str | None, dict[str, Rows], Rows, list[str]]:
    """The split that comes with a table.

    A column called split, set, fold or partition is a split column when it holds names of at least two splits: names
    that begin with train; with val, valid, validation or dev; with test (``train_subset`` is train, ``trainer`` not).
    Rows with any other name, or none, belong to no split and are left out, with a note.

    Parameters
    ----------
    table
        With ``n`` rows.
    taken
        Columns that have another use.

    Returns
    -------
    column
        The split column, or ``None``.
    splits
        Row numbers by split, among the kept rows.
    kept
        Row numbers of the rows to keep.
    notes
        How the names were read.
    """
    everything = np.arange(len(table), dtype=np.int64)
    notes: list[str] = []
    for column in table.names:
        if column.strip().lower() not in SPLIT_NAMES or column in taken:
            continue
        values = table.column(column).words
        meaning = {name: _split_of(name) for name in values.dropna().unique()}
        if len({m for m in meaning.values() if m}) < 2:
            notes.append(
                f"column {column!r} names no splits (train, validation, test) and is read as an ordinary column"
            )
            continue
        assigned = values.map(meaning).to_numpy(object)
        kept = np.flatnonzero(pd.notna(assigned)).astype(np.int64)
        splits = {s: np.flatnonzero(assigned[kept] == s).astype(np.int64) for s in _SPLITS}
        return (
            column,
            {s: rows for s, rows in splits.items() if len(rows)},
            kept,
            notes + _said(column, values, meaning),
        )
    return None, {}, everything, notes


def _split_of(name: str) -> str | None:
    return next((split for split, pattern in _SPLITS.items() if pattern.match(name.strip())), None)


def _said(column: str, values: pd.Series[Any], meaning: dict[str, str | None]) -> list[str]:
    counts = values.value_counts()
    read = [f"{name!r} ({counts[name]} rows) as {split}" for name, split in meaning.items() if split]
    notes = [f"column {column!r} gives the splits: {', '.join(read)}"]
    other = [f"{counts[name]} rows of {name!r}" for name, split in meaning.items() if not split]
    empty = int(values.isna().sum())
    other += [f"{empty} rows without a name"] if empty else []
    return notes + ([f"left out, in no known split: {', '.join(other)}"] if other else [])


def groups_of(table: RawTable, group: str) -> np.ndarray:
    """The group of each row, ``(n,)`` strings; ``None`` for a row without one, which is on its own."""
    table.need(group, "group")
    words = table.column(group, "group").words
    return np.asarray(words.astype(object).where(words.notna(), None), dtype=object)


def weights_of(table: RawTable, weight: str, form: str = "") -> tuple[np.ndarray, str]:
    """How much each row counts, ``(n,)``, and how it is written, where not as an earlier table has it in `form`.

    Raises
    ------
    RequestError
        If a cell is missing or no finite number of 0 or more, or all are 0.
    """
    table.need(weight, "weight")
    column = table.column(weight, "weight")
    read = column.numbers(form) if column.is_words else None
    numbers = column.plain.to_numpy() if read is None else read.values
    if numbers.dtype.kind != "f":
        raise RequestError(f"The {column.where} holds dates; a weight must be a finite number of 0 or more.")
    wrong = ~(np.isfinite(numbers) & (numbers >= 0))
    if wrong.any():
        cell, row = column.values.iloc[int(np.argmax(wrong))], row_called(column, wrong)
        holds = f"lacks a weight in {row}" if is_missing(cell) else f"holds {str(cell)!r} ({row})"
        raise RequestError(f"The {column.where} {holds}; a weight must be a finite number of 0 or more.")
    return not_all_zero(numbers, f"The {column.where}"), "" if read is None else str(read.form)


def times_of(table: RawTable, time: str) -> tuple[np.ndarray, list[str]]:
    """When each row was, ``(n,)``: numbers, or dates as ``datetime64[us]``; NaN or NaT where a cell is missing or odd.

    Returns
    -------
    The times, and notes that name odd cells.

    Raises
    ------
    RequestError
        If most cells are neither numbers nor dates.
    """
    table.need(time, "time")
    column, notes = table.column(time, "time"), list[str]()
    if not column.is_words:
        return column.plain.to_numpy(), notes
    dated = mostly(column.cells, column.numbers("").odd)
    return read_as(column, "date" if dated else "number", notes.append)[0].to_numpy(), notes
