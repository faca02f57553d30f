"""Proxy A-distance and the MMD test, against their definitions written out."""

import numpy as np
import pytest
from scipy.spatial.distance import cdist, pdist
from scipy.stats import kstest

from sterna.evaluation.shift import gaussian_kernel, mmd_test, proxy_a_distance


def mmd_by_hand(first, second, h):
    k = lambda x, y: np.exp(-((x - y) ** 2).sum() / (2 * h**2))
    n, m = len(first), len(second)
    within_first = sum(k(first[i], first[j]) for i in range(n) for j in range(n) if i != j) / (n * (n - 1))
    within_second = sum(k(second[i], second[j]) for i in range(m) for j in range(m) if i != j) / (m * (m - 1))
    across = sum(k(x, y) for x in first for y in second) / (n * m)
    return within_first + within_second - 2 * across


def test_the_kernel_has_the_median_distance_as_its_bandwidth():
    x = np.random.default_rng(0).normal(5e3, 2.0, (30, 4))
    expected = np.exp(-(cdist(x, x) ** 2) / (2 * np.median(pdist(x)) ** 2))
    np.testing.assert_allclose(gaussian_kernel(x), expected, atol=1e-9)


def test_rows_that_are_mostly_equal_still_have_a_bandwidth():
    x = np.concatenate([np.full((20, 2), 7.1), [[8.0, 7.0], [9.0, 7.0]]])
    kernel = gaussian_kernel(x)
    assert np.isfinite(kernel).all() and kernel[0, 1] == pytest.approx(1) and kernel[0, -1] < 0.5
    assert (gaussian_kernel(np.ones((5, 3))) == 1).all()


def test_mmd_and_its_p_value_are_those_of_a_loop_over_exchanges():
    random = np.random.default_rng(1)
    first, second = random.normal(0, 1, (12, 3)), random.normal(0.4, 1, (9, 3))
    found, p = mmd_test(first, second, permutations=99, seed=5)
    both = np.concatenate([first, second])
    h = np.median(pdist(both))
    assert found == pytest.approx(mmd_by_hand(first, second, h), abs=1e-12)
    shuffle, as_much = np.random.default_rng(5), 0
    for _ in range(99):
        order = shuffle.permutation(21)
        as_much += mmd_by_hand(both[order[:12]], both[order[12:]], h) >= found
    assert p == pytest.approx((1 + as_much) / 100)


def test_mmd_is_the_same_from_either_side_and_under_a_shift_of_both():
    random = np.random.default_rng(2)
    first, second = random.normal(0, 1, (40, 5)), random.normal(1, 2, (30, 5))
    found = mmd_test(first, second)[0]
    assert mmd_test(second, first)[0] == pytest.approx(found, abs=1e-12)
    assert mmd_test(first + 1e4, second + 1e4)[0] == pytest.approx(found, abs=1e-8)


def test_halves_of_one_domain_give_uniform_p_values_and_no_distance(digits_arrays):
    x = digits_arrays[0].reshape(len(digits_arrays[0]), -1).astype(float)
    random, p_values = np.random.default_rng(3), []
    for seed in range(60):
        rows = random.permutation(len(x))[:80]
        p_values.append(mmd_test(x[rows[:40]], x[rows[40:]], permutations=200, seed=seed)[1])
    assert kstest(p_values, "uniform").pvalue > 0.01
    rows = random.permutation(len(x))[:1200]
    assert proxy_a_distance(x[rows[:600]], x[rows[600:]]) < 0.15


def test_p_values_of_discrete_rows_do_not_reject_too_often():
    """Rows that repeat make exchanges that change nothing: they count as as much."""
    random, rejected = np.random.default_rng(4), 0
    for seed in range(100):
        first, second = random.integers(0, 2, (2, 8, 1)).astype(float)
        rejected += mmd_test(first, second, permutations=200, seed=seed)[1] < 0.05
    assert rejected <= 10


def test_a_shift_is_found():
    random = np.random.default_rng(5)
    first, second = random.normal(0, 1, (300, 4)), random.normal([3.0, 0, 0, 0], 1, (300, 4))
    mmd2, p = mmd_test(first, second, permutations=200)
    assert mmd2 > 0.1 and p == pytest.approx(1 / 201)
    assert proxy_a_distance(first, second) > 1.6


