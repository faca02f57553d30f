from __future__ import annotations

import json
import math
from itertools import pairwise

import numpy as np
import pytest
import sklearn.metrics as sk
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional
from torchmetrics.functional.classification import multiclass_calibration_error

from sterna.errors import RequestError, RunError
from sterna.tasks import Classification, Task, task_from_state
from sterna.tasks.statistics import Statistics


def measured(
    task: Task, outputs: np.ndarray, targets: np.ndarray, weights: np.ndarray | None = None, **named: list[str]
) -> dict[str, np.ndarray]:
    """The metrics of outputs, through the statistics of their rows."""
    return task.metrics(task.statistics(outputs, targets), weights, **named)


def task_of(k: int, metric: str = "accuracy") -> Classification:
    return Classification(tuple("abcdefghijkl"[:k]), metric)


def rows_of(n: int, k: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    codes = np.concatenate([np.arange(k), random.integers(k, size=n - k)])
    outputs = random.normal(size=(n, k)) * 1.5
    outputs[np.arange(n), codes] += 1
    return outputs, codes


def by_sklearn(outputs: np.ndarray, codes: np.ndarray, weights: np.ndarray) -> dict[str, float]:
    k = outputs.shape[1]
    p = np.exp(outputs - outputs.max(axis=1, keepdims=True))
    p /= p.sum(axis=1, keepdims=True)
    answers = p.argmax(axis=1)
    hot = np.eye(k)[codes]
    precision, recall, f1, _ = sk.precision_recall_fscore_support(
        codes, answers, labels=range(k), sample_weight=weights, zero_division=0
    )
    if k == 2:
        auroc = sk.roc_auc_score(codes, p[:, 1], sample_weight=weights)
        average = sk.average_precision_score(codes, p[:, 1], sample_weight=weights)
    else:
        auroc = sk.roc_auc_score(hot, p, average="macro", sample_weight=weights)
        average = sk.average_precision_score(hot, p, average="macro", sample_weight=weights)
    values = {
        "accuracy": sk.accuracy_score(codes, answers, sample_weight=weights),
        "balanced_accuracy": sk.balanced_accuracy_score(codes, answers, sample_weight=weights),
        "macro_f1": sk.f1_score(codes, answers, average="macro", sample_weight=weights),
        "mcc": sk.matthews_corrcoef(codes, answers, sample_weight=weights),
        "auroc": auroc,
        "average_precision": average,
        "log_loss": sk.log_loss(codes, p, labels=list(range(k)), sample_weight=weights),
    }
    for i, name in enumerate("abcdefghijkl"[:k]):
        values |= {f"precision[{name}]": precision[i], f"recall[{name}]": recall[i], f"f1[{name}]": f1[i]}
    return values


@pytest.mark.parametrize("k", [2, 3, 10])
@pytest.mark.parametrize("tied", [False, True])
def test_metrics_equal_scikit_learn_with_and_without_weights(k: int, tied: bool) -> None:
    outputs, codes = rows_of(200, k, seed=k)
    if tied:  # each row of outputs is shared by about ten rows
        outputs = outputs[np.arange(200) % 20]
    random = np.random.default_rng(0)
    weights = random.integers(0, 4, size=(3, 200)).astype(np.float64)
    weights[:, :k] += 1
    weights[0] = 1
    values = measured(task_of(k), outputs, codes, weights)
    for b in range(3):
        for name, expected in by_sklearn(outputs, codes, weights[b]).items():
            assert values[name][b] == pytest.approx(expected, abs=1e-10), name
    plain = measured(task_of(k), outputs, codes)
    for name, value in plain.items():
        assert value.shape == (1,)
        assert value[0] == pytest.approx(values[name][0], abs=1e-12)


@pytest.mark.parametrize("k", [2, 5])
def test_calibration_error_equals_torchmetrics(k: int) -> None:
    outputs, codes = rows_of(500, k, seed=3)
    expected = multiclass_calibration_error(
        torch.tensor(outputs).softmax(1), torch.tensor(codes), num_classes=k, n_bins=15, norm="l1"
    )
    assert measured(task_of(k), outputs, codes)["ece"][0] == pytest.approx(float(expected), abs=1e-6)


def test_a_certain_answer_belongs_to_the_last_bin() -> None:
    outputs = np.array([[800.0, 0.0], [800.0, 0.0], [3.3, 0.0]])  # confidences 1, 1 and 0.964
    confidence = 1 / (1 + math.exp(-3.3))
    value = measured(task_of(2), outputs, np.array([0, 1, 1]))["ece"][0]
    assert value == pytest.approx(abs((1 - 1) + (0 - 1) + (0 - confidence)) / 3)


@settings(max_examples=60, deadline=None)
@given(st.integers(2, 4), st.integers(0, 10_000), st.data())
def test_whole_weights_equal_repeated_rows(k: int, seed: int, data: st.DataObject) -> None:
    outputs, codes = rows_of(12, k, seed)
    outputs = np.round(outputs)
    counts = np.array(data.draw(st.lists(st.integers(0, 3), min_size=12, max_size=12)))
    counts[0] += counts.sum() == 0
    weighted = measured(task_of(k), outputs, codes, counts[None])
    repeated = measured(task_of(k), np.repeat(outputs, counts, axis=0), np.repeat(codes, counts))
    for name, value in weighted.items():
        assert np.isfinite(value).all()
        assert value[0] == pytest.approx(repeated[name][0], abs=1e-12), name


@settings(max_examples=40, deadline=None)
@given(st.integers(3, 5), st.integers(0, 10_000))
def test_renaming_the_classes_moves_their_values_and_keeps_the_rest(k: int, seed: int) -> None:
    outputs, codes = rows_of(30, k, seed)
    order = np.random.default_rng(seed).permutation(k)
    before = measured(Classification(tuple("abcde"[:k])), outputs, codes)
    moved = Classification(tuple("abcde"[i] for i in order))
    after = measured(moved, outputs[:, order], np.argsort(order)[codes])
    for name, value in before.items():
        assert after[name][0] == pytest.approx(value[0], abs=1e-12), name


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(-2, 2), st.booleans(), st.integers(0, 3)), min_size=2, max_size=15))
def test_auroc_counts_ties_half(rows: list[tuple[int, bool, int]]) -> None:
    scores, truth, counts = (np.array(column) for column in zip(*rows, strict=True))
    above = total = 0.0
    for i in np.flatnonzero(truth):
        for j in np.flatnonzero(~truth):
            pair = counts[i] * counts[j]
            above += pair * ((scores[i] > scores[j]) + 0.5 * (scores[i] == scores[j]))
            total += pair
    outputs = np.stack([-scores / 2, scores / 2], axis=1)
    value = measured(task_of(2), outputs, truth.astype(int), counts[None])["auroc"][0]
    assert value == pytest.approx(above / total if total else 0.5)


