"""Imbalance: when classes are of unequal size, and what may be done about it."""

from __future__ import annotations

import numpy as np

IMBALANCED = 1.5
"""Largest over smallest class from which on classes count as imbalanced."""


def is_imbalanced(codes: np.ndarray) -> bool:
    """Whether the largest class has at least 1.5 times the rows of the smallest.

    Parameters
    ----------
    codes
        Class numbers ``(n,)``; negative ones are unlabelled and do not count, nor do classes without a row.
    """
    counts = np.bincount(codes[codes >= 0])
    counts = counts[counts > 0]
    return len(counts) > 1 and bool(counts.max() >= IMBALANCED * counts.min())


def class_weights(codes: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
    """A loss weight for each class, so that all classes count the same: ``w_c = n / (k n_c)``.

    The mean weight over the rows is 1, so the size of the loss, and with it the learning rate, keeps its meaning.

    Parameters
    ----------
    codes
        Class numbers ``(n,)``, ``0`` to ``k - 1``; negative ones are unlabelled and do not count.
    weights
        How often each row counts, ``(n,)``; once if not given.

    Returns
    -------
    ``(k,)`` float64, where ``k`` is the largest number plus one; 0 for a class without a row.

    Notes
    -----
    ``k`` in the formula counts the classes that have rows. King and Zeng, "Logistic regression in rare events data",
    2001; it is scikit-learn's ``class_weight="balanced"``.
    """
    known = codes >= 0
    counts = np.bincount(codes[known], None if weights is None else weights[known]).astype(np.float64)
    present = counts > 0
    weights = np.zeros(len(counts))
    weights[present] = counts.sum() / (present.sum() * counts[present])
    return weights


def sampler_weights(codes: np.ndarray) -> np.ndarray:
    """The chance of each row to be drawn, so that each class is drawn equally often.

    Parameters
    ----------
    codes
        Class numbers ``(n,)``; negative ones are unlabelled and never drawn.

    Returns
    -------
    ``(n,)`` float64, sum 1 (all zeros where no row has a label).
    """
    labelled = codes >= 0
    weights = np.zeros(len(codes))
    if labelled.any():
        weights[labelled] = class_weights(codes)[codes[labelled]] / labelled.sum()
    return weights
