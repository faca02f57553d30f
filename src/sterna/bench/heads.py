"""Linear heads on features, and what they answered for rows that they had not seen."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from torch import nn

from sterna.bench.fitted import Fitted
from sterna.bench.problem import Array
from sterna.networks.network import Network
from sterna.record.choice import Choice
from sterna.selection.cross_validation import SAMPLE, Head, fit_head

if TYPE_CHECKING:
    from sterna.bench.bench import Bench


def fitted_head(
    bench: Bench, x: Array, targets: Array, weights: Array | None = None, penalty: float | None = None,
    of: str | None = None, units: Array | None = None,
) -> tuple[Head, Choice]:  # fmt: skip
    """As `Bench.fit_head`, with what was held out."""
    problem = bench.problem
    if units is None and len(x) == len(problem.train):
        units = problem.units[problem.train]
    found = fit_head(x, targets, bench.task, weights, penalty=penalty, seed=bench.seed, units=units)
    rows = len(x) if weights is None else int(np.count_nonzero(weights))
    return found, bench.cross_validated("penalty", found.penalty, min(rows, SAMPLE), of)


def fit_on_head(
    bench: Bench, network: Callable[[nn.Linear], Network], x: Array, targets: Array, weights: Array, of: str | None,
    units: Array, source: Array | None = None,
) -> Fitted:  # fmt: skip
    """A network on the head that is fitted on rows `x`, of which the problem's training rows are the first.

    The others may be all of the source's labelled rows: `source` says which stands at each place, ``(n_s,)``.
    """
    head, choice = fitted_head(bench, x, targets, weights, None, of, units)
    rows, theirs = bench.problem.train, None
    if source is not None:
        theirs = np.empty((len(source), bench.task.outputs))
        theirs[source] = head.told[len(rows) :]
    return Fitted(network(head.layer), (choice,), told=told_of(bench, rows, head.told[: len(rows)]), told_source=theirs)


def told_of(bench: Bench, rows: Array, outputs: Array | None) -> Array:
    """Outputs of some of the problem's rows as those of all, ``(n, o)``; NaN for the others."""
    found = np.full((len(bench.problem.target), bench.task.outputs), np.nan)
    if outputs is not None:
        found[rows] = outputs
    return found
