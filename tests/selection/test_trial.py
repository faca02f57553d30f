"""Which of several candidates is taken, by the losses of rows that were held out."""

import numpy as np

from sterna.selection.cross_validation import Trial, simplest


def test_the_one_standard_error_rule_by_hand():
    random = np.random.default_rng(0)
    best = random.normal(size=50)
    noisy = best + random.normal(0.02, 1, 50)
    difference = noisy - best
    near = bool(difference.mean() <= difference.std() / np.sqrt(50))
    assert Trial(1, noisy, 0).is_near(Trial(1, best, 0)) == near
    assert not Trial(1, best + 0.1, 0).is_near(Trial(1, best, 0))
    assert Trial(1, best, 0).is_near(Trial(1, best, 0))


def test_among_equals_the_first_is_taken():
    random = np.random.default_rng(0)
    losses = random.random(50)
    noisy = {1.0: losses + 0.01 * random.normal(size=50), 0.5: losses - 0.001, 0.0: losses + 0.5}
    found = {share: Trial(1.0, each, each.mean()) for share, each in noisy.items()}
    assert simplest(found) == 1.0
    found[1.0] = Trial(1.0, losses + 0.2, losses.mean() + 0.2)
    assert simplest(found) == 0.5
