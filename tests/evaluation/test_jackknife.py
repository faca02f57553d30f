from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from sterna.errors import RequestError
from sterna.evaluation.jackknife import BLOCKS, Estimate, blocks_of, estimates
from sterna.evaluation.unseen import design_effect
from sterna.tasks import Classification, MultiLabel, Regression

TWO = Classification(("no", "yes"))


def answering(right: np.ndarray, codes: np.ndarray, k: int = 2) -> np.ndarray:
    """Outputs that answer these rows right, and the others as the next class."""
    return np.eye(k)[np.where(right, codes, (codes + 1) % k)] * 2


def plain(values: np.ndarray) -> tuple[float, float]:
    """Student's 95 % interval of a mean, of which the jackknife is that of the rows."""
    return stats.t.interval(0.95, len(values) - 1, values.mean(), values.std(ddof=1) / np.sqrt(len(values)))


def test_the_interval_of_a_mean_is_students() -> None:
    random = np.random.default_rng(0)
    # Uniform errors: their kurtosis is below the normal's, so that n - 1 degrees of freedom are left.
    errors = random.uniform(0.5, 1.5, size=60)
    found = estimates(Regression(), [errors[:, None]], np.zeros(60), names=["mae"])["mae"]
    assert found.value == pytest.approx(errors.mean())
    assert found.interval() == pytest.approx(plain(errors))


def test_rare_errors_leave_fewer_degrees_of_freedom() -> None:
    errors = np.zeros(100)
    errors[:2] = 1.0  # two rows hold all of the variance
    low, high = estimates(Regression(), [errors[:, None]], np.zeros(100), names=["mae"])["mae"].interval()
    usual = plain(errors)
    kurtosis = stats.kurtosis(errors, fisher=False)
    reach = stats.t.ppf(0.975, 200 / (kurtosis - 1)) * errors.std(ddof=1) / 10
    assert high - errors.mean() == pytest.approx(reach)
    assert high - low > 1.2 * (usual[1] - usual[0])


def test_the_interval_at_a_level_is_students_at_that_level() -> None:
    errors = np.random.default_rng(1).uniform(0.5, 1.5, size=40)
    found = estimates(Regression(), [errors[:, None]], np.zeros(40), names=["mae"])["mae"]
    expected = stats.t.interval(0.99, 39, errors.mean(), errors.std(ddof=1) / np.sqrt(40))
    assert found.interval(0.99) == pytest.approx(expected)


def test_the_only_row_of_each_class_is_pooled_with_the_others() -> None:
    """Ten classes of one row: the balanced accuracy is a mean of ten numbers, and no resample could tell."""
    codes = np.arange(10)
    right = codes < 7
    found = estimates(
        Classification(tuple("abcdefghij")), [answering(right, codes, 10)], codes, names=["balanced_accuracy"]
    )["balanced_accuracy"]
    spread = right.std(ddof=1) / np.sqrt(10)
    apart = found.without.mean(axis=1) - found.without.mean()
    assert np.sqrt(0.9 * (apart**2).sum()) == pytest.approx(spread)
    low, high = found.interval()
    assert high - low > 2 * stats.norm.ppf(0.975) * spread


def test_a_perfect_answer_is_not_certain() -> None:
    """Two mistakes that twenty rows need not have shown: about Agresti and Coull's interval."""
    codes = np.arange(20) % 2
    found = estimates(TWO, [answering(codes >= 0, codes)], codes, names=["accuracy"])["accuracy"]
    assert found.unseen == pytest.approx(2 / 20**2)
    low, high = found.interval()
    assert low == pytest.approx(1 - stats.t.ppf(0.975, 19) * np.sqrt(2) / 20)
    assert (high - 1) == pytest.approx(1 - low)


def test_what_a_mistake_costs_is_that_of_the_dear_class() -> None:
    """Of 49 rows and 1 by balanced accuracy: the only row of the rare class, missed, takes its recall."""
    codes = np.array([0] * 49 + [1])
    found = estimates(TWO, [answering(codes >= 0, codes)], codes, names=["balanced_accuracy"])["balanced_accuracy"]
    costs = np.array([0.5 / 49, 0.5])
    assert found.unseen == pytest.approx(2 * (costs**4).sum() / (costs**2).sum())


