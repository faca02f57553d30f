"""prototypes: each class is the mean of its rows, and the nearest mean is the prediction."""

from __future__ import annotations

import math

import numpy as np
import torch
from pydantic import Field
from scipy.optimize import minimize_scalar
from torch import nn

from sterna.bench import Bench, Fitted, Problem
from sterna.bench.heads import told_of
from sterna.bench.labelled import check_classification, check_labels, fitting_source
from sterna.bench.problem import Array
from sterna.bench.vectors import Vectors
from sterna.errors import RequestError
from sterna.methods.method import Method, Needs
from sterna.networks.gate import Scaled
from sterna.networks.saved_parts import Normalize
from sterna.record.choice import Choice

SURE = 0.9
"""Probability of its class that a row at a class mean gets where the temperature follows from the means alone."""

RANGE = math.log(100.0)
"""How far the temperature is sought on either side of that, as a logarithm."""


class Prototypes(Method):
    """Each class is the mean of its labelled rows in the body's features; the nearest mean is the prediction.

    What moves: the features of the body's deepest blocks, each block divided by its mean deviation so that all weigh
    alike, in which one row a class can be enough; and, for classes that have no labelled target row, the source's
    labelled rows. With the class means μ_c that is a linear head, exactly:

        logit_c = τ (μ_c · x − ‖μ_c‖² / 2)     which is −τ/2 ‖x − μ_c‖² up to a term that all classes share

    τ turns distances into probabilities. Where each class has two rows or more, it minimises the cross-entropy of the
    rows, each predicted by means that leave it out, against Platt's targets: of n rows and k classes (n + 1) / (n + k)
    for the row's own class. Else it follows from the means alone: half the mean squared distance between two of them,
    times τ, is the log-odds of 90 % against an even rest. Every class counts as equally frequent.

    When to use it: one to five labels a class, or classes that form round groups. When it hurts: many labels, or
    classes made of several groups; there ``feature-extraction`` is better.

    References
    ----------
    Mensink, Verbeek, Perronnin and Csurka, "Distance-based image classification: generalizing to new classes at
    near-zero cost", PAMI 2013. Snell, Swersky and Zemel, "Prototypical networks for few-shot learning", NIPS 2017.
    Platt, "Probabilistic outputs for support vector machines", 1999.
    """

    needs = Needs.LABELS
    suits = Needs.COMPARABLE | Needs.CLASSES

    normalize: bool = Field(False, description="bring features to length 1 first, so that their direction alone counts")

    def run(self, bench: Bench) -> Fitted:
        task = bench.task
        check_classification(self.id(), task)
        bench = bench.on(fitting_source(bench.problem, bench.say))
        check_labels(self.id(), bench.problem)
        vectors = bench.vectors()
        x, codes, weights, of = _rows(bench, vectors)
        before = nn.Sequential()
        if len(vectors.body.outputs) > 1:
            even = Scaled(x.shape[1])
            even.scale.copy_(torch.from_numpy(vectors.scales(x)))
            before.append(even)
        if self.normalize:
            before.append(Normalize())
        x = before(torch.from_numpy(x)).numpy()
        means = class_means(x, codes, weights, task.outputs)
        choices: tuple[Choice, ...] = ()
        temperature = closed_temperature(means)
        told = None
        if np.bincount(codes).min() > 1:
            scores = left_out_scores(x, codes, weights, means)
            temperature = fitted_temperature(scores, codes, weights, temperature)
            own = bench.problem.train[bench.problem.given_weights[bench.problem.train] > 0]
            if len(np.unique(bench.problem.units[own])) == len(own):  # else a row of its group or content is left in
                told = told_of(bench, own, temperature * scores[: len(own)])
            choices = (Choice("temperature", round(temperature, 6), "leave-one-out", len(codes), of),)
        head = nearest_mean_head(means, temperature)
        return Fitted(vectors.network(head, before if len(before) else None), choices, told=told)