def test_auroc_is_turned_by_reversing_the_scores() -> None:
    outputs, codes = rows_of(100, 2, seed=1)
    value = measured(task_of(2), outputs, codes)["auroc"][0]
    assert measured(task_of(2), -outputs, codes)["auroc"][0] == pytest.approx(1 - value)


def test_a_class_without_rows_gives_no_nan_and_is_left_out_of_macro_means() -> None:
    outputs, codes = rows_of(60, 3, seed=2)
    keep = codes != 2
    values = measured(task_of(3), outputs[keep], codes[keep])
    assert all(np.isfinite(value).all() for value in values.values())
    answers = outputs[keep].argmax(1)
    assert values["recall[c]"] == 0
    assert values["balanced_accuracy"][0] == pytest.approx((values["recall[a]"] + values["recall[b]"])[0] / 2)
    p = functional.softmax(torch.tensor(outputs[keep]), dim=1).numpy()
    each = [sk.roc_auc_score(codes[keep] == c, p[:, c]) for c in (0, 1)]
    assert values["auroc"][0] == pytest.approx(np.mean(each))
    assert values["macro_f1"][0] == pytest.approx(sk.f1_score(codes[keep], answers, average="macro"))


def test_one_row_has_values() -> None:
    values = measured(task_of(2), np.array([[0.0, 2.0]]), np.array([1]))
    assert values["accuracy"] == values["balanced_accuracy"] == values["macro_f1"] == 1
    assert values["auroc"] == 0.5  # nothing to rank
    assert values["average_precision"] == 1
    assert values["log_loss"][0] == pytest.approx(math.log1p(math.exp(-2)))


