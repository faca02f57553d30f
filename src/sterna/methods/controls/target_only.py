"""target-only: the best cheap learner on target labels alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
from sklearn.base import BaseEstimator, clone
from sklearn.dummy import DummyClassifier
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import FeatureUnion, Pipeline

from sterna.domains.inputs import Preparation
from sterna.domains.preparation_table import TablePreparation
from sterna.methods.method import Method, Needs
from sterna.methods.problem import Array, Problem
from sterna.networks.estimator import EstimatorHead
from sterna.networks.freezing import freeze
from sterna.networks.network import Network
from sterna.networks.preparation_audio import LogMelStatistics
from sterna.networks.preparation_image import ImagePreparation
from sterna.networks.preparation_text import RawText
from sterna.networks.small import identity_body
from sterna.tasks.task import Task
from sterna.training.linear import as_layer, choose_penalty, fit_linear, folds_of, in_memory, moments, sample_of
from sterna.training.trainer import Trainer

PIXELS = 32
"""Images are shrunk to this many pixels a side for the linear model on pixels."""

STRENGTHS = (1.0, 10.0, 100.0)
"""Inverse penalties C tried on TF-IDF."""


class TargetOnly(Method):
    """The best cheap learner on target labels alone, without any source.

    Tables: gradient boosting, and logistic or ridge regression on standardised columns. Texts: logistic or ridge
    regression on TF-IDF of words and of characters (the latter for languages without spaces, too). Images:
    logistic or ridge regression on 32 x 32 pixels; the other control, ``scratch``, trains a network. Audio: gradient
    boosting, and logistic or ridge regression, on the mean and deviation of each log-mel band over time and its mean
    in each third of the recording. The learner and its penalty are chosen by cross-validation on the training labels.

    References
    ----------
    Friedman, "Greedy function approximation: a gradient boosting machine", Annals of Statistics 2001. Wang and
    Manning, "Baselines and bigrams: simple, good sentiment and topic classification", ACL 2012.
    """

    needs: ClassVar[Needs] = Needs.TARGET_LABELS

    def refits_on(self, problem: Problem) -> bool:
        return True

    def run(self, problem: Problem, trainer: Trainer) -> Network:
        if problem.target.kind == "text":
            preparation: Preparation = RawText()
            x: Any = np.array([problem.inputs[i] for i in range(len(problem.inputs))], dtype=object)
            body = identity_body(None)
            head, chosen = _best_estimator(text_learners(problem.task), x, problem), "penalty"
        else:
            preparation, x = _columns(problem)
            body = identity_body(x.shape[1])
            head, chosen = _linear_or_boosting(x, problem), "learner"
        rows = len(sample_of(problem.train, problem.targets, problem.task, problem.seed))
        trainer.log.choose("cross-validation", rows, chosen, _describe(head), problem.labels_of)
        network = Network(preparation, body, head, task=problem.task)
        freeze(network)
        return network


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
    return as_layer(solution, mean, scale, task)


def _best_estimator(learners: list[BaseEstimator], x: Array, problem: Problem) -> EstimatorHead:
    """The learner with the lowest cross-validated loss, fitted on all training rows; of one class that class."""
    task, train = problem.task, problem.train
    if task.one_class and len(np.unique(problem.targets[train])) == 1:
        constant = DummyClassifier(strategy="prior")
        fit(constant, x[train], problem.targets[train], problem.row_weights()[train])
        return EstimatorHead(constant, task)
    rows = sample_of(train, problem.targets, task, problem.seed)
    targets, weights = problem.targets[rows], problem.row_weights()[rows]
    folds = folds_of(targets, task, 5, problem.seed)
    if task.one_class:  # of one class alone, where another's only row is held out, nothing can be learnt
        folds = [fold for fold in folds if len(np.unique(targets[fold[0]])) > 1]
    losses = [_cross_validated_loss(each, x[rows], targets, weights, task, folds) for each in learners]
    best = learners[int(np.argmin(losses))]
    fit(best, x[train], problem.targets[train], problem.row_weights()[train])
    return EstimatorHead(best, task)


def _cross_validated_loss(
    learner: BaseEstimator, x: Array, targets: Array, weights: Array, task: Task, folds: Sequence[tuple[Array, Array]]
) -> float:
    """Weighted sum of the losses of the rows that the folds hold out, over the sum of all weights."""
    import torch

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
    return task.boosting_estimator(leaf)


def text_learners(task: Task) -> list[BaseEstimator]:
    """TF-IDF of words (one and two) and of characters (one to four), under a linear model of several strengths."""

    def vectors() -> FeatureUnion:
        words = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True)
        characters = TfidfVectorizer(analyzer="char_wb", ngram_range=(1, 4), sublinear_tf=True, max_features=200_000)
        return FeatureUnion([("words", words), ("characters", characters)])

    return [Pipeline([("vectors", vectors()), ("model", task.linear_estimator(c))]) for c in STRENGTHS]


def _describe(head: Any) -> str:
    estimator = getattr(head, "estimator", None)
    if estimator is None:
        return "linear"
    last = estimator[-1] if isinstance(estimator, Pipeline) else estimator
    last = getattr(last, "estimator", last)
    return f"{type(last).__name__}(C={last.C:g})" if hasattr(last, "C") else type(last).__name__