def test_some_of_many_classes_stand_for_all() -> None:
    """Sixty classes of two rows, one of one row: among those asked for are the thinnest and the thickest."""
    codes = np.append(np.repeat(np.arange(59), 2), [59])
    task = Classification(tuple(f"c{i}" for i in range(60)), "balanced_accuracy")
    right = answering(codes >= 0, codes, 60)
    found = estimates(task, [right], codes, names=["balanced_accuracy"])["balanced_accuracy"]
    costs = np.array([1 / 60 / 2] * 49 + [1 / 60])
    assert found.unseen == pytest.approx(2 * (costs**4).sum() / (costs**2).sum())


def test_rows_of_a_group_are_left_out_together() -> None:
    """Groups of equal answers: the interval is that of one row a group."""
    random = np.random.default_rng(2)
    by_group = random.uniform(0.5, 1.5, size=15)
    errors, groups = np.repeat(by_group, 20), np.repeat(np.arange(15), 20)
    order = random.permutation(300)
    found = estimates(Regression(), [errors[order, None]], np.zeros(300), groups=groups[order], names=["mae"])["mae"]
    assert found.interval() == pytest.approx(plain(by_group))


def test_draws_add_their_own_variance() -> None:
    """Rows that all err alike: what is left is Student's interval over the draws."""
    levels = np.array([1.0, 1.3, 0.8, 1.1])
    outputs = [np.full((50, 1), level) for level in levels]
    found = estimates(Regression(), outputs, np.zeros(50), names=["mae"])["mae"]
    assert found.value == pytest.approx(levels.mean())
    assert found.interval() == pytest.approx(plain(levels))


def test_rows_and_draws_add_up_and_each_has_its_own_t() -> None:
    random = np.random.default_rng(3)
    rows, draws = random.uniform(0.5, 1.5, size=30), np.array([0.0, 0.2, 0.5])
    outputs = [(rows + draw)[:, None] for draw in draws]
    found = estimates(Regression(), outputs, np.zeros(30), names=["mae"])["mae"]
    parts = (rows.var(ddof=1) / 30, draws.var(ddof=1) / 3)
    t = (parts[0] * stats.t.ppf(0.975, 29) + parts[1] * stats.t.ppf(0.975, 2)) / sum(parts)
    reach = t * np.sqrt(sum(parts))
    assert found.interval() == pytest.approx((found.value - reach, found.value + reach))


@pytest.mark.parametrize("spread", [1.0, 3.0])
def test_three_draws_that_differ_more_than_the_rows_show_are_covered(spread: float) -> None:
    """With one t of degrees of freedom that are told from three draws it was 92 of 100."""
    random, covered = np.random.default_rng(5), 0
    for _ in range(4000):
        rows, draws = random.normal(size=20), spread * random.normal(size=3)
        found = Estimate(rows.mean() + draws, jackknifed(rows)[:, None] + draws, rows.mean() + draws, 0.0)
        low, high = found.interval()
        covered += low <= 0 <= high
    assert covered >= 3800


def jackknifed(rows: np.ndarray) -> np.ndarray:
    return (rows.sum() - rows) / (len(rows) - 1)


def test_a_biased_metric_reaches_further_to_the_side_of_the_bias() -> None:
    """A sure, calibrated network has an expected calibration error of 0, but a few rows show more."""
    random, covered, plainly = np.random.default_rng(4), 0, 0
    for _ in range(100):
        p = random.uniform(0.5, 1.0, size=100)
        codes = (random.random(100) < p).astype(int)
        outputs = np.stack([np.zeros(100), np.log(p / (1 - p))], axis=1)
        found = estimates(TWO, [outputs], codes, names=["ece"])["ece"]
        low, high = found.interval()
        assert low <= found.value <= high
        covered += low <= 0
        symmetric = 2 * found.value - high
        plainly += symmetric <= 0
    assert covered >= 93
    assert plainly < 80


