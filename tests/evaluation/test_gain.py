from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sterna.errors import RequestError
from sterna.evaluation import bootstrap_weights
from sterna.evaluation.bootstrap import seed_shares
from sterna.evaluation.gain import Gain, gain, verdict
from sterna.tasks import Classification, Regression

TWO = Classification(("normal", "pneumonia"))


def answering(right: np.ndarray, codes: np.ndarray) -> np.ndarray:
    """Outputs that answer these rows right and the others wrong."""
    return np.eye(2)[np.where(right, codes, 1 - codes)] * 2


def test_the_gain_is_paired_in_rows() -> None:
    codes = np.arange(100) % 2
    random = np.random.default_rng(0)
    control = random.random(100) < 0.6
    transfer = control | (random.random(100) < 0.3)  # never wrong where the control is right
    got = gain(TWO, [answering(transfer, codes)], [answering(control, codes)], codes, control="scratch", seed=3)
    differences = bootstrap_weights(codes, TWO, seed=3) @ (transfer.astype(float) - control) / 100
    assert got.value == pytest.approx((transfer.sum() - control.sum()) / 100)
    assert (got.low, got.high) == pytest.approx(tuple(np.percentile(differences, [2.5, 97.5])))
    assert got == Gain("accuracy", "scratch", got.value, got.low, got.high, "helps", True)


def test_the_gain_is_paired_in_seeds() -> None:
    codes = np.arange(60) % 2
    random = np.random.default_rng(1)
    moved, still = random.random((4, 60)) < 0.8, random.random((4, 60)) < 0.7
    got = gain(
        TWO, [answering(r, codes) for r in moved], [answering(r, codes) for r in still], codes, control="x", seed=5
    )
    rows = bootstrap_weights(codes, TWO, seed=5)
    each = rows @ (moved.astype(float) - still).T / 60
    values = (each * seed_shares(4, seed=5)).sum(axis=1)
    assert (got.low, got.high) == pytest.approx(tuple(np.percentile(values, [2.5, 97.5])))


def test_pairing_seeds_takes_out_what_both_sides_share() -> None:
    codes = np.arange(300) % 2
    levels = np.random.default_rng(0).random(300)
    still = [answering(levels < level, codes) for level in (0.5, 0.9)]  # one lucky seed for both sides
    moved = [answering(levels < level + 0.05, codes) for level in (0.5, 0.9)]
    assert gain(TWO, moved, still, codes, control="x").verdict == "helps"


def test_a_control_of_one_array_stands_for_every_seed() -> None:
    codes = np.arange(40) % 2
    random = np.random.default_rng(2)
    moved = [answering(random.random(40) < 0.8, codes) for _ in range(3)]
    still = answering(random.random(40) < 0.6, codes)
    once = gain(TWO, moved, [still], codes, control="x")
    thrice = gain(TWO, moved, [still] * 3, codes, control="x")
    assert (once.value, once.low, once.high) == pytest.approx((thrice.value, thrice.low, thrice.high))
    with pytest.raises(RequestError, match="3 seeds and the control of 2"):
        gain(TWO, moved, [still] * 2, codes, control="x")


@pytest.mark.parametrize("metric", ["mse", "rmse", "mae", "r2"])
def test_positive_is_better_also_for_errors(metric: str) -> None:
    random = np.random.default_rng(0)
    targets = random.normal(size=200)
    near, far = (targets[:, None] + random.normal(scale=s, size=(200, 1)) for s in (0.1, 0.5))
    task = Regression(metric, scale=10.0)
    helped = gain(task, [near], [far], targets, control="x")
    assert helped.verdict == "helps" and 0 < helped.low < helped.value < helped.high
    hurt = gain(task, [far], [near], targets, control="x")
    assert hurt.verdict == "hurts"
    assert (hurt.value, hurt.low, hurt.high) == pytest.approx((-helped.value, -helped.high, -helped.low))
    assert helped.higher_is_better == (metric == "r2")


@pytest.mark.parametrize("metric", TWO.metric_names())
def test_identical_sides_gain_exactly_nothing(metric: str) -> None:
    random = np.random.default_rng(0)
    codes, outputs = np.arange(50) % 2, [random.normal(size=(50, 2)) for _ in range(3)]
    got = gain(TWO, outputs, [o.copy() for o in outputs], codes, control="x", metric=metric)
    assert (str(got.value), str(got.low), str(got.high)) == ("0.0", "0.0", "0.0")  # no -0.0 either
    assert got.verdict == "unclear"


def test_sides_that_differ_by_rounding_alone_gain_nothing() -> None:
    random = np.random.default_rng(0)
    targets, outputs = random.normal(size=50), random.normal(size=(50, 1))
    got = gain(Regression(), [outputs * (1 + 1e-15)], [outputs], targets, control="x", metric="mse")
    assert (got.value, got.low, got.high) == (0, 0, 0)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from(["accuracy", "auroc", "log_loss", "ece"]))
def test_changing_sides_changes_the_sign(seed: int, metric: str) -> None:
    random = np.random.default_rng(seed)
    codes = np.arange(20) % 2
    one, other = random.normal(size=(2, 20, 2))
    there = gain(TWO, [one], [other], codes, control="x", metric=metric, resamples=50, seed=seed)
    back = gain(TWO, [other], [one], codes, control="x", metric=metric, resamples=50, seed=seed)
    assert (there.value, there.low, there.high) == pytest.approx((-back.value, -back.high, -back.low), abs=1e-12)


def test_without_a_true_difference_the_verdict_is_seldom_clear() -> None:
    random = np.random.default_rng(3)
    codes = np.arange(150) % 2
    clear = 0
    for trial in range(200):
        one, other = (answering(random.random(150) < 0.7, codes) for _ in range(2))
        clear += gain(TWO, [one], [other], codes, control="x", resamples=200, seed=trial).verdict != "unclear"
    assert clear / 200 <= 0.10


def test_too_few_rows_leave_the_verdict_unclear() -> None:
    for rows, expected in ((1, "unclear"), (5, "unclear"), (6, "helps")):
        codes = np.arange(rows) % 2
        every = np.ones(rows, dtype=bool)
        got = gain(TWO, [answering(every, codes)], [answering(~every, codes)], codes, control="x")
        assert (got.value, got.low, got.high) == (1, 1, 1)
        assert got.verdict == expected


def test_the_verdict_reads_the_interval() -> None:
    read = [verdict(low, high, rows=100) for low, high in ((0.1, 0.2), (-0.2, -0.1), (-0.1, 0.1), (0, 0.2), (-0.2, 0))]
    assert read == ["helps", "hurts", "unclear", "unclear", "unclear"]


def test_an_unknown_metric_is_refused() -> None:
    with pytest.raises(RequestError, match="'aurok' is unknown"):
        gain(TWO, [np.zeros((2, 2))], [np.zeros((2, 2))], np.array([0, 1]), control="x", metric="aurok")
