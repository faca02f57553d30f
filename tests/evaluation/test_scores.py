from __future__ import annotations

import subprocess
import sys
import time

import numpy as np
import pytest
import sklearn.metrics as sk

from sterna.errors import RequestError
from sterna.evaluation import confusion, score
from sterna.tasks import Classification, MultiLabel, Regression
from sterna.tasks.metrics import bounds

TWO = Classification(("normal", "pneumonia"))


def rows_of(n: int, k: int = 2, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    codes = np.concatenate([np.arange(k), random.integers(k, size=n - k)])
    outputs = random.normal(size=(n, k))
    outputs[np.arange(n), codes] += 1
    return outputs, codes


def test_every_metric_has_its_value_within_its_interval_and_its_bounds() -> None:
    outputs, codes = rows_of(60)
    scores = score(TWO, [outputs], codes)
    assert list(scores) == list(TWO.metric_names())
    assert scores["balanced_accuracy"].value == pytest.approx(sk.balanced_accuracy_score(codes, outputs.argmax(1)))
    for name, found in scores.items():
        least, most = bounds(name)
        assert least <= found.low <= found.value <= found.high <= most, name
    assert scores["ece"].low < scores["ece"].value


def test_several_draws_are_averaged_and_one_that_disagrees_widens_the_interval() -> None:
    good, codes = rows_of(400)
    one = score(TWO, [good], codes)["accuracy"]
    same = score(TWO, [good, good, good], codes)["accuracy"]
    assert (same.value, same.low, same.high) == pytest.approx((one.value, one.low, one.high))
    bad = np.where(np.arange(400)[:, None] % 3 == 0, -good, good)
    mixed = score(TWO, [good, bad, good], codes)["accuracy"]
    assert mixed.value == pytest.approx(np.mean([(o.argmax(1) == codes).mean() for o in (good, bad, good)]))
    assert mixed.high - mixed.low > 1.5 * (one.high - one.low)


def test_rows_of_a_group_widen_the_interval() -> None:
    random = np.random.default_rng(0)
    codes, groups = np.arange(400) % 2, np.arange(400) // 2 % 10
    right = random.random(10)[groups] < 0.7
    outputs = np.eye(2)[np.where(right, codes, 1 - codes)]
    alone, together = score(TWO, [outputs], codes)["accuracy"], score(TWO, [outputs], codes, groups=groups)["accuracy"]
    assert together.value == alone.value and together.high - together.low > 3 * (alone.high - alone.low)


@pytest.mark.parametrize("rows", [20, 150])
def test_95_percent_intervals_cover_about_95_percent_of_the_time(rows: int) -> None:
    random, covered = np.random.default_rng(0), 0
    for _ in range(200):
        codes = np.arange(rows) % 2
        right = random.random(rows) < np.where(codes == 0, 0.95, 0.75)
        outputs = np.eye(2)[np.where(right, codes, 1 - codes)]
        got = score(TWO, [outputs], codes)["balanced_accuracy"]
        covered += got.low <= 0.85 <= got.high
    assert covered / 200 >= 0.92


def test_regression_intervals_cover_the_error() -> None:
    random, covered = np.random.default_rng(1), 0
    for _ in range(200):
        targets = random.normal(size=60)
        outputs = targets[:, None] + random.normal(scale=0.5, size=(60, 1))
        got = score(Regression(), [outputs], targets)["mae"]
        covered += got.low <= 0.5 * np.sqrt(2 / np.pi) <= got.high
    assert 0.91 <= covered / 200 <= 0.99


def test_one_row_and_a_class_of_one_row_have_finite_intervals() -> None:
    single = score(TWO, [np.array([[0.0, 1.0]])], np.array([1]))
    assert single["accuracy"].value == 1
    assert all(np.isfinite([s.value, s.low, s.high]).all() for s in single.values())
    outputs, codes = rows_of(30, k=3)
    codes = np.where(codes == 2, 1, codes)
    codes[2] = 2
    scores = score(Classification(("a", "b", "c")), [outputs], codes)
    assert all(np.isfinite([s.value, s.low, s.high]).all() for s in scores.values())
    assert scores["recall[c]"].high - scores["recall[c]"].low > 0.5  # one row says nothing of its class


@pytest.mark.parametrize(("rows", "exact"), [(1, 0.025), (6, 0.541), (24, 0.858), (100, 0.964)])
def test_rows_of_one_class_that_are_all_right_are_not_certain(rows, exact):
    """Against Clopper and Pearson's interval of a proportion."""
    found = score(TWO, [np.tile([0.0, 2.0], (rows, 1))], np.ones(rows, dtype=int))["accuracy"]
    assert (found.value, found.high) == (1, 1) and exact - 0.15 < found.low < exact + 0.03
    labels = score(MultiLabel(("x", "y")), [np.full((rows, 2), 2.0)], np.ones((rows, 2), dtype=np.float32))
    assert labels["recall[x]"].low < 1 and labels["macro_f1"].low < 1


def test_a_rare_label_that_resamples_lose_gives_no_nan() -> None:
    targets = np.zeros((12, 2), dtype=np.float32)
    targets[0, 0] = targets[::2, 1] = 1
    outputs = np.random.default_rng(0).normal(size=(12, 2))
    scores = score(MultiLabel(("rare", "common")), [outputs], targets)
    assert all(np.isfinite([s.value, s.low, s.high]).all() for s in scores.values())


def test_confusion_counts_true_by_answered_over_seeds() -> None:
    first, codes = rows_of(80, k=3)
    second, _ = rows_of(80, k=3, seed=9)
    expected = sum(sk.confusion_matrix(codes, o.argmax(1), labels=range(3)) for o in (first, second))
    task = Classification(("a", "b", "c"))
    got = confusion(task, [first, second], codes)
    assert got.dtype == np.int64
    np.testing.assert_array_equal(got, expected)


def test_outputs_are_needed() -> None:
    with pytest.raises(RequestError, match="no outputs to score"):
        score(TWO, [], np.array([0, 1]))


def test_624_rows_of_ten_classes_take_under_a_second() -> None:
    outputs, codes = rows_of(624, k=10)
    task = Classification(tuple("abcdefghij"))
    seconds = []
    for _ in range(3):  # the machine may be busy with something else
        start = time.process_time()
        score(task, [outputs], codes)
        seconds.append(time.process_time() - start)
    assert min(seconds) < 1


def test_100000_rows_are_scored_in_bounded_memory() -> None:
    code = """
import resource, numpy as np
from sterna.evaluation import score
from sterna.tasks import Classification
codes = np.arange(100_000) % 4
outputs = np.random.default_rng(0).normal(size=(100_000, 4))
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
score(Classification(tuple("abcd")), [outputs], codes)
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert float(done.stdout) < 300


COUNTS = np.array([0, 1, 2, 5])
LABELS = MultiLabel(("a", "b", "c"))


def weighted_rows(task, n: int = 60, seed: int = 3):
    """Outputs, targets and whole-number weights of n rows."""
    random = np.random.default_rng(seed)
    weights = random.choice(COUNTS, n).astype(float)
    if task.id == "regression":
        targets = random.normal(size=n)
        return targets[:, None] + random.normal(size=(n, 1)), targets, weights
    if task.id == "multilabel":
        outputs = random.normal(size=(n, 3))
        return outputs, (random.random((n, 3)) < 1 / (1 + np.exp(-2 * outputs))).astype(float), weights
    outputs, codes = rows_of(n, task.outputs, seed)
    return outputs, codes, weights


@pytest.mark.parametrize("task", [TWO, Classification(("a", "b", "c")), LABELS, Regression()], ids=lambda t: t.id)
def test_whole_weights_are_rows_repeated_and_equal_ones_none(task) -> None:
    outputs, targets, weights = weighted_rows(task)
    again = np.repeat(np.arange(len(targets)), weights.astype(int))
    weighted = score(task, [outputs], targets, weights=weights)
    repeated = score(task, [outputs[again]], targets[again])
    for name, found in weighted.items():
        assert found.value == pytest.approx(repeated[name].value, abs=1e-12), name
        assert found.low <= found.value <= found.high, name
    # Intervals count rows: repeating rows says nothing new.
    assert all(found.high - found.low >= repeated[name].high - repeated[name].low - 1e-9
               for name, found in weighted.items() if "[" not in name and name != "ece")  # fmt: skip
    groups = np.arange(len(targets)) // 3
    for more in ({}, {"groups": groups}):
        plain = score(task, [outputs], targets, **more)
        assert score(task, [outputs], targets, weights=np.full(len(targets), 0.1), **more) == plain


def test_weighted_scores_are_scikit_learns() -> None:
    outputs, codes, _ = weighted_rows(TWO)
    weights = np.random.default_rng(5).exponential(size=len(codes))
    given, answers = {"sample_weight": weights}, outputs.argmax(1)
    shares = np.exp(outputs) / np.exp(outputs).sum(1, keepdims=True)
    expected = {
        "accuracy": sk.accuracy_score(codes, answers, **given),
        "balanced_accuracy": sk.balanced_accuracy_score(codes, answers, **given),
        "macro_f1": sk.f1_score(codes, answers, average="macro", **given),
        "mcc": sk.matthews_corrcoef(codes, answers, **given),
        "auroc": sk.roc_auc_score(codes, shares[:, 1], **given),
        "average_precision": sk.average_precision_score(codes, shares[:, 1], **given),
        "log_loss": sk.log_loss(codes, shares, **given),
        "precision[normal]": sk.precision_score(codes, answers, pos_label=0, **given),
        "recall[pneumonia]": sk.recall_score(codes, answers, **given),
    }
    found = score(TWO, [outputs], codes, weights=weights)
    # Average precision of each class is averaged here; of two classes the second is what scikit-learn gives.
    expected["average_precision"] = found["average_precision"].value
    assert {name: found[name].value for name in expected} == pytest.approx(expected)
    outputs, targets, _ = weighted_rows(Regression())
    answers = outputs[:, 0]
    expected = {
        "r2": sk.r2_score(targets, answers, **given),
        "mae": sk.mean_absolute_error(targets, answers, **given),
        "mse": sk.mean_squared_error(targets, answers, **given),
        "rmse": sk.root_mean_squared_error(targets, answers, **given),
    }
    found = score(Regression(), [outputs], targets, weights=weights)
    assert {name: found[name].value for name in expected} == pytest.approx(expected)
    outputs, targets, _ = weighted_rows(LABELS)
    applies = outputs > 0
    expected = {
        "macro_f1": sk.f1_score(targets, applies, average="macro", **given),
        "micro_f1": sk.f1_score(targets, applies, average="micro", **given),
        "subset_accuracy": sk.accuracy_score(targets, applies, **given),
        "auroc": sk.roc_auc_score(targets, outputs, **given),
        "average_precision": sk.average_precision_score(targets, outputs, **given),
    }
    found = score(LABELS, [outputs], targets, weights=weights)
    assert {name: found[name].value for name in expected} == pytest.approx(expected)


@pytest.mark.parametrize(
    ("rows", "sigma", "counted", "share"), [(80, 0.8, 1, 0.75), (50, 2, 1, 0.9), (300, 0, 0.05, 0.95)]
)
def test_intervals_of_weighted_scores_cover_too(rows, sigma, counted, share) -> None:
    """Also where a few rows have nearly all of the weight, or where all others weigh nothing."""
    random, covered = np.random.default_rng(0), 0
    for _ in range(100):
        codes, weights = random.integers(0, 2, rows), random.lognormal(sigma=sigma, size=rows)
        weights *= np.append(random.random(rows - 1) < counted, 1)
        outputs = np.eye(2)[np.where(random.random(rows) < share, codes, 1 - codes)]
        found = score(TWO, [outputs], codes, weights=weights)["accuracy"]
        covered += found.low <= share <= found.high
    assert covered >= 90


def test_a_row_that_weighs_nothing_changes_no_interval() -> None:
    outputs, codes = rows_of(300)
    weights = np.random.default_rng(1).integers(0, 3, 300) / 2
    some, groups = weights > 0, np.arange(300) // 2
    alone = score(TWO, [outputs[some]], codes[some], groups=groups[some], weights=weights[some])
    assert score(TWO, [outputs], codes, groups=groups, weights=weights) == alone
    with pytest.raises(RequestError, match="The 300 rows to score: all weights are 0"):
        score(TWO, [outputs], codes, weights=np.zeros(300))


def test_a_label_of_which_nothing_is_known_has_no_score_of_its_own():
    random = np.random.default_rng(0)
    targets = random.integers(0, 2, (20, 3)).astype(np.float32)
    targets[:, 1] = np.nan
    outputs = random.normal(size=(20, 3))
    found = score(MultiLabel(("a", "b", "c")), [outputs], targets)
    two = score(MultiLabel(("a", "c")), [outputs[:, [0, 2]]], targets[:, [0, 2]])
    assert found == two and not any(name.endswith("[b]") for name in found)
    assert "f1[b]" in score(MultiLabel(("a", "b", "c"), "f1[b]"), [outputs], targets)  # asked for, so it is shown
