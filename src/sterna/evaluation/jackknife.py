r"""How sure a metric on test rows is: a jackknife over the rows, or over groups of rows, and over draws of the labels.

The metric is computed once for each block of rows without that block (Quenouille 1956, Tukey 1958). A block is one
row; where rows come in groups (patients, speakers) a group, since its rows are not independent; and where there are
more than `BLOCKS`, one of that many random parts. Thin classes need no care of their own: a class whose only row is
left out is left out of a mean over the classes.

With the metric :math:`m`, its values :math:`m_{(g)}` without block g of G, and their mean :math:`m_{(\cdot)}`,

.. math::

    v_{rows} = \frac{G-1}{G} \sum_g \left(m_{(g)} - m_{(\cdot)}\right)^2, \qquad
    v_{unseen} = 2 \frac{\sum_c r_c^4}{\sum_c r_c^2}, \qquad
    v_{draws} = \frac{1}{S (S-1)} \sum_s \left(m_s - \bar m\right)^2

are the variance over the rows; that of what so few rows need not show, where :math:`r_c` is how far one more row of
class c would move the metric if it were answered as rows of other classes are, or rightly, whichever is further (two
such rows, as Agresti and Coull 1998 add two failures and two successes to a proportion), and of a score on groups, as
many rows of its group as are missed together; and that over S draws of the training labels. The 95 % interval is

.. math:: m \pm t \sqrt{v_{rows} + v_{unseen} + v_{draws}}, \qquad
    t = \frac{(v_{rows} + v_{unseen})\, t_{.975, \nu} + v_{draws}\, t_{.975, S - 1}}{v_{rows} + v_{unseen} + v_{draws}}

where Student's t of the rows and that of the draws are weighted by the variances, as Cochran and Cox (1950) weigh those
of two samples: degrees of freedom of three draws, estimated from the draws themselves, make intervals that hold too
seldom. Those of the rows, :math:`\nu`, are Satterthwaite's (1946), with
:math:`\min(G - 1, 2 G / (\kappa - 1))` for the kurtosis :math:`\kappa` of the values without a block, which is what the
variance of a variance allows: few mistakes are little evidence on how large the variance is. A metric that few rows
bias (the expected calibration error, the average precision of rare classes) shows it in halves of the rows, where the
bias is :math:`\sqrt 2` times as large; the interval reaches as far further to that side. `benchmarks/intervals.py`
measures how often the interval holds.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from sterna.domains.weights import not_all_zero, relative
from sterna.errors import RequestError
from sterna.evaluation.unseen import dearer, design_effect, typical, with_more
from sterna.tasks.metrics import Codes, Floats, Mask, chunks
from sterna.tasks.task import Task

Outputs = Sequence[np.ndarray[Any, Any]]
"""The outputs ``(n, o)`` of each draw's network for the same test rows."""

BLOCKS = 200
"""Blocks at most: enough for t to be normal, and a fifth of the cost of a thousand resamples."""

HALVES = 50
"""Random cuts of the rows into two halves, which show how a metric is biased by few rows."""


