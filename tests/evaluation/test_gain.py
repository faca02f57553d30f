from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from sterna.errors import RequestError
from sterna.evaluation import gains
from sterna.evaluation.gain import Gain, verdict
from sterna.tasks import Classification, Regression

TWO = Classification(("normal", "pneumonia"))


def answering(right: np.ndarray, codes: np.ndarray) -> np.ndarray:
    """Outputs that answer these rows right and the others wrong."""
    return np.eye(2)[np.where(right, codes, 1 - codes)] * 2


def one(task, transfer, control, targets, **more) -> Gain:
    """The gain over one control."""
    found, headline = gains(task, transfer, {"x": control}, targets, **more)
    assert headline == found["x"] or more.get("metric")
    return found["x"]


def errors(values: np.ndarray) -> list[np.ndarray]:
    """Outputs that err by these numbers where every target is 0."""
    return [values[:, None]]


def test_the_gain_is_paired_in_rows() -> None:
    """Student's paired interval: of errors that share almost all."""
    random = np.random.default_rng(0)
    common, apart = random.uniform(0.5, 5, size=100), random.uniform(0, 0.2, size=100)
    got = one(Regression("mae"), errors(common), errors(common + apart), np.zeros(100))
    low, high = stats.t.interval(0.95, 99, apart.mean(), apart.std(ddof=1) / 10)
    assert got == Gain("mae", "x", pytest.approx(apart.mean()), pytest.approx(low), pytest.approx(high), "helps", False)


def test_the_gain_is_paired_in_draws() -> None:
    codes = np.arange(300) % 2
    levels = np.random.default_rng(0).random(300)
    still = [answering(levels < level, codes) for level in (0.5, 0.7, 0.9)]  # draws that are lucky for both sides
    moved = [answering(levels < level + 0.08, codes) for level in (0.5, 0.7, 0.9)]
    assert one(TWO, moved, still, codes).verdict == "helps"
    assert one(TWO, moved, still[::-1], codes).verdict == "unclear"


def test_a_control_of_one_array_stands_for_every_draw() -> None:
    codes = np.arange(40) % 2
    random = np.random.default_rng(2)
    moved = [answering(random.random(40) < 0.8, codes) for _ in range(3)]
    still = answering(random.random(40) < 0.6, codes)
    assert one(TWO, moved, [still], codes) == one(TWO, moved, [still] * 3, codes)
    with pytest.raises(RequestError, match="3 draws and the control x of 2"):
        one(TWO, moved, [still] * 2, codes)


@pytest.mark.parametrize("metric", ["mse", "rmse", "mae", "r2"])
def test_positive_is_better_also_for_errors(metric: str) -> None:
    random = np.random.default_rng(0)
    targets = random.normal(size=200)
    near, far = (targets[:, None] + random.normal(scale=s, size=(200, 1)) for s in (0.1, 0.5))
    task = Regression(metric, scale=10.0)
    helped = one(task, [near], [far], targets)
    assert helped.verdict == "helps" and 0 < helped.low < helped.value < helped.high
    hurt = one(task, [far], [near], targets)
    assert hurt.verdict == "hurts"
    assert (hurt.value, hurt.low, hurt.high) == pytest.approx((-helped.value, -helped.high, -helped.low))
    assert helped.higher_is_better == (metric == "r2")


@pytest.mark.parametrize("metric", TWO.metric_names())
def test_identical_sides_gain_exactly_nothing(metric: str) -> None:
    random = np.random.default_rng(0)
    codes, outputs = np.arange(50) % 2, [random.normal(size=(50, 2)) for _ in range(3)]
    got = one(TWO, outputs, [o.copy() for o in outputs], codes, metric=metric)
    assert (str(got.value), str(got.low), str(got.high)) == ("0.0", "0.0", "0.0")  # no -0.0 either
    assert got.verdict == "unclear"


