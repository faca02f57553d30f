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
from sterna.tasks.metrics import Codes, Floats, chunks
from sterna.tasks.statistics import Statistics
from sterna.tasks.task import Task

UNEVEN = ("ece", "average_precision")
"""Metrics that jump with the weights of rows; their interval stays as it is."""


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
    if weights is not None:  # as `estimates` does: a row that counts for nothing is none
        some = np.flatnonzero(weights > 0)
        outputs_by_draw, targets, weights = [each[some] for each in outputs_by_draw], targets[some], weights[some]
        groups = None if groups is None else groups[some]
    names = tuple(name for name in plain if name not in UNEVEN)
    draws = [
        _Draw(task, outputs, targets, weights, blocks_of(len(targets), groups), told, unlabelled).measured(names)
        for outputs, told in zip(outputs_by_draw, unlabelled.outputs_by_draw, strict=True)
    ]
    found = {name: zip(*(draw[name] for draw in draws), strict=True) for name in names}
    return plain | {name: _least(plain[name], *(np.stack(part, axis=-1) for part in found[name])) for name in names}


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


@dataclass(frozen=True, eq=False)
class _Draw:
    task: Task
    outputs: Floats
    targets: Codes
    weights: Floats | None
    blocks: Codes
    told: Floats
    unlabelled: Unlabelled

    def measured(self, names: Sequence[str]) -> dict[str, tuple[Floats, Floats, Floats]]:
        """Each metric of the weighted rows: ``()``, without each block of rows with labels, and of those without."""
        task, n, m = self.task, len(self.targets), len(self.told)
        both = np.concatenate([self.outputs, self.told])
        by_class = [task.statistics(both, np.full(n + m, code), names) for code in range(task.outputs)]
        statistics = Statistics.joined([task.statistics(self.outputs, self.targets, names), *by_class])
        likely = task.probabilities(both)
        signs = np.concatenate([np.ones(n), np.concatenate([-likely[:n], likely[n:]]).T.reshape(-1)])
        ours, theirs = self.blocks, blocks_of(m, self.unlabelled.groups)
        g, h = int(ours.max()) + 1, int(theirs.max()) + 1
        own = np.concatenate([np.ones((1 + g, n)), np.ones((h, n))])
        own[1 : 1 + g][ours == np.arange(g)[:, None]] = 0
        other = np.ones((1 + g + h, m))
        other[1 + g :][theirs == np.arange(h)[:, None]] = 0
        own *= 1.0 if self.weights is None else relative(self.weights)
        other *= 1.0 if self.unlabelled.weights is None else relative(self.unlabelled.weights)
        parts = []
        for part in chunks(len(own), len(statistics)):
            mine, more = (n * each[part] / each[part].sum(axis=1, keepdims=True) for each in (own, other))
            counts = signs * np.concatenate([mine, *[mine, more] * task.outputs], axis=1)
            parts.append(task.metrics(statistics, counts, names))
        found = {name: np.concatenate([part[name] for part in parts]) for name in names}
        return {name: (values[0], values[1 : 1 + g], values[1 + g :]) for name, values in found.items()}
