"""Plain learners on a target's own labels: linear models, trees and naive Bayes, without any source."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from sklearn.base import BaseEstimator, clone
from sklearn.dummy import DummyClassifier
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import Pipeline

from sterna.bench.fitted import Fitted
from sterna.bench.heads import told_of
from sterna.bench.problem import Array, Problem
from sterna.errors import RequestError
from sterna.kinds.kind import Raw, kind_of
from sterna.networks.estimator import EstimatorHead
from sterna.networks.freezing import freeze
from sterna.networks.identity import identity_body
from sterna.selection.calibration import Calibration, calibration, of_known_classes
from sterna.selection.cross_validation import choose_penalty, folds_of, sample_of
from sterna.tasks.task import Task
from sterna.training.linear import as_layer, fit_linear, in_memory, moments, rotated, unrotated

if TYPE_CHECKING:
    from sterna.bench.bench import Bench

STRENGTHS = (1.0, 10.0, 100.0)
"""Inverse penalties C tried on raw rows."""

MOST_CLASSES = 50
"""Classes up to which trees are tried: boosting grows one for each class in each of 100 rounds."""


ENOUGH = 200
"""Labels by which the best of several learners is as good as they say: by few labels one seems better by chance, with
10 to 60 by .06 nats and four mistakes in a hundred (``python -m benchmarks.choosing.with_labels``)."""


class Learner(NamedTuple):
    """A candidate.

    Attributes
    ----------
    model
        Of scikit-learn, not fitted.
    scaled
        Whether held-out predictions say how sure it may be; a linear model's penalty says so already.
    """

    model: BaseEstimator
    scaled: bool


class Held(NamedTuple):
    """How well a candidate did on held-out rows, what its outputs lacked, and these with it, NaN where not asked."""

    loss: float
    calibration: Calibration
    outputs: Array


Part = tuple[Array, Array, Any, Any]
"""Of a fold: rows learnt from, rows held out, and the vectors of both."""


def plain_learner(bench: Bench) -> Fitted:
    """The best cheap learner on the training labels: see ``target-only``."""
    problem, kind = bench.problem, kind_of(bench.problem.target.kind)
    raw = kind.raw()
    vectors = kind.vectors(problem.inputs.take(problem.train)) if raw is None else None
    if raw is not None:
        preparation, body = raw.preparation, identity_body(None)
        (head, compared, told), chosen = _best_on_raw(raw, problem), "penalty"
    elif vectors is not None:
        preparation, x = vectors.preparation, vectors.of(problem.inputs)
        (head, told), chosen, compared = _best_on_vectors(x, problem), "learner", True
        body = identity_body(x.shape[1])
    else:
        raise RequestError(f"target-only knows no plain learner of {kind.noun}; choose another control.")
    rows = sample_of(problem.train, problem.targets, problem.task, problem.seed, problem.row_weights())
    network = bench.network(preparation, body, head)
    freeze(network)
    choice = bench.cross_validated(chosen, _describe(head), len(rows) if compared else 0)
    return Fitted(network, (choice,), told=told_of(bench, rows, told), told_fair=len(rows) >= ENOUGH)


def rows_of(problem: Problem) -> Any:
    """A problem's target rows as they are, ``(n,)``."""
    return np.array([problem.inputs[i] for i in range(len(problem.inputs))], dtype=object)


def _best_on_vectors(x: Array, problem: Problem) -> tuple[Any, Array | None]:
    """The best of a linear model and, on tables and audio, trees, by the cross-validated loss; its held-out outputs."""
    task, train = problem.task, problem.train
    weights = problem.row_weights()
    rows = sample_of(train, problem.targets, task, problem.seed, weights)
    mean, scale = moments(in_memory(x), problem.train_weights())
    standard = ((x - mean) / scale).astype(np.float32)
    targets, units = problem.targets[rows], problem.units[rows]
    linear = choose_penalty(standard[rows], targets, task, weights[rows], problem.seed, units=units)
    trees = tree_learners(task, len(train)) if kind_of(problem.target.kind).boosting else []
    if trees:
        seen, folds = x[rows], folds_of(targets, task, 5, problem.seed, units=units)  # those that choose_penalty takes
        parts = [(a, b, seen[a], seen[b]) for a, b in folds]
        held = held_out(trees, parts, targets, weights[rows], task)
        best = int(np.argmin([each.loss for each in held]))
        if held[best].loss < linear.loss:
            fit_model(trees[best].model, x[train], problem.targets[train], weights[train])
            return _head(trees[best].model, held[best].calibration, task), held[best].outputs
    seen, basis = rotated(standard[train])
    solution = fit_linear(in_memory(seen), problem.targets[train], task, weights[train], linear.penalty)
    solution[:, -1] += linear.offset
    return as_layer(unrotated(solution, basis), mean, scale, task), linear.outputs


