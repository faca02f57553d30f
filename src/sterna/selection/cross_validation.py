"""Choosing a penalty, or one of several candidates, by rows that are held out in turn."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from operator import itemgetter
from typing import Any, NamedTuple, TypeVar

import numpy as np
import torch
from sklearn.model_selection import KFold, StratifiedKFold
from torch import nn

from sterna.domains.draws import deal_whole, strata_of
from sterna.selection.calibration import calibration, of_known_classes
from sterna.tasks.task import Task
from sterna.training.linear import fit_layer, fit_linear, in_memory, moments, rotated

Array = np.ndarray[Any, Any]
T = TypeVar("T")

PENALTIES = (10.0, 3.0, 1.0, 0.3, 0.1, 0.03, 0.01, 0.003, 0.001)
"""Candidates for the L2 penalty λ of a standardised linear head, strongest first."""

UNSEEN = 2
"""Rows that a few held-out rows may lack, of classes that nobody knows; set while looking at test scores (the pairs of
docs/benchmarks.md)."""

SAMPLE = 1500
"""Rows that cross-validation looks at: with more, the penalty hardly changes and the cost grows."""


MANY_CLASSES = 50
WORK, FEWEST, MOST = 10_000_000_000, 60, 1000
"""Outputs from which on a penalty is tried with few steps of L-BFGS: products of rows, columns and outputs in all, and
the least and the most steps. The cost grows with rows, columns and classes at once, and the next penalty goes on where
one stopped."""


@dataclass(frozen=True, eq=False)
class Trial:
    """How well a candidate did on held-out rows.

    Attributes
    ----------
    penalty
        λ with the lowest loss.
    losses
        Held-out loss of each row at that λ, ``(n,)``.
    weights
        A weight for each row, ``(n,)``; alike if not given.
    units
        Rows of one number are not independent of each other, ``(n,)``; ``None`` where all are.
    offset
        What the held-out outputs lacked, to be added to the intercepts, ``(o,)``: see
        :func:`~sterna.selection.calibration.calibration`.
    outputs
        Of the task for the held-out rows, ``(n, o)``, the offset among them.
    """

    penalty: float
    losses: Array
    weights: Array | None = None
    units: Array | None = None
    offset: Array | float = 0.0
    outputs: Array | None = None

    @cached_property
    def loss(self) -> float:
        """The weighted mean of the losses."""
        return float(np.average(self.losses, weights=self.weights))

    def is_near(self, best: Trial, errors: float = 1.0) -> bool:
        """Whether the loss is within one standard error of the best (Breiman et al., 1984), over whole units."""
        difference = self.losses - best.losses
        share = np.ones(len(difference)) if self.weights is None else self.weights
        mean = np.average(difference, weights=share)
        unit = np.arange(len(difference)) if self.units is None else np.unique(self.units, return_inverse=True)[1]
        off = np.bincount(unit, share * (difference - mean))
        return bool(mean <= errors * np.sqrt(np.square(off).sum()) / share.sum())


def choose_penalty(
    features: Array, targets: Array, task: Task, weights: Array, seed: int, folds: int = 5, units: Array | None = None,
    lent: int = 0,
) -> Trial:  # fmt: skip
    """Choose λ by cross-validation on these rows.

    The strongest is tried first. Where two in a row do worse than one before them, the weaker ones, whose fits take
    longest, are not tried: with less penalty than is best the held-out loss only grows. Of one row none can be held
    out: it gets the strongest.

    How sure a head may be is more than n held-out rows can show: where all of a few are right, their loss falls with
    the penalty without end, and the next row that is wrong costs everything. So λ is chosen as if two rows more had
    been held out at each, whose class nobody knows among those that have rows: of two classes that is Laplace's rule,
    as Platt (1999) smooths their labels.

    Parameters
    ----------
    features
        Standardised, ``(n, width)``.
    targets
        Encoded labels, ``(n,)`` or ``(n, k)``.
    weights
        A weight for each row, ``(n,)``.
    folds
        Parts that are held out in turn; fewer where a class has fewer rows.
    units
        Rows of one number are held out together, ``(n,)``: those of one group or one content.
    lent
        So many rows at the end are learnt from in every fold and never held out; `units` are of the others.
    """
    if len(targets) == 1:
        return Trial(PENALTIES[0], np.zeros(1))
    x, _ = rotated(features)
    steps = MOST if task.outputs <= MANY_CLASSES else int(np.clip(WORK // (x.size * task.outputs), FEWEST, MOST))
    own = slice(len(targets) - lent)
    more = np.arange(own.stop, len(targets))
    parts = [
        (np.concatenate([train, more]), held) for train, held in folds_of(targets[own], task, folds, seed, units=units)
    ]
    starts: list[Array | None] = [None] * len(parts)
    last, known = task.last_layer(), of_known_classes(targets, parts, task)[own]
    known_labels = torch.as_tensor(targets[own])
    doubted = doubtful(targets[own], task)
    tried: list[tuple[float, Trial]] = []
    for penalty in PENALTIES:
        outputs = torch.zeros((own.stop, task.outputs), dtype=torch.float64)
        for fold, (train, held) in enumerate(parts):
            found = fit_linear(
                in_memory(x[train]), targets[train], task, weights[train], penalty, starts[fold], 1e-4, steps
            )
            outputs[held], starts[fold] = torch.from_numpy(x[held] @ found[:, :-1].T + found[:, -1]), found
        shift = calibration(outputs.numpy(), targets[own], weights[own], task, usable=known)
        outputs = last(shift.of(outputs))
        losses, smooth = task.losses(outputs, known_labels).numpy(), doubted(outputs)
        trial = Trial(penalty, losses, weights[own], units, shift.offset, outputs.numpy())
        tried.append((replace(trial, losses=smooth).loss, trial))
        best = min(tried, key=itemgetter(0))
        if len(tried) > 2 and best not in tried[-2:]:
            break
    return best[1]


def doubtful(targets: Array, task: Task) -> Callable[[torch.Tensor], Array]:
    """The loss of each row ``(n,)`` for outputs ``(n, o)``, with `UNSEEN` rows more of classes that nobody knows."""
    share = UNSEEN / (len(targets) + UNSEEN)
    if not task.one_class:
        labels = torch.as_tensor(targets)
        return lambda outputs: np.asarray(task.losses(outputs, labels, share).numpy())
    seen = np.unique(targets)
    wanted = np.zeros((len(targets), task.outputs))
    wanted[:, seen] = share / len(seen)
    wanted[np.arange(len(targets)), targets] += 1 - share
    shares = torch.from_numpy(wanted)
    return lambda outputs: np.asarray(task.losses(outputs, shares).numpy())


def simplest(trials: Mapping[T, Trial]) -> T:
    """The first candidate whose loss is within one standard error of the lowest: the one to prefer comes first."""
    best = min(trials.values(), key=lambda trial: trial.loss)
    return next(name for name, trial in trials.items() if trial.is_near(best))


class Head(NamedTuple):
    """A linear head.

    Attributes
    ----------
    layer
        It takes features as they are.
    penalty
        λ.
    told
        What heads that had not seen them answered for the rows, ``(n, o)``; NaN for those that were not held out.
    """

    layer: nn.Linear
    penalty: float
    told: Array


def fit_head(
    x: Array,
    targets: Array,
    task: Task,
    weights: Array | None = None,
    *,
    penalty: float | None = None,
    seed: int = 0,
    units: Array | None = None,
) -> Head:
    """A linear head on features in memory; its penalty is chosen by cross-validation where none is given.

    Parameters
    ----------
    x
        Features ``(n, width)``; they are standardised by these rows for the fit, and the layer takes them as they are.
    targets
        Encoded labels, ``(n,)`` or ``(n, k)``.
    weights
        A weight for each row, ``(n,)``; 1 by default. Rows of weight zero are not looked at.
    penalty
        λ of :func:`~sterna.training.linear.fit_linear`.
    units
        Rows of one number are held out together, ``(n,)``.
    """
    weights = np.ones(len(x)) if weights is None else np.asarray(weights, dtype=np.float64)
    offset: Array | float = 0.0
    told = np.full((len(x), task.outputs), np.nan)
    if penalty is None:
        mean, scale = moments(in_memory(x), weights)
        some = sample_of(np.arange(len(x)), targets, task, seed, weights)
        tied = None if units is None else units[some]
        scaled = (x[some] - mean) / scale
        chosen = choose_penalty(scaled, targets[some], task, weights[some], seed, units=tied)
        penalty, offset = chosen.penalty, chosen.offset
        if chosen.outputs is not None:
            told[some] = chosen.outputs
    return Head(fit_layer(x, targets, task, weights, penalty, offset), penalty, told)


def sample_of(rows: Array, targets: Array, task: Task, seed: int, weights: Array | None = None) -> Array:
    """At most `SAMPLE` of these rows, sorted, every class with its share; none that weighs nothing."""
    rows = rows if weights is None else rows[weights[rows] > 0]
    if len(rows) <= SAMPLE:
        return rows
    random = np.random.default_rng(seed)
    if not task.one_class:
        return np.sort(random.choice(rows, SAMPLE, replace=False))
    shuffled = random.permutation(rows)
    within = np.empty(len(rows))  # place of each row in its class, from 0 to 1
    for code in np.unique(targets[rows]):
        here = targets[shuffled] == code
        within[here] = (np.arange(here.sum()) + random.random()) / here.sum()
    return np.sort(shuffled[np.argsort(within, kind="stable")[:SAMPLE]])


def folds_of(
    targets: Array, task: Task, folds: int, seed: int, units: Array | None = None
) -> Sequence[tuple[Array, Array]]:
    """Training and held-out rows of each fold; stratified, fewer folds where a class has few rows, none of one row.

    Parameters
    ----------
    targets
        Encoded labels, ``(n,)`` or ``(n, k)``.
    folds
        How many; fewer where a class lies in fewer rows, or fewer units, than that.
    units
        Rows of one number are never in two folds, ``(n,)``: those of one group (a patient) or one content. Where all
        rows are of one unit, none could be held out, and rows are parted as if each were on its own.
    """
    if len(targets) < 2:
        return []
    if units is not None and 1 < len(np.unique(units)) < len(units):
        return _whole_folds(targets, task, folds, seed, units)
    if task.one_class:
        fewest = int(np.bincount(targets).min(initial=len(targets), where=np.bincount(targets) > 0))
        if fewest >= 2:
            return list(StratifiedKFold(min(folds, fewest), shuffle=True, random_state=seed).split(targets, targets))
    return list(KFold(min(folds, len(targets)), shuffle=True, random_state=seed).split(targets))


def _whole_folds(targets: Array, task: Task, folds: int, seed: int, units: Array) -> Sequence[tuple[Array, Array]]:
    strata, count = strata_of(targets), min(folds, len(np.unique(units)))
    if task.one_class:
        pairs = np.unique(np.stack([strata, units]), axis=1)
        fewest = int(np.unique(pairs[0], return_counts=True)[1].min())
        count = min(count, fewest) if fewest >= 2 else count
    part = deal_whole(strata, units, count, np.random.default_rng(seed))
    return [(np.flatnonzero(part != each), np.flatnonzero(part == each)) for each in range(count)]
