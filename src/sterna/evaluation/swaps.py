"""Whether chance alone would tell two models apart as far: a test that swaps their answers."""

from __future__ import annotations

from typing import Any

import numpy as np

from sterna.domains.weights import relative
from sterna.evaluation.jackknife import Outputs
from sterna.tasks.metrics import Codes, Floats, Mask, chunks
from sterna.tasks.statistics import Statistics
from sterna.tasks.task import Task

SWAPS = 999
"""Random exchanges that a p value is counted on; all of them where there are no more."""


def swap_test(
    task: Task,
    metric: str,
    one_by_draw: Outputs,
    other_by_draw: Outputs,
    targets: np.ndarray[Any, Any],
    *,
    groups: Codes | None = None,
    weights: Floats | None = None,
    seed: int = 0,
) -> float:
    """How often two models would differ at least as far in a metric if it did not matter which of them answers a row.

    Under that hypothesis the two answers to a row may change sides without any change of the difference's distribution;
    rows of one group change sides together, and so do the answers of all draws to a row. The test is exact for any
    number of rows, any classes and any metric.

    Parameters
    ----------
    one_by_draw, other_by_draw : sequence of ndarray, shape (n, o)
        Outputs for the same test rows, one array a draw; a side with one array has the same for every draw.
    targets : ndarray, shape (n,) or (n, k)
        Encoded labels.
    groups : ndarray, shape (n,), optional
        Which rows belong together.
    weights : ndarray, shape (n,), optional
        How much each row counts.

    Returns
    -------
    float
        The two-sided p value, (1 + how many of `SWAPS` random exchanges differ as far) / (1 + `SWAPS`), or the exact
        share where there are no more exchanges than that.

    References
    ----------
    Fisher, The design of experiments, 1935; Good, Permutation, parametric and bootstrap tests of hypotheses, 2005.
    """
    n = len(targets)
    counts = np.ones(n) if weights is None else relative(weights)
    units = np.arange(n) if groups is None else np.unique(groups, return_inverse=True)[1]
    swapped = _exchanges(int(units.max()) + 1, seed)
    draws = max(len(one_by_draw), len(other_by_draw))
    apart = np.zeros(len(swapped))
    for draw in range(draws):
        sides = (one_by_draw[draw % len(one_by_draw)], other_by_draw[draw % len(other_by_draw)])
        both = Statistics.joined([task.statistics(side, targets, (metric,)) for side in sides])
        for part in chunks(len(swapped), 2 * n):
            moved = swapped[part][:, units]
            first = np.concatenate([~moved * counts, moved * counts], axis=1)
            other = np.concatenate([moved * counts, ~moved * counts], axis=1)
            apart[part] += task.metrics(both, first, (metric,))[metric] - task.metrics(both, other, (metric,))[metric]
    as_far = np.abs(apart) >= abs(apart[0]) - 1e-12 * draws * max(1.0, abs(apart[0]))
    return float(as_far.mean())  # the first exchange is none at all: it is the one that is counted for certain


def _exchanges(units: int, seed: int) -> Mask:
    """Which units change sides, ``(exchanges, units)``; none in the first."""
    if 2 ** min(units, 60) <= SWAPS + 1:
        every: Mask = (np.arange(2**units)[:, None] >> np.arange(units)) % 2 == 1
        return every
    swapped: Mask = np.random.default_rng(seed).random((SWAPS + 1, units)) < 0.5
    swapped[0] = False
    return swapped