def test_sides_that_differ_by_rounding_alone_gain_nothing() -> None:
    random = np.random.default_rng(0)
    targets, outputs = random.normal(size=50), random.normal(size=(50, 1))
    got = one(Regression(), [outputs * (1 + 1e-15)], [outputs], targets, metric="mse")
    assert (got.value, got.low, got.high) == (0, 0, 0)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from(["accuracy", "auroc", "log_loss", "ece"]))
def test_changing_sides_changes_the_sign(seed: int, metric: str) -> None:
    random = np.random.default_rng(seed)
    codes = np.arange(20) % 2
    first, other = random.normal(size=(2, 20, 2))
    there = one(TWO, [first], [other], codes, metric=metric)
    back = one(TWO, [other], [first], codes, metric=metric)
    assert (there.value, there.low, there.high) == pytest.approx((-back.value, -back.high, -back.low), abs=1e-12)


@pytest.mark.parametrize(
    "counts", [(1,) * 10, (1,) * 20, (30, 3, 1), (2,) * 10, (136, 14)], ids=lambda counts: f"{len(counts)} classes"
)
def test_without_a_true_difference_the_verdict_is_seldom_clear(counts: tuple[int, ...]) -> None:
    """Thin classes by balanced accuracy; a bootstrap by class said helps or hurts in .74, .85, .27, .18 and .10."""
    random = np.random.default_rng(3)
    codes = np.repeat(np.arange(len(counts)), counts)
    task = Classification(tuple(f"c{i}" for i in range(len(counts))), "balanced_accuracy")
    clear = 0
    for _ in range(100):
        sides = random.normal(size=(2, len(codes), len(counts)))
        sides[:, np.arange(len(codes)), codes] += 2
        clear += one(task, [sides[0]], [sides[1]], codes).verdict != "unclear"
    assert clear <= 6


def test_rows_of_one_group_are_one_witness() -> None:
    """Thirty groups of ten rows: by rows alone about a quarter of null cases are clear."""
    random, clear, alone = np.random.default_rng(4), 0, 0
    groups, codes = np.repeat(np.arange(30), 10), np.arange(300) % 2
    for _ in range(60):
        sides = [answering(random.random(300) < random.beta(1.5, 0.5, size=30)[groups], codes) for _ in range(2)]
        clear += one(TWO, [sides[0]], [sides[1]], codes, groups=groups).verdict != "unclear"
        alone += one(TWO, [sides[0]], [sides[1]], codes).verdict != "unclear"
    assert clear <= 6 and alone >= 12


def test_too_few_rows_or_groups_leave_the_verdict_unclear() -> None:
    for rows, expected in ((1, "unclear"), (5, "unclear"), (9, "helps")):
        codes = np.arange(rows) % 2
        every = np.ones(rows, dtype=bool)
        got = one(TWO, [answering(every, codes)], [answering(~every, codes)], codes)
        assert got.value == 1 and got.verdict == expected
    codes, every = np.arange(500) % 2, np.ones(500, dtype=bool)
    groups = np.arange(500) % 5
    assert one(TWO, [answering(every, codes)], [answering(~every, codes)], codes, groups=groups).verdict == "unclear"


@pytest.mark.parametrize(("metric", "most"), [("accuracy", 1.0), ("mcc", 2.0), ("log_loss", np.inf)])
def test_an_interval_ends_where_the_metrics_range_does(metric: str, most: float) -> None:
    codes = np.arange(20) % 2
    moved = [answering(np.full(20, right), codes) for right in (True, False)]
    gain = one(TWO, moved, moved[::-1], codes, metric=metric)
    assert gain.value == pytest.approx(0) and (gain.low, gain.high) == pytest.approx((-min(most, gain.high), gain.high))
    assert gain.high == most if most < np.inf else gain.high > 10


def test_draws_that_decide_nothing_leave_it_unclear() -> None:
    codes, every = np.arange(500) % 2, np.ones(500, dtype=bool)
    got = one(TWO, [answering(every, codes)], [answering(~every, codes)], codes, decided=False)
    assert got.low > 0 and got.verdict == "unclear"


