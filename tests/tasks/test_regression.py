from __future__ import annotations

import json
from itertools import pairwise

import numpy as np
import pytest
import sklearn.metrics as sk
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from sterna.errors import RequestError, RunError
from sterna.tasks import Classification, Regression, Task, task_from_state
from sterna.tasks.statistics import Statistics

TASK = Regression(mean=1000.0, scale=20.0)


def measured(
    task: Task, outputs: np.ndarray, targets: np.ndarray, weights: np.ndarray | None = None, **named: list[str]
) -> dict[str, np.ndarray]:
    """The metrics of outputs, through the statistics of their rows."""
    return task.metrics(task.statistics(outputs, targets), weights, **named)


def rows_of(n: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Labels, their targets, and outputs near them, all in the user's units."""
    random = np.random.default_rng(seed)
    labels = random.normal(1005, 15, size=n)
    targets = TASK.encode(labels)
    return labels, targets, targets[:, None] + 10 * random.normal(size=(n, 1))


def test_metrics_equal_scikit_learn_in_the_users_units() -> None:
    labels, targets, outputs = rows_of(120, seed=0)
    answers = outputs[:, 0]
    weights = np.random.default_rng(1).integers(0, 4, size=(3, 120)).astype(np.float64)
    weights[0] = 1
    values = measured(TASK, outputs, targets, weights)
    for b, w in enumerate(weights):
        expected = {
            "mse": sk.mean_squared_error(labels, answers, sample_weight=w),
            "rmse": sk.root_mean_squared_error(labels, answers, sample_weight=w),
            "mae": sk.mean_absolute_error(labels, answers, sample_weight=w),
            "r2": sk.r2_score(labels, answers, sample_weight=w),
        }
        assert list(values) == ["r2", "rmse", "mae", "mse"]
        for name, value in expected.items():
            assert values[name][b] == pytest.approx(value, rel=1e-9), name


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.integers(-2, 2), st.floats(-3, 3), st.integers(0, 3)), min_size=1, max_size=8),
    st.sampled_from([0.0, 1e6]),
)
def test_whole_weights_equal_repeated_rows_also_without_variance(
    rows: list[tuple[int, float, int]], offset: float
) -> None:
    truth, answers, counts = (np.array(column, dtype=np.float64) for column in zip(*rows, strict=True))
    repeats = counts.astype(int)
    repeats[0] += repeats.sum() == 0
    targets, outputs = truth + offset, (answers + offset)[:, None]
    value = measured(Regression(), outputs, targets, repeats[None])
    again = np.repeat(outputs[:, 0], repeats), np.repeat(targets, repeats)
    if len(again[0]) > 1:
        assert value["r2"][0] == pytest.approx(sk.r2_score(again[1], again[0]), rel=1e-6, abs=1e-6)
    assert value["mse"][0] == pytest.approx(sk.mean_squared_error(again[1], again[0]), abs=1e-6)


def test_a_resample_of_one_row_has_finite_values() -> None:
    value = measured(Regression(), np.array([[0.3], [0.1]]), np.array([0.3, 7.7]), np.array([[2, 0], [0, 2]]))
    assert value["r2"].tolist() == [1.0, 0.0]


def test_encode_and_answers_are_inverse() -> None:
    targets = TASK.encode(np.array([1020.0, np.nan, 990.0]))
    assert targets.dtype == np.float64
    np.testing.assert_array_equal(targets, np.array([1020, np.nan, 990]))
    assert TASK.answers(targets[[0, 2], None]).tolist() == [1020, 990]
    assert TASK.encode(np.array(["1020", None, ""], dtype=object)).tolist()[0] == 1020
    assert TASK.labelled(targets).tolist() == [True, False, True]
    assert Regression().encode(np.array([1, 2])).tolist() == [1, 2]


