"""Any number of labels at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from sterna.domains.label_sets import differences, in_columns
from sterna.errors import RequestError
from sterna.tasks.metrics import (
    EPSILON,
    RANKED,
    Floats,
    Mask,
    Ranking,
    by_class,
    class_scores,
    log_sigmoid,
    macro,
    macro_ranking,
    ratio,
    weighted_mean,
)
from sterna.tasks.statistics import Statistics
from sterna.tasks.task import LEAST, UNLIKELY, Task

if TYPE_CHECKING:
    from sklearn.base import BaseEstimator
    from torch import Tensor

    from sterna.domains.domain import Domain

_OVERALL = ("macro_f1", "micro_f1", "auroc", "average_precision", "subset_accuracy", "log_loss")


@dataclass(frozen=True)
class MultiLabel(Task):
    r"""Any number of labels at once, each there or not.

    Targets are float32 ``(n, k)`` of 0 and 1, NaN where it is not known whether the label applies; a row of NaN alone
    is unlabelled. Outputs are one logit a label, ``(n, k)``.

    Parameters
    ----------
    classes : tuple of str
        The names of the labels, in the order of the columns.
    metric : str
        The primary metric.

    Notes
    -----
    Metrics; only known cells count, and a label applies to an answer when its probability is above one half:

    - ``precision[c]``, ``recall[c]``, ``f1[c]`` of each label of which something is known (0 where the denominator is
      empty);
    - ``macro_f1``: mean F1 of the labels that occur, among the rows or among the answers;
    - ``micro_f1``: F1 of all cells together;
    - ``auroc``, ``average_precision``: mean over the labels for which they are defined, which have positive rows (and,
      for AUROC, negative ones); a resample in which no label is gives 0.5 and 0;
    - ``subset_accuracy``: share of rows with every known label right;
    - ``log_loss``: mean over rows of the mean over known labels of
      :math:`-y \log p - (1 - y) \log (1 - p)`, probabilities clipped at 2.2e-16.
    """

    classes: tuple[str, ...]
    metric: str = "macro_f1"
    id: ClassVar[str] = "multilabel"
    asks: ClassVar[str] = "several labels a row"
    tie_metric: ClassVar[str] = "log_loss"
    errors: ClassVar[frozenset[str]] = frozenset({"log_loss"})

    def __post_init__(self) -> None:
        """Refuse no label at all, repeated labels and unknown metrics."""
        object.__setattr__(self, "classes", tuple(self.classes))
        if not self.classes or len(set(self.classes)) < len(self.classes):
            raise RequestError(f"Labels must be named, each once, but the names are {list(self.classes)}.")
        self.known_metric(self.metric)

    @classmethod
    def of_labels(cls, domain: Domain, metric: str | None, fit: Mask) -> MultiLabel:
        """Of one label a column, each 0, 1 or unknown."""
        assert domain.labels is not None
        labels = domain.labels
        if labels.ndim != 2:
            raise RequestError(
                f"The domain {domain.name!r} has one label a row, but a multi-label task takes "
                "one column of 0 and 1 a label."
            )
        if np.isnan(labels.astype(np.float64)).all():
            raise RequestError(f"The domain {domain.name!r} has labels for none of its {len(domain)} rows.")
        classes = domain.classes or tuple(str(i) for i in range(labels.shape[1]))
        task = cls(classes, metric or "macro_f1")
        task.encode(labels)  # a cell that is neither 0 nor 1 is refused here, before anything is trained
        return task

    @property
    def outputs(self) -> int:
        """One logit a label."""
        return len(self.classes)

    def encode(self, labels: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """Float32 ``(n, k)`` of 0, 1 and NaN.

        Raises
        ------
        RequestError
            If the columns are not as many as the labels, or a cell is neither 0 nor 1 nor NaN.
        """
        targets = np.asarray(labels, dtype=np.float32)
        if targets.ndim != 2 or targets.shape[1] != self.outputs:
            raise RequestError(
                f"labels have the shape {targets.shape}, but (rows, {self.outputs}) was expected: one column a label."
            )
        wrong = ~(np.isnan(targets) | (targets == 0) | (targets == 1))
        if wrong.any():
            row, column = (int(i) for i in np.argwhere(wrong)[0])
            raise RequestError(
                f"Row {row} has {targets[row, column]:g} for the label {self.classes[column]!r}; "
                "0, 1 or an empty cell (not known) was expected."
            )
        return targets

    def matched(self, domain: Domain) -> tuple[np.ndarray[Any, Any], list[str]]:
        """Targets in the task's order of labels: NaN for labels that the domain lacks, without those that it adds."""
        labels, names = domain.labels, domain.classes
        assert labels is not None
        if labels.ndim != 2 or names is None or names == self.classes:
            return self.encode(labels), []
        said = differences(domain.name, names, self.classes)
        return self.encode(in_columns(labels, names, self.classes)), said

    def decode(self, targets: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """Which labels apply, ``(n, k)``; of cells that are not known it is not said."""
        applies: np.ndarray[Any, Any] = np.asarray(targets) == 1
        return applies

    def told(self, answers: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """The names of the labels that apply, joined by ``|``."""
        return np.array(["|".join(c for c, yes in zip(self.classes, row, strict=True) if yes) for row in answers])

    def labelled(self, targets: np.ndarray[Any, Any]) -> Mask:
        """Rows with at least one known cell."""
        known: Mask = ~np.isnan(targets).all(axis=1)
        return known

    def strata(self, targets: np.ndarray[Any, Any]) -> Mask:
        """The rows that have each label."""
        members: Mask = np.asarray(targets) == 1
        return members

    def losses(self, outputs: Tensor, targets: Tensor, label_smoothing: float = 0.0) -> Tensor:
        r"""Binary cross-entropy of each row, the mean over its known cells, ``(n,)``; 0 where none is known.

        .. math:: \frac{\sum_c m_{ic} \left(-q_{ic} \log p_{ic} - (1 - q_{ic}) \log (1 - p_{ic})\right)}
                  {\sum_c m_{ic}}, \quad q_{ic} = (1 - \epsilon) y_{ic} + \epsilon / 2

        with :math:`m_{ic} = 0` where the cell is not known, else 1. In `loss` a row counts as often as it has known
        cells, so that the loss is the mean over all known cells.
        """
        from torch.nn import functional

        smooth = targets.nan_to_num(0.0).to(outputs.dtype) * (1 - label_smoothing) + label_smoothing / 2
        losses = functional.binary_cross_entropy_with_logits(outputs, smooth, reduction="none")
        known = (~targets.isnan()).to(losses.dtype)
        return (known * losses).sum(dim=1) / known.sum(dim=1).clamp_min(1)

    def cells(self, targets: Tensor) -> Tensor:
        """Known cells of each row."""
        return (~targets.isnan()).sum(dim=1).to(targets.dtype)

    def as_features(self, outputs: Tensor) -> Tensor:
        """Log-odds of each label, at most ±6.9."""
        return outputs.clamp(LEAST, -LEAST)

    def mean_of(self, answers: Tensor, weights: Tensor) -> Tensor:
        """Log-odds of the mean probabilities."""
        return (answers.sigmoid() * weights).sum(1).logit()

    def from_estimator(self, estimator: Any, x: Any) -> Floats:
        """Log-odds of each label."""
        likely = np.clip(np.asarray(estimator.predict_proba(x), dtype=np.float64), UNLIKELY, 1 - UNLIKELY)
        return np.asarray(np.log(likely) - np.log1p(-likely))

    def linear_estimator(self, strength: float) -> BaseEstimator:
        """A logistic regression for each label, with C = `strength`."""
        from sklearn.linear_model import LogisticRegression
        from sklearn.multiclass import OneVsRestClassifier

        return OneVsRestClassifier(LogisticRegression(C=strength, max_iter=1000))

    def probabilities(self, outputs: np.ndarray[Any, Any]) -> Floats:
        """Logistic function of the outputs, ``(n, k)``; rows need not sum to one."""
        probabilities: Floats = np.exp(log_sigmoid(self.checked(outputs)))
        return probabilities

    def answers(self, outputs: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """Which labels apply, bool ``(n, k)``."""
        return self.checked(outputs) > 0

    def metric_names(self) -> tuple[str, ...]:
        """The overall metrics, then precision, recall and F1 of each label."""
        return (*_OVERALL, *(f"{kind}[{c}]" for c in self.classes for kind in ("precision", "recall", "f1")))

    def unknown_metrics(self, targets: np.ndarray[Any, Any]) -> tuple[str, ...]:
        """Precision, recall and F1 of the labels that no cell is known of."""
        unknown = [c for c, never in zip(self.classes, np.isnan(targets).all(axis=0), strict=True) if never]
        return tuple(f"{kind}[{c}]" for c in unknown for kind in ("precision", "recall", "f1"))

    def statistics(
        self, outputs: np.ndarray[Any, Any], targets: np.ndarray[Any, Any], names: Sequence[str] | None = None
    ) -> Statistics:
        """Of each row what is true and what is answered (known cells alone), its log loss, scores for the rankings."""
        logits = self.checked(outputs, targets)
        known = ~np.isnan(targets)
        true, answer = (targets == 1) & known, (logits > 0) & known
        losses = -np.maximum(log_sigmoid(np.where(true, logits, -logits)), np.log(EPSILON))
        columns = {
            "true": true,
            "answer": answer,
            "loss": ratio((losses * known).sum(axis=1), known.sum(axis=1).astype(np.float64)),
        }
        if RANKED & set(self.wanted(names)):
            columns |= {"known": known, "scores": logits}
        return Statistics(columns)

    def measured(self, statistics: Statistics, weights: Floats, names: Sequence[str]) -> dict[str, Floats]:
        true, answer = statistics["true"], statistics["answer"]
        cells = statistics.once("cells", lambda: [c.astype(np.float64) for c in (true & answer, answer, true)])
        exact = statistics.once("exact", lambda: (true == answer).all(axis=1).astype(np.float64))
        right, answered, actual = (weights @ cell for cell in cells)
        precision, recall, f1 = class_scores(right, answered, actual)
        values = {
            "macro_f1": macro(f1, answered + actual > 0),
            "micro_f1": ratio(2 * right.sum(axis=1), (answered + actual).sum(axis=1)),
            "subset_accuracy": weighted_mean(weights, exact),
            "log_loss": weighted_mean(weights, statistics["loss"]),
            **by_class(self.classes, precision, recall, f1),
        }
        if RANKED & set(names):
            scores, known = statistics["scores"], statistics["known"]
            rankings = statistics.once(
                "rankings",
                lambda: [Ranking.of(scores[:, c], true[:, c], known[:, c]) for c in range(self.outputs)],
            )
            values["auroc"], values["average_precision"] = macro_ranking(rankings, weights)
        return values

    def state(self) -> dict[str, Any]:
        """``{"id", "classes", "metric"}``."""
        return {"id": self.id, "classes": list(self.classes), "metric": self.metric}