@dataclass(frozen=True)
class Estimate:
    """A metric, or the difference of two, and what shows how sure it is.

    Attributes
    ----------
    values
        Of each draw, ``(S,)``.
    without
        The same without each block of rows, ``(G, S)``.
    halves
        The mean over halves of the rows, ``(S,)``.
    unseen
        The variance of what the rows need not have shown, if they were independent.
    variance_factor
        How many times the variance over rows is taken: more than once where rows are tested in one test split and
        learnt from in another.
    design_effect
        How many rows of a group show as much as one row that is independent of the others (Kish, 1965).
    beside
        The value without each block of other rows that it rests on as well, ``(H, S)``; ``None`` where there are none.
    """

    values: Floats
    without: Floats
    halves: Floats
    unseen: float
    variance_factor: float = 1.0
    design_effect: float = 1.0
    beside: Floats | None = None

    @property
    def value(self) -> float:
        """The mean over the draws."""
        return float(self.values.mean())

    def minus(self, other: Estimate, sign: float) -> Estimate:
        """The difference, draw by draw and block by block, times a sign; exactly 0 where it is rounding alone.

        What makes a group hard for both falls out of it, so rows of a group count as independent in what is unseen.
        """
        return Estimate(
            sign * _difference(self.values, other.values),
            sign * _difference(self.without, other.without),
            sign * _difference(self.halves, other.halves),
            (self.unseen + other.unseen) / 2,
            self.variance_factor,
        )

    def interval(self, level: float = 0.95) -> tuple[float, float]:
        """The interval at this level; of one block alone, by what it need not show and by the draws."""
        from scipy.special import stdtrit

        blocks, draws = len(self.without), len(self.values)
        without = self.without.mean(axis=1)
        over = [without] if self.beside is None else [without, self.beside.mean(axis=1)]
        parts = [*map(_over_blocks, over), (self.unseen * self.design_effect**2, max(blocks - 1.0, 1.0))]
        rows, reach = sum(part for part, _ in parts), 0.0
        freedom = rows**2 / sum(part**2 / freedom for part, freedom in parts) if rows > 0 else 1.0
        parts = [(self.variance_factor * rows, freedom)]
        if draws > 1:
            parts.append((float(self.values.var(ddof=1)) / draws, draws - 1.0))
        variance = sum(part for part, _ in parts)
        if variance > 0:
            t = sum(part * float(stdtrit(freedom, (1 + level) / 2)) for part, freedom in parts) / variance
            reach = t * variance**0.5
        # A bias that falls as 1/√n; one that falls faster is smaller than what is allowed for.
        corrected = self.value - float(self.halves.mean() - self.value) / (2**0.5 - 1)
        return min(self.value, corrected) - reach, max(self.value, corrected) + reach


def estimates(
    task: Task,
    outputs_by_draw: Outputs,
    targets: np.ndarray[Any, Any],
    *,
    groups: Codes | None = None,
    weights: Floats | None = None,
    names: Sequence[str] | None = None,
    variance_factor: float = 1.0,
) -> dict[str, Estimate]:
    """The metrics (all or those named) of the same test rows.

    Two calls with the same targets and groups leave out the same blocks: the difference of their estimates is paired.

    Parameters
    ----------
    outputs_by_draw : sequence of ndarray, shape (n, o)
        The outputs for the same test rows, one array a draw.
    targets : ndarray, shape (n,) or (n, k)
        Encoded labels of the test rows.
    groups : ndarray, shape (n,), optional
        Which rows belong together.
    weights : ndarray, shape (n,), optional
        How much each row counts.
    variance_factor : float
        How many times the variance over rows is taken.

    Raises
    ------
    RequestError
        If there are no outputs, a row is unlabelled, all weights are 0, or the shapes do not fit.
    """
    if not len(outputs_by_draw):
        raise RequestError("There are no outputs to score; those of at least one draw were expected.")
    if weights is not None:  # a row that counts for nothing is none
        some = np.flatnonzero(not_all_zero(weights, f"The {len(weights):,} rows to score"))
        outputs_by_draw, targets, weights = [each[some] for each in outputs_by_draw], targets[some], weights[some]
        groups = None if groups is None else groups[some]
    blocks = blocks_of(len(targets), groups)
    counts = np.ones(len(targets)) if weights is None else relative(weights)
    effect = (
        1.0 if groups is None else float(np.mean([design_effect(task, o, targets, groups) for o in outputs_by_draw]))
    )
    values, without, halves, unseen = zip(
        *(_of_draw(task, outputs, targets, blocks, counts, names) for outputs in outputs_by_draw), strict=True
    )
    return {
        name: Estimate(
            np.array([draw[name] for draw in values]),
            np.stack([draw[name] for draw in without], axis=1),
            np.array([draw[name] for draw in halves]),
            typical(np.mean([draw[name] for draw in unseen], axis=0)),
            variance_factor,
            effect,
        )
        for name in values[0]
    }


