"""Scores of the test rows, each with its interval."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from sterna.errors import RequestError
from sterna.evaluation.bootstrap import Outputs, interval, seed_shares, weight_chunks
from sterna.record.record import Score as Score
from sterna.tasks.metrics import Codes, Floats
from sterna.tasks.task import Task


def score(
    task: Task,
    outputs_by_seed: Outputs,
    targets: np.ndarray[Any, Any],
    *,
    resamples: int = 1000,
    seed: int = 0,
) -> dict[str, Score]:
    r"""Score every metric of the task, with 95 % percentile bootstrap intervals.

    Parameters
    ----------
    outputs_by_seed : sequence of ndarray, shape (n, o)
        The outputs for the same test rows, one array a seed.
    targets : ndarray, shape (n,) or (n, k)
        Encoded labels of the test rows.

    Returns
    -------
    dict of str to Score
        In the order of ``task.metric_names()``.

    Raises
    ------
    RequestError
        If there are no outputs, a row is unlabelled, or the shapes do not fit.
    RunError
        If an output is not finite.

    Notes
    -----
    The value is the mean of the metric m over the S seeds. Resample b draws test rows (:math:`w_b`, stratified by
    class, see `bootstrap_weights`) and, with more than one seed, S seeds with replacement (:math:`c_{bs}` times each);
    its value is

    .. math:: m_b = \frac{1}{S} \sum_s c_{bs}\, m(outputs_s, w_b)

    and the interval runs from the 2.5th to the 97.5th percentile of :math:`m_b` (Efron 1979). It covers the chance of
    the test rows and of the seeds, not of the training rows. The percentile interval is not corrected for bias: that of
    the expected calibration error, which resampling raises, may lie above its value; an interval without width (every
    row right, or one test row) says that the rows cannot show the uncertainty, not that there is none.
    """
    value, resampled = resampled_metrics(task, outputs_by_seed, targets, resamples=resamples, seed=seed)
    return {name: Score(value[name], *interval(values)) for name, values in resampled.items()}


def resampled_metrics(
    task: Task,
    outputs_by_seed: Outputs,
    targets: np.ndarray[Any, Any],
    *,
    names: Sequence[str] | None = None,
    resamples: int = 1000,
    seed: int = 0,
) -> tuple[dict[str, float], dict[str, Floats]]:
    """The metrics (all or those named) averaged over seeds: their values, and those of each resample ``(B,)``.

    Two calls with the same targets, number of seeds, `resamples` and `seed` draw the same rows and seeds: their
    difference is paired.
    """
    if not len(outputs_by_seed):
        raise RequestError("There are no outputs to score; those of at least one seed were expected.")
    statistics = [task.statistics(outputs, targets, names) for outputs in outputs_by_seed]
    points = [task.metrics(each, names=names) for each in statistics]
    shares = seed_shares(len(statistics), resamples=resamples, seed=seed)
    resampled = {name: np.zeros(resamples) for name in points[0]}
    start = 0
    for weights in weight_chunks(targets, task, resamples=resamples, seed=seed):
        part = slice(start, start + len(weights))
        for each, share in zip(statistics, shares[part].T, strict=True):
            for name, values in task.metrics(each, weights, names).items():
                resampled[name][part] += share * values
        start = part.stop
    return {name: float(np.mean([point[name][0] for point in points])) for name in points[0]}, resampled


def confusion(task: Task, outputs_by_seed: Outputs, targets: np.ndarray[Any, Any]) -> Codes:
    """Count the test rows of each true class (row) by the class answered (column), ``(k, k)``, summed over seeds.

    The task is one of one class a row.
    """
    k = task.outputs
    counts = np.zeros(k * k, dtype=np.int64)
    for outputs in outputs_by_seed:
        answers = task.probabilities(outputs).argmax(axis=1)
        counts += np.bincount(np.asarray(targets, dtype=np.int64) * k + answers, minlength=k * k)
    return counts.reshape(k, k)