def test_log_loss_is_stable_and_clipped() -> None:
    outputs = np.array([[1e4, 0.0], [-np.inf, 0.0], [1e-9, 0.0]])
    values = measured(task_of(2), outputs, np.array([0, 1, 0]))
    assert values["log_loss"][0] == pytest.approx(math.log(2) / 3)
    wrong = measured(task_of(2), outputs[:2], np.array([1, 0]))["log_loss"][0]
    assert wrong == pytest.approx(-math.log(np.finfo(float).eps))


def test_log_odds_rank_rows_whose_probability_rounds_to_one() -> None:
    outputs = np.array([[0.0, 50.0], [0.0, 60.0]])
    assert measured(task_of(2), outputs, np.array([0, 1]))["auroc"] == 1


def test_many_resamples_are_the_same_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    outputs, codes = rows_of(40, 3, seed=5)
    weights = np.random.default_rng(0).integers(0, 3, size=(17, 40))
    whole = measured(task_of(3), outputs, codes, weights)
    monkeypatch.setattr("sterna.tasks.metrics.CHUNK", 100)
    for name, value in measured(task_of(3), outputs, codes, weights).items():
        np.testing.assert_allclose(value, whole[name], rtol=1e-12)


def test_only_the_named_metrics_are_given() -> None:
    outputs, codes = rows_of(40, 3, seed=5)
    assert list(measured(task_of(3), outputs, codes, names=["ece", "f1[b]"])) == ["ece", "f1[b]"]


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_loss_is_the_weighted_cross_entropy(smoothing: float) -> None:
    outputs, codes = rows_of(20, 4, seed=0)
    logits, targets = torch.tensor(outputs, requires_grad=True), torch.tensor(codes)
    plain = task_of(4).loss(logits, targets, label_smoothing=smoothing)
    expected = functional.cross_entropy(logits, targets, label_smoothing=smoothing)
    torch.testing.assert_close(plain, expected)
    weights = torch.randint(0, 3, (20,))
    weighted = task_of(4).loss(logits, targets, weights, label_smoothing=smoothing)
    repeated = functional.cross_entropy(
        logits.repeat_interleave(weights, 0), targets.repeat_interleave(weights), label_smoothing=smoothing
    )
    torch.testing.assert_close(weighted, repeated)
    torch.testing.assert_close(torch.autograd.grad(weighted, logits)[0], torch.autograd.grad(repeated, logits)[0])


def test_rows_weighted_by_class_equal_torchs_class_weights() -> None:
    outputs, codes = rows_of(20, 3, seed=0)
    logits, targets, by_class = torch.tensor(outputs), torch.tensor(codes), torch.tensor([0.2, 1.0, 3.0]).double()
    expected = functional.cross_entropy(logits, targets, weight=by_class)
    torch.testing.assert_close(task_of(3).loss(logits, targets, by_class[targets]), expected)


def test_a_batch_without_any_weight_has_no_loss() -> None:
    assert task_of(2).loss(torch.randn(3, 2), torch.tensor([0, 1, 0]), torch.zeros(3)) == 0


def test_encode_reads_names_numbers_and_gaps() -> None:
    task = Classification(("2", "10"))
    assert task.encode(np.array(["10", None, "2", ""], dtype=object)).tolist() == [1, -1, 0, -1]
    assert task.encode(np.array([10.0, np.nan, 2.0])).tolist() == [1, -1, 0]
    assert task.encode(np.array([2, 10])).dtype == np.int64
    assert task.labelled(np.array([1, -1])).tolist() == [True, False]
    assert Classification(("no", "yes")).encode(np.array(["yes", "no"])).tolist() == [1, 0]


