"""Which of several candidates is taken, by the losses of rows that were held out."""

import numpy as np

from sterna.selection.cross_validation import Trial, simplest


def test_the_one_standard_error_rule_by_hand():
    random = np.random.default_rng(0)
    best = random.normal(size=50)
    noisy = best + random.normal(0.02, 1, 50)
    difference = noisy - best
    near = bool(difference.mean() <= difference.std() / np.sqrt(50))
    assert Trial(1, noisy).is_near(Trial(1, best)) == near
    assert not Trial(1, best + 0.1).is_near(Trial(1, best))
    assert Trial(1, best).is_near(Trial(1, best))


def test_among_equals_the_first_is_taken():
    random = np.random.default_rng(0)
    losses = random.random(50)
    noisy = {1.0: losses + 0.01 * random.normal(size=50), 0.5: losses - 0.001, 0.0: losses + 0.5}
    found = {share: Trial(1.0, each) for share, each in noisy.items()}
    assert simplest(found) == 1.0
    found[1.0] = Trial(1.0, losses + 0.2)
    assert simplest(found) == 0.5


def test_the_standard_error_weighs_rows_as_the_loss_does():
    """Of 90 rows and 10, evenly weighted, a candidate that is worse on the 10 is not near the best."""
    random, weights = np.random.default_rng(2), np.repeat([100 / 180, 5.0], [90, 10])
    best = random.random(100)
    difference = np.repeat([-0.1, 1.0], [90, 10]) + 0.1 * random.normal(size=100)
    worse = best + difference
    assert difference.mean() < difference.std() / 10  # by rows alone it would be
    mean = np.average(difference, weights=weights)
    error = np.sqrt(np.square(weights * (difference - mean)).sum()) / weights.sum()
    assert mean > error
    found = {"first": Trial(1, worse, weights), "second": Trial(1, best, weights)}
    assert simplest(found) == "second" and found["first"].loss == np.average(worse, weights=weights)
    near = Trial(1, best + difference - mean + 0.99 * error, weights)
    assert near.is_near(found["second"])
    assert not Trial(1, near.losses + 0.02 * error, weights).is_near(found["second"])
