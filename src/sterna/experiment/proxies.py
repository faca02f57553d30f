"""Single columns that give the label away: a code of it, the same number in another unit, what only one class has."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from sterna.bench.problem import Array
from sterna.domains import Domain
from sterna.domains.groups import group_codes
from sterna.selection.cross_validation import folds_of
from sterna.tasks.task import Task

ROWS = 40
"""Labelled rows below which nothing is said: a column can fit so few by chance."""

MOST_ROWS, MOST_COLUMNS = 1000, 500
"""Rows and columns that are looked at, so that it takes seconds at the most."""

SURE = 0.995
"""Mean recall of the classes on rows held out, from which on a column is named."""

SAME = 0.999
"""Squared correlation with a number (of the values, or of their ranks) from which on a column is named."""


def giving_away(domain: Domain, task: Task, targets: Array, rows: Array) -> list[str]:
    """A sentence on each column that alone tells the labels of rows that were held out.

    Nothing is said where there is only one column, or where there are as many as rows, of which some fit by chance.

    Parameters
    ----------
    targets
        Encoded labels of all rows, ``(n,)``.
    rows
        Those that may be seen.
    """
    columns = domain.inputs.take(rows[:1]).in_columns() if len(rows) >= ROWS and targets.ndim == 1 else None
    if columns is None or not 1 < len(columns.frame.columns) < min(len(rows), MOST_COLUMNS):
        return []
    some = np.sort(np.random.default_rng(0).permutation(rows)[:MOST_ROWS])
    labels, table = targets[some], domain.inputs.take(some).in_columns()
    assert table is not None
    # Rows of one group are held out together; copies need not be, since few values of one column are copies anyway.
    groups = None if domain.groups is None else group_codes(domain.groups[some])
    found = {}
    for name in map(str, table.frame.columns):
        values, kind = table.frame[name].reset_index(drop=True), table.asked.get(name)
        if task.one_number and kind == "number":
            if _same_number(values.to_numpy(np.float64), labels.astype(np.float64)):
                found[name] = "is nearly the label itself, in other units or of the same order"
        elif task.one_class:
            share = _told(_codes(values, kind), labels, task, groups)
            if share >= SURE:
                found[name] = f"alone tells the label of {share:.1%} of labelled rows that were held out"
    return [
        f"Column {name!r} {what}: if it is known only once the label is, leave it out with drop=[{name!r}]."
        for name, what in found.items()
    ]


def _codes(values: pd.Series[Any], kind: str | None) -> Array:
    """A column as numbers ``(n,)``: of categories their codes; of dates and texts, whether there is one."""
    if kind == "number":
        return values.to_numpy(np.float64)
    if kind == "category":
        return np.asarray(pd.factorize(values, use_na_sentinel=False)[0], dtype=np.float64)
    return values.isna().to_numpy(np.float64)


def _told(column: Array, labels: Array, task: Task, groups: Array | None) -> float:
    """Mean recall of a tree on this column alone, over two halves of which each is held out once; 0 where one fails."""
    from sklearn.metrics import recall_score
    from sklearn.tree import DecisionTreeClassifier

    classes, counts = np.unique(labels, return_counts=True)
    if len(classes) < 2 or counts.min() < 5 or len(np.unique(column)) < len(classes):
        return 0.0
    x, recalls = column[:, None], []
    for train, held in folds_of(labels, task, 2, seed=0, units=groups):
        tree = DecisionTreeClassifier(max_leaf_nodes=4 * len(classes), random_state=0).fit(x[train], labels[train])
        recalls.append(recall_score(labels[held], tree.predict(x[held]), average="macro", zero_division=0))
        if recalls[-1] < SURE:
            return 0.0
    return float(np.mean(recalls))


def _same_number(column: Array, labels: Array) -> bool:
    """Whether a column goes with the label as the label in other units would, where it is known."""
    known = np.isfinite(column)
    if known.sum() < ROWS or known.mean() < 0.5 or len(np.unique(column[known])) < ROWS // 2:
        return False
    pairs = pd.DataFrame({"column": column[known], "label": labels[known]})
    if len(np.unique(labels[known])) < 2:
        return False
    squares = [np.corrcoef(each, rowvar=False)[0, 1] ** 2 for each in (pairs, pairs.rank())]
    return bool(max(squares) >= SAME)
