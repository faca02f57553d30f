"""coral: the source's features are given the target's covariance."""

from __future__ import annotations

import numpy as np
from pydantic import Field

from sterna.bench import Bench, Fitted
from sterna.bench.problem import Array
from sterna.bench.vectors import each_scaled
from sterna.methods.method import Method, Needs


class Coral(Method):
    """The source's features are whitened and recoloured with the target's covariance; a head is fitted on them.

    What moves: the source's labels, over features that correlate as the target's do. With the covariances of the
    standardised features, C_s = cov(z_s) + λI and C_t = cov(z_t) + λI, the source's rows become
    z_s C_s^(−1/2) C_t^(1/2), a linear map that brings the covariances together. As published, each domain is
    standardised by itself first. Labelled target rows, where there are some, join the fit as they are. The target's
    own scale is folded into the head, so the network takes raw features.

    When to use it: features that correlate in another way in the target (another camera, another vocabulary), and
    more target rows than features. When it hurts: few target rows (their covariance is noise), or a drift of each
    feature by itself, where ``domain-scaling`` is enough and better.

    References
    ----------
    Sun, Feng and Saenko, "Return of frustratingly easy domain adaptation", AAAI 2016.
    """

    needs = Needs.LIKE_SOURCE
    suits = Needs.COMPARABLE

    regularization: float = Field(
        1.0, gt=0, description="λ added to the variances, in units of the standardised features; 1 as published"
    )

    def run(self, bench: Bench) -> Fitted:
        rows = each_scaled(bench)
        return rows.fit(recoloured(rows.source, rows.target, self.regularization))


def recoloured(source: Array, target: Array, regularization: float) -> Array:
    """The source's rows with (nearly) the target's covariance.

    Parameters
    ----------
    source, target
        Features ``(n_s, d)`` and ``(n_t, d)``, each of mean 0.
    regularization
        λ, added to the diagonal of both covariances.

    Returns
    -------
    numpy.ndarray, shape (n_s, d)
        ``source @ C_s^(-1/2) @ C_t^(1/2)``; as λ goes to 0 its covariance goes to that of `target`.
    """
    return np.asarray(
        source @ power(covariance(source, regularization), -0.5) @ power(covariance(target, regularization), 0.5)
    )


def covariance(x: Array, regularization: float) -> Array:
    """Covariance of features ``(n, d)`` plus λ on its diagonal, ``(d, d)``."""
    centred = x - x.mean(0)
    return np.asarray(centred.T @ centred / max(1, len(x) - 1) + regularization * np.eye(x.shape[1]))


def power(matrix: Array, exponent: float) -> Array:
    """A power of a symmetric positive definite matrix ``(d, d)``, by its eigenvalues."""
    values, vectors = np.linalg.eigh(matrix)
    values = np.maximum(values, np.finfo(values.dtype).eps * values[-1])  # rounding leaves some below zero
    return np.asarray((vectors * values**exponent) @ vectors.T)