def test_many_rows_are_left_out_in_parts_that_keep_groups_whole() -> None:
    assert (np.bincount(blocks_of(1200)) == 6).all() and blocks_of(1200).max() + 1 == BLOCKS
    groups = np.arange(1200) // 3
    parts = blocks_of(1200, groups)
    assert all(len(np.unique(parts[groups == group])) == 1 for group in range(400))
    assert len(np.unique(parts)) == BLOCKS
    np.testing.assert_array_equal(blocks_of(5), np.arange(5))
    np.testing.assert_array_equal(blocks_of(4, np.array([7, 7, 3, 7])), [1, 1, 0, 1])


def test_parts_of_many_rows_give_about_the_interval_of_single_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(5)
    codes = np.arange(1500) % 2
    outputs = random.normal(size=(1500, 2))
    outputs[np.arange(1500), codes] += 1
    parts = {name: e.interval() for name, e in estimates(TWO, [outputs], codes, names=["accuracy", "auroc"]).items()}
    monkeypatch.setattr("sterna.evaluation.jackknife.BLOCKS", 1500)
    for name, estimate in estimates(TWO, [outputs], codes, names=["accuracy", "auroc"]).items():
        low, high = estimate.interval()
        assert parts[name][1] - parts[name][0] == pytest.approx(high - low, rel=0.25)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from(TWO.metric_names()), st.integers(2, 40))
def test_the_order_of_the_rows_and_a_shift_of_the_seed_change_nothing(seed: int, metric: str, rows: int) -> None:
    random = np.random.default_rng(seed)
    codes, outputs = random.integers(2, size=rows), random.normal(size=(rows, 2))
    first = estimates(TWO, [outputs], codes, names=[metric])[metric]
    order = random.permutation(rows)
    other = estimates(TWO, [outputs[order]], codes[order], names=[metric])[metric]
    assert first.value == pytest.approx(other.value)
    np.testing.assert_allclose(np.sort(first.without, axis=0), np.sort(other.without, axis=0), atol=1e-12)


def test_each_label_of_several_is_a_class_to_be_missed() -> None:
    random = np.random.default_rng(6)
    targets = (random.random((40, 3)) < (0.5, 0.3, 0.05)).astype(np.float32)
    targets[0] = 1
    outputs = (targets - 0.5) * 4
    found = estimates(MultiLabel(("a", "b", "c")), [outputs], targets, names=["macro_f1"])["macro_f1"]
    assert found.value == 1 and found.unseen > 0
    low, high = found.interval()
    assert low < 1 <= high


def test_a_regression_has_nothing_unseen_and_one_row_no_width() -> None:
    one = estimates(Regression(), [np.ones((1, 1))], np.zeros(1), names=["mae"])["mae"]
    assert one.unseen == 0 and one.interval() == (1, 1)


def test_the_difference_is_exact_where_rounding_alone_differs() -> None:
    one = Estimate(np.array([0.1 + 0.2]), np.array([[0.3], [0.1 + 0.2]]), np.array([0.3]), 0.0)
    other = Estimate(np.array([0.3]), np.array([[0.1 + 0.2], [0.3]]), np.array([0.1 + 0.2]), 0.0)
    apart = one.minus(other, -1.0)
    assert apart.value == 0 and apart.interval() == (0, 0)


def test_outputs_are_needed() -> None:
    with pytest.raises(RequestError, match="no outputs to score"):
        estimates(TWO, [], np.array([0, 1]))


def grouped(random: np.random.Generator, groups: int, size: int, accuracy: float, alike: float) -> tuple:
    """Right or wrong for whole groups (`alike` 1), for single rows (0), or in between; with classes and groups."""
    share = np.full(groups, accuracy)
    if alike == 1:
        share = (random.random(groups) < accuracy).astype(float)
    elif alike:
        share = random.beta(accuracy * (1 / alike - 1), (1 - accuracy) * (1 / alike - 1), groups)
    right = random.random(groups * size) < np.repeat(share, size)
    codes = random.permutation(np.arange(groups * size) % 2)
    return answering(right, codes), codes, np.repeat(np.arange(groups), size)


