"""A number."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from sterna.errors import RequestError
from sterna.tasks.metrics import Floats, Mask, explained, weighted_mean
from sterna.tasks.statistics import Statistics
from sterna.tasks.task import Task

if TYPE_CHECKING:
    from sklearn.base import BaseEstimator
    from torch import Tensor

    from sterna.domains.domain import Domain
    from sterna.tasks.units import NumberHead, Units


@dataclass(frozen=True)
class Regression(Task):
    r"""A number.

    Targets and outputs are in the user's units: float64 ``(n,)`` with NaN for an unlabelled row, and ``(n, 1)``. A
    network learns standardised numbers, :math:`(y - mean) / scale`; its last layer undoes that.

    Parameters
    ----------
    metric : str
        The primary metric.
    mean, scale : float
        Mean and standard deviation of the training targets, in the user's units.

    Notes
    -----
    Metrics, for true value y and answer :math:`\hat y`: ``mse``, the mean of :math:`(y - \hat y)^2`; ``rmse``, its
    square root; ``mae``, the mean of :math:`|y - \hat y|`; ``r2``, see `sterna.tasks.metrics.explained`.
    """

    metric: str = "r2"
    mean: float = 0.0
    scale: float = 1.0
    classes: tuple[str, ...] = field(default=(), init=False, repr=False)
    id: ClassVar[str] = "regression"
    asks: ClassVar[str] = "a number"
    one_number: ClassVar[bool] = True
    tie_metric: ClassVar[str] = "mse"
    errors: ClassVar[frozenset[str]] = frozenset({"rmse", "mae", "mse"})

    def __post_init__(self) -> None:
        """Refuse unknown metrics and a scale that cannot be divided by."""
        self.known_metric(self.metric)
        if not (math.isfinite(self.mean) and math.isfinite(self.scale) and self.scale > 0):
            raise RequestError(
                f"A regression needs a finite mean and a positive scale, but they are {self.mean} and {self.scale}."
            )

    @classmethod
    def of_labels(cls, domain: Domain, metric: str | None, fit: Mask) -> Regression:
        """Of numbers that vary; with the mean and standard deviation of the rows `fit`."""
        assert domain.labels is not None
        labels = domain.labels
        if labels.ndim != 1:
            raise RequestError(
                f"The domain {domain.name!r} has {labels.shape[1]} columns of labels, but a regression takes one; "
                "use task='multilabel'."
            )
        values: Floats = numbers(labels)
        known = ~np.isnan(values)
        if not known.any():
            raise RequestError(f"The domain {domain.name!r} has labels for none of its {len(domain)} rows.")
        if values[known].min() == values[known].max():
            raise RequestError(
                f"Every labelled row of the domain {domain.name!r} has the target {values[known][0]:g}; "
                "a regression needs a target that varies."
            )
        training = values[known & fit]
        mean = float(training.mean()) if len(training) else 0.0
        scale = float(training.std()) if len(training) else 0.0
        return cls(metric or "r2", mean, scale if scale > 0 else 1.0)

    @property
    def outputs(self) -> int:
        """One number."""
        return 1

    def encode(self, labels: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """The numbers, float64 ``(n,)``; NaN for an unlabelled row (NaN, None, an empty string).

        Raises
        ------
        RequestError
            If a label is not a number, or is infinite.
        """
        return numbers(labels)

    def decode(self, targets: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """The numbers as they are."""
        return targets

    def takes(self, labels: np.ndarray[Any, Any]) -> bool:
        """Whether they are finite numbers."""
        try:
            numbers(labels)
        except RequestError:
            return False
        return True

    def labelled(self, targets: np.ndarray[Any, Any]) -> Mask:
        """Rows whose target is not NaN."""
        known: Mask = ~np.isnan(targets)
        return known

    def losses(self, outputs: Tensor, targets: Tensor, label_smoothing: float = 0.0) -> Tensor:
        r"""Squared error of each row in standardised units, ``(n,)``; label smoothing has no meaning here.

        .. math:: \left(\frac{o_i - t_i}{scale}\right)^2
        """
        errors = outputs.reshape(-1) - targets.reshape(-1)
        return (errors / self.scale) ** 2

    def fitted(self, targets: np.ndarray[Any, Any]) -> Regression:
        """With the mean and standard deviation of these targets ``(n,)``; of none, 0 and 1."""
        if not len(targets):
            return replace(self, mean=0.0, scale=1.0)
        return replace(self, mean=float(targets.mean()), scale=float(targets.std()) or 1.0)

    def answered_by(self, other: Task) -> tuple[int, ...] | None:
        """The only output of any regression: numbers are in the user's units."""
        return (0,) if other.id == self.id else None

    @property
    def uninformed(self) -> Floats:
        """The mean of the training targets, ``(1,)``."""
        return np.array([self.mean])

    def last_layer(self) -> Units:
        """From standardised numbers to the user's units."""
        from sterna.tasks.units import Units

        return Units(self.mean, self.scale)

    def head(self, width: int) -> NumberHead:
        """A fresh linear layer whose answers are in the user's units, from features ``(n, width)``."""
        from sterna.tasks.units import NumberHead

        return NumberHead(width, self.last_layer())

    def as_features(self, outputs: Tensor) -> Tensor:
        """Standardised numbers."""
        return (outputs - self.mean) / self.scale

    def mean_of(self, answers: Tensor, weights: Tensor) -> Tensor:
        """The mean of the numbers."""
        return (answers * weights).sum(1) * self.scale + self.mean

    def from_estimator(self, estimator: Any, x: Any) -> Floats:
        """The numbers predicted."""
        return np.asarray(estimator.predict(x), dtype=np.float64).reshape(-1, 1)

    def linear_estimator(self, strength: float) -> BaseEstimator:
        """Ridge regression with α = 1 / `strength`."""
        from sklearn.linear_model import Ridge

        return Ridge(alpha=1 / strength)

    def tree_estimators(self, leaf: int) -> tuple[BaseEstimator, ...]:
        """Gradient boosting of the squared error, and extra trees."""
        from sklearn.ensemble import ExtraTreesRegressor, HistGradientBoostingRegressor

        boosting = HistGradientBoostingRegressor(min_samples_leaf=leaf, early_stopping=False, random_state=0)
        return boosting, ExtraTreesRegressor(min_samples_leaf=leaf, random_state=0)

    def probabilities(self, outputs: np.ndarray[Any, Any]) -> Floats:
        """Refuse: a regression has no classes."""
        raise RequestError("A regression has no probabilities; ask for its predictions instead (predict).")

    def answers(self, outputs: np.ndarray[Any, Any]) -> Floats:
        """The number of each row, float64 ``(n,)``."""
        answers: Floats = self.checked(outputs)[:, 0]
        return answers

    def metric_names(self) -> tuple[str, ...]:
        """R² and the errors."""
        return ("r2", "rmse", "mae", "mse")

    def statistics(
        self, outputs: np.ndarray[Any, Any], targets: np.ndarray[Any, Any], names: Sequence[str] | None = None
    ) -> Statistics:
        """Of each row the truth and the error."""
        self.wanted(names)
        truth: Floats = np.asarray(targets, dtype=np.float64).reshape(-1)
        return Statistics({"truth": truth, "error": self.checked(outputs, truth)[:, 0] - truth})

    def measured(self, statistics: Statistics, weights: Floats, names: Sequence[str]) -> dict[str, Floats]:
        squares = statistics.once("squares", lambda: statistics["error"] ** 2)
        distances = statistics.once("distances", lambda: np.abs(statistics["error"]))
        mse = weighted_mean(weights, squares)
        return {
            "r2": explained(weights, statistics["truth"], squares),
            "rmse": np.sqrt(mse),
            "mae": weighted_mean(weights, distances),
            "mse": mse,
        }

    def state(self) -> dict[str, Any]:
        """``{"id", "metric", "mean", "scale"}``."""
        return {"id": self.id, "metric": self.metric, "mean": self.mean, "scale": self.scale}


def numbers(labels: np.ndarray[Any, Any]) -> Floats:
    """Labels as float64 ``(n,)``, NaN where there is none.

    Raises
    ------
    RequestError
        If a label is not a number, or is infinite.
    """
    labels = np.asarray(labels)
    if labels.ndim != 1:
        raise RequestError(f"labels have the shape {labels.shape}, but a regression takes one number a row.")
    values: Floats
    if labels.dtype == object:
        values = np.array([_number(row, label) for row, label in enumerate(labels)], dtype=np.float64)
    else:
        values = labels.astype(np.float64)
    infinite = np.isinf(values)
    if infinite.any():
        raise RequestError(
            f"{int(infinite.sum())} of {len(values)} targets are infinite (first: row {int(infinite.argmax())}); "
            "a regression takes finite numbers: drop these rows or leave their cells empty."
        )
    return values


def _number(row: int, label: Any) -> float:
    if label is None or label == "":
        return math.nan
    try:
        return float(label)
    except (TypeError, ValueError):
        raise RequestError(
            f"The label {label!r} of row {row} is not a number, which a regression takes; use task='classification'."
        ) from None
