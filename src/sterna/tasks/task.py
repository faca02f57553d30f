"""The contract of a task: what is asked of an input, and how an answer is learnt and scored."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from sterna.errors import RequestError
from sterna.tasks.checks import check_targets, checked_outputs
from sterna.tasks.losses import at_least_float32, weighted_mean
from sterna.tasks.metric import added_metric
from sterna.tasks.metrics import Floats, Mask, chunks
from sterna.tasks.statistics import Statistics

if TYPE_CHECKING:
    from sklearn.base import BaseEstimator
    from torch import Tensor, nn

    from sterna.domains.domain import Domain

LEAST = math.log(1e-3)
"""Logarithm below which a class's probability says no more than that it is not this class."""
UNLIKELY = 1e-7
"""Probability that a class gets which an estimator rules out, so that no logarithm is infinite."""


class Task(ABC):
    """What is asked of an input: encodes labels, and gives the head, the loss, the answers and the metrics.

    Attributes
    ----------
    id, asks : str
        Its name, such as ``"classification"``, and what it asks of a row, in words.
    one_class, one_number : bool
        Whether the answer to a row is one of the classes, so that rows can be drawn and balanced by class; or a number.
    errors : frozenset of str
        The metrics of which a smaller value is better.
    metric, tie_metric : str
        The primary metric, of `metric_names` or of a package (`sterna.tasks.metric`); what decides where it is equal.
    classes : tuple of str
        Names of the classes or labels; empty for a regression.
    """

    id: ClassVar[str]
    asks: ClassVar[str]
    one_class: ClassVar[bool] = False
    one_number: ClassVar[bool] = False
    tie_metric: ClassVar[str]
    errors: ClassVar[frozenset[str]] = frozenset()
    metric: str
    classes: tuple[str, ...]

    @classmethod
    @abstractmethod
    def of_labels(cls, domain: Domain, metric: str | None, fit: Mask) -> Task:
        """The task that a domain's labels ask for.

        Parameters
        ----------
        domain : Domain
            Labelled, at least in part.
        metric : str, optional
            The primary metric; the task's own choice by default.
        fit : ndarray, shape (n,)
            Rows whose labels give what is learnt of them, such as the scale of numbers.

        Raises
        ------
        RequestError
            If the labels are none for this task.
        """

    @property
    @abstractmethod
    def outputs(self) -> int:
        """How many numbers the head gives for a row (o)."""

    @abstractmethod
    def encode(self, labels: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """Turn a Domain's labels into targets, one a row; see each task for their form."""

    def matched(self, domain: Domain) -> tuple[np.ndarray[Any, Any], list[str]]:
        """Encoded labels of a domain, matched by name where there are several a row; a sentence on each difference."""
        return self.encode(np.asarray(domain.labels)), []

    @abstractmethod
    def decode(self, targets: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """What labels the encoded targets stand for, in the form in which `answers` gives answers."""

    def told(self, answers: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """Answers, or decoded targets, as one word or number a row, ``(n,)``: what stands in a table."""
        return answers

    def takes(self, labels: np.ndarray[Any, Any]) -> bool:
        """Whether labels that could be another task's as well are this one's where it is the one asked for."""
        return False

    def widened(self, classes: tuple[str, ...]) -> Task:
        """The task with classes that rows may be of beside its own; of a row that is of no one class, the same task."""
        return self

    @abstractmethod
    def labelled(self, targets: np.ndarray[Any, Any]) -> Mask:
        """Which encoded targets are labels, ``(n,)``."""

    @abstractmethod
    def losses(self, outputs: Tensor, targets: Tensor, label_smoothing: float = 0.0) -> Tensor:
        """The loss of each labelled row, ``(n,)``, of outputs ``(n, o)`` and targets as `encode` gives them.

        Of one class a row, the targets may also be shares of the classes ``(n, k)``, each row's of sum 1.
        """

    @abstractmethod
    def as_features(self, outputs: Tensor) -> Tensor:
        """Outputs ``(n, o)`` on a scale that suits a linear model, which can repeat them as they are."""

    @abstractmethod
    def mean_of(self, answers: Tensor, weights: Tensor) -> Tensor:
        """Outputs ``(n, o)`` of the mean of several answers of `as_features`, ``(n, c, o)``, by weights ``(c, 1)``."""

    @abstractmethod
    def from_estimator(self, estimator: Any, x: Any) -> Floats:
        """Outputs ``(n, o)`` of a scikit-learn estimator that was fitted on encoded targets, for rows `x`."""

    @abstractmethod
    def linear_estimator(self, strength: float) -> BaseEstimator:
        """A linear model of scikit-learn for encoded targets; `strength` is the inverse of the penalty."""

    def tree_estimators(self, leaf: int) -> tuple[BaseEstimator, ...]:
        """Trees of scikit-learn for encoded targets, with at least `leaf` rows a leaf."""
        return ()

    def count_estimators(self) -> tuple[BaseEstimator, ...]:
        """Models of scikit-learn for encoded targets and rows of counts or TF-IDF, beside the linear one."""
        return ()

    @abstractmethod
    def probabilities(self, outputs: np.ndarray[Any, Any]) -> Floats:
        """Probabilities of the classes, ``(n, k)``."""

    @abstractmethod
    def answers(self, outputs: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """What a person is told, one a row."""

    @abstractmethod
    def metric_names(self) -> tuple[str, ...]:
        """Every metric of the task's own, the usual primary ones first."""

    def unknown_metrics(self, targets: np.ndarray[Any, Any]) -> tuple[str, ...]:
        """Those of `metric_names` of which these targets say nothing; none, unless the task says otherwise."""
        return ()

    @abstractmethod
    def statistics(
        self, outputs: np.ndarray[Any, Any], targets: np.ndarray[Any, Any], names: Sequence[str] | None = None
    ) -> Statistics:
        """What the metrics need of each row; those of several batches may be `joined`.

        Parameters
        ----------
        outputs : ndarray, shape (n, o)
            The network's outputs: logits or log-probabilities; numbers in the user's units.
        targets : ndarray, shape (n,) or (n, k)
            Encoded labels of the same rows, all labelled.
        names : sequence of str, optional
            What only these metrics need; otherwise what all of them do.

        Raises
        ------
        RequestError
            If the shapes do not fit, a row is unlabelled, or a metric is unknown.
        RunError
            If an output is NaN or infinite.
        """

    @abstractmethod
    def measured(self, statistics: Statistics, weights: Floats, names: Sequence[str]) -> dict[str, Floats]:
        """At least the metrics named, ``(b,)`` each, for weights ``(b, n)``."""

    @abstractmethod
    def state(self) -> dict[str, Any]:
        """All it takes to build it again, as JSON; see `task_from_state`."""

    def loss(
        self, outputs: Tensor, targets: Tensor, weights: Tensor | None = None, label_smoothing: float = 0.0
    ) -> Tensor:
        """The weighted mean of the `losses`, in float32 or wider; the plain mean without weights ``(n,)``."""
        outputs = at_least_float32(outputs)
        cells = self.cells(targets)
        if cells is not None:
            weights = cells if weights is None else cells * weights
        return weighted_mean(self.losses(outputs, targets, label_smoothing), weights)

    def cells(self, targets: Tensor) -> Tensor | None:
        """Answers each row asks for, ``(n,)``: what its loss counts in the mean; None where each asks for one."""
        return None

    def fitted(self, targets: np.ndarray[Any, Any]) -> Task:
        """The task with what it takes from training targets ``(n,)``: a regression's mean and scale, else nothing."""
        return self

    def answered_by(self, other: Task) -> tuple[int, ...] | None:
        """Where this task's outputs stand among those of another task; None where that one answers something else."""
        if other.id != self.id or not set(self.classes) <= set(other.classes):
            return None
        return tuple(other.classes.index(name) for name in self.classes)

    @property
    def uninformed(self) -> Floats:
        """The outputs for a row of which nothing is known, ``(o,)``: all classes alike, the mean of numbers."""
        return np.zeros(self.outputs)

    def last_layer(self) -> nn.Module:
        """From the scale a network is learnt on to its outputs, ``(n, o)`` to ``(n, o)``."""
        from torch import nn

        return nn.Identity()

    def head(self, width: int) -> nn.Linear:
        """A fresh linear layer from features ``(n, width)`` to outputs ``(n, o)``; it includes the `last_layer`."""
        from torch import nn

        return nn.Linear(width, self.outputs)

    def metrics(
        self,
        statistics: Statistics,
        weights: np.ndarray[Any, Any] | None = None,
        names: Sequence[str] | None = None,
    ) -> dict[str, Floats]:
        """Every metric (or those named) for each resample.

        Parameters
        ----------
        statistics : Statistics
            Of n rows.
        weights : ndarray, shape (B, n), optional
            How often each resample drew each row; without them, every row once (B = 1).

        Returns
        -------
        dict of str to ndarray, shape (B,)
            In the order of `metric_names`, then one that a package adds. Memory stays near 100 MB beside the arguments.

        Raises
        ------
        RequestError
            If the shapes do not fit, or a metric is unknown.
        """
        wanted = self.wanted(names)
        if weights is None:
            weights = np.ones((1, len(statistics)))
        if weights.ndim != 2 or weights.shape[1] != len(statistics):
            raise RequestError(
                f"weights have the shape {weights.shape}, but (resamples, {len(statistics)}) was expected."
            )
        own = self.metric_names()
        added = {name: added_metric(name, self.id, own) for name in wanted if name not in own}
        parts = []
        for part in chunks(len(weights), len(statistics)):
            some = np.asarray(weights[part], dtype=np.float64)
            values = {name: metric.measured(statistics, some) for name, metric in added.items()}
            parts.append({**self.measured(statistics, some, [name for name in wanted if name in own]), **values})
        return {name: np.concatenate([part[name] for part in parts]) for name in wanted}

    def higher_is_better(self, name: str) -> bool:
        """Whether a larger value of the metric is better; false for errors and losses."""
        own = self.metric_names()
        return name not in self.errors if name in own else added_metric(name, self.id, own).higher_is_better

    def strata(self, targets: np.ndarray[Any, Any]) -> Mask:
        """Which rows are of each class or have each label, ``(n, k)``; no column where there are none."""
        return np.zeros((len(targets), 0), dtype=bool)

    def known_metric(self, name: str) -> str:
        """The name, if it is one of the task's own metrics or of those that installed packages add to it."""
        if name not in self.metric_names():
            added_metric(name, self.id, self.metric_names())
        return name

    def wanted(self, names: Sequence[str] | None) -> tuple[str, ...]:
        """The names, checked; without any those of all its own metrics, and of the primary one if that is another."""
        if names is not None:
            return tuple(self.known_metric(name) for name in names)
        return tuple(dict.fromkeys((*self.metric_names(), self.metric)))

    def checked(self, outputs: np.ndarray[Any, Any], targets: np.ndarray[Any, Any] | None = None) -> Floats:
        """Outputs as float64 ``(n, o)``, or one sentence that says what is wrong with them, or with their targets."""
        values = checked_outputs(outputs, self.outputs, self.id)
        if targets is not None:
            check_targets(len(values), targets, self.labelled)
        return values
