"""Labels in the columns of a table: one a row, several in columns of 0 and 1, several in one column."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from sterna.domains import table_cells as cells_of
from sterna.domains.number_forms import read_numbers
from sterna.domains.raw_table import RawColumn, RawTable, listed, row_called
from sterna.domains.schema_notes import Notes
from sterna.errors import RequestError

Array = np.ndarray[Any, Any]

LABEL_NAMES = ("label", "target", "class", "y")
"""A column of one of these names is the label when the user names none."""


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


def read_labels(
    table: RawTable, label: str | None, task: str | None
) -> tuple[Array | None, tuple[str, ...] | None, list[str], list[str]]:
    """Labels, their names where there are several a row, the columns they came from, and notes."""
    if label is None:
        return None, None, [], []
    several = [part.strip() for part in label.split(",") if part.strip()]
    if label not in table and len(several) > 1:
        found, classes = several_labels(table, several)
        return found, classes, several, _unlabelled(found)
    table.need(label, "label")
    column = table.column(label, "label")
    if task == "multilabel":
        found, classes = joined_labels(column)
        return found, classes, [label], _unlabelled(found)
    single, notes = single_label(column, task)
    return single, None, [label], notes


def _unlabelled(labels: Array) -> list[str]:
    count = int(np.isnan(labels).all(axis=1).sum())
    return [f"{count} of {len(labels)} rows have no label"] if count else []


def single_label(column: RawColumn, task: str | None) -> tuple[Array | None, list[str]]:
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
    name = column.where
    if column.plain.dtype != np.float64:
        labels, notes = _written(column, task)
    else:
        labels, notes = column.plain.to_numpy(np.float64), []
    infinite = np.isinf(labels) if labels.dtype == np.float64 else np.zeros(len(labels), bool)
    if infinite.any():
        raise RequestError(
            f"The {name} holds {labels[infinite][0]} ({row_called(column, infinite)}); a target must be a finite "
            "number: leave the cell empty where it is not known."
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


def _written(column: RawColumn, task: str | None) -> tuple[Array, list[str]]:
    """Labels that are strings: numbers where all of them are."""
    name, trimmed = column.where, column.strings.str.strip()
    cells = pa.array(trimmed.where(trimmed != ""), pa.large_string(), from_pandas=True)
    numbers = read_numbers(cells, column.marks)
    values = numbers.values
    if not numbers.odd.any() and not cells_of.has_codes(cells):
        written = cells.is_valid().to_numpy(zero_copy_only=False) & ~np.isfinite(values)
        if written.any():
            word = trimmed.iloc[int(np.argmax(written))]
            raise RequestError(
                f"The {name} holds {word!r} ({row_called(column, written)}); a target must be a finite number: "
                "leave the cell empty where it is not known."
            )
        notes = Notes()
        notes.form(column.name, numbers)
        return values, notes.said
    if task == "regression":
        bad = numbers.odd if numbers.odd.any() else cells.is_valid().to_numpy(zero_copy_only=False)
        word = trimmed.iloc[int(np.argmax(bad))]
        raise RequestError(f"The {name} holds {word!r} ({row_called(column, bad)}), but regression needs numbers.")
    labels = np.array([*cells.to_pylist(), None], dtype=object)[:-1]
    odd = sorted({v for v in labels if v in cells_of.MISSING})
    return labels, [f"the label {listed(odd)} is kept as a class; only an empty cell is unlabelled"] if odd else []


def several_labels(table: RawTable, names: Sequence[str]) -> tuple[Array, tuple[str, ...]]:
    """Labels in columns of 0 and 1: ``(n, k)`` float64 (NaN where empty) and their names.

    Raises
    ------
    RequestError
        If a column is missing, or holds anything but 0, 1 or nothing.
    """
    columns = []
    for name in names:
        table.need(name, "label")
        column = table.column(name, "label")
        words = column.words
        known = {"0": 0.0, "1": 1.0, "False": 0.0, "True": 1.0, "false": 0.0, "true": 1.0}
        values = words.map(known).to_numpy(np.float64)
        bad = np.isnan(values) & words.notna().to_numpy(bool)
        if bad.any():
            word = words.iloc[int(np.argmax(bad))]
            raise RequestError(
                f"The {column.where} holds {word!r} ({row_called(column, bad)}); with several labels a row "
                "each label column holds 1, 0 or nothing."
            )
        columns.append(values)
    return np.column_stack(columns), tuple(names)


def joined_labels(column: RawColumn) -> tuple[Array, tuple[str, ...]]:
    """Labels in one column as ``x|y|z``: ``(n, k)`` float64 and the sorted names.

    An empty cell is unlabelled (NaN in all k); a lone ``|`` says that no label applies.
    """
    cells = [
        None if not isinstance(t, str) or not t.strip() else {p.strip() for p in t.split("|")} - {""}
        for t in column.strings
    ]
    classes = tuple(sorted(set().union(*(c for c in cells if c))))
    if not classes:
        raise RequestError(f"The {column.where} names no label; expected cells such as 'x|y'.")
    labels = np.full((len(cells), len(classes)), np.nan)
    place = {name: i for i, name in enumerate(classes)}
    for row, cell in enumerate(cells):
        if cell is not None:
            labels[row] = 0.0
            labels[row, [place[name] for name in cell]] = 1.0
    return labels, classes
