"""The gain of a transfer over a control, its interval and the verdict."""

from __future__ import annotations

from typing import Any

import numpy as np

from sterna.errors import RequestError
from sterna.evaluation.bootstrap import Outputs, interval
from sterna.evaluation.scores import resampled_metrics
from sterna.record.record import Gain as Gain
from sterna.record.record import Verdict
from sterna.tasks.metrics import Floats
from sterna.tasks.task import Task

FEWEST_ROWS = 6
"""With fewer test rows no two-sided 5 % test can tell two models apart (2 / 2⁵ > 0.05): the verdict stays unclear."""


def gain(
    task: Task,
    transfer_by_seed: Outputs,
    control_by_seed: Outputs,
    targets: np.ndarray[Any, Any],
    *,
    control: str,
    metric: str | None = None,
    resamples: int = 1000,
    seed: int = 0,
) -> Gain:
    r"""Gain of the transfer over a control on the same test rows, by a bootstrap paired in rows and in seeds.

    Parameters
    ----------
    transfer_by_seed, control_by_seed : sequence of ndarray, shape (n, o)
        Outputs for the same test rows, one array a seed, the seeds in the same order. A side with only one array (a
        learner without chance) is taken to be the same for every seed.
    targets : ndarray, shape (n,) or (n, k)
        Encoded labels of the test rows.
    control : str
        The control's id.
    metric : str, optional
        Instead of the task's primary metric.

    Raises
    ------
    RequestError
        If the two sides have different numbers of seeds, or the metric is unknown.

    Notes
    -----
    With the resampled metrics :math:`m_b` of `sterna.evaluation.scores.score`, drawn alike for both sides, the gain of
    a resample is

    .. math:: g_b = \pm \left(m_b^{transfer} - m_b^{control}\right)

    with a minus for errors and losses; the interval runs from the 2.5th to the 97.5th percentile of :math:`g_b`. The
    verdict is `helps` if low > 0, `hurts` if high < 0, else `unclear`; always `unclear` with fewer than 6 test rows.
    """
    name = metric or task.metric
    better = task.higher_is_better(name)
    if len(transfer_by_seed) != len(control_by_seed) and 1 not in (len(transfer_by_seed), len(control_by_seed)):
        raise RequestError(
            f"The transfer has outputs of {len(transfer_by_seed)} seeds and the control of {len(control_by_seed)}; "
            "the same number was expected, or one."
        )
    # One array needs no repeating: whichever seeds a resample draws, their mean is that array's metric.
    (moved, moved_draws), (still, still_draws) = (
        resampled_metrics(task, side, targets, names=[name], resamples=resamples, seed=seed)
        for side in (transfer_by_seed, control_by_seed)
    )
    value = float(_difference(np.array(moved[name]), np.array(still[name]), better))
    low, high = interval(_difference(moved_draws[name], still_draws[name], better))
    return Gain(name, control, value, low, high, verdict(low, high, rows=len(targets)), better)


def verdict(low: float, high: float, *, rows: int) -> Verdict:
    """Say what an interval of the gain over so many test rows allows to say."""
    if rows < FEWEST_ROWS:
        return "unclear"
    return "helps" if low > 0 else "hurts" if high < 0 else "unclear"


def _difference(transfer: Floats, control: Floats, higher_is_better: bool) -> Floats:
    """Better minus worse; exactly 0 where the two differ by rounding alone."""
    difference = transfer - control if higher_is_better else control - transfer
    result: Floats = np.where(np.isclose(transfer, control, rtol=1e-12, atol=0), 0.0, difference)
    return result
