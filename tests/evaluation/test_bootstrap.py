from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sterna.errors import RequestError
from sterna.evaluation.bootstrap import bootstrap_weights, interval, seed_shares, weight_chunks
from sterna.tasks import Classification, MultiLabel, Regression

TASK = Classification(("a", "b", "c"))


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(0, 2), min_size=1, max_size=30), st.integers(0, 5))
def test_each_resample_draws_as_many_rows_of_each_class_as_there_are(codes: list[int], seed: int) -> None:
    targets = np.array(codes)
    weights = bootstrap_weights(targets, TASK, resamples=20, seed=seed)
    assert weights.shape == (20, len(codes))
    assert weights.dtype == np.float32
    for code in set(codes):
        assert (weights[:, targets == code].sum(axis=1) == codes.count(code)).all()


def test_other_tasks_draw_among_all_rows() -> None:
    for task, targets in ((Regression(), np.zeros(40)), (MultiLabel(("a",)), np.zeros((40, 1)))):
        weights = bootstrap_weights(targets, task, resamples=50)
        assert (weights.sum(axis=1) == 40).all()
        assert (weights[:, :20].sum(axis=1) != 20).any()


def test_counts_are_those_of_draws_with_replacement() -> None:
    weights = bootstrap_weights(np.zeros(50), Regression(), resamples=4000)
    assert weights.mean() == 1
    assert weights.var(axis=0).mean() == pytest.approx(1 - 1 / 50, abs=0.02)
    between = np.cov(weights.T)
    assert between[~np.eye(50, dtype=bool)].mean() == pytest.approx(-1 / 50, abs=0.002)


def test_the_seed_decides_and_pieces_change_nothing() -> None:
    targets = np.arange(300) % 3
    weights = bootstrap_weights(targets, TASK, resamples=30, seed=1)
    np.testing.assert_array_equal(weights, bootstrap_weights(targets, TASK, resamples=30, seed=1))
    assert (weights != bootstrap_weights(targets, TASK, resamples=30, seed=2)).any()
    assert (weights[0] != weights[1]).any()


def test_many_rows_come_in_pieces() -> None:
    pieces = list(weight_chunks(np.zeros(1_000_000), Regression(), resamples=5))
    assert [len(piece) for piece in pieces] == [2, 2, 1]
    assert all((piece.sum(axis=1) == 1_000_000).all() for piece in pieces)


def test_seeds_are_drawn_with_replacement_and_one_seed_always() -> None:
    shares = seed_shares(3, resamples=3000)
    np.testing.assert_allclose(shares.sum(axis=1), 1)
    assert sorted(set(np.round(shares.ravel() * 3))) == [0, 1, 2, 3]
    np.testing.assert_allclose(shares.mean(axis=0), 1 / 3, atol=0.02)
    assert (shares[:, 0] == 1).mean() == pytest.approx(1 / 27, abs=0.015)
    assert (seed_shares(1, resamples=5) == 1).all()


def test_interval_is_the_middle_95_percent() -> None:
    assert interval(np.arange(1001.0)) == pytest.approx((25, 975))


def test_no_resamples_are_refused() -> None:
    with pytest.raises(RequestError, match="resamples is 0, but at least 1"):
        bootstrap_weights(np.zeros(3), Regression(), resamples=0)
