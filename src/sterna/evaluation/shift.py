"""How far apart two samples are: the proxy A-distance, and the maximum mean discrepancy with a p value."""

from __future__ import annotations

from typing import Any

import numpy as np

from sterna.domains.draws import deal_whole

Array = np.ndarray[Any, Any]

PERMUTATIONS = 500
"""Random exchanges of rows between the samples that a p value is counted on."""


def proxy_a_distance(
    first: Array, second: Array, *, seed: int = 0, folds: int = 5, groups: Array | None = None
) -> float:
    """Proxy A-distance 2 (1 − 2ε), where ε is how often a linear classifier takes a row for one of the other sample.

    The classifier is a logistic regression on standardised features, and ε its balanced error over the held-out rows
    of a cross-validation; an ε above one half counts as one half (the opposite answer would be right more often).

    Parameters
    ----------
    first, second
        Features ``(n, d)`` and ``(m, d)``, n and m from 2 on.
    seed
        Of the folds.
    folds
        Of the cross-validation; fewer where there are fewer rows or groups.
    groups
        The group (a patient, say) of each row of both samples, ``(n + m,)``: no fold parts one.

    Returns
    -------
    float
        From 0 (no line tells the samples apart) to 2 (one tells them apart without an error).

    References
    ----------
    Ben-David, Blitzer, Crammer and Pereira, "Analysis of representations for domain adaptation", NeurIPS 2006.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedKFold
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    x = np.concatenate([first, second])
    of_second = np.repeat([False, True], [len(first), len(second)])
    wrong = np.zeros(len(x), dtype=bool)
    if groups is None:
        count = min(folds, len(first), len(second))
        parts = list(StratifiedKFold(count, shuffle=True, random_state=seed).split(x, of_second))
    else:
        count = min(folds, *(len(np.unique(some)) for some in np.split(groups, [len(first)])))
        part = deal_whole(of_second.astype(np.int64), groups, count, np.random.default_rng(seed))
        parts = [(np.flatnonzero(part != each), np.flatnonzero(part == each)) for each in range(count)]
    for train, held in parts:
        # A strong penalty: pixels are about as many as rows, and would be learnt by heart.
        learner = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, class_weight="balanced", max_iter=200))
        wrong[held] = learner.fit(x[train], of_second[train]).predict(x[held]) != of_second[held]
    error = (wrong[of_second].mean() + wrong[~of_second].mean()) / 2
    return float(2 * (1 - 2 * min(error, 0.5)))


def mmd_test(
    first: Array,
    second: Array,
    *,
    permutations: int = PERMUTATIONS,
    seed: int = 0,
    bandwidth: float | None = None,
    groups: Array | None = None,
) -> tuple[float, float]:
    """Squared maximum mean discrepancy of two samples, and how often chance alone gives as much.

    The kernel is k(x, y) = exp(−‖x − y‖² / (2 h²)); the estimate is the unbiased one, which may be a little below
    zero. For the p value, rows are exchanged between the samples at random: p = (1 + how many exchanges give at least
    the same) / (1 + permutations), which is valid for any number of them.

    Rows of one group are not independent: with `groups`, whole groups are exchanged, and the estimate leaves out pairs
    of rows of one group, which are alike in whatever sample they are.

    Parameters
    ----------
    first, second
        Features ``(n, d)`` and ``(m, d)``, n and m from 2 on.
    permutations
        Random exchanges.
    seed
        Of the exchanges.
    bandwidth
        h; the median distance between two rows of both samples if ``None``.
    groups
        The group (a patient, say) of each row of both samples, ``(n + m,)``, two or more in each; what a group has in
        one sample is exchanged together.

    Returns
    -------
    tuple of float
        MMD² and p.

    References
    ----------
    Gretton, Borgwardt, Rasch, Schölkopf and Smola, "A kernel two-sample test", JMLR 2012.
    """
    n, m = len(first), len(second)
    unit = np.arange(n + m) if groups is None else _parts_of(groups, n)
    count, in_first = unit.max() + 1, len(np.unique(unit[:n]))
    random = np.random.default_rng(seed)
    chosen = np.zeros((count, permutations + 1))
    chosen[unit[:n], 0] = 1.0  # the samples as they are
    for column in range(1, permutations + 1):
        chosen[random.permutation(count)[:in_first], column] = 1.0
    members, sizes = chosen[unit], np.bincount(unit).astype(np.float64)
    kernel = gaussian_kernel(np.concatenate([first, second]), bandwidth)
    kernel[unit[:, None] == unit] = 0.0
    sums = kernel @ members
    within_first = np.einsum("ij,ij->j", members, sums)
    across = sums.sum(0) - within_first
    within_second = kernel.sum() - within_first - 2 * across
    rows, own = sizes @ chosen, sizes**2 @ chosen  # of the first sample, and its pairs that are of one unit
    others, theirs = n + m - rows, (sizes**2).sum() - own
    found = within_first / (rows**2 - own) + within_second / (others**2 - theirs) - 2 * across / (rows * others)
    # Exchanges that change nothing must count as equal, whatever the rounding.
    as_much = int((found[1:] >= found[0] - 1e-12).sum())
    return float(found[0]), (1 + as_much) / (1 + permutations)


def _parts_of(groups: Array, n: int) -> Array:
    """A number for what each group has in each of the two samples, ``(n + m,)`` from 0 on; the first has n rows."""
    _, codes = np.unique(groups, return_inverse=True)
    _, parts = np.unique(2 * codes + (np.arange(len(codes)) >= n), return_inverse=True)
    return np.asarray(parts)


def gaussian_kernel(x: Array, bandwidth: float | None = None) -> Array:
    """exp(−‖x − y‖² / (2 h²)) for every two rows of ``(n, d)``: ``(n, n)``; h is the median distance if ``None``.

    Where most rows are equal, so that the median is zero, h is the root of the mean squared distance.
    """
    centred = x - x.mean(0)  # the distances are the same, their rounding is less
    squares = np.einsum("ij,ij->i", centred, centred)
    distances = centred @ centred.T
    distances *= -2
    distances += squares[:, None]
    distances += squares
    np.maximum(distances, 0, out=distances)
    np.fill_diagonal(distances, 0.0)
    if bandwidth is None:
        pairs = np.sqrt(distances[np.triu_indices(len(x), 1)])
        middle = float(np.median(pairs))
        # Rounding leaves equal rows a distance of some units in the last place.
        equal = middle <= 1e-6 * float(np.sqrt(squares.max(initial=0.0)))
        bandwidth = (float(np.sqrt((pairs**2).mean())) if equal else middle) or 1.0
    distances *= -1 / (2 * bandwidth**2)
    return np.asarray(np.exp(distances, out=distances))
