"""Linear heads on fixed features, fitted to convergence."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import numpy as np
import torch
from scipy.optimize import minimize
from threadpoolctl import ThreadpoolController
from torch import nn

from sterna.tasks.task import Task
from sterna.training.cache import Features

Array = np.ndarray[Any, Any]
Chunks = Callable[[], Iterator[tuple[int, Array]]]
"""Gives ``(first row, features (b, width))`` in order, as often as it is called."""

IN_MEMORY = 16_000_000
"""Numbers of a feature table that are held at once (128 MB as float64)."""

SMALL = 2_000_000
"""Numbers of a feature table below which one thread is faster than several."""


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


def standardised(x: Array) -> tuple[Array, Array, Array]:
    """Features ``(n, d)`` with mean 0 and deviation 1 each; the means and the deviations they had, ``(d,)``.

    A feature that does not vary keeps its unit.
    """
    mean, scale = moments(in_memory(x), np.ones(len(x)))
    return np.asarray((x - mean) / scale), mean, scale


def fit_linear(
    chunks: Chunks, targets: Array, task: Task, weights: Array, penalty: float, start: Array | None = None,
    tolerance: float = 1e-6, steps: int = 1000,
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
    steps
        Of L-BFGS, at most.

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
    options = {"maxiter": steps, "maxcor": 20, "ftol": tolerance * 1e-4, "gtol": tolerance}
    with _threads_for(total_numbers=len(targets) * width):
        found = minimize(value, begin, jac=True, method="L-BFGS-B", options=options)
    return np.asarray(found.x).reshape(shape)


@cache
def _pools() -> ThreadpoolController:
    """Found once, which takes longer than a small fit: scipy's are there when this module is."""
    return ThreadpoolController()


@contextmanager
def _threads_for(total_numbers: int) -> Iterator[None]:
    """One thread for small products: with several, waiting for each other takes longer than the work."""
    threads = torch.get_num_threads()
    if total_numbers > SMALL:
        yield
        return
    with _pools().limit(limits=1):
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


def unrotated(solution: Array, basis: Array | None) -> Array:
    """A solution ``(o, r + 1)`` on rotated features as one on the features themselves, ``(o, width + 1)``."""
    return solution if basis is None else np.concatenate([solution[:, :-1] @ basis, solution[:, -1:]], axis=1)


def fit_layer_on(
    features: Features, targets: Array, task: Task, weights: Array, penalty: float, offset: Array | float = 0.0
) -> nn.Linear:
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
    offset
        Is added to the intercepts, ``(o,)``.
    """
    mean, scale = moments(features.chunks, weights)
    rows = np.flatnonzero(weights)
    if len(rows) * features.width > IN_MEMORY:

        def standardised() -> Iterator[tuple[int, Array]]:
            for start, part in features.chunks():
                yield start, (part - mean) / scale

        solution = fit_linear(standardised, targets, task, weights, penalty)
        solution[:, -1] += offset
        return as_layer(solution, mean, scale, task)
    return fit_layer(features.array(rows), targets[rows], task, weights[rows], penalty, offset)


def fit_layer(
    x: Array, targets: Array, task: Task, weights: Array, penalty: float, offset: Array | float = 0.0
) -> nn.Linear:
    """A linear head on features ``(n, width)`` in memory.

    They are standardised by these rows for the fit; the layer takes them as they are. Rows of weight zero are not
    looked at. The offset ``(o,)`` is added to the intercepts.
    """
    mean, scale = moments(in_memory(x), weights)
    rows = np.flatnonzero(weights)
    found, basis = rotated((x[rows] - mean) / scale)
    solution = fit_linear(in_memory(found), targets[rows], task, weights[rows], penalty)
    solution[:, -1] += offset
    return as_layer(unrotated(solution, basis), mean, scale, task)


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


def behind(head: nn.Linear, mean: Array, scale: Array, task: Task) -> nn.Linear:
    """A head on standardised features as one on features as they are: W/σ and b − (W/σ)μ."""
    weight, bias = (part.detach().double().numpy() for part in (head.weight, head.bias))
    return as_layer(np.column_stack([weight, bias]), mean, scale, task)