def _best_on_raw(raw: Raw, problem: Problem) -> tuple[EstimatorHead, bool, Array | None]:
    """The learner on raw rows with the lowest cross-validated loss, fitted on all; whether labels compared any; its
    held-out outputs.

    Of one class alone it answers that class; where no fold can be learnt from, the first learner is taken.
    """
    task, train, x = problem.task, problem.train, rows_of(problem)
    if task.one_class and len(np.unique(problem.targets[train])) == 1:
        constant = DummyClassifier(strategy="prior")
        fit_model(constant, x[train], problem.targets[train], problem.row_weights()[train])
        return EstimatorHead(constant, task), False, None
    rows = sample_of(train, problem.targets, task, problem.seed, problem.row_weights())
    targets, weights = problem.targets[rows], problem.row_weights()[rows]
    folds = folds_of(targets, task, 5, problem.seed, units=problem.units[rows])
    if task.one_class:  # of one class alone, where another's only row is held out, nothing can be learnt
        folds = [fold for fold in folds if len(np.unique(targets[fold[0]])) > 1]
    silent = np.array([raw.empty(row) for row in x])
    if silent[train].all():
        noun = kind_of(problem.target.kind).noun
        raise RequestError(f"All {len(train):,} {noun} to learn from are empty; look at the column that was named.")
    parts: list[Part] = []
    for a, b in folds:
        if not silent[rows][a].all():
            vectoriser = raw.vectoriser().fit(list(x[rows][a]))
            parts.append((a, b, *(vectoriser.transform(list(x[rows][some])) for some in (a, b))))
    learners = raw_learners(task)
    held = held_out(learners, parts, targets, weights, task)
    best = int(np.argmin([each.loss for each in held]))
    found = on_raw(raw, learners[best].model, x[train], problem.targets[train], problem.row_weights()[train])
    return _head(found, held[best].calibration, task), bool(parts), held[best].outputs


def on_raw(raw: Raw, model: BaseEstimator, x: Array, targets: Array, weights: Array) -> Pipeline:
    """The vectors of raw rows under a model, both fitted on these rows."""
    vectoriser = raw.vectoriser()
    vectors = vectoriser.fit_transform(list(x))
    for _, each in vectoriser.transformer_list:  # numbers of numpy would be saved as so many files
        each.vocabulary_ = {word: int(place) for word, place in each.vocabulary_.items()}
    return Pipeline([("vectors", vectoriser), ("model", fit_model(model, vectors, targets, weights))])


def _head(model: BaseEstimator, found: Calibration, task: Task) -> EstimatorHead:
    return EstimatorHead(model, task, found.scale, found.offset.tolist())


def held_out(
    learners: Sequence[Learner], parts: Sequence[Part], targets: Array, weights: Array, task: Task
) -> list[Held]:
    """How well each candidate does on the rows that the folds hold out: their weighted losses over all weights."""
    outputs = np.zeros((len(learners), len(targets), task.outputs))
    asked, known = np.zeros(len(targets), dtype=bool), of_known_classes(targets, [part[:2] for part in parts], task)
    for train, held, seen, unseen in parts:
        asked[held] = True
        for each, learner in zip(outputs, learners, strict=True):
            model = fit_model(clone(learner.model), seen, targets[train], weights[train])
            each[held] = task.from_estimator(model, unseen)
    found = []
    for each, learner in zip(outputs, learners, strict=True):
        better = calibration(each, targets, weights, task, scaled=learner.scaled, usable=known)
        rows, share = better.of(torch.from_numpy(each[asked])), torch.as_tensor(weights[asked])
        loss = float(task.loss(rows, torch.as_tensor(targets[asked]), share) * share.sum()) if asked.any() else 0.0
        each[asked], each[~asked] = rows.numpy(), np.nan
        found.append(Held(loss / float(weights.sum()), better, each))
    return found


def fit_model(model: BaseEstimator, x: Any, targets: Array, weights: Array) -> BaseEstimator:
    """Fit with row weights; each of several labels is learnt of the rows that say whether it applies."""
    # Equal weights change nothing, and boosting's weighted bins take ten times as long.
    uneven = None if (weights == weights[0]).all() else weights
    if isinstance(model, OneVsRestClassifier):
        model.fit(x, np.nan_to_num(targets))
        if np.isnan(targets).any() or uneven is not None:
            model.estimators_ = _of_known_cells(model, x, targets, uneven)
    else:
        model.fit(x, targets, sample_weight=uneven)
    return model


def _of_known_cells(model: OneVsRestClassifier, x: Any, targets: Array, uneven: Array | None) -> list[BaseEstimator]:
    """The model of each label again, of the rows alone that say whether it applies; without any, it says one half."""
    found = list(model.estimators_)
    for label, column in enumerate(targets.T):
        known = np.flatnonzero(~np.isnan(column))
        if not len(known):
            found[label] = DummyClassifier(strategy="prior").fit([[0.0], [0.0]], [0, 1])
        elif len(known) < len(column) or uneven is not None:
            some, y = x[known], column[known].astype(np.int64)
            if len(np.unique(y)) > 1:
                shares = None if uneven is None else uneven[known]
                found[label] = clone(model.estimator).fit(some, y, sample_weight=shares)
            else:  # one column alone would be read as two classes
                found[label] = clone(model).fit(some, np.column_stack([y, y])).estimators_[0]
    return found


def tree_learners(task: Task, rows: int) -> list[Learner]:
    """Trees whose leaves suit this many rows; none for very many classes, of which a linear model learns more."""
    if task.outputs > MOST_CLASSES:
        return []
    leaf = int(np.clip(rows // 20, 2, 20))
    return [Learner(model, True) for model in task.tree_estimators(leaf)]


def raw_learners(task: Task) -> list[Learner]:
    """Models on the vectors of raw rows: a linear one of several strengths, and those that count."""
    linear = [Learner(task.linear_estimator(c), False) for c in STRENGTHS]
    return linear + [Learner(model, True) for model in task.count_estimators()]


def _describe(head: Any) -> str:
    estimator = getattr(head, "estimator", None)
    if estimator is None:
        return "linear"
    last = estimator[-1] if isinstance(estimator, Pipeline) else estimator
    last = getattr(last, "estimator", last)
    strength = next((f"({name}={getattr(last, name):g})" for name in ("C", "alpha") if hasattr(last, name)), "")
    return f"{type(last).__name__}{strength}"
