"""Intervals that rows without labels make narrower, against the closed form for means."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sterna import RequestError
from sterna.evaluation import score
from sterna.evaluation.jackknife import estimates
from sterna.evaluation.powered import SMOOTH, Unlabelled, powered
from sterna.tasks import Classification

TASK = Classification(("a", "b", "c"))


def drawn(n, seed, level=1.5, scale=1.0):
    """Logits that are `scale` times the true ones, and classes; what was seen of each row has the class's mean."""
    random = np.random.default_rng(seed)
    y = random.integers(0, 3, n)
    seen = random.normal(size=(n, 3)) + level * np.eye(3)[y]
    return scale * level * seen, y


def found(n=150, m=180, seed=0, **more):
    """Test rows and others, no more than there are blocks, so that each is a block."""
    (outputs, targets), (told, _) = drawn(n, seed, **more), drawn(m, seed + 1000, **more)
    plain = estimates(TASK, [outputs], targets)
    return plain, powered(TASK, plain, [outputs], targets, Unlabelled([told])), outputs, targets, told


def losses(outputs, kind):
    """What each row would count if it were of each class, ``(n, k)``."""
    likely = TASK.probabilities(outputs)
    return -np.log(likely) if kind == "log_loss" else np.eye(3)[likely.argmax(1)]


@pytest.mark.parametrize("kind", ["accuracy", "log_loss"])
@pytest.mark.parametrize("scale", [1.0, 4.0])
def test_of_a_mean_it_is_ppi_plus_plus(kind, scale):
    _, made, outputs, targets, told = found(scale=scale)
    own = losses(outputs, kind)[np.arange(150), targets]
    expected, more = ((TASK.probabilities(o) * losses(o, kind)).sum(1) for o in (outputs, told))
    # Angelopoulos, Duchi and Zrnic (2023), for a mean: Cov(own, expected) / ((1 + n / m) Var(expected)), where the
    # variance of the expectation is that of each of both kinds of rows.
    below = expected.var(ddof=1) / 150 + more.var(ddof=1) / 180
    share = float(np.clip(np.cov(own, expected)[0, 1] / 150 / below, 0, 1))
    value = own.mean() + share * (more.mean() - expected.mean())
    variance = (own - share * expected).var(ddof=1) / 150 + share**2 * more.var(ddof=1) / 180
    estimate = replace(made[kind], unseen=0.0)
    assert estimate.value == pytest.approx(value)
    assert share > 0
    low, high = estimate.interval()
    halves = abs(2.414 * (estimate.halves.mean() - value))  # a bias by few rows, of which a mean has none but rounding
    assert (high - low) / 2 == pytest.approx(1.98 * variance**0.5, rel=0.03, abs=halves)


def test_it_is_narrower_and_metrics_that_jump_stay():
    plain, made, *_ = found(100, 3000)
    wide = {name: np.diff(plain[name].interval())[0] for name in plain}
    narrow = {name: np.diff(made[name].interval())[0] for name in plain}
    for name in ("accuracy", "balanced_accuracy", "macro_f1", "mcc", "auroc", "log_loss"):
        assert narrow[name] < 0.97 * wide[name], name
    assert all(made[name] is plain[name] for name in plain.keys() - set(SMOOTH))
    assert {"ece", "average_precision", "recall[a]"} <= plain.keys() - set(SMOOTH)


def test_probabilities_that_tell_nothing_change_nothing_but_a_little():
    """The same probabilities for every row: where no row differs, labels alone are left."""
    targets, flat = found()[3], np.zeros((150, 3))
    plain = estimates(TASK, [flat], targets)
    made = powered(TASK, plain, [flat], targets, Unlabelled([np.zeros((180, 3))]))
    for name in ("accuracy", "log_loss"):
        assert made[name].interval() == pytest.approx(plain[name].interval())


