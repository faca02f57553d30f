"""The domain classifier's odds and distances between rows: against scikit-learn and brute force."""

import numpy as np
from sklearn.linear_model import LogisticRegression

from sterna.bench import density_ratio
from sterna.bench.density_ratio import domain_odds, nearest_distances, unit_folds, within_reach
from sterna.selection.cross_validation import Trial


def test_the_odds_are_those_of_scikit_learns_logistic_regression_without_the_row(monkeypatch):
    random = np.random.default_rng(1)
    source, target = random.normal(size=(60, 3)), random.normal(size=(40, 3)) + np.array([1, 0, 0])
    folds = np.arange(60) % 5, np.full(40, -1)
    monkeypatch.setattr(density_ratio, "choose_penalty", lambda *_, **__: Trial(0.1, np.zeros(1)))
    found = domain_odds(source, target, *folds, seed=0)
    for fold in range(5):
        seen = folds[0] != fold
        x = np.concatenate([source[seen], target])
        codes = np.repeat([0, 1], [seen.sum(), 40])
        # scikit-learn adds the losses, and has one vector for what is here the difference of two: W and -W
        by_hand = LogisticRegression(C=2 / (0.1 * len(x)), tol=1e-10, max_iter=10_000, class_weight="balanced")
        by_hand.fit(x, codes)
        likely = by_hand.predict_proba(source[~seen])
        np.testing.assert_allclose(found[~seen], likely[:, 1] / likely[:, 0], rtol=1e-3)


def test_no_row_and_no_copy_of_it_is_seen_by_the_classifier_that_scores_it(monkeypatch):
    monkeypatch.setattr(density_ratio, "choose_penalty", lambda *_, **__: Trial(0.1, np.zeros(1)))
    keys = ["a", "b", "a", "c", "d", "e", "f", "g", "b"]
    ours, theirs = unit_folds(np.array(keys), np.array(["z", "b", "a"]), seed=3)
    assert ours[0] == ours[2] == theirs[2] and ours[1] == ours[8] == theirs[1] and theirs[0] == -1
    assert set(ours) == set(range(5))
    random = np.random.default_rng(0)
    source, target = random.normal(size=(9, 2)), random.normal(size=(3, 2)) + 1
    before = domain_odds(source, target, ours, theirs, seed=0)
    source[[0, 2]], target[2] = [50.0, 50.0], [50.0, 50.0]  # "a", one content, is another now
    after = domain_odds(source, target, ours, theirs, seed=0)
    copies = ours == ours[0]
    alone = copies & (np.array(keys) != "a")
    assert alone.any()
    np.testing.assert_array_equal(after[alone], before[alone])  # those of its part: their classifier sees no "a"
    assert (np.abs(after[~copies] / before[~copies] - 1) > 1e-6).all()


def test_the_density_ratio_of_two_gaussians_is_found():
    random = np.random.default_rng(2)
    source, target = random.normal(size=(2000, 1)), random.normal(size=(2000, 1)) + 1
    folds = np.arange(2000) % 5, np.full(2000, -1)
    ratio = np.exp(source[:, 0] - 0.5)  # N(1, 1) over N(0, 1)
    found = domain_odds(source, target, *folds, seed=0)
    middle = np.abs(source[:, 0]) < 1.5
    np.testing.assert_allclose(found[middle], ratio[middle], rtol=0.15)
    assert abs(found.mean() - 1) < 0.1


def test_distances_are_those_of_brute_force(monkeypatch):
    random = np.random.default_rng(0)
    rows, others = random.normal(size=(50, 4)), random.normal(size=(30, 4))
    every = np.sqrt(((rows[:, None] - others[None]) ** 2).sum(2))
    np.testing.assert_allclose(nearest_distances(rows, others, 0), np.sort(every, axis=1)[:, :5].mean(1))
    np.testing.assert_allclose(nearest_distances(rows, others[:2], 0), every[:, :2].mean(1))
    monkeypatch.setattr(density_ratio, "drawn", lambda count, seed: np.arange(count)[::2])
    np.testing.assert_allclose(nearest_distances(rows, others, 0), np.sort(every[:, ::2], axis=1)[:, :5].mean(1))


def test_a_row_far_from_everything_is_out_of_reach_whatever_its_direction():
    random = np.random.default_rng(0)
    source, target = random.normal(size=(200, 3)), random.normal(size=(200, 3)) + 0.5
    for far in ([60.0] * 3, [-60.0] * 3):
        both = np.concatenate([source, [far], target])
        both = (both - both.mean(0)) / both.std(0)
        reach = within_reach(both[:201], both[201:], 0)
        assert reach[200] < 0.1 and (reach[:200] == 1).all()
