"""Plain learners on a target's own labels: linear models and gradient boosting, without any source."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from sklearn.base import BaseEstimator, clone
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import FeatureUnion, Pipeline

from sterna.bench.fitted import Fitted
from sterna.bench.problem import Array, Problem
from sterna.domains.inputs import Preparation
from sterna.domains.preparation_table import TablePreparation
from sterna.networks.estimator import EstimatorHead
from sterna.networks.freezing import freeze
from sterna.networks.preparation_audio import LogMelStatistics
from sterna.networks.preparation_image import ImagePreparation
from sterna.networks.preparation_text import RawText
from sterna.networks.small import identity_body
from sterna.selection.cross_validation import choose_penalty, folds_of, sample_of
from sterna.tasks.task import Task
from sterna.training.linear import as_layer, fit_linear, in_memory, moments

if TYPE_CHECKING:
    from sterna.bench.bench import Bench

PIXELS = 32
"""Images are shrunk to this many pixels a side for the linear model on pixels."""

STRENGTHS = (1.0, 10.0, 100.0)
"""Inverse penalties C tried on TF-IDF."""


def plain_learner(bench: Bench) -> Fitted:
    """The best cheap learner on the training labels: see ``target-only``."""
    problem = bench.problem
    if problem.target.kind == "text":
        preparation: Preparation = RawText()
        body, head, chosen = identity_body(None), _best_estimator(text_learners(problem.task), problem), "penalty"
    else:
        preparation, x = _columns(problem)
        body, head, chosen = identity_body(x.shape[1]), _linear_or_boosting(x, problem), "learner"
    rows = len(sample_of(problem.train, problem.targets, problem.task, problem.seed))
    network = bench.network(preparation, body, head)
    freeze(network)
    return Fitted(network, (bench.cross_validated(chosen, _describe(head), rows),))


def texts_of(problem: Problem) -> Any:
    """The texts of a problem's target rows, ``(n,)``."""
    return np.array([problem.inputs[i] for i in range(len(problem.inputs))], dtype=object)


def _columns(problem: Problem) -> tuple[Preparation, Array]:
    """The preparation, fitted on the training rows, and every row as numbers ``(n, width)``."""
    if problem.target.kind == "table":
        table = TablePreparation().fit(problem.inputs.take(problem.train))
        return table, np.asarray(table.items(problem.inputs))
    image: Preparation = ImagePreparation(size=PIXELS, mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5), crop=1.0)
    if problem.target.kind == "audio":
        image = LogMelStatistics().fit(problem.inputs.take(problem.train))
    items = image.items(problem.inputs)
    return image, np.stack([np.asarray(items[i], dtype=np.float32).ravel() for i in range(len(items))])


def _linear_or_boosting(x: Array, problem: Problem) -> Any:
    """The better of a linear model and, on tables and audio, gradient boosting, by the cross-validated loss."""
    task, train = problem.task, problem.train
    rows = sample_of(train, problem.targets, task, problem.seed)
    weights = problem.row_weights()
    mean, scale = moments(in_memory(x), problem.train_weights())
    standard = ((x - mean) / scale).astype(np.float32)
    linear = choose_penalty(standard[rows], problem.targets[rows], task, weights[rows], problem.seed)
    boosting = boosting_learner(task, len(train)) if problem.target.kind in ("table", "audio") else None
    if boosting is not None:
        folds = folds_of(problem.targets[rows], task, 5, problem.seed)  # those that choose_penalty takes
        loss = _cross_validated_loss(boosting, x[rows], problem.targets[rows], weights[rows], task, folds)
        if loss < linear.loss:
            fit(boosting, x[train], problem.targets[train], weights[train])
            return EstimatorHead(boosting, task)
    solution = fit_linear(in_memory(standard[train]), problem.targets[train], task, weights[train], linear.penalty)
    return as_layer(solution, mean, scale)


def _best_estimator(learners: list[BaseEstimator], problem: Problem) -> EstimatorHead:
    """The learner with the lowest cross-validated loss, fitted on all training rows; of one class that class."""
    task, train, x = problem.task, problem.train, texts_of(problem)
    if task.id == "classification" and len(np.unique(problem.targets[train])) == 1:
        constant = DummyClassifier(strategy="prior")
        fit(constant, x[train], problem.targets[train], problem.row_weights()[train])
        return EstimatorHead(constant, task)
    rows = sample_of(train, problem.targets, task, problem.seed)
    targets, weights = problem.targets[rows], problem.row_weights()[rows]
    folds = folds_of(targets, task, 5, problem.seed)
    if task.id == "classification":  # of one class alone, where another's only row is held out, nothing can be learnt
        folds = [fold for fold in folds if len(np.unique(targets[fold[0]])) > 1]
    losses = [_cross_validated_loss(each, x[rows], targets, weights, task, folds) for each in learners]
    best = learners[int(np.argmin(losses))]
    fit(best, x[train], problem.targets[train], problem.row_weights()[train])
    return EstimatorHead(best, task)


def _cross_validated_loss(
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
        for _, vectors in learner[0].transformer_list:  # numbers of numpy would be saved as so many files
            vectors.vocabulary_ = {word: int(place) for word, place in vectors.vocabulary_.items()}
    else:  # equal weights change nothing, and boosting's weighted bins take ten times as long
        learner.fit(x, targets, sample_weight=None if (weights == weights[0]).all() else weights)


def boosting_learner(task: Task, rows: int) -> BaseEstimator | None:
    """Gradient boosting whose leaves suit this many rows; ``None`` for several labels a row."""
    leaf = int(np.clip(rows // 20, 2, 20))
    if task.id == "multilabel":
        return None
    learner = HistGradientBoostingRegressor if task.id == "regression" else HistGradientBoostingClassifier
    return learner(min_samples_leaf=leaf, early_stopping=False, random_state=0)


def text_learners(task: Task) -> list[BaseEstimator]:
    """TF-IDF of words (one and two) and of characters (one to four), under a linear model of several strengths."""

    def vectors() -> FeatureUnion:
        words = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True)
        characters = TfidfVectorizer(analyzer="char_wb", ngram_range=(1, 4), sublinear_tf=True, max_features=200_000)
        return FeatureUnion([("words", words), ("characters", characters)])

    def model(strength: float) -> BaseEstimator:
        if task.id == "regression":
            return Ridge(alpha=1 / strength)
        logistic = LogisticRegression(C=strength, max_iter=1000)
        return OneVsRestClassifier(logistic) if task.id == "multilabel" else logistic

    return [Pipeline([("vectors", vectors()), ("model", model(c))]) for c in STRENGTHS]


def _describe(head: Any) -> str:
    estimator = getattr(head, "estimator", None)
    if estimator is None:
        return "linear"
    last = estimator[-1] if isinstance(estimator, Pipeline) else estimator
    last = getattr(last, "estimator", last)
    return f"{type(last).__name__}(C={last.C:g})" if hasattr(last, "C") else type(last).__name__
