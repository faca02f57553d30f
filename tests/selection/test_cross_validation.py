"""What is chosen by rows that are held out in turn, against scikit-learn."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from sterna.selection import cross_validation
from sterna.selection.cross_validation import PENALTIES, SAMPLE, choose_penalty, folds_of, sample_of
from sterna.tasks.classification import Classification


@pytest.fixture
def random():
    return np.random.default_rng(0)


def test_penalty_is_strong_for_noise_and_weak_for_signal(random):
    noise, y = random.normal(size=(100, 30)), random.integers(0, 2, 100)
    signal = noise.copy()
    signal[:, 0] = y * 4 - 2
    task, weights = Classification(("a", "b")), np.ones(100)
    strong = choose_penalty(noise, y, task, weights, seed=0)
    weak = choose_penalty(signal, y, task, weights, seed=0)
    assert strong.penalty > weak.penalty
    assert strong.loss == pytest.approx(np.log(2), abs=0.1)
    assert weak.loss < 0.1


def test_folds_hold_every_row_out_once_and_every_class_in_training():
    y = np.array([0] * 20 + [1] * 3)
    folds = folds_of(y, Classification(("a", "b")), 5, seed=0)
    assert sorted(np.concatenate([held for _, held in folds])) == list(range(23))
    assert all(set(y[train]) == {0, 1} for train, _ in folds)


def test_sample_keeps_the_shares_of_classes():
    y = np.array([0] * 19_000 + [1] * 1_000)
    rows = sample_of(np.arange(20_000), y, Classification(("a", "b")), seed=0)
    assert len(rows) == len(set(rows)) == SAMPLE
    assert abs((y[rows] == 1).sum() - SAMPLE * 0.05) <= 1


@pytest.mark.parametrize("noise", [0.2, 1.0, 6.0])
def test_the_penalty_is_that_of_the_whole_grid_by_scikit_learn(random, noise, monkeypatch):
    """Also where the weak penalties are not tried any more, since the best lies far before them."""
    x = random.normal(size=(90, 40))
    y = (x[:, 0] + noise * random.normal(size=90) > 0).astype(int)
    task, tried = Classification(("a", "b")), set()
    true = cross_validation.fit_linear
    monkeypatch.setattr(cross_validation, "fit_linear", lambda *a, **k: tried.add(a[4]) or true(*a, **k))
    found = choose_penalty(x, y, task, np.ones(90), seed=0)
    losses = np.zeros(len(PENALTIES))
    for train, held in folds_of(y, task, 5, 0):
        for i, penalty in enumerate(PENALTIES):
            # One logit w = w1 - w0 with w1 = -w0 has half the penalty.
            model = LogisticRegression(C=2 / (len(train) * penalty), tol=1e-8, max_iter=9000).fit(x[train], y[train])
            losses[i] -= np.log(model.predict_proba(x[held])[np.arange(len(held)), y[held]]).sum() / 90
    assert found.penalty == PENALTIES[int(losses.argmin())]
    assert found.loss == pytest.approx(losses.min(), rel=0.01)  # fits that only compare stop early (tolerance 1e-4)
    assert len(tried) == min(len(PENALTIES), int(losses.argmin()) + 3)
