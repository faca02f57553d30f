"""Plain learners on a target's own labels: linear models and gradient boosting, without any source."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from sklearn.base import BaseEstimator, clone
from sklearn.dummy import DummyClassifier
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import Pipeline

from sterna.bench.fitted import Fitted
from sterna.bench.problem import Array, Problem
from sterna.errors import RequestError
from sterna.kinds.kind import Raw, kind_of
from sterna.networks.estimator import EstimatorHead
from sterna.networks.freezing import freeze
from sterna.networks.identity import identity_body
from sterna.selection.cross_validation import choose_penalty, folds_of, sample_of
from sterna.tasks.task import Task
from sterna.training.linear import as_layer, fit_linear, in_memory, moments

if TYPE_CHECKING:
    from sterna.bench.bench import Bench

STRENGTHS = (1.0, 10.0, 100.0)
"""Inverse penalties C tried on raw rows."""

MOST_BOOSTED = 50
"""Classes up to which gradient boosting is tried."""


def plain_learner(bench: Bench) -> Fitted:
    """The best cheap learner on the training labels: see ``target-only``."""
    problem, kind = bench.problem, kind_of(bench.problem.target.kind)
    raw = kind.raw()
    vectors = kind.vectors(problem.inputs.take(problem.train)) if raw is None else None
    if raw is not None:
        preparation, body = raw.preparation, identity_body(None)
        (head, compared), chosen = _best_estimator(raw, problem), "penalty"
    elif vectors is not None:
        preparation, x = vectors.preparation, vectors.of(problem.inputs)
        body, head, chosen, compared = identity_body(x.shape[1]), _linear_or_boosting(x, problem), "learner", True
    else:
        raise RequestError(f"target-only knows no plain learner of {kind.noun}; choose another control.")
    rows = len(sample_of(problem.train, problem.targets, problem.task, problem.seed))
    network = bench.network(preparation, body, head)
    freeze(network)
    return Fitted(network, (bench.cross_validated(chosen, _describe(head), rows if compared else 0),))


def rows_of(problem: Problem) -> Any:
    """A problem's target rows as they are, ``(n,)``."""
    return np.array([problem.inputs[i] for i in range(len(problem.inputs))], dtype=object)


def _linear_or_boosting(x: Array, problem: Problem) -> Any:
    """The better of a linear model and, on tables and audio, gradient boosting, by the cross-validated loss."""
    task, train = problem.task, problem.train
    rows = sample_of(train, problem.targets, task, problem.seed)
    weights = problem.row_weights()
    mean, scale = moments(in_memory(x), problem.train_weights())
    standard = ((x - mean) / scale).astype(np.float32)
    targets, units = problem.targets[rows], problem.units[rows]
    linear = choose_penalty(standard[rows], targets, task, weights[rows], problem.seed, units=units)
    boosting = boosting_learner(task, len(train)) if kind_of(problem.target.kind).boosting else None
    if boosting is not None:
        folds = folds_of(targets, task, 5, problem.seed, units=units)  # those that choose_penalty takes
        loss = cross_validated_loss(boosting, x[rows], targets, weights[rows], task, folds)
        if loss < linear.loss:
            fit(boosting, x[train], problem.targets[train], weights[train])
            return EstimatorHead(boosting, task)
    solution = fit_linear(in_memory(standard[train]), problem.targets[train], task, weights[train], linear.penalty)
    return as_layer(solution, mean, scale, task)


def _best_estimator(raw: Raw, problem: Problem) -> tuple[EstimatorHead, bool]:
    """The learner on raw rows with the lowest cross-validated loss, fitted on all, and whether labels compared any.

    Of one class alone it answers that class; where no fold can be learnt from, the first learner is taken.
    """
    task, train, x = problem.task, problem.train, rows_of(problem)
    if task.one_class and len(np.unique(problem.targets[train])) == 1:
        constant = DummyClassifier(strategy="prior")
        fit(constant, x[train], problem.targets[train], problem.row_weights()[train])
        return EstimatorHead(constant, task), False
    rows = sample_of(train, problem.targets, task, problem.seed)
    targets, weights = problem.targets[rows], problem.row_weights()[rows]
    folds = folds_of(targets, task, 5, problem.seed, units=problem.units[rows])
    if task.one_class:  # of one class alone, where another's only row is held out, nothing can be learnt
        folds = [fold for fold in folds if len(np.unique(targets[fold[0]])) > 1]
    silent = np.array([raw.empty(row) for row in x])
    if silent[train].all():
        noun = kind_of(problem.target.kind).noun
        raise RequestError(f"All {len(train):,} {noun} to learn from are empty; look at the column that was named.")
    folds = [fold for fold in folds if not silent[rows][fold[0]].all()]
    learners = raw_learners(task, raw)
    losses = [cross_validated_loss(each, x[rows], targets, weights, task, folds) for each in learners]
    best = learners[int(np.argmin(losses))]
    fit(best, x[train], problem.targets[train], problem.row_weights()[train])
    return EstimatorHead(best, task), bool(folds)


