"""The columns of a table that are no inputs: labels, the split that came with the data, the domain."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from sterna.domains import table_cells as cells_of
from sterna.domains.inputs import Rows
from sterna.errors import RequestError, closest

Array = np.ndarray[Any, Any]

LABEL_NAMES = ("label", "target", "class", "y")
"""A column of one of these names is the label when the user names none."""

SPLIT_NAMES = ("split", "set", "fold", "partition")
"""A column of one of these names may say which split a row belongs to."""

_SPLITS = {
    "train": re.compile(r"^train(ing)?([_\- ].*)?$", re.IGNORECASE),
    "validation": re.compile(r"^(val|valid|validation|dev)([_\- ].*)?$", re.IGNORECASE),
    "test": re.compile(r"^test(ing)?([_\- ].*)?$", re.IGNORECASE),
}


def need_column(name: str, argument: str, frame: pd.DataFrame, where: str) -> None:
    """Refuse a column that the table has not.

    Raises
    ------
    RequestError
        Naming the argument, the close matches and the columns.
    """
    if name not in frame.columns:
        known = [str(c) for c in frame.columns]
        raise RequestError(
            f"{argument}={name!r}: {where} has no such column.{closest(name, known)} It has {listed(known)}."
        )


def listed(names: Sequence[str], limit: int = 30) -> str:
    """Names in a sentence, not more than `limit`."""
    more = f" and {len(names) - limit} more" if len(names) > limit else ""
    return ", ".join(map(repr, names[:limit])) + more


def find_label(names: Sequence[str], where: str) -> str:
    """The label column of a table whose user named none.

    Raises
    ------
    RequestError
        If not exactly one column is called label, target, class or y.
    """
    found = [name for name in names if name.strip().lower() in LABEL_NAMES]
    if len(found) == 1:
        return found[0]
    why = (
        f"{' and '.join(map(repr, found))} could all be the label"
        if found
        else "none is called label, target, class or y"
    )
    raise RequestError(f"{where}: say which column is the label with label=NAME, for {why}; it has {listed(names)}.")


def rows_of_domain(frame: pd.DataFrame, column: str | None, value: str | None, where: str) -> Rows:
    """The rows ``(n,)`` whose `column` holds `value`.

    Raises
    ------
    RequestError
        If one of the two is missing, or no row holds the value.
    """
    if column is None:
        raise RequestError(
            f"domain={value!r} is given for {where} without domain_column=NAME, the column to look for it in."
        )
    need_column(column, "domain_column", frame, where)
    values = cells_of.words(cells_of.plain(frame[column], f"column {column!r} of {where}"))
    known = sorted(values.dropna().unique())
    if value is None:
        raise RequestError(
            f"domain_column={column!r} needs domain=VALUE, which rows of {where} to keep: {listed(known)}."
        )
    rows = np.flatnonzero((values == str(value).strip()).fillna(False).to_numpy(bool))
    if not len(rows):
        raise RequestError(
            f"domain={value!r}: no row of {where} has it in column {column!r}.{closest(str(value), known)} "
            f"It holds {listed(known)}."
        )
    return rows.astype(np.int64)


def find_splits(
    frame: pd.DataFrame, taken: Sequence[str | None]
) -> tuple[str | None, dict[str, Rows], Rows, list[str]]:
    """The split that comes with a table.

    A column called split, set, fold or partition is a split column when it holds names of at least two splits: names
    that begin with train; with val, valid, validation or dev; with test (``train_subset`` is train, ``trainer`` not).
    Rows with any other name, or none, belong to no split and are left out, with a note.

    Parameters
    ----------
    frame
        The table, ``(n, d)``.
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
    everything = np.arange(len(frame), dtype=np.int64)
    notes: list[str] = []
    for column in map(str, frame.columns):
        if column.strip().lower() not in SPLIT_NAMES or column in taken:
            continue
        values = cells_of.words(cells_of.plain(frame[column], f"column {column!r}"))
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


