"""Several labels in one cell: ``a|b`` in a text, or a list of names."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from sterna.domains.labels import is_missing
from sterna.errors import RequestError, closest, quoted

Array = np.ndarray[Any, Any]

BAR = "|"
"""What stands between the labels of a cell."""

MOST = 5000
"""Labels there may be: of each row and label a number is kept."""

_OTHERS = (",", ";", "，", "；", "、", "/", "+", "&", "\t", "\n")


def is_list(value: Any) -> bool:
    """Whether a cell holds several names, or could."""
    return isinstance(value, list | tuple | set | frozenset) or (isinstance(value, np.ndarray) and value.ndim == 1)


def holds_lists(values: Any) -> bool:
    """Whether labels are given as a list of names a row, and not as an array ``(n, k)`` or ``(n, 1)``."""
    if isinstance(values, np.ndarray) and (values.dtype != object or values.ndim > 1):
        return False
    lengths = [len(value) if is_list(value) else -1 for value in values]
    if max(lengths, default=-1) < 0 or set(lengths) == {1}:
        return False
    return len(set(lengths) - {-1}) > 1 or any(isinstance(n, str) for v in values if is_list(v) for n in v)


def of_lists(values: Iterable[Any], classes: Sequence[str] | None = None) -> tuple[Array, tuple[str, ...]]:
    """Labels given as a list a row.

    Parameters
    ----------
    values
        Of each row the names of its labels: a list, tuple, set or array, one text as in :func:`parts`, or nothing
        where it is unlabelled; an empty list says that no label applies.
    classes
        All names there are, in their order; by default those that occur, sorted.

    Returns
    -------
    ``(n, k)`` float64 of 0 and 1 (NaN in the rows that are unlabelled), and the ``k`` names.

    Raises
    ------
    RequestError
        If no row names a label, or one is named that is not among `classes`.
    """
    values = list(values)
    _no_vectors(values)
    cells = [_names(value) for value in values]
    found = set().union(*(cell for cell in cells if cell))
    if not found:
        raise RequestError("No row names a label; lists of names, or cells such as 'x|y', were expected.")
    if classes is None and len(found) > MOST:
        raise RequestError(
            f"The rows name {len(found):,} labels, more than {MOST:,}, as words of a text would; is this the column of "
            "labels?"
        )
    if classes is not None and (unknown := sorted(found - set(classes))):
        raise RequestError(
            f"The label {unknown[0]!r} is not one of the {len(classes)} labels given.{closest(unknown[0], classes)}"
        )
    names = tuple(sorted(found)) if classes is None else tuple(classes)
    place = {name: i for i, name in enumerate(names)}
    labels = np.full((len(cells), len(names)), np.nan)
    for row, cell in enumerate(cells):
        if cell is not None:
            labels[row] = 0.0
            labels[row, [place[name] for name in cell]] = 1.0
    return labels, names


def _no_vectors(values: Sequence[Any]) -> None:
    """Refuse rows of 0 and 1, one for each label, as if these were names, and lists in lists."""
    rows = [list(value) for value in values if is_list(value)]
    for each in (each for row in rows for each in row):
        if is_list(each) or isinstance(each, dict):
            raise RequestError(
                f"A list of labels holds {str(each)[:60]}, which is no name; give names in one list a row."
            )
    vectors = len({len(row) for row in rows}) == 1 and any(len(set(row)) < len(row) for row in rows)
    if vectors and all(isinstance(each, int | float | np.number) and each in (0, 1) for row in rows for each in row):
        raise RequestError(
            f"A list of labels is {rows[0]}, as if each number said whether a label applies; give the names of the "
            "labels that apply, or a column of 0 and 1 for each label."
        )


def parts(cell: str, separator: str = BAR) -> list[str]:
    """``"x|y"`` as names; of a lone ``|`` none."""
    return [part for part in map(str.strip, cell.split(separator)) if part]


def separator_of(
    cells: Iterable[Any], separators: Sequence[str] = _OTHERS, *, sets: bool = False
) -> tuple[str, str, bool] | None:
    """Which other separator than a bar cells seem to have, one of them, and whether that is beyond doubt.

    Cells of names that hold a comma are no sets. That they are is likely where a part of one occurs in another, and
    beyond doubt where a part stands alone in some cell and there are fewer parts than cells. Unless the cells are
    known to be `sets`, ``1,5`` is one number.
    """
    distinct = {cell.strip() for cell in cells if isinstance(cell, str) and cell.strip()}
    several = {cell for cell in distinct if re.match(r"[\[{(].*[,'\"]\s*['\"\d\w].*[\]})]$", cell, re.DOTALL)}
    if several:
        return "a list", max(several, key=lambda cell: (len(cell), cell)), True
    for separator in separators:
        joined = {cell: set(parts(cell, separator)) for cell in distinct if separator in cell}
        counts = Counter(part for cell in distinct for part in set(parts(cell, separator)))
        shared = {part for own in joined.values() for part in own if len(own) > 1 and counts[part] > 1}
        fractions = not sets and separator in ",/" and all(map(_is_number, counts))
        if shared and not (fractions and all(cell.count(separator) < 2 for cell in joined)):
            sure = bool(shared & distinct) and len(counts) < len(distinct)
            return repr(separator), min(cell for cell, own in joined.items() if own & shared), sure
    return None


def combinations(names: Iterable[str]) -> list[str]:
    """What is said of classes that look like sets of labels."""
    joined = separator_of(names, (BAR, *_OTHERS))
    if joined is None or not (joined[2] or joined[0] == repr(BAR)):
        return []
    return [
        f"looks like several labels a cell (such as {joined[1]!r}); each combination is read as one class: for several "
        "labels a row write them as a|b, with the task multilabel"
    ]


def in_columns(labels: Array, names: Sequence[str], wanted: Sequence[str]) -> Array:
    """Labels ``(n, k)`` in the columns of these names: NaN for those that they lack; those not wanted are left out."""
    place = {name: i for i, name in enumerate(names)}
    columns = [labels[:, place[name]] if name in place else np.full(len(labels), np.nan) for name in wanted]
    return np.column_stack(columns)


def differences(name: str, names: Sequence[str], wanted: Sequence[str]) -> list[str]:
    """What a data set with labels of these names says of others, one sentence each.

    Parameters
    ----------
    name
        What the data set is called.
    names
        Its labels.
    wanted
        Those that are learnt.

    Raises
    ------
    RequestError
        If it has none of them.
    """
    more, less = ([n for n in some if n not in others] for some, others in ((names, wanted), (wanted, names)))
    if len(more) == len(names):
        raise RequestError(
            f"{name} has the labels {quoted(names)}, but none of those that are learnt: {quoted(wanted)}."
            f"{closest(names[0], wanted)}"
        )
    notes = []
    if more:
        notes.append(
            f"{name} has labels that are never learnt and are left out: {quoted(more)}.{closest(more[0], less)}"
        )
    if less:
        notes.append(f"{name} says nothing of the labels {quoted(less)}, which count as not known there.")
    return notes


def _names(value: Any) -> set[str] | None:
    """The names in a cell; `None` where there is none."""
    if is_list(value):
        return {name for name in (_name(each) for each in value) if name}
    if is_missing(value):
        return None
    return set(parts(value)) if isinstance(value, str) else {_name(value)}


def _name(value: Any) -> str:
    if isinstance(value, float | np.floating) and float(value).is_integer():
        return str(int(value))
    return "" if is_missing(value) else str(value).strip()


def _is_number(text: str) -> bool:
    return text.replace(".", "", 1).isdigit()
