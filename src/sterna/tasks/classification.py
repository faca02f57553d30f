"""One class out of two or more."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from sterna.domains.labels import class_name
from sterna.errors import RequestError, closest
from sterna.tasks.metrics import (
    EPSILON,
    RANKED,
    Codes,
    Floats,
    Groups,
    Mask,
    Ranking,
    by_class,
    calibration_error,
    calibration_gaps,
    class_scores,
    log_softmax,
    macro,
    macro_ranking,
    matthews,
    ratio,
    weighted_mean,
)
from sterna.tasks.names import natural_order
from sterna.tasks.statistics import Statistics
from sterna.tasks.task import LEAST, UNLIKELY, Task

if TYPE_CHECKING:
    from sklearn.base import BaseEstimator
    from torch import Tensor

    from sterna.domains.domain import Domain

_OVERALL = ("accuracy", "balanced_accuracy", "macro_f1", "mcc", "auroc", "average_precision", "log_loss", "ece")

FEW, MOST = 20, 5000
"""With more classes than the first each needs two rows on average, or they are taken for identifiers; the second is the
most there may be."""


@dataclass(frozen=True)
class Classification(Task):
    r"""One class out of two or more.

    Targets are class codes, int64 ``(n,)``, with -1 for an unlabelled row; outputs are logits ``(n, k)``.

    Parameters
    ----------
    classes : tuple of str
        The names, in the order of the codes. Of two classes, the second is the positive one.
    metric : str
        The primary metric.

    Notes
    -----
    Metrics, for true class :math:`y_i`, answer :math:`\hat y_i` and probabilities :math:`p_{ic}` of row i:

    - ``accuracy``: share of rows with :math:`\hat y_i = y_i`;
    - ``precision[c]``, ``recall[c]``, ``f1[c]`` of each class (0 where the denominator is empty);
    - ``balanced_accuracy``: mean recall of the classes that have rows;
    - ``macro_f1``: mean F1 of the classes that occur, among the rows or among the answers;
    - ``mcc``: Matthews correlation of truth and answer; see `sterna.tasks.metrics.matthews`;
    - ``auroc``, ``average_precision``: of the second class of two; with more classes the mean of each class against the
      rest, over the classes that have rows (0.5 and 0 if no class can be ranked). See `sterna.tasks.metrics.Ranking`;
    - ``log_loss``: mean of :math:`-\log p_{i y_i}`, probabilities clipped at 2.2e-16;
    - ``ece``: expected calibration error of the top probability, 15 equal bins; see
      `sterna.tasks.metrics.calibration_gaps`.
    """

    classes: tuple[str, ...]
    metric: str = "accuracy"
    id: ClassVar[str] = "classification"
    asks: ClassVar[str] = "classification"
    one_class: ClassVar[bool] = True
    tie_metric: ClassVar[str] = "log_loss"
    errors: ClassVar[frozenset[str]] = frozenset({"log_loss", "ece"})

    def __post_init__(self) -> None:
        """Refuse fewer than two classes, repeated classes and unknown metrics."""
        object.__setattr__(self, "classes", tuple(self.classes))
        if len(self.classes) < 2:
            raise RequestError(f"A classification needs two classes or more, but there is only {list(self.classes)}.")
        if len(set(self.classes)) < len(self.classes):
            raise RequestError(f"The classes {list(self.classes)} name one class twice.")
        self.known_metric(self.metric)

    @classmethod
    def of_labels(cls, domain: Domain, metric: str | None, fit: Mask) -> Classification:
        """Of the classes named, or found, in their natural order; scored evenly where they are uneven."""
        from sterna.domains.balance import is_imbalanced

        assert domain.labels is not None
        labels = domain.labels
        if labels.ndim != 1:
            raise RequestError(
                f"The domain {domain.name!r} has {labels.shape[1]} columns of labels, but a classification takes one; "
                "use task='multilabel'."
            )
        found = {class_name(value) for value in (np.unique(labels) if labels.dtype != object else set(labels.tolist()))}
        names = natural_order(name for name in found if name is not None)
        if not names:
            raise RequestError(f"The domain {domain.name!r} has labels for none of its {len(domain)} rows.")
        if len(names) == 1:
            raise RequestError(
                f"Every labelled row of the domain {domain.name!r} is of the class {names[0]!r}; "
                "a classification needs two classes or more."
            )
        known = int(sum(class_name(value) is not None for value in labels)) if len(names) > FEW else 0
        if len(names) > MOST or (len(names) > FEW and 2 * len(names) > known):
            why = "nearly a class a row" if 2 * len(names) > known else f"more than {MOST:,}"
            raise RequestError(
                f"The labels of {domain.name!r} are of {len(names):,} classes in {known:,} rows, {why}, as identifiers "
                "are; name another column with label=..., or join rare classes into one (numbers that are no classes: "
                "task='regression')."
            )
        given = domain.classes or ()
        answer = cls(given if set(names) <= set(given) else tuple(names))
        if metric is None:
            codes = answer.encode(labels)
            seen = codes[fit] if (codes[fit] >= 0).any() else codes  # where only test rows have labels, their shares
            metric = "balanced_accuracy" if is_imbalanced(seen) else "accuracy"
        return cls(answer.classes, metric)

    @property
    def outputs(self) -> int:
        """One logit a class."""
        return len(self.classes)

    def encode(self, labels: np.ndarray[Any, Any]) -> Codes:
        """Class codes ``(n,)``, int64; -1 for an unlabelled row (None, an empty string, NaN).

        Raises
        ------
        RequestError
            If a label is none of the classes.
        """
        labels = np.asarray(labels)
        if labels.ndim != 1:
            raise RequestError(f"labels have the shape {labels.shape}, but a classification takes one label a row.")
        code = {name: i for i, name in enumerate(self.classes)}
        if labels.dtype != object:
            values, inverse = np.unique(labels, return_inverse=True)
            return np.array([self._code(value, code) for value in values], dtype=np.int64)[inverse]
        return np.array([code[x] if x in code else self._code(x, code) for x in labels], dtype=np.int64)

    def _code(self, label: Any, code: dict[str, int]) -> int:
        name = class_name(label)
        if name is None:
            return -1
        if name not in code:
            raise RequestError(
                f"The label {name!r} is none of the classes {', '.join(self.classes[:20])}."
                f"{closest(name, self.classes)}"
            )
        return code[name]

    def decode(self, targets: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """Names of the classes, object ``(n,)``."""
        names: np.ndarray[Any, Any] = np.array(self.classes, dtype=object)[targets]
        return names

    def widened(self, classes: tuple[str, ...]) -> Classification:
        """The task with these classes, where they hold its own and more."""
        return replace(self, classes=classes) if set(self.classes) < set(classes) else self

    def labelled(self, targets: np.ndarray[Any, Any]) -> Mask:
        """Rows whose code is not negative."""
        known: Mask = np.asarray(targets) >= 0
        return known

    def strata(self, targets: np.ndarray[Any, Any]) -> Mask:
        """The rows of each class that occurs."""
        members: Mask = np.asarray(targets)[:, None] == np.unique(targets)
        return members

    def losses(self, outputs: Tensor, targets: Tensor, label_smoothing: float = 0.0) -> Tensor:
        r"""Cross-entropy of each row, ``(n,)``.

        .. math:: -\sum_c q_{ic} \log p_{ic}, \quad q_{ic} = (1 - \epsilon) [c = y_i] + \epsilon / k
        """
        from torch.nn import functional

        return functional.cross_entropy(outputs, targets, reduction="none", label_smoothing=label_smoothing)

    def as_features(self, outputs: Tensor) -> Tensor:
        """Logarithms of the probabilities, none below that of 0.001."""
        return outputs.log_softmax(1).clamp_min(LEAST)

    def mean_of(self, answers: Tensor, weights: Tensor) -> Tensor:
        """Logarithms of the mean probabilities."""
        return (answers.softmax(2) * weights).sum(1).log()

    def from_estimator(self, estimator: Any, x: Any) -> Floats:
        """Logarithms of the probabilities; a class that was not among the training rows gets the smallest."""
        found = np.asarray(estimator.predict_proba(x), dtype=np.float64)
        likely = np.full((len(found), self.outputs), UNLIKELY)
        classes = np.asarray(estimator.classes_, dtype=np.int64)
        likely[:, classes] = np.maximum(found[:, : len(classes)], UNLIKELY)  # boosting on one class says two columns
        return np.asarray(np.log(likely / likely.sum(axis=1, keepdims=True)))

    def linear_estimator(self, strength: float) -> BaseEstimator:
        """Logistic regression with C = `strength`."""
        from sklearn.linear_model import LogisticRegression

        return LogisticRegression(C=strength, max_iter=1000)

    def tree_estimators(self, leaf: int) -> tuple[BaseEstimator, ...]:
        """Gradient boosting of the log loss, and extra trees."""
        from sklearn.ensemble import ExtraTreesClassifier, HistGradientBoostingClassifier

        boosting = HistGradientBoostingClassifier(min_samples_leaf=leaf, early_stopping=False, random_state=0)
        return boosting, ExtraTreesClassifier(min_samples_leaf=leaf, random_state=0)

    def count_estimators(self) -> tuple[BaseEstimator, ...]:
        """Complement naive Bayes with three strengths of smoothing."""
        from sklearn.naive_bayes import ComplementNB

        return tuple(ComplementNB(alpha=alpha) for alpha in (0.1, 0.3, 1.0))

    def probabilities(self, outputs: np.ndarray[Any, Any]) -> Floats:
        """Softmax of the outputs, ``(n, k)``."""
        probabilities: Floats = np.exp(log_softmax(self.checked(outputs)))
        return probabilities

    def answers(self, outputs: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """The most probable class of each row, object ``(n,)``."""
        return self.decode(self.checked(outputs).argmax(axis=1))

    def metric_names(self) -> tuple[str, ...]:
        """The overall metrics, then precision, recall and F1 of each class."""
        return (*_OVERALL, *(f"{kind}[{c}]" for c in self.classes for kind in ("precision", "recall", "f1")))

    def statistics(
        self, outputs: np.ndarray[Any, Any], targets: np.ndarray[Any, Any], names: Sequence[str] | None = None
    ) -> Statistics:
        """Of each row its code and the code answered, its log loss, the top probability, scores for the rankings."""
        logits = self.checked(outputs, targets)
        codes: Codes = np.asarray(targets, dtype=np.int64)
        log_p = log_softmax(logits)
        columns = {
            "code": codes,
            "answer": logits.argmax(axis=1),
            "loss": -np.maximum(log_p[np.arange(len(codes)), codes], np.log(EPSILON)),
            "confidence": np.exp(log_p.max(axis=1)),
        }
        if RANKED & set(self.wanted(names)):
            # The log-odds rank as the probability does, and are not tied where it rounds to 1.
            columns["scores"] = (logits[:, 1] - logits[:, 0])[:, None] if self.outputs == 2 else log_p
        return Statistics(columns)

    def measured(self, statistics: Statistics, weights: Floats, names: Sequence[str]) -> dict[str, Floats]:
        codes, answers, k = statistics["code"], statistics["answer"], self.outputs
        right = statistics.once("right", lambda: Groups.of(codes, k, among=answers == codes)).sums(weights)
        actual = statistics.once("actual", lambda: Groups.of(codes, k)).sums(weights)
        answered = statistics.once("answered", lambda: Groups.of(answers, k)).sums(weights)
        gaps = statistics.once("gaps", lambda: calibration_gaps(statistics["confidence"], answers == codes))
        precision, recall, f1 = class_scores(right, answered, actual)
        values = {
            "accuracy": ratio(right.sum(axis=1), weights.sum(axis=1)),
            "balanced_accuracy": macro(recall, actual > 0),
            "macro_f1": macro(f1, actual + answered > 0),
            "mcc": matthews(right, answered, actual),
            "log_loss": weighted_mean(weights, statistics["loss"]),
            "ece": calibration_error(weights, gaps),
            **by_class(self.classes, precision, recall, f1),
        }
        if RANKED & set(names):
            rankings = statistics.once("rankings", lambda: self._rankings(statistics["scores"], codes))
            values["auroc"], values["average_precision"] = macro_ranking(rankings, weights)
        return values

    def _rankings(self, scores: Floats, codes: Codes) -> list[Ranking]:
        positive = (1,) if self.outputs == 2 else range(self.outputs)
        return [Ranking.of(scores[:, i], codes == c) for i, c in enumerate(positive)]

    def state(self) -> dict[str, Any]:
        """``{"id", "classes", "metric"}``."""
        return {"id": self.id, "classes": list(self.classes), "metric": self.metric}
