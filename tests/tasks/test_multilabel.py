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

from sterna.errors import RequestError
from sterna.tasks import MultiLabel, Task, task_from_state
from sterna.tasks.statistics import Statistics

TASK = MultiLabel(("cat", "dog", "bird"))


def measured(
    task: Task, outputs: np.ndarray, targets: np.ndarray, weights: np.ndarray | None = None, **named: list[str]
) -> dict[str, np.ndarray]:
    """The metrics of outputs, through the statistics of their rows."""
    return task.metrics(task.statistics(outputs, targets), weights, **named)


def rows_of(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    targets = (random.random((n, 3)) < [0.5, 0.3, 0.2]).astype(np.float32)
    return random.normal(size=(n, 3)) + 2 * targets - 1, targets


def test_metrics_equal_scikit_learn_with_and_without_weights() -> None:
    outputs, targets = rows_of(150, seed=0)
    weights = np.random.default_rng(1).integers(0, 4, size=(3, 150)).astype(np.float64)
    weights[0] = 1
    values = measured(TASK, outputs, targets, weights)
    p, answers = 1 / (1 + np.exp(-outputs)), outputs > 0
    for b, w in enumerate(weights):
        loss = np.mean([sk.log_loss(targets[:, c], p[:, c], labels=[0, 1], sample_weight=w) for c in range(3)])
        expected = {
            "macro_f1": sk.f1_score(targets, answers, average="macro", sample_weight=w),
            "micro_f1": sk.f1_score(targets, answers, average="micro", sample_weight=w),
            "auroc": sk.roc_auc_score(targets, p, average="macro", sample_weight=w),
            "average_precision": sk.average_precision_score(targets, p, average="macro", sample_weight=w),
            "subset_accuracy": sk.accuracy_score(targets, answers, sample_weight=w),
            "log_loss": loss,
            "precision[dog]": sk.precision_score(targets[:, 1], answers[:, 1], sample_weight=w),
            "recall[bird]": sk.recall_score(targets[:, 2], answers[:, 2], sample_weight=w),
            "f1[cat]": sk.f1_score(targets[:, 0], answers[:, 0], sample_weight=w),
        }
        for name, value in expected.items():
            assert values[name][b] == pytest.approx(value, abs=1e-6), name


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000), st.lists(st.integers(0, 3), min_size=10, max_size=10))
def test_whole_weights_equal_repeated_rows_and_nothing_is_nan(seed: int, counts: list[int]) -> None:
    outputs, targets = rows_of(10, seed)
    outputs = np.round(outputs)
    random = np.random.default_rng(seed)
    targets[random.random(targets.shape) < 0.2] = np.nan
    targets[np.isnan(targets).all(axis=1), 0] = 1
    repeats = np.array(counts)
    repeats[0] += repeats.sum() == 0
    weighted = measured(TASK, outputs, targets, repeats[None])
    repeated = measured(TASK, np.repeat(outputs, repeats, axis=0), np.repeat(targets, repeats, axis=0))
    for name, value in weighted.items():
        assert np.isfinite(value).all()
        assert value[0] == pytest.approx(repeated[name][0], abs=1e-12), name


def test_unknown_cells_do_not_count() -> None:
    outputs, targets = rows_of(80, seed=4)
    targets[::3, 1] = np.nan
    known = ~np.isnan(targets[:, 1])
    values = measured(TASK, outputs, targets)
    answers = outputs > 0
    assert values["f1[dog]"][0] == pytest.approx(sk.f1_score(targets[known, 1], answers[known, 1]))
    each = [sk.roc_auc_score(targets[:, c], outputs[:, c]) for c in (0, 2)]
    each.append(sk.roc_auc_score(targets[known, 1], outputs[known, 1]))
    assert values["auroc"][0] == pytest.approx(np.mean(each))
    assert values["subset_accuracy"][0] == pytest.approx(np.mean(((targets == answers) | np.isnan(targets)).all(1)))