def blocks_of(rows: int, groups: Codes | None = None) -> Codes:
    """Number of each row's block, ``(n,)``: its own, its group's, or one of `BLOCKS` random parts of these."""
    units = np.arange(rows) if groups is None else np.unique(groups, return_inverse=True)[1]
    count = int(units.max()) + 1 if rows else 0
    if count <= BLOCKS:
        return units
    parts: Codes = np.random.default_rng(0).permutation(np.arange(count) % BLOCKS)[units]
    return parts


def _of_draw(
    task: Task, outputs: np.ndarray[Any, Any], targets: np.ndarray[Any, Any], blocks: Codes, counts: Floats,
    names: Sequence[str] | None,
) -> tuple[dict[str, float], dict[str, Floats], dict[str, float], dict[str, Floats]]:  # fmt: skip
    """Each metric: its value, without each block ``(G,)``, on halves, and what a mistake costs by class ``(k,)``."""
    n, count = len(targets), int(blocks.max()) + 1
    statistics, more = with_more(task, outputs, targets, counts, names)
    rows = len(statistics)

    def measured(number: int, weights_of: Callable[[slice], Floats]) -> dict[str, Floats]:
        parts = [task.metrics(statistics, weights_of(part), names) for part in chunks(number, rows)]
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]} if parts else {}

    def of_blocks(kept: Mask) -> Callable[[slice], Floats]:
        def weights(part: slice) -> Floats:
            return np.concatenate(
                [kept[part][:, blocks] * counts, np.zeros((part.stop - part.start, rows - n))], axis=1
            )

        return weights

    plain = measured(1, of_blocks(np.ones((1, count), dtype=bool)))
    value = {name: float(values[0]) for name, values in plain.items()}
    # Of the only block nothing can be left out.
    without = measured(count, of_blocks(~np.eye(count, dtype=bool))) if count > 1 else plain
    kept = _halves(count)
    sizes = kept @ np.bincount(blocks, counts)  # a larger half counts for more, so that a mean has no bias
    halves = {name: float(np.average(v, weights=sizes)) for name, v in measured(len(kept), of_blocks(kept)).items()}
    costs = measured(len(more), more.__getitem__)
    unseen = {name: dearer(costs[name] - value[name]) if costs else np.zeros(1) for name in value}
    return value, without, halves, unseen


def _halves(blocks: int) -> Mask:
    """Random cuts of the blocks in two: which are in each half, ``(2 HALVES, blocks)``; one alone is not cut."""
    if blocks == 1:
        return np.ones((1, 1), dtype=bool)
    random, kept = np.random.default_rng(0), np.zeros((2 * HALVES, blocks), dtype=bool)
    for cut in range(HALVES):
        kept[2 * cut, random.permutation(blocks)[: blocks // 2]] = True
    kept[1::2] = ~kept[::2]
    return kept


def _over_blocks(without: Floats) -> tuple[float, float]:
    """The jackknife's variance of the values without each block ``(G,)``, and its degrees of freedom."""
    blocks = len(without)
    apart = without - without.mean()
    squares = float((apart**2).sum())
    if squares <= (1e-12 * max(1.0, float(np.abs(without).max()))) ** 2:
        return 0.0, max(blocks - 1.0, 1.0)
    kurtosis = blocks * float((apart**4).sum()) / squares**2
    freedom = min(blocks - 1.0, 2 * blocks / max(kurtosis - 1, 1e-9))
    return (blocks - 1) / blocks * squares, max(freedom, 1.0)


def _difference(one: Floats, other: Floats) -> Floats:
    result: Floats = np.where(np.isclose(one, other, rtol=1e-12, atol=0), 0.0, one - other)
    return result
