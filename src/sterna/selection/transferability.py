"""Scores of how well features suit labels, without training a network on them: LogME, H-score, LEEP, NCE and others.

Each takes features as they are (float32 or float64; products are computed in their type, sums of them in float64) and
needs memory that grows with n and with d² at most, beside what it is given. Larger is better, and a number means
something only beside that of other features for the same rows.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.linalg import cholesky

from sterna.errors import RequestError
from sterna.selection import products
from sterna.selection.products import check_rows, checked_features, class_codes, one_hot, target_columns, without_gaps

Array = np.ndarray[Any, Any]

NEIGHBOURS = 5
"""Rows that vote on the class of another."""

DISTORTION = 1e-4
"""ε of TransRate, as its authors have it."""


def logme(features: Array, targets: Array) -> float:
    r"""Logarithm of the maximum evidence (LogME) of a Bayesian linear model of the targets on the features.

    With features F, one target column y, a prior :math:`w \sim N(0, \alpha^{-1} I)` and noise of variance
    :math:`\beta^{-1}`, the evidence is :math:`p(y) = N(y; 0, \beta^{-1} I + \alpha^{-1} F F^T)`. It is at its maximum
    over α and β, divided by n; a class is a column of zeros and ones, and the score is the mean over the columns.

    Parameters
    ----------
    features : ndarray, shape (n, d)
        Of n rows.
    targets : ndarray, shape (n,) or (n, k)
        Whole numbers are codes of classes; floats are numbers to predict, one or k a row.

    Returns
    -------
    float
        The mean of the logarithms, per row.

    Raises
    ------
    RequestError
        If shapes do not fit, a value is not finite, or all rows are of one class.

    Notes
    -----
    For one ratio :math:`t = \alpha / \beta` the best β is known, so the maximum is sought over t alone, by the fixed
    point of the authors: :math:`t \leftarrow \gamma r / (m (n - \gamma))` with :math:`\gamma = \sum_i \sigma_i /
    (\sigma_i + t)`, m the squared length of the mean weights and r the squared residuals. All columns share one
    eigendecomposition of the d × d (or n × n) products of the features.

    References
    ----------
    You, Liu, Wang and Long, "LogME: practical assessment of pre-trained models for transfer learning", ICML 2021.
    """
    x = checked_features(features)
    y = target_columns(x, targets)
    spectrum, projections = products.spectrum_of(x, y, centred=False)
    return float(_evidences(spectrum, np.square(projections), np.square(y).sum(0), len(x)).mean())


def h_score(features: Array, targets: Array) -> float:
    r"""H-score with shrinkage: how much of the spread of the features lies between the classes.

    .. math:: H_\alpha = (1 - \alpha) \, \mathrm{tr}(\Sigma_\alpha^{-1} \Sigma_{between}), \qquad
        \Sigma_\alpha = (1 - \alpha) \Sigma + \alpha \, \frac{\mathrm{tr} \Sigma}{d} I

    with Σ the covariance of the features, :math:`\Sigma_{between}` that of the class means, and the shrinkage α of
    Ledoit and Wolf.

    Parameters
    ----------
    features : ndarray, shape (n, d)
        Of n rows.
    targets : ndarray, shape (n,)
        Codes of classes.

    Returns
    -------
    float
        From 0 to the number of classes minus 1.

    Raises
    ------
    RequestError
        If shapes do not fit, a value is not finite, all rows are of one class, or the targets are no classes.

    References
    ----------
    Bao et al., "An information-theoretic approach to transferability in task transfer learning", ICIP 2019; Ibrahim,
    Ponomareva and Mazumder, "Newer is not always better: rethinking transferability metrics, their peculiarities,
    stability and performance", ECML 2022; Ledoit and Wolf, "A well-conditioned estimator for large-dimensional
    covariance matrices", 2004.
    """
    x = checked_features(features)
    y = one_hot(class_codes(x, targets))
    (n, d), counts = x.shape, y.sum(0, dtype=np.float64)
    sums, projections = products.spectrum_of(x, y, centred=True)
    variances = sums / n
    mean = variances.sum() / d
    if mean == 0:
        return 0.0
    fourth = sum(
        float(np.square(np.einsum("ij,ij->i", c, c, dtype=np.float64)).sum()) for c in products.blocks_of(x, x.mean(0))
    )
    squares = float(np.square(variances).sum())
    spread = squares - d * mean**2
    shrinkage = min(max((fourth / n - squares) / n, 0.0) / spread, 1.0) if spread > 0 else 1.0
    between = (np.square(projections) / counts).sum(1) / n
    within = (1 - shrinkage) * variances + shrinkage * mean
    some = within > np.finfo(np.float64).eps * within.max()  # without shrinkage what does not vary has no inverse
    return float((1 - shrinkage) * (between[some] / within[some]).sum())


def nce(source_codes: Array, targets: Array) -> float:
    r"""Negative conditional entropy of the labels given the source's classes, :math:`-H(Y | Z)`.

    Parameters
    ----------
    source_codes : ndarray, shape (n,)
        Codes of the classes that the source gives the rows.
    targets : ndarray, shape (n,)
        Codes of their labels.

    Returns
    -------
    float
        At most 0: the source's class tells the label.

    References
    ----------
    Tran, Nguyen and Hassner, "Transferability and hardness of supervised classification tasks", ICCV 2019.
    """
    x = np.asarray(source_codes)
    check_rows(x, targets)
    joint = _joint(one_hot(without_gaps(x)), class_codes(x, targets))
    share = joint / joint.sum(1, keepdims=True)
    return float((joint * np.log(np.where(joint > 0, share, 1.0))).sum())


def leep(source_probabilities: Array, targets: Array) -> float:
    r"""Log expected empirical prediction: how likely the labels are, given the source's own answers.

    .. math:: \frac{1}{n} \sum_i \log \sum_z \hat P(y_i | z) \, \theta(x_i)_z

    with the source's probabilities θ, and :math:`\hat P(y | z)` counted with them over the same rows.

    Parameters
    ----------
    source_probabilities : ndarray, shape (n, z)
        Of the source's classes for each row, of sum 1.
    targets : ndarray, shape (n,)
        Codes of classes.

    Returns
    -------
    float
        At most 0.

    References
    ----------
    Nguyen, Hassner, Seeger and Archambeau, "LEEP: a new measure to evaluate transferability of learned
    representations", ICML 2020.
    """
    theta = checked_features(source_probabilities)
    if theta.min() < 0 or not np.allclose(theta.sum(1), 1.0, atol=1e-3):
        raise RequestError("The source's probabilities must be 0 or more and of sum 1 in each row.")
    codes = class_codes(theta, targets)
    joint = _joint(theta, codes)
    weight = joint.sum(1)
    given = joint / np.where(weight > 0, weight, 1.0)[:, None]
    return float(np.log(np.maximum((theta * given.T[codes]).sum(1), np.finfo(np.float64).tiny)).mean())


def transrate(features: Array, targets: Array) -> float:
    r"""TransRate: what the labels tell of the features, as the rates by which both would be coded.

    .. math:: R(Z) - \sum_c \frac{n_c}{n} R(Z_c), \qquad
        R(Z) = \tfrac12 \log \det\left(I + \frac{1}{n \epsilon} Z^T Z\right)

    with the features Z around their mean, scaled to :math:`\mathrm{tr}(Z^T Z) = 1`, so that their unit does not matter,
    and :math:`Z_c` the n_c rows of a class. (The authors' listing weighs classes alike, which is the same for even
    classes.)

    Parameters
    ----------
    features : ndarray, shape (n, d)
        Of n rows.
    targets : ndarray, shape (n,)
        Codes of classes.

    Returns
    -------
    float
        Larger where classes lie apart.

    References
    ----------
    Huang, Huang, Rong, Yang and Wei, "Frustratingly easy transferability estimation", ICML 2022.
    """
    x = checked_features(features)
    codes, mean = class_codes(x, targets), x.mean(0)
    total = sum(float(np.square(c, dtype=np.float64).sum()) for c in products.blocks_of(x, mean))
    if total == 0:
        return 0.0
    shares = np.bincount(codes) / len(codes)
    of_classes = [_rate(x[codes == code], mean, total) for code in range(len(shares))]
    return _rate(x, mean, total) - float(shares @ of_classes)


def neighbour_accuracy(
    features: Array, targets: Array, neighbours: int = NEIGHBOURS, units: Array | None = None
) -> float:
    """Share of rows whose class is that of most of their nearest other rows (leave one out).

    Parameters
    ----------
    features : ndarray, shape (n, d)
        Of n rows; distances are Euclidean.
    targets : ndarray, shape (n,)
        Codes of classes.
    neighbours : int
        How many rows vote; among equal votes the first class wins.
    units : ndarray, shape (n,), optional
        Rows of one number do not vote on each other: those of one group, or of one content.

    Returns
    -------
    float
        From 0 to 1.
    """
    x = checked_features(features)
    codes, own = class_codes(x, targets), np.arange(len(x)) if units is None else np.asarray(units)
    x = x - x.mean(0)  # the distances are the same, their rounding is less
    squares, votes = np.einsum("ij,ij->i", x, x), one_hot(codes)
    count, right = min(neighbours, len(x) - 1), 0
    size = max(1, products.BLOCK // len(x))
    for start in range(0, len(x), size):
        here = slice(start, start + size)
        distances = squares - 2 * (x[here] @ x.T)
        distances[own[here][:, None] == own] = np.inf
        nearest = np.argpartition(distances, count - 1, axis=1)[:, :count]
        usable = np.isfinite(np.take_along_axis(distances, nearest, axis=1))
        right += int((np.argmax((votes[nearest] * usable[..., None]).sum(1), axis=1) == codes[here]).sum())
    return right / len(x)


def _joint(source: Array, codes: Array) -> Array:
    """Joint shares of the source's classes and of the labels, ``(z, k)``."""
    return np.asarray(source.T.astype(np.float64) @ one_hot(codes) / len(codes))