@pytest.mark.parametrize(
    ("groups", "size", "accuracy", "alike"),
    [(12, 20, 0.95, 1), (12, 20, 0.95, 0.3), (12, 20, 0.95, 0), (30, 10, 0.97, 1), (30, 10, 0.97, 0.1)],
)
def test_a_score_near_1_on_few_groups_holds_the_truth(groups: int, size: int, accuracy: float, alike: float) -> None:
    """As if rows were independent in what is unseen, it did in .46, .80, .97, .62 and .90 of the cases."""
    random, covered = np.random.default_rng(6), 0
    for _ in range(100):
        outputs, codes, group = grouped(random, groups, size, accuracy, alike)
        found = estimates(TWO, [outputs], codes, groups=group, names=["accuracy"])["accuracy"]
        low, high = found.interval()
        covered += low <= accuracy <= high
    assert covered >= 93


def test_how_many_rows_of_a_group_show_as_much_as_one() -> None:
    random = np.random.default_rng(7)
    for alike, expected in ((1, 20.0), (0, 1.0)):  # of whole groups a row shows nothing new; single mistakes are rows
        outputs, codes, group = grouped(random, 400, 20, 0.7, alike)
        assert design_effect(TWO, outputs, codes, group) == pytest.approx(expected, abs=0.3)
    outputs, codes, group = grouped(random, 5, 4, 1.0, 0)
    assert design_effect(TWO, outputs, codes, group) == 4  # no mistake: nothing shows that they come one by one
    outputs, codes, group = grouped(random, 30, 6, 0.8, 0.3)
    missed = (outputs.argmax(1) != codes).astype(float).reshape(30, 6)
    between, within = 6 * missed.mean(1).var(ddof=1), missed.var(axis=1, ddof=1).mean()
    rho, some = (between - within) / (between + 5 * within), np.count_nonzero(missed.any(axis=1))
    assert design_effect(TWO, outputs, codes, group) == pytest.approx(1 + 5 * (some * rho + 1) / (some + 1))


def test_of_a_difference_rows_of_a_group_count_as_they_are() -> None:
    outputs, codes, group = grouped(np.random.default_rng(8), 12, 5, 0.9, 1)
    one = estimates(TWO, [outputs], codes, groups=group, names=["accuracy"])["accuracy"]
    assert one.design_effect > 4 and one.minus(one, 1.0).design_effect == 1


def test_a_rare_class_that_is_missed_may_be_hit_on_other_rows() -> None:
    """Two rows of a class, both missed, said that its recall is 0 without doubt: macro F1 was held in .71 of cases."""
    task, shares, random = Classification(("a", "b", "c")), np.array([0.7, 0.25, 0.05]), np.random.default_rng(0)

    def drawn(rows: int) -> tuple[np.ndarray, np.ndarray]:
        y = random.choice(3, rows, p=shares)
        seen = random.normal(size=(rows, 3)) + 1.5 * np.eye(3)[y]
        return 1.5 * seen + np.log(shares), y

    names = ("balanced_accuracy", "macro_f1")
    many = drawn(30_000)
    truths = {n: v[0] for n, v in task.metrics(task.statistics(*many, names), names=names).items()}
    held = dict.fromkeys(names, 0)
    for _ in range(100):
        outputs, y = drawn(40)
        for name, found in estimates(task, [outputs], y, names=names).items():
            low, high = found.interval()
            held[name] += low <= truths[name] <= high
    assert min(held.values()) >= 90
    outputs, y = np.array([[3.0, 0, 0]] * 20 + [[0, 3, 0]] * 18 + [[2, 0, 1]] * 2), np.repeat([0, 1, 2], [20, 18, 2])
    found = estimates(task, [outputs], y, names=["recall[c]"])["recall[c]"]
    assert found.value == 0 and found.unseen == pytest.approx(2 / 4)  # one of two, hit


def test_draws_that_differ_in_what_is_rarer_do_not_cancel() -> None:
    y = np.repeat([0, 1], [4, 4])
    good, bad = (np.where(np.arange(2) == np.where(np.arange(8) % 4 < n, y, 1 - y)[:, None], 2.0, -2.0) for n in (3, 1))
    both = estimates(Classification(("a", "b")), [good, bad], y, names=["recall[a]"])["recall[a]"]
    # A quarter of .75 answered as rows of b are, of which one in four is a; a quarter of .25 hit.
    assert both.unseen == pytest.approx(2 * ((0.75 / 4 - 0.25 / 4 + 0.75 / 4) / 2) ** 2)