def _rows(bench: Bench, vectors: Vectors) -> tuple[Array, Array, Array, str]:
    """Labelled target rows ``(n, d)``, with the source's of classes that have none; classes; weights; whose labels."""
    problem, known, classes = bench.problem, bench.problem.known, bench.task.outputs
    given = problem.given_weights
    train = problem.train[given[problem.train] > 0]
    x, codes, weights = vectors.of(problem.inputs)[train], problem.targets[train].astype(np.int64), given[train]
    of = problem.labels_of
    missing = np.setdiff1d(np.arange(classes), codes)
    if known is not None and len(missing):
        rows = np.flatnonzero(np.isin(known.targets, missing) & (known.weights > 0))
        if len(codes) and len(rows):
            lent = np.unique(known.targets[rows])
            bench.say(f"Classes without a target label have the mean of source rows: {_named(problem, lent)}.")
        of = "source and target" if len(codes) else "source"
        x = np.concatenate([x, vectors.of(known.inputs)[rows]])
        codes = np.concatenate([codes, known.targets[rows].astype(np.int64)])
        weights = np.concatenate([weights, known.weights[rows]])
    missing = np.setdiff1d(np.arange(classes), codes)
    if len(missing):
        raise RequestError(
            f"prototypes: no labelled row is of the class {_named(problem, missing)}; every class needs one: use "
            "labels_per_class=1 or more."
        )
    return x, codes, weights, of


def _named(problem: Problem, codes: Array) -> str:
    return ", ".join(problem.task.classes[code] for code in codes[:10])


def class_means(x: Array, codes: Array, weights: Array, classes: int) -> Array:
    """Weighted mean of the rows ``(n, d)`` of each class, ``(classes, d)``; each class has one."""
    chosen = np.eye(classes)[codes] * weights[:, None]
    return np.asarray(chosen.T @ x / chosen.sum(0)[:, None])


def left_out_scores(x: Array, codes: Array, weights: Array, means: Array) -> Array:
    """−‖x − μ_c‖² / 2 of each row and class, ``(n, k)``, the mean of the row's own class taken without the row.

    Leaving a row of weight w out of rows of weight m moves their mean away from it: ‖x − μ′‖ = m / (m − w) ‖x − μ‖.
    """
    squares = np.maximum((x**2).sum(1)[:, None] - 2 * x @ means.T + (means**2).sum(1), 0)
    counts = np.bincount(codes, weights, minlength=len(means))[codes]
    squares[np.arange(len(x)), codes] *= (counts / (counts - weights)) ** 2
    return np.asarray(-squares / 2)


def closed_temperature(means: Array) -> float:
    """τ by which half the mean squared distance between two means ``(k, d)`` becomes the log-odds of `SURE`."""
    classes = len(means)
    squares = 2 * classes / (classes - 1) * ((means - means.mean(0)) ** 2).sum(1).mean()
    return float(math.log(SURE / (1 - SURE) * (classes - 1)) / max(squares / 2, 1e-12))


def fitted_temperature(scores: Array, codes: Array, weights: Array, near: float) -> float:
    """τ within a factor of 100 of `near` that minimises the cross-entropy of τ · scores ``(n, k)``.

    The targets are those of Platt: (n + 1) / (n + k) for the row's own class, 1 / (n + k) for each other.
    """
    rows, classes = scores.shape
    wanted = np.full((rows, classes), 1 / (rows + classes))
    wanted[np.arange(rows), codes] *= rows + 1

    def loss(logarithm: float) -> float:
        logits = math.exp(logarithm) * scores
        top = logits.max(1, keepdims=True)
        logs = logits - top - np.log(np.exp(logits - top).sum(1, keepdims=True))
        return float(-np.average((wanted * logs).sum(1), weights=weights))

    middle = math.log(near)
    return math.exp(minimize_scalar(loss, bounds=(middle - RANGE, middle + RANGE), method="bounded").x)


def nearest_mean_head(means: Array, temperature: float) -> nn.Linear:
    """The linear layer whose largest output is that of the nearest mean ``(k, d)``: τ (μ · x − ‖μ‖² / 2)."""
    layer = nn.Linear(means.shape[1], means.shape[0])
    with torch.no_grad():
        layer.weight.copy_(torch.from_numpy(temperature * means))
        layer.bias.copy_(torch.from_numpy(-temperature / 2 * (means**2).sum(1)))
    return layer