def _evidences(spectrum: Array, squares: Array, lengths: Array, n: int) -> Array:
    """The largest log evidence of each column, per row, ``(k,)``.

    Parameters
    ----------
    spectrum, squares
        σ and the squared projections of :func:`spectrum_of`.
    lengths
        Squared length of each column, ``(k,)``.
    """
    scale = float(spectrum.max()) or 1.0
    lengths = np.maximum(lengths, np.finfo(np.float64).tiny)

    def residual(t: Array) -> Array:
        """Of each column: yᵀ (I + F Fᵀ / t)⁻¹ y."""
        return np.asarray(np.maximum(lengths - (squares / (spectrum[:, None] + t)).sum(0), 1e-12 * lengths))

    t = np.full(squares.shape[1], 1e-3 * scale)
    for _ in range(200):
        weights = np.maximum((squares / np.square(spectrum[:, None] + t)).sum(0), np.finfo(np.float64).tiny)
        free = n - len(spectrum) + (t / (spectrum[:, None] + t)).sum(0)
        before, error = t, np.maximum(residual(t) - t * weights, 1e-12 * lengths)
        t = np.clip((n - free) * error / (weights * free), 1e-12 * scale, 1e12 * scale)
        if np.all(np.abs(np.log(t / before)) < 1e-4):
            break
    volume = np.log1p(spectrum[:, None] / t).sum(0)
    return np.asarray(-0.5 * (np.log(residual(t) / n) + volume / n + 1 + np.log(2 * np.pi)))


def _rate(x: Array, mean: Array, total: float) -> float:
    """½ log det(I + ZᵀZ / nε) of the rows around a mean, divided by the root of `total`."""
    found = products.smaller_products(x, mean) / (len(x) * DISTORTION * total)
    found[np.diag_indices_from(found)] += 1.0
    return float(np.log(np.diag(cholesky(found, overwrite_a=True, check_finite=False))).sum())
