r"""Scores whose intervals rows without labels make narrower, and that hold whatever the network thinks of these.

Prediction-powered inference (Angelopoulos, Bates, Fannjiang, Jordan and Zrnic, Science 2023). The network's own
probabilities say what a metric would be on rows without labels; rows with labels say how far that is off. Each of N
rows j without a label stands for a row of every class c, of weight :math:`p_{jc} / N`; each of n rows i with one for
itself, of weight :math:`1 / n`, and for a row of every class, of weight :math:`-p_{ic} / n`. The metric :math:`m_1` of
these weighted rows tends to the true one whether the probabilities are right or not, as the plain metric :math:`m_0`
of the n rows does, and so does

.. math:: m = (1 - \lambda) m_0 + \lambda m_1

where :math:`0 \le \lambda \le 1` makes the jackknife's variance the least, over blocks of both kinds of rows
(Angelopoulos, Duchi and Zrnic, "PPI++", 2023, choose it so for means). Where the probabilities tell nothing it is 0,
and the interval is that of the n rows. What these rows need not show counts as it does without the others.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from sterna.domains.weights import relative
from sterna.errors import RequestError
from sterna.evaluation.jackknife import Estimate, Outputs, blocks_of
from sterna.tasks.metrics import Codes, Floats, bounds, chunks
from sterna.tasks.statistics import Statistics
from sterna.tasks.task import Task

SMOOTH = ("accuracy", "balanced_accuracy", "macro_f1", "mcc", "auroc", "log_loss")
"""Metrics that change little with the weights of a few rows; the interval of others stays as it is."""

RANKED = 10
"""Classes up to which AUROC is one of them: each has its own order of all rows."""

WORK = 50_000
"""Rows without labels times classes that are looked at."""


@dataclass(frozen=True, eq=False)
class Unlabelled:
    """Rows without labels, drawn as the test rows were, that no network learnt from.

    Attributes
    ----------
    outputs_by_draw
        The outputs ``(m, o)`` for them, one array a draw.
    groups
        Which of them belong together, ``(m,)``; none if not given.
    weights
        How much each counts, ``(m,)``; alike if not given.
    """

    outputs_by_draw: Outputs
    groups: Codes | None = None
    weights: Floats | None = None


def powered(
    task: Task,
    plain: dict[str, Estimate],
    outputs_by_draw: Outputs,
    targets: Codes,
    unlabelled: Unlabelled,
    *,
    groups: Codes | None = None,
    weights: Floats | None = None,
) -> dict[str, Estimate]:
    """The estimates with what rows without labels add to them, for a task of one class a row.

    Parameters
    ----------
    plain
        What :func:`~sterna.evaluation.jackknife.estimates` found of the same test rows.
    outputs_by_draw, targets, groups, weights
        Of the test rows, as there.

    Raises
    ------
    RequestError
        If the draws are not the same in number.
    """
    if len(unlabelled.outputs_by_draw) != len(outputs_by_draw):
        raise RequestError(
            f"There are outputs of {len(outputs_by_draw)} draws for rows with labels, but of "
            f"{len(unlabelled.outputs_by_draw)} for those without; give as many."
        )
    names = tuple(name for name in SMOOTH if name in plain and (name != "auroc" or task.outputs <= RANKED))
    ours = _Rows.of(len(targets), groups, weights)
    theirs = _Rows.of(len(unlabelled.outputs_by_draw[0]), unlabelled.groups, unlabelled.weights, WORK // task.outputs)
    if min(ours.count, theirs.count) < 2:  # of one block nothing can be left out
        return plain
    draws = [
        _of_draw(task, outputs[ours.rows], targets[ours.rows], told[theirs.rows], ours, theirs, names)
        for outputs, told in zip(outputs_by_draw, unlabelled.outputs_by_draw, strict=True)
    ]
    found = {}
    for name in names:
        values, without, beside = (np.stack(part, axis=-1) for part in zip(*(d[name] for d in draws), strict=True))
        least, most = bounds(name)
        if least <= values.min() and values.max() <= most:  # else so few rows do not bear weights below 0
            found[name] = _least(plain[name], values, without, beside)
    return plain | found


@dataclass(frozen=True, eq=False)
class _Rows:
    """Rows that weigh anything, their weights and their blocks, ``(n,)`` each, and how many blocks."""

    rows: Codes
    weights: Floats
    blocks: Codes
    count: int

    @classmethod
    def of(cls, count: int, groups: Codes | None, weights: Floats | None, most: int | None = None) -> _Rows:
        """All of so many rows that weigh anything, or `most` of them at random."""
        rows = np.arange(count) if weights is None else np.flatnonzero(weights > 0)
        rows = rows if most is None else np.sort(np.random.default_rng(0).permutation(rows)[:most])
        blocks = blocks_of(len(rows), None if groups is None else groups[rows])
        shares = np.ones(len(rows)) if weights is None else relative(weights[rows])
        return cls(rows, shares, blocks, int(blocks.max(initial=-1)) + 1)

    def without(self) -> Floats:
        """The weights with all rows, and without each block, of mean 1, ``(1 + count, n)``."""
        kept = np.ones((1 + self.count, len(self.rows)))
        kept[1:][self.blocks == np.arange(self.count)[:, None]] = 0
        kept *= self.weights
        even: Floats = kept / kept.mean(axis=1, keepdims=True)
        return even


def _least(plain: Estimate, values: Floats, without: Floats, beside: Floats) -> Estimate:
    """The mean of least variance of the plain estimate and one with values ``(S,)``, ``(G, S)`` and ``(H, S)``."""
    known, told, other = (_apart(each) for each in (plain.without, without, beside))
    below = float(np.square(known - told).sum() + np.square(other).sum())
    share = min(max(float((known * (known - told)).sum()) / below, 0.0), 1.0) if below > 0 else 0.0

    def between(one: Floats, two: Floats) -> Floats:
        mean: Floats = (1 - share) * one + share * two
        return mean

    value = between(plain.values, values)
    return replace(
        plain,
        values=value,
        without=between(plain.without, without),
        halves=value + (1 - share) * (plain.halves - plain.values),
        beside=between(plain.values[None], beside),
    )


def _apart(without: Floats) -> Floats:
    """What squares and sums to the jackknife's variance, of the mean over the draws ``(G, S)``."""
    blocks, means = len(without), without.mean(axis=1)
    apart: Floats = ((blocks - 1) / blocks) ** 0.5 * (means - means.mean())
    return apart