def test_intervals_hold_where_the_network_is_four_times_too_sure():
    big, y = drawn(200_000, 99, scale=4.0)
    truth = {n: float(v[0]) for n, v in TASK.metrics(TASK.statistics(big, y), names=("accuracy", "macro_f1")).items()}
    held, ratios = dict.fromkeys(truth, 0), []
    for seed in range(150):
        plain, made, *_ = found(60, 180, seed, scale=4.0)
        for name, value in truth.items():
            low, high = made[name].interval()
            held[name] += low <= value <= high
        ratios.append(np.diff(made["macro_f1"].interval())[0] / np.diff(plain["macro_f1"].interval())[0])
    assert min(held.values()) >= 0.92 * 150
    assert np.median(ratios) < 0.97


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 1000), times=st.lists(st.integers(1, 3), min_size=40, max_size=40))
def test_a_weight_is_a_row_repeated(seed, times):
    outputs, targets = drawn(40, seed)
    told, repeated = drawn(30, seed + 1)[0], np.repeat(np.arange(40), times)
    more = np.repeat(np.arange(30), times[:30])
    counts, others = np.array(times, float), Unlabelled([told], None, np.array(times[:30], float))
    plain = estimates(TASK, [outputs], targets, weights=counts)
    once = powered(TASK, plain, [outputs], targets, others, weights=counts)
    rows, answers = targets[repeated], [outputs[repeated]]
    again = estimates(TASK, answers, rows, groups=repeated)
    again = powered(TASK, again, answers, rows, Unlabelled([told[more]], more), groups=repeated)
    for name in ("accuracy", "log_loss", "macro_f1"):
        assert once[name].value == pytest.approx(again[name].value)
        np.testing.assert_allclose(once[name].beside, again[name].beside)
        assert plain[name].value != once[name].value or not np.ptp(once[name].beside)


def test_rows_of_a_group_are_no_more_than_one():
    outputs, targets = drawn(50, 3)
    told = drawn(20, 4)[0]
    alone = score(TASK, [outputs], targets, unlabelled=Unlabelled([told]))
    tied = Unlabelled([np.repeat(told, 5, axis=0)], np.repeat(np.arange(20), 5))
    loose = score(TASK, [outputs], targets, unlabelled=Unlabelled([np.repeat(told, 5, axis=0)]))
    same = score(TASK, [outputs], targets, unlabelled=tied)
    ends = [(each["log_loss"].low, each["log_loss"].high) for each in (alone, same, loose)]
    assert ends[0] == pytest.approx(ends[1])
    assert ends[2][1] - ends[2][0] < ends[1][1] - ends[1][0]


def test_draws_that_do_not_match_are_refused():
    outputs, targets = drawn(50, 3)
    with pytest.raises(RequestError, match="outputs of 2 draws for rows with labels, but of 1 for those without"):
        score(TASK, [outputs, outputs], targets, unlabelled=Unlabelled([outputs]))


@pytest.mark.parametrize(
    ("rows", "more", "groups"),
    [(1, 50, None), (30, 1, None), (30, 50, np.zeros(30, int)), (30, 50, np.repeat([0, 1], 15))],
)
def test_of_one_block_the_interval_stays(rows, more, groups):
    """Nothing can be left out of it, and a score is not certain for that."""
    (outputs, targets), (told, _) = drawn(rows, 5), drawn(more, 6)
    plain = score(TASK, [outputs], targets, groups=groups)
    tied = np.zeros(more, int) if groups is not None and groups.any() else None
    made = score(TASK, [outputs], targets, groups=groups, unlabelled=Unlabelled([told], tied))
    assert made == plain
    weighed = Unlabelled([told], None, (np.arange(more) == 0).astype(float))
    assert score(TASK, [outputs], targets, groups=groups, unlabelled=weighed) == plain


def test_a_score_lies_in_its_interval_and_in_the_metrics_range():
    for seed in range(40):
        random = np.random.default_rng(seed)
        y = (random.random(1020) < 0.05).astype(int)
        logits = np.stack([np.full(1020, 1.5), 3 * random.normal(size=1020) + 3 * y], axis=1)
        task = Classification(("no", "yes"), "mcc")
        found = score(task, [logits[:20]], y[:20], unlabelled=Unlabelled([logits[20:]]))
        for name, each in found.items():
            assert each.low <= each.value <= each.high, (seed, name)
            assert name == "log_loss" or -1 <= each.value <= 1, (seed, name)