def single_label(column: pd.Series[Any], task: str | None, where: str) -> tuple[Array | None, list[str]]:
    """One label a row.

    Only an empty cell (or a missing value of a typed table) is unlabelled.

    Returns
    -------
    labels
        ``(n,)`` float64 for numbers (NaN unlabelled), else object (None unlabelled); ``None`` when no row has one.
    notes
        How many rows are unlabelled.

    Raises
    ------
    RequestError
        If all labels are the same, a number is not finite, or regression is asked for and a label is no number.
    """
    name = f"label column {column.name!r} of {where}"
    plain = cells_of.plain(column, name)
    if plain.dtype != "str" and plain.dtype != np.float64:
        plain = cells_of.words(plain)
    labels, notes = (plain.to_numpy(np.float64), []) if plain.dtype == np.float64 else _written(plain, task, name)
    infinite = np.isinf(labels) if labels.dtype == np.float64 else np.zeros(len(labels), bool)
    if infinite.any():
        raise RequestError(
            f"The {name} holds {labels[infinite][0]} ({_row(column, infinite)}); a target must be a finite number: "
            "leave the cell empty where it is not known."
        )
    known = pd.notna(labels)
    if not known.any():
        return None, [f"no row has a label in column {column.name!r}"]
    distinct = pd.unique(labels[known])
    if len(distinct) == 1:
        only = f"{distinct[0]:g}" if labels.dtype == np.float64 else repr(distinct[0])
        raise RequestError(
            f"The {name} holds nothing but {only} in {int(known.sum())} labelled rows; two or more are needed."
        )
    if labels.dtype == np.float64 and task == "classification":
        labels = cells_of.words(pd.Series(labels)).to_numpy(object)
        labels[~known] = None
    if not known.all():
        notes.append(f"{int((~known).sum())} of {len(known)} rows have no label")
    return labels, notes


def _row(column: pd.Series[Any], chosen: Array) -> str:
    """What the first chosen row is called: its number in the file, from 0 after the header."""
    return f"row {column.index[int(np.argmax(chosen))]}"


def _written(column: pd.Series[Any], task: str | None, name: str) -> tuple[Array, list[str]]:
    """Labels that are strings: numbers where all of them are."""
    trimmed = column.str.strip()
    cells = pa.array(trimmed.where(trimmed != ""), pa.large_string(), from_pandas=True)
    values = cells_of.numbers(cells)
    if values is not None and not cells_of.has_codes(cells):
        written = cells.is_valid().to_numpy(zero_copy_only=False) & ~np.isfinite(values)
        if written.any():
            word = trimmed.iloc[int(np.argmax(written))]
            raise RequestError(
                f"The {name} holds {word!r} ({_row(column, written)}); a target must be a finite number: leave the "
                "cell empty where it is not known."
            )
        return values, []
    if task == "regression":
        bad = ~cells_of.number_like(cells) & cells.is_valid().to_numpy(zero_copy_only=False)
        word = trimmed.iloc[int(np.argmax(bad))]
        raise RequestError(f"The {name} holds {word!r} ({_row(column, bad)}), but regression needs numbers.")
    labels = np.array([*cells.to_pylist(), None], dtype=object)[:-1]
    odd = sorted({v for v in labels if v in cells_of.MISSING})
    return labels, [f"the label {listed(odd)} is kept as a class; only an empty cell is unlabelled"] if odd else []


def several_labels(frame: pd.DataFrame, names: Sequence[str], where: str) -> tuple[Array, tuple[str, ...]]:
    """Labels in columns of 0 and 1: ``(n, k)`` float64 (NaN where empty) and their names.

    Raises
    ------
    RequestError
        If a column is missing, or holds anything but 0, 1 or nothing.
    """
    columns = []
    for name in names:
        need_column(name, "label", frame, where)
        column = cells_of.words(cells_of.plain(frame[name], f"label column {name!r} of {where}"))
        known = {"0": 0.0, "1": 1.0, "False": 0.0, "True": 1.0, "false": 0.0, "true": 1.0}
        values = column.map(known).to_numpy(np.float64)
        bad = np.isnan(values) & column.notna().to_numpy(bool)
        if bad.any():
            word = column.iloc[int(np.argmax(bad))]
            raise RequestError(
                f"The label column {name!r} of {where} holds {word!r} ({_row(column, bad)}); with several labels a row "
                "each label column holds 1, 0 or nothing."
            )
        columns.append(values)
    return np.column_stack(columns), tuple(names)


def joined_labels(column: pd.Series[Any], where: str) -> tuple[Array, tuple[str, ...]]:
    """Labels in one column as ``x|y|z``: ``(n, k)`` float64 and the sorted names.

    An empty cell is unlabelled (NaN in all k); a lone ``|`` says that no label applies.
    """
    plain = cells_of.plain(column, f"label column {column.name!r} of {where}")
    texts = plain if plain.dtype == "str" else cells_of.words(plain)
    cells = [
        None if not isinstance(t, str) or not t.strip() else {p.strip() for p in t.split("|")} - {""} for t in texts
    ]
    classes = tuple(sorted(set().union(*(c for c in cells if c))))
    if not classes:
        raise RequestError(f"The label column {column.name!r} of {where} names no label; expected cells such as 'x|y'.")
    labels = np.full((len(cells), len(classes)), np.nan)
    place = {name: i for i, name in enumerate(classes)}
    for row, cell in enumerate(cells):
        if cell is not None:
            labels[row] = 0.0
            labels[row, [place[name] for name in cell]] = 1.0
    return labels, classes
