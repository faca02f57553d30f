"""Labels in the columns of a table: one a row, several in columns of 0 and 1, several in one column."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from sterna.domains import table_cells as cells_of
from sterna.domains.label_sets import BAR, combinations, is_list, of_lists, parts, separator_of
from sterna.domains.labels import EXACT, alike
from sterna.domains.number_forms import NumberForm, read_numbers
from sterna.domains.raw_table import RawColumn, RawTable, row_called
from sterna.domains.schema_notes import Notes
from sterna.errors import RequestError, quoted

Array = np.ndarray[Any, Any]

LABEL_NAMES = ("label", "target", "class", "y")
"""A column of one of these names is the label when the user names none."""


_MARKS = {"0": 0.0, "1": 1.0} | {
    form: mark for word, mark in (("false", 0.0), ("true", 1.0)) for form in (word, word.title(), word.upper())
}
"""What a column of one of several labels holds."""


_WITHIN = "-_:.~\\"
"""What seldom stands between labels, and often within one."""


def find_label(names: Sequence[str], where: str) -> str:
    """The label column of a table whose user named none."""
    found = [name for name in names if name.strip().lower() in LABEL_NAMES]
    if len(found) == 1:
        return found[0]
    why = (
        f"{' and '.join(map(repr, found))} could all be the label"
        if found
        else "none is called label, target, class or y"
    )
    raise RequestError(
        f"{where}: say which column is the label with label=NAME, for {why}; it has {quoted(names, 30)}."
    )


class Labels(NamedTuple):
    """Labels, their names if several a row, the columns they came from, notes, and how numbers are written."""

    values: Array | None = None
    names: tuple[str, ...] | None = None
    columns: Sequence[str] = ()
    notes: Sequence[str] = ()
    form: str = ""


def read_labels(table: RawTable, label: str | None, task: str | None, partial: bool = False, form: str = "") -> Labels:
    """The labels of a table.

    With `partial` some of several columns may be missing; `form` is how an earlier table writes them, if numbers.
    """
    if label is None:
        return Labels()
    several = label_names(label, table.names, partial)
    if label not in table and "," in label:
        found, classes = several_labels(table, several)
        return Labels(found, classes, several, _unlabelled(found))
    table.need(label, "label")
    column = table.column(label, "label")
    lists = any(map(is_list, column.values))
    if task == "multilabel" and not lists and set(column.words.dropna()) <= set(_MARKS):  # one of several columns
        found, classes = several_labels(table, [label])
        return Labels(found, classes, [label], _unlabelled(found))
    if task == "multilabel" or lists:
        found, classes, notes = joined_labels(column)
        return Labels(found, classes, [label], notes + _unlabelled(found))
    single, notes, form = single_label(column, task, form)
    return Labels(single, None, [label], notes, form)


def label_names(label: str, names: Sequence[str], partial: bool = False) -> list[str]:
    """The columns that ``label="a,b,c"`` asks for; with `partial` those that there are, if there are any."""
    asked = [part.strip() for part in label.split(",") if part.strip()]
    there = [name for name in asked if name in names]
    return there if partial and there else asked


def _unlabelled(labels: Array) -> list[str]:
    count = int(np.isnan(labels).all(axis=1).sum())
    return [f"{count} of {len(labels)} rows have no label"] if count else []


def single_label(column: RawColumn, task: str | None, form: str = "") -> tuple[Array | None, list[str], str]:
    """One label a row.

    Only an empty cell (or a missing value of a typed table) is unlabelled.

    Parameters
    ----------
    form
        How an earlier table writes the column, where it holds numbers.

    Returns
    -------
    labels
        ``(n,)`` float64 for numbers (NaN unlabelled), else object (None unlabelled); ``None`` when no row has one.
    notes
        How many rows are unlabelled.
    form
        How numbers are written; empty where they are no numbers, or were typed.

    Raises
    ------
    RequestError
        If all labels are the same, a number is not finite, or regression is asked for and a label is no number.
    """
    name = column.where
    if column.plain.dtype != np.float64:
        labels, notes, form = _written(column, task, form)
    else:
        labels, notes, form = column.plain.to_numpy(np.float64), [], ""
    infinite = np.isinf(labels) if labels.dtype == np.float64 else np.zeros(len(labels), bool)
    if infinite.any():
        raise RequestError(
            f"The {name} holds {labels[infinite][0]} ({row_called(column, infinite)}); a target must be a finite "
            "number: leave the cell empty where it is not known."
        )
    known = pd.notna(labels)
    if not known.any():
        return None, [f"no row has a label in column {column.name!r}"], ""
    distinct = pd.unique(labels[known])
    if len(distinct) == 1:
        only = f"{distinct[0]:g}" if labels.dtype == np.float64 else repr(distinct[0])
        raise RequestError(
            f"The {name} holds nothing but {only}, in {int(known.sum())} of {len(known)} rows; two or more different "
            "labels are needed."
        )
    if labels.dtype == np.float64 and task == "classification":
        labels = as_words(labels)
    if not known.all():
        notes.append(f"{int((~known).sum())} of {len(known)} rows have no label")
    return labels, notes, form


def as_words(labels: Array) -> Array:
    """Labels ``(n,)`` as names of classes, ``None`` where unlabelled."""
    if labels.dtype == object:
        return labels
    named = cells_of.words(pd.Series(labels)).to_numpy(object)
    named[np.isnan(labels)] = None
    return named


def _written(column: RawColumn, task: str | None, form: str) -> tuple[Array, list[str], str]:
    """Labels that are strings: numbers where all of them are."""
    name, trimmed = column.where, column.strings.str.strip()
    cells = cells_of.arrow(trimmed.where(trimmed != ""))
    numbers = read_numbers(cells, column.marks, NumberForm.of(form) if form else None)
    values = numbers.values
    ids = task != "regression" and bool((np.abs(values) > EXACT).any()) and cells_of.are_whole(cells)
    if not numbers.odd.any() and not cells_of.has_codes(cells) and not ids:
        written = cells.is_valid().to_numpy(zero_copy_only=False) & ~np.isfinite(values)
        if written.any():
            word = trimmed.iloc[int(np.argmax(written))]
            raise RequestError(
                f"The {name} holds {word!r} ({row_called(column, written)}); a target must be a finite number: "
                "leave the cell empty where it is not known."
            )
        read = Notes()
        read.form(column.name, numbers)
        return values, read.said, str(numbers.form)
    if task == "regression":
        bad = numbers.odd if numbers.odd.any() else cells.is_valid().to_numpy(zero_copy_only=False)
        word = trimmed.iloc[int(np.argmax(bad))]
        raise RequestError(f"The {name} holds {word!r} ({row_called(column, bad)}), but regression needs numbers.")
    labels = np.array([*cells.to_pylist(), None], dtype=object)[:-1]
    names = {v for v in labels if v is not None}
    odd = sorted(names & set(cells_of.MISSING))
    notes = [f"the label {quoted(odd, 30)} is kept as a class; only an empty cell is unlabelled"] if odd else []
    return labels, notes + alike(names) + [f"{name} {said}" for said in combinations(names)], ""


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
        values = words.map(_MARKS).to_numpy(np.float64)
        bad = np.isnan(values) & words.notna().to_numpy(bool)
        if bad.any():
            word = words.iloc[int(np.argmax(bad))]
            raise RequestError(
                f"The {column.where} holds {word!r} ({row_called(column, bad)}); with several labels a row "
                "each label column holds 1, 0 or nothing."
            )
        columns.append(values)
    return np.column_stack(columns), tuple(names)


def _written_as(separator: str) -> str:
    return "written as a list" if separator == "a list" else f"separated by {separator}"


def joined_labels(column: RawColumn) -> tuple[Array, tuple[str, ...], list[str]]:
    """Labels in one column as ``x|y|z`` or as lists: ``(n, k)`` float64, the sorted names, and notes.

    An empty cell is unlabelled (NaN in all k); a lone ``|``, or an empty list, says that no label applies.

    Raises
    ------
    RequestError
        If no cell names a label, or cells are clearly joined by something else than a bar.
    """
    lists = any(map(is_list, column.values))
    cells = column.values.tolist() if lists else column.strings.tolist()
    written = [cell for cell in cells if isinstance(cell, str)]
    notes, joined = [], any(BAR in cell for cell in written)
    found = (
        separator_of(part for cell in written for part in parts(cell)) if joined else separator_of(written, sets=True)
    )
    refused = found is not None and found[2] and not joined
    if found is None and not lists and not joined:  # of marks that stand within names, too, nothing is sure
        found = separator_of(written, " ") or separator_of(written, _WITHIN)
        found = found if found is not None and (found[2] or found[0] == "' '") else None
    if found is not None:
        said = f"{column.named} looks like several labels a cell, {_written_as(found[0])} (such as {found[1]!r})"
        if refused:
            raise RequestError(f"{said}; write them as a|b.")
        notes.append(f"{said}; each is read as one label: several are written as a|b.")
    try:
        labels, classes = of_lists(cells)
    except RequestError as error:
        raise RequestError(f"The {column.where}: {str(error)[:1].lower()}{str(error)[1:]}") from error
    return labels, classes, notes + alike(classes)