def test_answers_and_probabilities() -> None:
    outputs = np.array([[2.0, 0.0], [0.0, 1.0]])
    assert task_of(2).answers(outputs).tolist() == ["a", "b"]
    expected = functional.softmax(torch.tensor(outputs), dim=1).numpy()
    np.testing.assert_allclose(task_of(2).probabilities(outputs), expected)
    assert task_of(3).head(7).weight.shape == (3, 7)


def test_state_makes_the_same_task() -> None:
    task = task_of(3, "f1[b]")
    assert task_from_state(json.loads(json.dumps(task.state()))) == task


def test_errors_and_losses_are_better_low() -> None:
    task = task_of(2)
    low = [name for name in task.metric_names() if not task.higher_is_better(name)]
    assert low == ["log_loss", "ece"]


def test_wrong_requests_say_what_is_wrong() -> None:
    outputs, codes = rows_of(10, 2, seed=0)
    with pytest.raises(RequestError, match="one class twice"):
        Classification(("a", "a"))
    with pytest.raises(RequestError, match="two classes or more"):
        Classification(("a",))
    with pytest.raises(RequestError, match="'acuracy' is unknown.*Did you mean 'accuracy'"):
        task_of(2, "acuracy")
    with pytest.raises(RequestError, match="'pneumonja' is none of the classes normal, pneumonia.*Did you mean"):
        Classification(("normal", "pneumonia")).encode(np.array(["pneumonja"], dtype=object))
    with pytest.raises(RequestError, match=r"1 of 10 rows to score have no label \(first: row 3\)"):
        measured(task_of(2), outputs, np.where(np.arange(10) == 3, -1, codes))
    with pytest.raises(RequestError, match=r"\(10, 2\), but \(rows, 3\) was expected"):
        measured(task_of(3), outputs, codes)
    with pytest.raises(RequestError, match="9 targets for 10 rows"):
        measured(task_of(2), outputs, codes[:9])
    with pytest.raises(RequestError, match=r"weights have the shape \(10,\)"):
        measured(task_of(2), outputs, codes, np.ones(10))
    for bad in (np.nan, np.inf):
        with pytest.raises(RunError, match=r"1 of 10 rows are not finite \(first: row 4\)"):
            measured(task_of(2), np.where(np.arange(10)[:, None] == 4, bad, outputs), codes)


@settings(max_examples=40, deadline=None)
@given(st.integers(2, 4), st.integers(1, 30), st.lists(st.integers(0, 30), max_size=4), st.integers(0, 1000))
def test_statistics_in_batches_give_the_same_metrics(k: int, n: int, cuts: list[int], seed: int) -> None:
    random = np.random.default_rng(seed)
    outputs, codes = random.normal(size=(n, k)).astype(np.float32), random.integers(0, k, n)
    edges = sorted({0, n, *(c for c in cuts if c < n)})
    parts = [task_of(k).statistics(outputs[a:b], codes[a:b]) for a, b in pairwise(edges)]
    weights = random.integers(0, 3, (4, n))
    once, joined = measured(task_of(k), outputs, codes, weights), task_of(k).metrics(Statistics.joined(parts), weights)
    assert all(np.array_equal(once[name], joined[name]) for name in once)


def test_losses_are_one_a_row_and_their_mean_is_the_loss() -> None:
    outputs, codes, weights = torch.randn(9, 3), torch.randint(0, 3, (9,)), torch.rand(9)
    for exact in (outputs, outputs.double()):
        each = torch.stack([task_of(3).loss(exact[i : i + 1], codes[i : i + 1]) for i in range(9)])
        assert torch.equal(task_of(3).losses(exact, codes), each)
    each = functional.cross_entropy(outputs, codes, reduction="none")
    torch.testing.assert_close(task_of(3).loss(outputs, codes, weights), (weights * each).sum() / weights.sum())
