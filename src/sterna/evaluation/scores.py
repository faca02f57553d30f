"""Scores of the test rows, each with its interval."""

from __future__ import annotations

from typing import Any

import numpy as np

from sterna.evaluation.jackknife import Outputs, estimates
from sterna.evaluation.powered import Unlabelled, powered
from sterna.record.scores import Score as Score
from sterna.tasks.metrics import Codes, Floats, bounds
from sterna.tasks.task import Task


def score(
    task: Task,
    outputs_by_draw: Outputs,
    targets: np.ndarray[Any, Any],
    *,
    groups: Codes | None = None,
    weights: Floats | None = None,
    variance_factor: float = 1.0,
    unlabelled: Unlabelled | None = None,
) -> dict[str, Score]:
    """Score every metric of the task, with 95 % intervals.

    Parameters
    ----------
    outputs_by_draw : sequence of ndarray, shape (n, o)
        The outputs for the same test rows, one array a draw of the training labels.
    targets : ndarray, shape (n,) or (n, k)
        Encoded labels of the test rows.
    groups : ndarray, shape (n,), optional
        Which rows belong together (a patient's, say) and are not independent.
    weights : ndarray, shape (n,), optional
        How much each row counts.
    variance_factor : float
        How many times the variance over rows is taken; see `sterna.evaluation.jackknife.Estimate`.
    unlabelled : Unlabelled, optional
        What the same networks answer for rows without labels, drawn as the test rows were: with it the intervals are
        those of `sterna.evaluation.powered`.

    Returns
    -------
    dict of str to Score
        In the order of ``task.metric_names()``, without those of which the targets say nothing. The value is the mean
        over the draws; the interval, of the jackknife over rows (or groups) and draws (see
        `sterna.evaluation.jackknife`), holds the value and ends where the metric does.

    Raises
    ------
    RequestError
        If there are no outputs, a row is unlabelled, or the shapes do not fit.
    RunError
        If an output is not finite.
    """
    rows: dict[str, Any] = {"groups": groups, "weights": weights, "variance_factor": variance_factor}
    plain = estimates(task, outputs_by_draw, targets, **rows)
    if unlabelled is not None:
        plain = powered(task, plain, outputs_by_draw, targets, unlabelled, groups=groups, weights=weights)
    found, unknown = {}, {*task.unknown_metrics(targets)} - {task.metric}
    for name, estimate in plain.items():
        if name in unknown:
            continue
        low, high = estimate.interval()
        least, most = bounds(name)
        found[name] = Score(min(max(estimate.value, least), most), max(low, least), min(high, most))
    return found


def confusion(task: Task, outputs_by_draw: Outputs, targets: np.ndarray[Any, Any]) -> Codes:
    """Count the test rows of each true class (row) by the class answered (column), ``(k, k)``, summed over draws.

    The task is one of one class a row.
    """
    k = task.outputs
    counts = np.zeros(k * k, dtype=np.int64)
    for outputs in outputs_by_draw:
        answers = task.probabilities(outputs).argmax(axis=1)
        counts += np.bincount(np.asarray(targets, dtype=np.int64) * k + answers, minlength=k * k)
    return counts.reshape(k, k)