def test_loss_is_the_weighted_squared_error_of_standardised_numbers() -> None:
    outputs, targets, weights = torch.randn(20, 1), torch.randn(20), torch.randint(0, 3, (20,))
    ours, theirs = 1000 + 20 * outputs.double(), 1000 + 20 * targets.double()
    expected = functional.mse_loss(outputs[:, 0], targets, reduction="none").double()
    torch.testing.assert_close(TASK.losses(ours, theirs), expected)
    torch.testing.assert_close(TASK.loss(ours, theirs), expected.mean())
    repeated = expected.repeat_interleave(weights).mean()
    torch.testing.assert_close(TASK.loss(ours, theirs, weights, label_smoothing=0.1), repeated)


def test_a_head_learns_standardised_numbers_and_answers_in_the_users_units() -> None:
    head, x = Regression(mean=1.7e9, scale=10.0).head(3), torch.randn(5, 3)
    plain = torch.nn.functional.linear(x, head.weight, head.bias)
    torch.testing.assert_close(head(x), 1.7e9 + 10 * plain.double(), rtol=0, atol=1e-6)
    assert sorted(head.state_dict()) == ["bias", "weight"]
    task, targets = Regression(mean=1.7e9, scale=10.0), 1.7e9 + 10 * torch.randn(5, dtype=torch.float64)
    task.loss(head(x), targets).backward()
    ours, standard = head.weight.grad, ((targets - 1.7e9) / 10).float()
    head.weight.grad = None
    functional.mse_loss(functional.linear(x, head.weight, head.bias)[:, 0], standard).backward()
    torch.testing.assert_close(ours, head.weight.grad)


def test_statistics_of_training_targets_and_answers_of_another_regression() -> None:
    fitted = Regression("mae").fitted(np.array([1.0, 3.0, 5.0]))
    assert (fitted.metric, fitted.mean, fitted.scale) == ("mae", 3.0, pytest.approx(np.std([1, 3, 5])))
    assert fitted.uninformed.tolist() == [3.0]
    assert Regression().fitted(np.array([2.0, 2.0])).scale == 1 and fitted.fitted(np.zeros(0)) == Regression("mae")
    assert TASK.answered_by(Regression()) == (0,) and TASK.answered_by(Classification(("a", "b"))) is None
    torch.testing.assert_close(TASK.as_features(torch.tensor([[1020.0]])), torch.tensor([[1.0]]))


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 30), st.lists(st.integers(0, 30), max_size=4), st.integers(0, 1000))
def test_statistics_in_batches_give_the_same_metrics(n: int, cuts: list[int], seed: int) -> None:
    _, targets, outputs = rows_of(n, seed)
    edges = sorted({0, n, *(c for c in cuts if c < n)})
    parts = [TASK.statistics(outputs[a:b], targets[a:b]) for a, b in pairwise(edges)]
    weights = np.random.default_rng(seed).integers(0, 3, (4, n))
    once, joined = measured(TASK, outputs, targets, weights), TASK.metrics(Statistics.joined(parts), weights)
    assert all(np.array_equal(once[name], joined[name]) for name in once)


def test_errors_are_better_low_and_state_makes_the_same_task() -> None:
    assert [TASK.higher_is_better(name) for name in TASK.metric_names()] == [True, False, False, False]
    assert task_from_state(json.loads(json.dumps(TASK.state()))) == TASK
    assert TASK.head(5).weight.shape == (1, 5)


def test_wrong_requests_say_what_is_wrong() -> None:
    with pytest.raises(RequestError, match=r"1 of 2 targets are infinite \(first: row 1\)"):
        TASK.encode(np.array([1.0, np.inf]))
    with pytest.raises(RequestError, match="label 'much' of row 0 is not a number"):
        TASK.encode(np.array(["much"], dtype=object))
    with pytest.raises(RequestError, match="no probabilities"):
        TASK.probabilities(np.zeros((1, 1)))
    with pytest.raises(RequestError, match="positive scale"):
        Regression(scale=0.0)
    with pytest.raises(RequestError, match="'rsme' is unknown.*Did you mean 'rmse'"):
        Regression("rsme")
    with pytest.raises(RunError, match="1 of 2 rows are not finite"):
        measured(TASK, np.array([[1.0], [-np.inf]]), np.zeros(2))
    with pytest.raises(RequestError, match="1 of 2 rows to score have no label"):
        measured(TASK, np.zeros((2, 1)), np.array([0, np.nan]))