def test_a_label_that_is_never_true_is_left_out_of_the_means() -> None:
    outputs, targets = rows_of(80, seed=5)
    targets[:, 2] = 0
    values = measured(TASK, outputs, targets)
    assert values["auroc"][0] == pytest.approx(
        np.mean([sk.roc_auc_score(targets[:, c], outputs[:, c]) for c in (0, 1)])
    )
    only_never = measured(MultiLabel(("x",)), outputs[:, 2:], targets[:, 2:])
    assert only_never["auroc"] == 0.5
    assert only_never["average_precision"] == 0


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_loss_is_the_weighted_binary_cross_entropy(smoothing: float) -> None:
    outputs, targets = (torch.tensor(x, dtype=torch.float64) for x in rows_of(20, seed=0))
    smooth = targets * (1 - smoothing) + smoothing / 2
    expected = functional.binary_cross_entropy_with_logits(outputs, smooth)
    torch.testing.assert_close(TASK.loss(outputs, targets, label_smoothing=smoothing), expected)
    weights = torch.randint(0, 3, (20,))
    repeated = functional.binary_cross_entropy_with_logits(
        outputs.repeat_interleave(weights, 0), smooth.repeat_interleave(weights, 0)
    )
    torch.testing.assert_close(TASK.loss(outputs, targets, weights, smoothing), repeated)


def test_loss_and_its_gradient_leave_unknown_cells_alone() -> None:
    outputs, targets = (torch.tensor(x, dtype=torch.float64) for x in rows_of(20, seed=0))
    targets[3, 1] = torch.nan
    outputs.requires_grad_()
    loss = TASK.loss(outputs, targets)
    loss.backward()
    known = ~targets.isnan()
    expected = functional.binary_cross_entropy_with_logits(outputs[known], targets[known])
    torch.testing.assert_close(loss, expected)
    assert outputs.grad is not None and outputs.grad[3, 1] == 0 and outputs.grad.isfinite().all()


def test_answers_probabilities_and_state() -> None:
    outputs = np.array([[2.0, -1.0, 0.5]])
    assert TASK.answers(outputs).tolist() == [[True, False, True]]
    np.testing.assert_allclose(TASK.probabilities(outputs), 1 / (1 + np.exp(-outputs)))
    assert task_from_state(json.loads(json.dumps(TASK.state()))) == TASK
    assert TASK.labelled(np.array([[np.nan] * 3, [np.nan, 1, 0]])).tolist() == [False, True]


def test_wrong_requests_say_what_is_wrong() -> None:
    with pytest.raises(RequestError, match=r"Row 1 has 2 for the label 'dog'; 0, 1 or an empty cell"):
        TASK.encode(np.array([[0, 1, np.nan], [0, 2, 1]]))
    with pytest.raises(RequestError, match=r"\(1, 2\), but \(rows, 3\) was expected"):
        TASK.encode(np.zeros((1, 2)))
    with pytest.raises(RequestError, match="'accuracy' is unknown for multilabel.*Did you mean 'subset_accuracy'"):
        MultiLabel(("a", "b"), "accuracy")
    with pytest.raises(RequestError, match="each once"):
        MultiLabel(("a", "a"))


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 30), st.lists(st.integers(0, 30), max_size=4), st.integers(0, 1000))
def test_statistics_in_batches_give_the_same_metrics(n: int, cuts: list[int], seed: int) -> None:
    random = np.random.default_rng(seed)
    outputs = random.normal(size=(n, 3)).astype(np.float32)
    targets = random.choice([0.0, 1.0, np.nan], size=(n, 3)).astype(np.float32)
    targets[:, 0] = 1
    edges = sorted({0, n, *(c for c in cuts if c < n)})
    parts = [TASK.statistics(outputs[a:b], targets[a:b]) for a, b in pairwise(edges)]
    weights = random.integers(0, 3, (4, n))
    once, joined = measured(TASK, outputs, targets, weights), TASK.metrics(Statistics.joined(parts), weights)
    assert all(np.array_equal(once[name], joined[name]) for name in once)


def test_the_loss_is_the_mean_of_the_rows_each_by_its_known_cells() -> None:
    outputs, weights = torch.randn(4, 3), torch.tensor([1.0, 2.0, 0.0, 0.5])
    targets = torch.tensor([[1.0, 0.0, 1.0], [1.0, math.nan, math.nan], [0.0, 0.0, math.nan], [math.nan] * 3])
    known = ~targets.isnan()
    cells = functional.binary_cross_entropy_with_logits(outputs, targets.nan_to_num(0.0), reduction="none")
    share = known * weights[:, None]
    torch.testing.assert_close(TASK.loss(outputs, targets, weights), (share * cells).sum() / share.sum())
    rows = torch.stack([cells[i][known[i]].mean() for i in range(3)])
    torch.testing.assert_close(TASK.losses(outputs, targets), torch.cat([rows, torch.zeros(1)]))