def _of_draw(
    task: Task, outputs: Floats, targets: Codes, told: Floats, ours: _Rows, theirs: _Rows, names: Sequence[str]
) -> dict[str, tuple[Floats, Floats, Floats]]:
    """Each metric of the weighted rows: ``()``, without each block of rows with labels, and of those without."""
    n, m, both = len(targets), len(told), np.concatenate([outputs, told])
    by_class = [task.statistics(both, np.full(n + m, code), names) for code in range(task.outputs)]
    statistics = Statistics.joined([task.statistics(outputs, targets, names), *by_class])
    likely = task.probabilities(both)
    signs = np.concatenate([np.ones(n), np.concatenate([-likely[:n], likely[n:]]).T.reshape(-1)])
    own, other = ours.without(), n / m * theirs.without()
    own = np.concatenate([own, np.repeat(own[:1], theirs.count, axis=0)])
    other = np.concatenate([np.repeat(other[:1], ours.count, axis=0), other])
    parts = []
    for part in chunks(len(own), len(statistics)):
        counts = signs * np.concatenate([own[part], *[own[part], other[part]] * task.outputs], axis=1)
        parts.append(task.metrics(statistics, counts, names))
    found = {name: np.concatenate([part[name] for part in parts]) for name in names}
    return {name: (v[0], v[1 : 1 + ours.count], v[1 + ours.count :]) for name, v in found.items()}