def test_the_verdict_needs_the_interval_and_the_swap_test() -> None:
    ends = ((0.1, 0.2), (-0.2, -0.1), (-0.1, 0.1), (0, 0.2), (-0.2, 0))
    assert [verdict(*end, p=0.01) for end in ends] == ["helps", "hurts", "unclear", "unclear", "unclear"]
    assert [verdict(*end, p=0.051) for end in ends] == ["unclear"] * 5


def three(random: np.random.Generator, rows: int, levels: tuple[float, float, float]) -> tuple:
    """A transfer and two controls that answer right that often, and the gains."""
    codes = np.arange(rows) % 2
    sides = [answering(random.random(rows) < level, codes) for level in levels]
    return gains(TWO, [sides[0]], {"a": [sides[1]], "b": [sides[2]]}, codes)


def test_the_headline_is_the_smallest_gain_and_helps_means_above_every_control() -> None:
    found, headline = three(np.random.default_rng(0), 400, (0.9, 0.6, 0.88))
    assert found["a"].verdict == "helps" and found["b"].verdict == "unclear"
    assert headline.control == "b" and headline.verdict == "unclear"
    assert headline.value == found["b"].value == min(g.value for g in found.values())
    assert headline.low == min(g.low for g in found.values())
    assert headline.high >= found["b"].high  # at the level .975, since either could have been picked
    found, headline = three(np.random.default_rng(0), 400, (0.95, 0.6, 0.7))
    assert {g.verdict for g in found.values()} == {"helps"} and headline.verdict == "helps"


def test_hurts_allows_for_picking_the_best_of_many_controls() -> None:
    """Ten controls as good as the transfer: picking the best of them says hurts far too often."""
    random, codes, naive, said = np.random.default_rng(5), np.arange(100) % 2, 0, 0
    for _ in range(30):
        sides = [answering(random.random(100) < 0.6, codes) for _ in range(11)]
        found, headline = gains(TWO, [sides[0]], {str(i): [side] for i, side in enumerate(sides[1:])}, codes)
        naive += any(gain.verdict == "hurts" for gain in found.values())
        said += headline.verdict == "hurts"
    assert naive > said


def test_one_bad_control_does_not_hide_that_another_is_better() -> None:
    _, headline = three(np.random.default_rng(1), 400, (0.7, 0.5, 0.95))
    assert headline.control == "b" and headline.verdict == "hurts" and headline.high < 0


def test_without_controls_there_is_no_headline() -> None:
    assert gains(TWO, [np.zeros((4, 2))], {}, np.array([0, 1, 0, 1])) == ({}, None)


def test_an_unknown_metric_is_refused() -> None:
    with pytest.raises(RequestError, match="'aurok' is unknown"):
        one(TWO, [np.zeros((2, 2))], [np.zeros((2, 2))], np.array([0, 1]), metric="aurok")


def test_weights_count_in_the_gain_its_interval_and_its_verdict() -> None:
    codes, rows = np.arange(200) % 2, np.arange(200)
    moved, still = [answering(rows < 140, codes)], [answering(rows >= 60, codes)]
    plain = one(TWO, moved, still, codes)
    assert plain == one(TWO, moved, still, codes, weights=np.full(200, 0.3)) and plain.verdict == "unclear"
    weights = np.where(rows < 60, 3.0, 1.0)  # the rows that only the transfer answers right
    weighted = one(TWO, moved, still, codes, weights=weights)
    assert weighted.value == pytest.approx((180 - 60) / weights.sum()) and weighted.verdict == "helps"
    assert one(TWO, still, moved, codes, weights=weights).verdict == "hurts"
    groups = rows // 20
    even = one(TWO, moved, still, codes, groups=groups, weights=np.ones(200))
    assert even == one(TWO, moved, still, codes, groups=groups)
