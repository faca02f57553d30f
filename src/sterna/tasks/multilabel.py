"""Any number of labels at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from sterna.errors import RequestError
from sterna.tasks.metrics import (
    EPSILON,
    Floats,
    Mask,
    Ranking,
    Scorer,
    class_scores,
    log_sigmoid,
    macro,
    macro_ranking,
    ratio,
    weighted_mean,
)
from sterna.tasks.task import Task

if TYPE_CHECKING:
    from torch import Tensor

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

    - ``precision[c]``, ``recall[c]``, ``f1[c]`` of each label (0 where the denominator is empty);
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

    def __post_init__(self) -> None:
        """Refuse no label at all, repeated labels and unknown metrics."""
        object.__setattr__(self, "classes", tuple(self.classes))
        if not self.classes or len(set(self.classes)) < len(self.classes):
            raise RequestError(f"Labels must be named, each once, but the names are {list(self.classes)}.")
        self._known_metric(self.metric)

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

    def labelled(self, targets: np.ndarray[Any, Any]) -> Mask:
        """Rows with at least one known cell."""
        known: Mask = ~np.isnan(targets).all(axis=1)
        return known

    def loss(
        self, outputs: Tensor, targets: Tensor, weights: Tensor | None = None, label_smoothing: float = 0.0
    ) -> Tensor:
        r"""Binary cross-entropy, the weighted mean over all known cells.

        .. math:: \frac{\sum_{ic} w_i m_{ic} \left(-q_{ic} \log p_{ic} - (1 - q_{ic}) \log (1 - p_{ic})\right)}
                  {\sum_{ic} w_i m_{ic}}, \quad q_{ic} = (1 - \epsilon) y_{ic} + \epsilon / 2

        with :math:`m_{ic} = 0` where the cell is not known, else 1.
        """
        from torch.nn import functional

        known = ~targets.isnan()
        smooth = targets.nan_to_num(0.0).to(outputs.dtype) * (1 - label_smoothing) + label_smoothing / 2
        losses = functional.binary_cross_entropy_with_logits(outputs, smooth, reduction="none")
        cells = known.to(losses.dtype)
        if weights is not None:
            cells = cells * weights.to(losses.dtype)[:, None]
        return (cells * losses).sum() / cells.sum().clamp_min(1e-12)

    def probabilities(self, outputs: np.ndarray[Any, Any]) -> Floats:
        """Logistic function of the outputs, ``(n, k)``; rows need not sum to one."""
        probabilities: Floats = np.exp(log_sigmoid(self._checked_outputs(outputs)))
        return probabilities

    def answers(self, outputs: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """Which labels apply, bool ``(n, k)``."""
        return self._checked_outputs(outputs) > 0

    def metric_names(self) -> tuple[str, ...]:
        """The overall metrics, then precision, recall and F1 of each label."""
        return (*_OVERALL, *(f"{kind}[{c}]" for c in self.classes for kind in ("precision", "recall", "f1")))

    def scorer(
        self, outputs: np.ndarray[Any, Any], targets: np.ndarray[Any, Any], names: Sequence[str] | None = None
    ) -> Scorer:
        """Prepare the metrics of outputs ``(n, k)`` against targets ``(n, k)``."""
        wanted = self._wanted(names)
        logits = self._checked_outputs(outputs, targets)
        known = ~np.isnan(targets)
        true, answer = (targets == 1) & known, (logits > 0) & known
        cells = [cell.astype(np.float64) for cell in (true & answer, answer, true)]
        exact = (true == answer).all(axis=1).astype(np.float64)
        losses = -np.maximum(log_sigmoid(np.where(true, logits, -logits)), np.log(EPSILON))
        row_losses = ratio((losses * known).sum(axis=1), known.sum(axis=1).astype(np.float64))
        ranked = {"auroc", "average_precision"} & set(wanted)
        rankings = [Ranking.of(logits[:, c], true[:, c], known[:, c]) for c in range(self.outputs) if ranked]

        def score(weights: np.ndarray[Any, Any]) -> dict[str, Floats]:
            weights = np.asarray(weights, dtype=np.float64)
            right, answered, actual = (weights @ cell for cell in cells)
            precision, recall, f1 = class_scores(right, answered, actual)
            values = {
                "macro_f1": macro(f1, answered + actual > 0),
                "micro_f1": ratio(2 * right.sum(axis=1), (answered + actual).sum(axis=1)),
                "subset_accuracy": weighted_mean(weights, exact),
                "log_loss": weighted_mean(weights, row_losses),
            }
            if rankings:
                values["auroc"], values["average_precision"] = macro_ranking(rankings, weights)
            for i, name in enumerate(self.classes):
                values[f"precision[{name}]"] = precision[:, i]
                values[f"recall[{name}]"], values[f"f1[{name}]"] = recall[:, i], f1[:, i]
            return {name: values[name] for name in wanted}

        return score

    def state(self) -> dict[str, Any]:
        """``{"id", "classes", "metric"}``."""
        return {"id": self.id, "classes": list(self.classes), "metric": self.metric}
