"""The gain of a transfer over its controls, with intervals, and the verdict."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from sterna.errors import RequestError
from sterna.evaluation.jackknife import Estimate, Outputs, estimates
from sterna.evaluation.swaps import swap_test
from sterna.record.scores import Gain as Gain
from sterna.record.scores import Verdict
from sterna.tasks.metrics import Codes, Floats, bounds
from sterna.tasks.task import Task

ALPHA = 0.05
"""How often an interval may miss, and a swap test reject what is true."""

FEW_LABELS = 100
"""With so many labels or fewer, what was learnt depends as much on which they are as on how it was learnt."""


def gains(
    task: Task,
    transfer: Outputs,
    controls: Mapping[str, Outputs],
    targets: np.ndarray[Any, Any],
    *,
    groups: Codes | None = None,
    weights: Floats | None = None,
    metric: str | None = None,
    variance_factor: float = 1.0,
    decided: bool = True,
) -> tuple[dict[str, Gain], Gain | None]:
    r"""Gain of the transfer over each control on the same test rows, and over the best of them.

    Parameters
    ----------
    transfer : sequence of ndarray, shape (n, o)
        Outputs for the same test rows, one array a draw of the training labels.
    controls : mapping of str to the same
        By the control's id, the draws in the same order. One array alone (a learner without chance) is taken to be the
        same for every draw.
    targets : ndarray, shape (n,) or (n, k)
        Encoded labels of the test rows.
    groups : ndarray, shape (n,), optional
        Which rows belong together (a patient's, say) and are not independent.
    weights : ndarray, shape (n,), optional
        How much each row counts.
    metric : str, optional
        Instead of the task's primary metric.
    variance_factor : float
        How many times the variance over rows is taken; see `sterna.evaluation.jackknife.Estimate`.
    decided : bool
        Whether these draws can decide anything; every verdict is ``unclear`` otherwise.

    Returns
    -------
    tuple of dict and Gain
        Of each control, and the headline: the smallest gain, ``None`` without controls.

    Raises
    ------
    RequestError
        If the sides have different numbers of draws, or the metric is unknown.

    Notes
    -----
    The interval of a gain is that of `sterna.evaluation.jackknife` for the difference of the two sides. Its verdict is
    `helps` if the interval lies above 0 and the swap test agrees (p ≤ .05), `hurts` if it lies below and the test
    agrees, else `unclear`. It ends where the metric's range does: two accuracies are at most 1 apart.

    The headline speaks of all K controls together. With the gains :math:`g_k`, their 95 % intervals
    :math:`[l_k, h_k]` and their intervals at the level :math:`1 - .05 / K`, whose upper ends are :math:`h_k^+`, it is

    .. math:: \min_k g_k \in \left[\min_k l_k, \; \min_k h_k^+\right]

    which covers the smallest true gain: the lower end needs no correction, since it lies below that of whichever
    control truly is the best; the upper end allows for picking the control after seeing the scores (Bonferroni). So
    `helps` means above every control, and `hurts` below the best of them.
    """
    name = metric or task.metric
    sign = 1.0 if task.higher_is_better(name) else -1.0
    for control, outputs in controls.items():
        if len(transfer) != len(outputs) and 1 not in (len(transfer), len(outputs)):
            raise RequestError(
                f"The transfer has outputs of {len(transfer)} draws and the control {control} of {len(outputs)}; "
                "the same number was expected, or one."
            )
    known: dict[str, Any] = {"groups": groups, "weights": weights}

    def estimate(outputs: Outputs) -> Estimate:
        return estimates(task, outputs, targets, names=[name], variance_factor=variance_factor, **known)[name]

    least, most = bounds(name)
    moved, widest = estimate(transfer), most - least
    found: dict[str, Gain] = {}
    highest, surely = [], []
    for control, outputs in controls.items():
        if _same(transfer, outputs):
            apart = Estimate(np.zeros(1), np.zeros((1, 1)), np.zeros(1), 0.0)
        else:
            apart = moved.minus(estimate(outputs), sign)
        low, high = (min(max(end, -widest), widest) for end in apart.interval())
        highest.append(min(apart.interval(1 - ALPHA / len(controls))[1], widest))
        p = swap_test(task, name, transfer, outputs, targets, **known) if low > 0 or high < 0 else 1.0
        said = verdict(low, high, p) if decided else "unclear"
        found[control] = Gain(name, control, apart.value, low, high, said, sign > 0)
        surely.append(decided and highest[-1] < 0 and p <= ALPHA / len(controls))
    if not found:
        return found, None
    smallest = min(found.values(), key=lambda gain: gain.value)
    every: Verdict = "unclear"
    if any(surely):
        every = "hurts"
    elif all(gain.verdict == "helps" for gain in found.values()):
        every = "helps"
    low, high = min(gain.low for gain in found.values()), min(highest)
    return found, Gain(name, smallest.control, smallest.value, low, high, every, sign > 0)


def verdict(low: float, high: float, p: float) -> Verdict:
    """What an interval of the gain and the swap test's p value allow to say."""
    if p > ALPHA:
        return "unclear"
    return "helps" if low > 0 else "hurts" if high < 0 else "unclear"


def _same(one: Outputs, other: Outputs) -> bool:
    """Whether two sides answer alike but for rounding."""
    draws = max(len(one), len(other))
    return all(np.allclose(one[i % len(one)], other[i % len(other)], rtol=1e-12, atol=0) for i in range(draws))