def test_the_distance_is_two_minus_four_errors_of_the_best_line():
    """Uniform on [0, 1] and on [a, 1 + a]: no threshold errs less than (1 − a) / 2."""
    random = np.random.default_rng(6)
    for a in (0.3, 0.7, 1.2):
        found = proxy_a_distance(random.uniform(0, 1, (1500, 1)), random.uniform(a, 1 + a, (1500, 1)))
        assert found == pytest.approx(2 * (1 - 2 * max(0.0, (1 - a) / 2)), abs=0.1)


def test_a_sample_is_at_no_distance_from_itself():
    """A held-out row is among the training rows of the other sample: the classifier errs more often than a guess."""
    x = np.random.default_rng(8).normal(size=(60, 20))
    assert proxy_a_distance(x, x) == 0.0


def test_the_error_is_the_mean_of_those_of_both_samples():
    """Half of the few rows are where all of the many are: ε = (1/2 + 0) / 2."""
    assert proxy_a_distance(np.repeat([[-1.0], [1.0]], 50, axis=0), np.ones((900, 1))) == pytest.approx(1.0)


def test_uneven_samples_are_no_distance():
    x = np.random.default_rng(7).normal(size=(1100, 3))
    assert proxy_a_distance(x[:100], x[100:]) < 0.4


def patients(random, count, rows=5, shift=0.0):
    """Rows of patients who differ: ``(count * rows, 3)``, and the patient of each row."""
    of = np.repeat(np.arange(count), rows)
    return random.normal(shift, 1, (count, 3))[of] + 0.3 * random.normal(size=(count * rows, 3)), of


def test_rows_of_patients_reject_no_more_often_than_they_may():
    """Two samples of 12 patients with 5 rows each, of one population: the share of p values up to .05, by 300 cases."""
    random, rows, whole = np.random.default_rng(0), [], []
    for seed in range(300):
        (first, a), (second, b) = patients(random, 12), patients(random, 12)
        whole.append(mmd_test(first, second, permutations=200, seed=seed, groups=np.concatenate([a, b + 12]))[1])
        if seed < 40:
            rows.append(mmd_test(first, second, permutations=200, seed=seed)[1])
    assert np.mean(np.array(rows) <= 0.05) > 0.8
    assert 0.02 <= np.mean(np.array(whole) <= 0.05) <= 0.085  # 300 draws of a share of .05: within 2.8 errors
    assert abs(np.mean(np.array(whole) <= 0.5) - 0.5) < 0.09


def test_a_shift_between_patients_is_found_with_whole_patients():
    random = np.random.default_rng(1)
    (first, a), (second, b) = patients(random, 15), patients(random, 15, shift=2)
    mmd2, p = mmd_test(first, second, permutations=500, groups=np.concatenate([a, b + 15]))
    assert p < 0.01 and mmd2 > 0.2
    assert proxy_a_distance(first, second, groups=np.concatenate([a, b + 15])) > 1.2


def test_mmd_of_groups_is_that_of_pairs_of_different_groups():
    """By a loop: pairs of rows of one group are in no sum, and exchanges move whole groups."""
    random = np.random.default_rng(2)
    sizes = [1, 3, 2, 4, 2, 1, 3]
    groups, x = np.repeat(np.arange(7), sizes), random.normal(size=(16, 2))
    n = int(np.sum(sizes[:4]))
    kernel = gaussian_kernel(x)

    def by_hand(first):
        def mean(a, b):
            found = [kernel[i, j] for i in a for j in b if groups[i] != groups[j]]
            return np.mean(found)

        ours, theirs = np.flatnonzero(np.isin(groups, first)), np.flatnonzero(~np.isin(groups, first))
        return mean(ours, ours) + mean(theirs, theirs) - 2 * mean(ours, theirs)

    found, p = mmd_test(x[:n], x[n:], permutations=99, seed=5, groups=groups)
    assert found == pytest.approx(by_hand([0, 1, 2, 3]), abs=1e-12)
    shuffle = np.random.default_rng(5)
    as_much = sum(by_hand(shuffle.permutation(7)[:4]) >= found - 1e-12 for _ in range(99))
    assert p == pytest.approx((1 + as_much) / 100)


def test_no_patient_is_on_both_sides_of_the_classifiers_folds():
    """Patients that a line can tell apart by heart, but not by their population."""
    random = np.random.default_rng(3)
    of = np.repeat(np.arange(20), 10)
    x = np.eye(20)[of] + 0.01 * random.normal(size=(200, 20))
    assert proxy_a_distance(x[:100], x[100:]) > 1.9
    assert proxy_a_distance(x[:100], x[100:], groups=of) < 0.5
