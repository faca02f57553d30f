from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from scipy import stats

from sterna.evaluation.swaps import swap_test
from sterna.tasks import Classification, Regression

TWO = Classification(("no", "yes"))


def answering(right: np.ndarray, codes: np.ndarray) -> np.ndarray:
    """Outputs that answer these rows right and the others wrong."""
    return np.eye(2)[np.where(right, codes, 1 - codes)] * 2


def test_few_rows_are_swapped_in_every_way() -> None:
    """Against a loop over all exchanges, with a metric that is no mean."""
    random = np.random.default_rng(0)
    targets = random.normal(size=8)
    one, other = targets + random.normal(scale=0.3, size=8), targets + random.normal(scale=1.0, size=8)

    def r2(answers: np.ndarray) -> float:
        return 1 - ((targets - answers) ** 2).sum() / ((targets - targets.mean()) ** 2).sum()

    found = abs(r2(one) - r2(other))
    apart = []
    for swapped in product([False, True], repeat=8):
        first, second = np.where(swapped, other, one), np.where(swapped, one, other)
        apart.append(abs(r2(first) - r2(second)) >= found - 1e-12)
    assert swap_test(Regression(), "r2", [one[:, None]], [other[:, None]], targets) == np.mean(apart)


def test_of_accuracy_it_is_the_exact_mcnemar_test() -> None:
    codes = np.arange(60) % 2
    one, other = np.arange(60) < 50, np.arange(60) >= 12  # 10 and 12 rows that only one of them answers right
    p = swap_test(TWO, "accuracy", [answering(one, codes)], [answering(other, codes)], codes)
    assert p == pytest.approx(stats.binomtest(10, 22).pvalue, abs=0.05)
    better = np.arange(60) < 58
    p = swap_test(TWO, "accuracy", [answering(better, codes)], [answering(other, codes)], codes)
    assert p == pytest.approx(stats.binomtest(2, 14).pvalue, abs=0.01)


def test_rows_of_a_group_change_sides_together() -> None:
    """Eight groups that all differ alike: two of 256 exchanges differ as far."""
    codes, groups = np.zeros(80, dtype=int), np.repeat(np.arange(8), 10)
    right, wrong = [answering(np.full(80, good), codes) for good in (True, False)]
    assert swap_test(TWO, "accuracy", [right], [wrong], codes, groups=groups) == 2 / 256
    assert swap_test(TWO, "accuracy", [right], [wrong], codes) == 1 / 1000


def test_five_rows_never_reach_five_percent() -> None:
    codes = np.zeros(5, dtype=int)
    right, wrong = [answering(np.full(5, good), codes) for good in (True, False)]
    assert swap_test(TWO, "accuracy", [right], [wrong], codes) == 2 / 32


def test_draws_are_averaged_and_one_array_stands_for_all() -> None:
    random = np.random.default_rng(1)
    codes = np.arange(40) % 2
    draws = [answering(random.random(40) < 0.8, codes) for _ in range(3)]
    still = answering(random.random(40) < 0.6, codes)
    once = swap_test(TWO, "accuracy", draws, [still], codes)
    assert once == swap_test(TWO, "accuracy", draws, [still] * 3, codes)
    assert once == swap_test(TWO, "accuracy", [still], draws, codes)


def test_under_the_null_p_is_uniform_whatever_the_classes() -> None:
    random, found = np.random.default_rng(2), []
    codes = np.array([0] * 30 + [1] * 3 + [2])
    three = Classification(("a", "b", "c"))
    for _ in range(200):
        one, other = random.normal(size=(2, 34, 3))
        for outputs in (one, other):
            outputs[np.arange(34), codes] += 1
        found.append(swap_test(three, "balanced_accuracy", [one], [other], codes))
    assert np.mean(np.array(found) <= 0.05) <= 0.08
    assert np.mean(np.array(found) <= 0.5) <= 0.6


def test_rows_of_no_weight_are_not_swapped_and_heavy_ones_count() -> None:
    """Against a loop over the exchanges of the rows that weigh something."""
    random = np.random.default_rng(1)
    targets, weights = random.normal(size=8), np.array([1, 2, 0, 4, 1, 0, 3, 1.0])
    one, other = targets + random.normal(scale=0.3, size=8), targets + random.normal(scale=1.0, size=8)

    def apart(swapped: tuple[bool, ...]) -> float:
        errors = np.abs(np.where(swapped, other, one) - targets) - np.abs(np.where(swapped, one, other) - targets)
        return abs(np.average(errors, weights=weights))

    each = np.array([apart(swapped) for swapped in product([False, True], repeat=8)])
    p = swap_test(Regression(), "mae", [one[:, None]], [other[:, None]], targets, weights=weights)
    assert p == np.mean(each >= each[0] - 1e-12)
    kept = weights > 0
    less = swap_test(Regression(), "mae", [one[kept, None]], [other[kept, None]], targets[kept], weights=weights[kept])
    assert p == less
