r"""The arithmetic of the metrics, for many bootstrap resamples at once.

A resample is a row of weights: how often each test row was drawn. Every function takes weights ``(b, n)`` and gives one
value a resample, ``(b,)`` or ``(b, k)``; weights of one give the plain metric, and whole-number weights give what
repeating the rows would give. What does not depend on the weights (sorting, above all) is done once, before.

A ratio that a resample leaves undefined never becomes NaN: a precision, recall or F1 of nothing is 0, and a class whose
value is undefined (no row with that class, or no row without it for AUROC) is left out of the macro mean.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

Floats = np.ndarray[Any, np.dtype[np.float64]]
Codes = np.ndarray[Any, np.dtype[np.int64]]
Mask = np.ndarray[Any, np.dtype[np.bool_]]

EPSILON = float(np.finfo(np.float64).eps)
"""Probabilities are clipped to ``[EPSILON, 1]`` in a log loss, so that one sure mistake costs 36 and not infinity."""

CLASSES_EVENLY = frozenset({"balanced_accuracy"})
"""Metrics in which every class counts the same, however many rows it has."""

CHUNK = 2_000_000
"""Weights worked on at a time: bounds memory to about 100 MB whatever the number of rows and resamples."""


def chunks(resamples: int, rows: int) -> Iterator[slice]:
    """Slices of the resamples, each of at most `CHUNK` weights (and at least one resample)."""
    step = max(1, CHUNK // max(rows, 1))
    for start in range(0, resamples, step):
        yield slice(start, min(start + step, resamples))


def ratio(above: Floats, below: Floats, otherwise: float = 0.0) -> Floats:
    """``above / below``, and `otherwise` where `below` is 0."""
    out = np.full(np.broadcast(above, below).shape, otherwise, dtype=np.float64)
    np.divide(above, below, out=out, where=below != 0)
    return out


def macro(values: Floats, defined: Mask, otherwise: float = 0.0) -> Floats:
    """Mean over the classes ``(b, k) → (b,)`` where the value is defined; `otherwise` where it is for none."""
    return ratio(np.where(defined, values, 0.0).sum(axis=1), defined.sum(axis=1).astype(np.float64), otherwise)


def weighted_mean(weights: Floats, values: Floats) -> Floats:
    r""":math:`\sum_i w_i v_i / \sum_i w_i` for weights ``(b, n)`` and values ``(n,)``."""
    return ratio(weights @ values, weights.sum(axis=1))


@dataclass(frozen=True)
class Groups:
    """Rows ``(n,)`` sorted by group once, so that sums by group cost one pass; some rows may be in no group."""

    rows: Codes
    starts: Codes
    present: Codes
    count: int

    @classmethod
    def of(cls, codes: Codes, count: int, among: Mask | None = None) -> Groups:
        """Group the rows by their code in ``0 .. count - 1``; only those `among` which is true."""
        chosen = np.arange(len(codes)) if among is None else np.flatnonzero(among)
        rows = chosen[np.argsort(codes[chosen], kind="stable")]
        present, starts = np.unique(codes[rows], return_index=True)
        return cls(rows, starts, present, count)

    def sums(self, weights: Floats) -> Floats:
        """Sum of the weights ``(b, n)`` in each group: ``(b, count)``; 0 for an empty group."""
        out = np.zeros((len(weights), self.count))
        if len(self.rows):
            out[:, self.present] = np.add.reduceat(weights[:, self.rows], self.starts, axis=1)
        return out


def class_scores(right: Floats, answered: Floats, actual: Floats) -> tuple[Floats, Floats, Floats]:
    r"""Precision, recall and F1 of each class, ``(b, k)`` each.

    With the weight of rows of a class that were answered so (`right`, true positives), of all rows answered so
    (`answered`) and of all rows that are so (`actual`):

    .. math:: P = \frac{right}{answered}, \quad R = \frac{right}{actual}, \quad
              F_1 = \frac{2\,right}{answered + actual}

    An empty denominator gives 0.
    """
    return ratio(right, answered), ratio(right, actual), ratio(2 * right, answered + actual)


def matthews(right: Floats, answered: Floats, actual: Floats) -> Floats:
    r"""Matthews correlation ``(b,)`` of truth and answer, from what `class_scores` takes, over any number of classes.

    .. math:: \frac{n \sum_c right_c - \sum_c answered_c\, actual_c}
              {\sqrt{n^2 - \sum_c answered_c^2} \sqrt{n^2 - \sum_c actual_c^2}}, \quad n = \sum_c actual_c

    0 where all rows are of one class, or answered so (Gorodkin 2004).
    """
    n = actual.sum(axis=1)
    above = n * right.sum(axis=1) - (answered * actual).sum(axis=1)
    spread = (n**2 - (answered**2).sum(axis=1)) * (n**2 - (actual**2).sum(axis=1))
    return ratio(above, np.sqrt(np.maximum(spread, 0)))


def by_class(classes: tuple[str, ...], precision: Floats, recall: Floats, f1: Floats) -> dict[str, Floats]:
    """``precision[c]``, ``recall[c]`` and ``f1[c]`` ``(b,)`` of each class, from what `class_scores` gives."""
    kinds = {"precision": precision, "recall": recall, "f1": f1}
    return {f"{kind}[{name}]": values[:, i] for i, name in enumerate(classes) for kind, values in kinds.items()}


@dataclass(frozen=True)
class Ranking:
    r"""How well scores rank the positive rows before the others: AUROC and average precision.

    AUROC is the chance that a positive row scores above a negative one, ties counting half:

    .. math:: \frac{\sum_{i \in +} \sum_{j \in -} w_i w_j \left([s_i > s_j] + \tfrac12 [s_i = s_j]\right)}
              {\sum_{i \in +} w_i \sum_{j \in -} w_j}

    Average precision is the mean, over the positive rows, of the precision among all rows scored as high or higher:

    .. math:: \frac{1}{\sum_{i \in +} w_i} \sum_{i \in +} w_i
              \frac{\sum_{j \in +} w_j [s_j \ge s_i]}{\sum_j w_j [s_j \ge s_i]}

    The rows are sorted once; a resample then costs one cumulative sum.
    """

    order: Codes
    positives: Codes
    first: Codes
    last: Codes
    positives_before: Codes
    positives_through: Codes

    @classmethod
    def of(cls, scores: Floats, positive: Mask, among: Mask | None = None) -> Ranking:
        """Sort the rows by falling score ``(n,)``; only those `among` which is true."""
        rows = np.arange(len(scores)) if among is None else np.flatnonzero(among)
        order = rows[np.argsort(-scores[rows], kind="stable")]
        ordered = scores[order]
        # Compared, not subtracted: two infinite scores are tied.
        starts = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]])) if len(order) else order
        places = np.flatnonzero(positive[order])
        tie = np.searchsorted(starts, places, side="right") - 1
        first, last = starts[tie], np.append(starts, len(order))[tie + 1]
        return cls(order, places, first, last, np.searchsorted(places, first), np.searchsorted(places, last))

    def __call__(self, weights: Floats) -> tuple[Floats, Floats, Mask, Mask]:
        """AUROC, average precision, and whether each is defined, for weights ``(b, n)``; four arrays ``(b,)``."""
        every = _cumulative(weights[:, self.order])
        own = weights[:, self.order[self.positives]]
        positive = _cumulative(own)
        true = positive[:, self.positives_through]
        through = every[:, self.last]
        precise = (own * ratio(true, through)).sum(axis=1)
        # Twice the negatives above, a tie counting half: those before the tie, and those through it.
        above = through - true + every[:, self.first] - positive[:, self.positives_before]
        positives = positive[:, -1]
        negatives = every[:, -1] - positives
        ranked = (own * (negatives[:, None] - above / 2)).sum(axis=1)
        auroc = ratio(ranked, positives * negatives, otherwise=0.5)
        return auroc, ratio(precise, positives), (positives > 0) & (negatives > 0), positives > 0


def macro_ranking(rankings: list[Ranking], weights: Floats) -> tuple[Floats, Floats]:
    """Macro AUROC and average precision ``(b,)`` over the classes for which they are defined (0.5 and 0 if none is)."""
    each = [ranking(weights) for ranking in rankings]
    auroc, precise, has_auroc, has_precise = (np.stack(column, axis=1) for column in zip(*each, strict=True))
    return macro(auroc, has_auroc, otherwise=0.5), macro(precise, has_precise)


def _cumulative(weights: Floats) -> Floats:
    """Cumulative sums with a leading 0: ``(b, n) → (b, n + 1)``."""
    out = np.zeros((weights.shape[0], weights.shape[1] + 1))
    np.cumsum(weights, axis=1, out=out[:, 1:])
    return out


def calibration_gaps(confidence: Floats, right: Mask, bins: int = 15) -> Floats:
    r"""Each row's part in its bin's gap, ``(n, bins)``, for the expected calibration error.

    The bins cut confidence into equal widths :math:`(\tfrac{m-1}{M}, \tfrac{m}{M}]` (Guo et al. 2017, On calibration of
    modern neural networks, with M = 15). With resample weights,

    .. math:: ECE = \frac{1}{\sum_i w_i} \sum_m \left|\sum_{i \in m} w_i (right_i - confidence_i)\right|
    """
    edges = np.linspace(0, 1, bins + 1)[1:-1]
    gaps = np.zeros((len(confidence), bins))
    gaps[np.arange(len(confidence)), np.digitize(confidence, edges, right=True)] = right - confidence
    return gaps


def calibration_error(weights: Floats, gaps: Floats) -> Floats:
    """Expected calibration error ``(b,)`` from `calibration_gaps`."""
    return ratio(np.abs(weights @ gaps).sum(axis=1), weights.sum(axis=1))


def explained(weights: Floats, truth: Floats, squares: Floats) -> Floats:
    r"""R², the share of the variance explained, ``(b,)``, from the truth and the squared errors, ``(n,)`` each.

    .. math:: R^2 = 1 - \frac{\sum_i w_i (y_i - \hat y_i)^2}{\sum_i w_i (y_i - \bar y)^2}

    where :math:`\bar y` is the resample's own weighted mean. A resample without any variance has 1 if every answer is
    exact, else 0, as in scikit-learn.
    """
    centred = truth - truth.mean()  # a large common offset would cancel the digits of the difference below
    mean_square = weights @ centred**2
    total = mean_square - ratio((weights @ centred) ** 2, weights.sum(axis=1))
    total = np.where(total > 1e-12 * mean_square, total, 0.0)
    error = weights @ squares
    result: Floats = np.where(total > 0, 1 - ratio(error, total), np.where(error == 0, 1.0, 0.0))
    return result


def log_softmax(outputs: Floats) -> Floats:
    """Log-probabilities of the classes, ``(n, k)``, stable for any finite outputs and for ``-inf``."""
    shifted: Floats = outputs - outputs.max(axis=1, keepdims=True)
    shifted -= np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return shifted


def log_sigmoid(outputs: Floats) -> Floats:
    """Logarithm of the logistic function, stable at both ends."""
    result: Floats = -np.logaddexp(0.0, -outputs)
    return result


_SHARES = (
    "accuracy", "balanced_accuracy", "macro_f1", "micro_f1", "subset_accuracy", "auroc", "average_precision", "ece",
    "precision", "recall", "f1",
)  # fmt: skip
_RANGES = {
    **dict.fromkeys(_SHARES, (0.0, 1.0)),
    **dict.fromkeys(("log_loss", "rmse", "mae", "mse"), (0.0, np.inf)),
    "mcc": (-1.0, 1.0),
    "r2": (-np.inf, 1.0),
}


def bounds(name: str) -> tuple[float, float]:
    """The least and the greatest value that a metric can have; infinite where nothing is known of it."""
    return _RANGES.get(name.partition("[")[0], (-np.inf, np.inf))


RANKED = frozenset({"auroc", "average_precision"})
"""Metrics that need the scores by which rows are ranked, and not the answers alone."""
