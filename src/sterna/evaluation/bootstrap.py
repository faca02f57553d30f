"""Resampling of test rows and of seeds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from sterna.errors import RequestError
from sterna.tasks.metrics import Codes, Floats, chunks
from sterna.tasks.task import Task

Outputs = Sequence[np.ndarray[Any, Any]]
"""The outputs ``(n, o)`` of each seed's network for the same test rows."""

Counts = np.ndarray[Any, np.dtype[np.float32]]


def bootstrap_weights(targets: np.ndarray[Any, Any], task: Task, *, resamples: int = 1000, seed: int = 0) -> Counts:
    """How often each bootstrap resample drew each test row.

    Each resample draws n rows with replacement: for a classification n_c among the n_c rows of each class, so that no
    class is ever missing; for other tasks n among all.

    Parameters
    ----------
    targets : ndarray, shape (n,) or (n, k)
        Encoded labels of the test rows, all labelled.
    resamples : int
        How many (B).
    seed : int
        The same seed, B and targets give the same resamples.

    Returns
    -------
    ndarray, shape (B, n), float32
        Whole numbers; each row sums to n. `weight_chunks` gives the same in pieces, for many test rows.

    Notes
    -----
    A class with one test row has that row in every resample: no interval can show how another row would have fared.
    """
    return np.concatenate(list(weight_chunks(targets, task, resamples=resamples, seed=seed)))


def weight_chunks(
    targets: np.ndarray[Any, Any], task: Task, *, resamples: int = 1000, seed: int = 0
) -> Iterator[Counts]:
    """The rows of `bootstrap_weights` in order, a bounded number at a time."""
    if resamples < 1:
        raise RequestError(f"resamples is {resamples}, but at least 1 was expected.")
    random = np.random.default_rng([seed, 0])
    strata = _strata(targets, task)
    for part in chunks(resamples, len(targets)):
        count = part.stop - part.start
        weights = np.zeros((count, len(targets)), dtype=np.float32)
        for rows in strata:
            weights[:, rows] = _draws(count, len(rows), random)
        yield weights


def seed_shares(seeds: int, *, resamples: int = 1000, seed: int = 0) -> Floats:
    """Share of each seed in each resample, ``(B, S)``: S seeds drawn with replacement, independently of the rows."""
    return _draws(resamples, seeds, np.random.default_rng([seed, 1])) / seeds


def interval(values: Floats) -> tuple[float, float]:
    """The percentile interval: the middle 95 % of the resamples' values ``(B,)``."""
    low, high = np.quantile(values, [0.025, 0.975])
    return float(low), float(high)


def _strata(targets: np.ndarray[Any, Any], task: Task) -> list[Codes]:
    if not task.one_class:
        return [np.arange(len(targets))]
    return [np.flatnonzero(targets == code) for code in np.unique(targets)]


def _draws(resamples: int, rows: int, random: np.random.Generator) -> Codes:
    """Counts ``(resamples, rows)`` of that many draws with replacement from the rows."""
    drawn = random.integers(rows, size=(resamples, rows))
    drawn += np.arange(0, resamples * rows, rows)[:, None]
    return np.bincount(drawn.ravel(), minlength=resamples * rows).reshape(resamples, rows)