def cross_validated_loss(
    learner: BaseEstimator, x: Array, targets: Array, weights: Array, task: Task, folds: Sequence[tuple[Array, Array]]
) -> float:
    """Weighted sum of the losses of the rows that the folds hold out, over the sum of all weights."""
    total = 0.0
    for train, held in folds:
        copy = clone(learner)
        fit(copy, x[train], targets[train], weights[train])
        outputs = EstimatorHead(copy, task)(x[held] if x.dtype != object else list(x[held])).double()
        held_weights = torch.as_tensor(weights[held])
        total += float(task.loss(outputs, torch.as_tensor(targets[held]), held_weights) * held_weights.sum())
    return total / float(weights.sum())


def fit(learner: BaseEstimator, x: Array, targets: Array, weights: Array) -> None:
    """Fit with row weights; a pipeline passes them to its last step, several labels go without."""
    if isinstance(learner, Pipeline):
        several = isinstance(learner[-1], OneVsRestClassifier)
        options = {} if several else {f"{learner.steps[-1][0]}__sample_weight": weights}
        learner.fit(list(x), np.nan_to_num(targets), **options)
        if several and np.isnan(targets).any():
            learner[-1].estimators_ = _of_known_cells(learner, x, targets)
        for _, vectors in learner[0].transformer_list:  # numbers of numpy would be saved as so many files
            vectors.vocabulary_ = {word: int(place) for word, place in vectors.vocabulary_.items()}
    else:  # equal weights change nothing, and boosting's weighted bins take ten times as long
        learner.fit(x, targets, sample_weight=None if (weights == weights[0]).all() else weights)


def _of_known_cells(learner: Pipeline, x: Array, targets: Array) -> list[BaseEstimator]:
    """The model of each label again, of the rows alone that say whether it applies; without any, it says one half."""
    vectors, model = learner[0].transform(list(x)), learner[-1]
    found = list(model.estimators_)
    for label, column in enumerate(targets.T):
        known = np.flatnonzero(~np.isnan(column))
        if not len(known):
            found[label] = DummyClassifier(strategy="prior").fit([[0.0], [0.0]], [0, 1])
        elif len(known) < len(column):
            twice = np.column_stack([column[known], column[known]])  # one column alone would be read as two classes
            found[label] = clone(model).fit(vectors[known], twice).estimators_[0]
    return found


def boosting_learner(task: Task, rows: int) -> BaseEstimator | None:
    """Gradient boosting whose leaves suit this many rows; ``None`` for several labels a row, or very many classes.

    It grows a tree for each class in each of 100 rounds: with 1,000 classes that takes minutes, and it learns less than
    a linear model does of the few rows that each class then has.
    """
    if task.outputs > MOST_BOOSTED:
        return None
    leaf = int(np.clip(rows // 20, 2, 20))
    return task.boosting_estimator(leaf)


def raw_learners(task: Task, raw: Raw) -> list[BaseEstimator]:
    """The vectors of raw rows under a linear model of several strengths."""
    return [Pipeline([("vectors", raw.vectoriser()), ("model", task.linear_estimator(c))]) for c in STRENGTHS]


def _describe(head: Any) -> str:
    estimator = getattr(head, "estimator", None)
    if estimator is None:
        return "linear"
    last = estimator[-1] if isinstance(estimator, Pipeline) else estimator
    last = getattr(last, "estimator", last)
    return f"{type(last).__name__}(C={last.C:g})" if hasattr(last, "C") else type(last).__name__
