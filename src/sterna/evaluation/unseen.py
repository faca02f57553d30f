"""What test rows need not have shown: what one more mistake, or one less, would cost, and what it takes along."""

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


def with_more(
    task: Task, outputs: np.ndarray[Any, Any], targets: np.ndarray[Any, Any], counts: Floats,
    names: Sequence[str] | None,
) -> tuple[Statistics, Floats]:  # fmt: skip
    """Statistics of the n rows, then of m more: of each class some that are missed, and that are hit; and weights.

    A row is missed that is answered as rows of other classes are; where all rows are of one class, as the opposite of
    its outputs. It is hit that is answered as it is but for the class that it is of, which is the likeliest. Of more
    than `UNSEEN_CLASSES` classes so many stand for all: evenly from the one of least weight to that of most. The
    weights ``(2 k, n + m)`` put one row of a class that is missed, and then one that is hit, in the place of as much
    weight of its rows: Σw² / Σw, for heavy rows are few witnesses (Kish, Survey sampling, 1965). A task without
    classes has none.
    """
    random = np.random.default_rng(0)
    rows, missed, hit, sizes, kept = [], [], [], [], []
    strata = task.strata(targets)
    by_weight = np.argsort(counts @ strata, kind="stable")
    chosen = by_weight[np.linspace(0, len(by_weight) - 1, min(len(by_weight), UNSEEN_CLASSES)).astype(np.int64)]
    for code in np.sort(chosen):
        inside, outside = np.flatnonzero(strata[:, code]), np.flatnonzero(~strata[:, code])
        if len(inside):
            some = min(UNSEEN_ROWS, max(len(inside), len(outside)))
            rows.append(np.resize(random.permutation(inside), some))
            here = outputs[rows[-1]]
            missed.append(outputs[np.resize(random.permutation(outside), some)] if len(outside) else -here)
            hit.append(_hit(here, int(code), task.one_class))
            sizes.append(float(np.average(counts[inside], weights=counts[inside])))  # the heavier, the less is seen
            kept.append(counts * np.where(strata[:, code], 1 - sizes[-1] / float(counts[inside].sum()), 1.0))
    own = task.statistics(outputs, targets, names)
    if not rows:
        return own, np.zeros((0, len(targets)))
    more = [task.statistics(np.concatenate(some), targets[np.concatenate(rows)], names) for some in (missed, hit)]
    numbers = [len(some) for some in rows]
    which = np.repeat(np.arange(2 * len(rows)), numbers * 2)
    weights = np.tile(np.array(sizes) / np.array(numbers), 2)
    each = np.where(which[None] == np.arange(2 * len(rows))[:, None], weights[:, None], 0.0)
    return Statistics.joined([own, *more]), np.concatenate([np.tile(kept, (2, 1)), each], axis=1)


def _hit(outputs: Floats, code: int, one_class: bool) -> Floats:
    """Outputs ``(n, o)`` of rows that are of this class, or have this label, as they were if they were right."""
    right = outputs.copy()
    if one_class:
        top, rows = outputs.argmax(axis=1), np.arange(len(outputs))
        right[rows, top], right[rows, code] = outputs[rows, code], outputs[rows, top]
    else:
        right[:, code] = np.abs(outputs[:, code])
    return right


def dearer(costs: Floats) -> Floats:
    """How far a row of each class moves a metric that is missed, and then hit ``(2 k,)``: the further, ``(k,)``."""
    found: Floats = np.abs(costs.reshape(2, -1)).max(axis=0)
    return found


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
