"""A number."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from sterna.errors import RequestError
from sterna.tasks.metrics import Floats, Mask, Scorer, explained, weighted_mean
from sterna.tasks.task import Task
from sterna.tasks.task import weighted_mean as weighted_mean_loss

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Regression(Task):
    r"""A number.

    Targets and outputs are in standardised units, :math:`(y - mean) / scale`: float32 ``(n,)`` with NaN for an
    unlabelled row, and ``(n, 1)``. Answers and metrics are in the user's units.

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

    def __post_init__(self) -> None:
        """Refuse unknown metrics and a scale that cannot be divided by."""
        self._known_metric(self.metric)
        if not (math.isfinite(self.mean) and math.isfinite(self.scale) and self.scale > 0):
            raise RequestError(
                f"A regression needs a finite mean and a positive scale, but they are {self.mean} and {self.scale}."
            )

    @property
    def outputs(self) -> int:
        """One number."""
        return 1

    def encode(self, labels: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """Standardised float32 ``(n,)``; NaN for an unlabelled row (NaN, None, an empty string).

        Raises
        ------
        RequestError
            If a label is not a number, or is infinite.
        """
        values = numbers(labels)
        return ((values - self.mean) / self.scale).astype(np.float32)

    def labelled(self, targets: np.ndarray[Any, Any]) -> Mask:
        """Rows whose target is not NaN."""
        known: Mask = ~np.isnan(targets)
        return known

    def loss(
        self, outputs: Tensor, targets: Tensor, weights: Tensor | None = None, label_smoothing: float = 0.0
    ) -> Tensor:
        r"""Squared error in standardised units; label smoothing has no meaning here and changes nothing.

        .. math:: \frac{\sum_i w_i (o_i - t_i)^2}{\sum_i w_i}
        """
        errors = outputs.reshape(-1) - targets.reshape(-1).to(outputs.dtype)
        return weighted_mean_loss(errors**2, weights)

    def probabilities(self, outputs: np.ndarray[Any, Any]) -> Floats:
        """Refuse: a regression has no classes.

        Raises
        ------
        RequestError
            Always.
        """
        raise RequestError("A regression has no probabilities; ask for its answers instead (predict).")

    def answers(self, outputs: np.ndarray[Any, Any]) -> Floats:
        """The number of each row in the user's units, float64 ``(n,)``."""
        answers: Floats = self._checked_outputs(outputs)[:, 0] * self.scale + self.mean
        return answers

    def metric_names(self) -> tuple[str, ...]:
        """R² and the errors."""
        return ("r2", "rmse", "mae", "mse")

    def scorer(
        self, outputs: np.ndarray[Any, Any], targets: np.ndarray[Any, Any], names: Sequence[str] | None = None
    ) -> Scorer:
        """Prepare the metrics of outputs ``(n, 1)`` against standardised targets ``(n,)``."""
        wanted = self._wanted(names)
        truth: Floats = np.asarray(targets, dtype=np.float64).reshape(-1)
        errors = self._checked_outputs(outputs, truth)[:, 0] - truth
        squares, distances = errors**2, np.abs(errors)

        def score(weights: np.ndarray[Any, Any]) -> dict[str, Floats]:
            weights = np.asarray(weights, dtype=np.float64)
            mse = weighted_mean(weights, squares) * self.scale**2
            values = {
                "r2": explained(weights, truth, squares),
                "rmse": np.sqrt(mse),
                "mae": weighted_mean(weights, distances) * self.scale,
                "mse": mse,
            }
            return {name: values[name] for name in wanted}

        return score

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
