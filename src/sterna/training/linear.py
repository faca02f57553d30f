"""Linear heads on fixed features, fitted to convergence."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from scipy.optimize import minimize
from sklearn.model_selection import KFold, StratifiedKFold
from threadpoolctl import threadpool_limits
from torch import nn

from sterna.tasks.task import Task
from sterna.training.cache import Features

Array = np.ndarray[Any, Any]
Chunks = Callable[[], Iterator[tuple[int, Array]]]
"""Gives ``(first row, features (b, width))`` in order, as often as it is called."""

PENALTIES = (10.0, 3.0, 1.0, 0.3, 0.1, 0.03, 0.01, 0.003, 0.001)
"""Candidates for the L2 penalty λ of a standardised linear head, strongest first."""

IN_MEMORY = 16_000_000
"""Numbers of a feature table that are held at once (128 MB as float64)."""

SMALL = 2_000_000
"""Numbers of a feature table below which one thread is faster than several."""

SAMPLE = 1500
"""Rows that cross-validation looks at: with more, the penalty hardly changes and the cost grows."""


def in_memory(features: Array) -> Chunks:
    """An array as the only chunk."""
    return lambda: iter([(0, features)])


def moments(chunks: Chunks, weights: Array) -> tuple[Array, Array]:
    """Mean and standard deviation of each feature over rows with a weight above zero, each ``(width,)``.

    A feature that does not vary gets a deviation of 1.
    """
    count, total, squares, shift = 0, np.zeros(1), np.zeros(1), np.zeros(1)
    for start, part in chunks():
        rows = part[weights[start : start + len(part)] > 0].astype(np.float64)
        if len(rows):
            shift = shift if count else rows.mean(0)  # sums around a nearby point lose no digits
            rows -= shift
            count, total, squares = count + len(rows), total + rows.sum(0), squares + (rows**2).sum(0)
    mean = total / max(count, 1)
    scale = np.sqrt(np.maximum(squares / max(count, 1) - mean**2, 0))
    return np.asarray(mean + shift), np.where(scale > 1e-7, scale, 1.0)


def fit_linear(
    chunks: Chunks, targets: Array, task: Task, weights: Array, penalty: float, start: Array | None = None,
    tolerance: float = 1e-6,
) -> Array:  # fmt: skip
    """Minimise the task's weighted mean loss + λ/2 ‖W‖² by L-BFGS; the bias is not penalised.

    For classification this is multinomial logistic regression with C = 1/(nλ) in scikit-learn's terms, for
    regression ridge regression with α = nλ/2 (the loss is the mean squared error), for several labels one
    logistic regression each. One pass over the chunks for each evaluation, so rows may lie on disk.

    Parameters
    ----------
    chunks
        Standardised features ``(b, width)``, chunk after chunk.
    targets
        Encoded labels of all rows; rows with weight 0 may hold anything the loss can take.
    task
        Gives the loss and the number of outputs o.
    weights
        A weight for each row, ``(n,)``.
    penalty
        λ.
    start
        Where to begin, ``(o, width + 1)``; zeros by default.
    tolerance
        Largest component of the gradient that counts as zero.

    Returns
    -------
    numpy.ndarray
        Weights and bias, ``(o, width + 1)`` float64, before the task's last layer.
    """
    width = next(chunks())[1].shape[1]
    shape = (task.outputs, width + 1)
    every, share = torch.as_tensor(targets), torch.as_tensor(weights, dtype=torch.float64)
    total, last = share.sum(), task.last_layer()

    def value(flat: Array) -> tuple[float, Array]:
        both = torch.from_numpy(flat.reshape(shape)).requires_grad_()
        losses = [penalty / 2 * both[:, :-1].square().sum()]
        losses[0].backward()  # type: ignore[no-untyped-call]
        for first, part in chunks():
            here = slice(first, first + len(part))
            if float(share[here].sum()) > 0:
                outputs = last(torch.as_tensor(part, dtype=torch.float64) @ both[:, :-1].T + both[:, -1])
                losses.append(task.loss(outputs, every[here], share[here]) * (share[here].sum() / total))
                losses[-1].backward()  # type: ignore[no-untyped-call]  # at once: only one chunk's graph is held
        assert both.grad is not None
        return sum(loss.item() for loss in losses), both.grad.numpy().ravel()

    begin = np.zeros(shape).ravel() if start is None else start.ravel()
    options = {"maxiter": 1000, "maxcor": 20, "ftol": tolerance * 1e-4, "gtol": tolerance}
    with _threads_for(total_numbers=len(targets) * width):
        found = minimize(value, begin, jac=True, method="L-BFGS-B", options=options)
    return np.asarray(found.x).reshape(shape)


@contextmanager
def _threads_for(total_numbers: int) -> Iterator[None]:
    """One thread for small products: with several, waiting for each other takes longer than the work."""
    threads = torch.get_num_threads()
    if total_numbers > SMALL:
        yield
        return
    with threadpool_limits(1):
        torch.set_num_threads(1)
        try:
            yield
        finally:
            torch.set_num_threads(threads)


def rotated(features: Array) -> tuple[Array, Array | None]:
    """Features in the space their rows span, ``(n, r)``, and the basis ``(r, width)``.

    With fewer rows than columns an L2-penalised linear fit lies in that span, so fitting there gives the same
    answer and costs less (Hastie and Tibshirani, 2004). The basis is ``None`` where there is nothing to gain.
    """
    if features.shape[0] >= features.shape[1]:
        return features, None
    basis = np.linalg.svd(features, full_matrices=False)[2]
    return features @ basis.T, basis


@dataclass(frozen=True)
class Choice:
    """A penalty chosen by cross-validation.

    Attributes
    ----------
    penalty
        λ with the lowest loss.
    losses
        Held-out loss of each row at that λ, ``(n,)``.
    loss
        Their weighted mean.
    """

    penalty: float
    losses: Array
    loss: float


def choose_penalty(features: Array, targets: Array, task: Task, weights: Array, seed: int, folds: int = 5) -> Choice:
    """Choose λ by cross-validation on these rows (features ``(n, width)``, standardised).

    The strongest is tried first. Where two in a row do worse than one before them, the weaker ones, whose fits take
    longest, are not tried: with less penalty than is best the held-out loss only grows. Of one row none can be held
    out: it gets the strongest.
    """
    if len(targets) == 1:
        return Choice(PENALTIES[0], np.zeros(1), 0.0)
    x, _ = rotated(features)
    parts = folds_of(targets, task, folds, seed)
    starts: list[Array | None] = [None] * len(parts)
    last = task.last_layer()
    tried: list[Choice] = []
    for penalty in PENALTIES:
        losses = np.full(len(x), np.nan)
        for fold, (train, held) in enumerate(parts):
            found = fit_linear(
                in_memory(x[train]), targets[train], task, weights[train], penalty, starts[fold], tolerance=1e-4
            )
            outputs = last(torch.from_numpy(x[held] @ found[:, :-1].T + found[:, -1]))
            losses[held], starts[fold] = task.losses(outputs, torch.as_tensor(targets[held])).numpy(), found
        tried.append(Choice(penalty, losses, float(np.average(losses, weights=weights))))
        best = min(tried, key=lambda choice: choice.loss)
        if len(tried) > 2 and best not in tried[-2:]:
            break
    return best


def sample_of(rows: Array, targets: Array, task: Task, seed: int) -> Array:
    """At most `SAMPLE` of these rows, sorted, every class with its share."""
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


def folds_of(targets: Array, task: Task, folds: int, seed: int) -> Sequence[tuple[Array, Array]]:
    """Training and held-out rows of each fold; stratified, fewer folds where a class has few rows, none of one row."""
    if len(targets) < 2:
        return []
    if task.one_class:
        fewest = int(np.bincount(targets).min(initial=len(targets), where=np.bincount(targets) > 0))
        if fewest >= 2:
            return list(StratifiedKFold(min(folds, fewest), shuffle=True, random_state=seed).split(targets, targets))
    return list(KFold(min(folds, len(targets)), shuffle=True, random_state=seed).split(targets))


def fit_head(features: Features, targets: Array, task: Task, weights: Array, penalty: float) -> nn.Linear:
    """A linear head on these features, whatever their number: in memory where they are few, else from disk.

    Parameters
    ----------
    features
        Of all n rows.
    targets
        Encoded labels, ``(n,)`` or ``(n, k)``.
    weights
        A weight for each row, ``(n,)``; rows of weight zero are not looked at.
    penalty
        λ of :func:`fit_linear`.
    """
    mean, scale = moments(features.chunks, weights)
    rows = np.flatnonzero(weights)
    if len(rows) * features.width > IN_MEMORY:

        def standardised() -> Iterator[tuple[int, Array]]:
            for start, part in features.chunks():
                yield start, (part - mean) / scale

        return as_layer(fit_linear(standardised, targets, task, weights, penalty), mean, scale, task)
    return fit_head_on(features.array(rows), targets[rows], task, weights[rows], penalty=penalty)[0]


def fit_head_on(
    x: Array, targets: Array, task: Task, weights: Array | None = None, *, penalty: float | None = None, seed: int = 0
) -> tuple[nn.Linear, float]:
    """A linear head on features in memory, and its penalty, chosen by cross-validation where none is given.

    Parameters
    ----------
    x
        Features ``(n, width)``; they are standardised by these rows for the fit, and the layer takes them as they are.
    targets
        Encoded labels, ``(n,)`` or ``(n, k)``.
    weights
        A weight for each row, ``(n,)``; 1 by default. Rows of weight zero are not looked at.
    penalty
        λ of :func:`fit_linear`.
    """
    weights = np.ones(len(x)) if weights is None else np.asarray(weights, dtype=np.float64)
    mean, scale = moments(in_memory(x), weights)
    rows = np.flatnonzero(weights)
    standard = (x[rows] - mean) / scale
    if penalty is None:
        some = np.searchsorted(rows, sample_of(rows, targets, task, seed))
        penalty = choose_penalty(standard[some], targets[rows][some], task, weights[rows][some], seed).penalty
    found, basis = rotated(standard)
    solution = fit_linear(in_memory(found), targets[rows], task, weights[rows], penalty)
    if basis is not None:
        solution = np.concatenate([solution[:, :-1] @ basis, solution[:, -1:]], axis=1)
    return as_layer(solution, mean, scale, task), penalty


def as_layer(solution: Array, mean: Array, scale: Array, task: Task | None = None) -> nn.Linear:
    """A solution on standardised features as one layer on the raw ones: W/σ and b − (W/σ)μ.

    With a task it is a head for it, which ends in the task's last layer; without, a plain linear map.
    """
    weight = solution[:, :-1] / scale
    layer = nn.Linear(weight.shape[1], weight.shape[0]) if task is None else task.head(weight.shape[1])
    with torch.no_grad():
        layer.weight.copy_(torch.from_numpy(weight))
        layer.bias.copy_(torch.from_numpy(solution[:, -1] - weight @ mean))
    return layer
