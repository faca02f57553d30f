"""Mistakes that test rows need not have shown: what one would cost, and how many rows of a group it may take along."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from sterna.tasks.metrics import Codes, Floats
from sterna.tasks.statistics import Statistics
from sterna.tasks.task import Task

UNSEEN_ROWS = 20
"""Rows of a class at most that show what a mistake on it costs."""

UNSEEN_CLASSES = 50
"""Classes at most of which it is asked what a mistake costs: each is asked of every metric of every class."""

UNSEEN = 2.0
"""Mistakes that so few rows need not have shown."""


def with_mistakes(
    task: Task, outputs: np.ndarray[Any, Any], targets: np.ndarray[Any, Any], counts: Floats,
    names: Sequence[str] | None,
) -> tuple[Statistics, Floats]:  # fmt: skip
    """Statistics of the rows, then of rows answered as rows of other classes are; the latter's weights by class.

    Where all rows are of one class none is answered as another's should be: the opposite of its outputs is the mistake.
    Of more than `UNSEEN_CLASSES` classes so many stand for all: evenly from the one of least weight to that of most.
    The weights ``(k, m)`` make one row of each class, of weight Σw² / Σw over its rows: heavy rows are few witnesses
    (Kish, Survey sampling, 1965). A task without classes has none.
    """
    random = np.random.default_rng(0)
    rows, others, weights, sizes = [], [], [], []
    strata = task.strata(targets)
    by_weight = np.argsort(counts @ strata, kind="stable")
    chosen = by_weight[np.linspace(0, len(by_weight) - 1, min(len(by_weight), UNSEEN_CLASSES)).astype(np.int64)]
    for members in strata.T[np.sort(chosen)]:
        inside, outside = np.flatnonzero(members), np.flatnonzero(~members)
        if len(inside):
            some = min(UNSEEN_ROWS, max(len(inside), len(outside)))
            rows.append(np.resize(random.permutation(inside), some))
            wrong = outputs[np.resize(random.permutation(outside), some)] if len(outside) else -outputs[rows[-1]]
            others.append(wrong)
            weights.append(some)
            sizes.append(float(np.average(counts[inside], weights=counts[inside])))  # the heavier, the less is seen
    own = task.statistics(outputs, targets, names)
    if not rows:
        return own, np.zeros((0, 0))
    missed = task.statistics(np.concatenate(others), targets[np.concatenate(rows)], names)
    which = np.repeat(np.arange(len(weights)), weights)
    return Statistics.joined([own, missed]), np.where(
        which[None] == np.arange(len(weights))[:, None], (np.array(sizes) / np.array(weights))[:, None], 0.0
    )


def typical(costs: Floats) -> float:
    """Variance of `UNSEEN` mistakes, each of the typical cost: that of a class, the more so the dearer it is."""
    squares = float((costs**2).sum())
    return UNSEEN * float((costs**4).sum()) / squares if squares > 0 else 0.0


def design_effect(task: Task, outputs: Floats, targets: np.ndarray[Any, Any], groups: Codes) -> float:
    """How many rows of a group show as much as one, by how alike their mistakes are.

    It is 1 + (m − 1) ρ with the mean size m of a row's group and the intraclass correlation ρ of a one-way analysis of
    variance (Fisher, 1925). One group more counts as missed as a whole, so that ρ is 1 where there are no mistakes.
    """
    missed = (
        np.asarray(task.answers(outputs) != task.decode(targets), dtype=np.float64).reshape(len(targets), -1).mean(1)
    )
    group = np.unique(groups, return_inverse=True)[1]
    sizes = np.bincount(group)
    n, k, size = len(group), len(sizes), float((sizes**2).sum() / len(group))
    means = np.bincount(group, missed) / sizes
    within = float(np.square(missed - means[group]).sum()) / max(n - k, 1)
    between = float((sizes * np.square(means - missed.mean())).sum()) / max(k - 1, 1)
    total = between + ((n - size) / max(k - 1, 1) - 1) * within
    alike = min(max((between - within) / total, 0.0), 1.0) if total > 0 else 1.0
    some = np.count_nonzero(means)
    return 1.0 + (size - 1) * (some * alike + 1) / (some + 1)
