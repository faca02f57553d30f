"""What a source's labels answer, and what that is to the methods."""

import numpy as np
import pandas as pd
import pytest
from torch import nn

from sterna import Domain, RequestError, Source, transfer
from sterna.domains.splits import make_splits
from sterna.experiment.problem import make_exam, make_problem, source_task
from sterna.methods.needs import Needs, have
from sterna.tasks import Classification, infer_task


def table(labels_of, rows=60, seed=0, **more):
    x = np.random.default_rng(seed).normal(size=(rows, 3))
    return Domain.from_arrays(pd.DataFrame(x, columns=list("abc")), labels_of(x[:, 0]), **more)


def words(a):
    return np.where(a > 0, "high", "low")


def number(a):
    return 3 * a + 1


@pytest.fixture
def target():
    return table(number, seed=1, splits={"train": list(range(30)), "test": list(range(30, 60))})


@pytest.mark.parametrize(
    ("labels_of", "kind", "same"),
    [
        (words, "classification", False),
        (number, "regression", True),
        (lambda a: np.round(a).astype(int), "regression", True),  # alone they would be taken for classes
        (lambda a: np.array([f"{each:.1f}" for each in a], dtype=object), "regression", True),
        (lambda a: np.stack([a > 0, a > 1], 1).astype(float), "multilabel", False),
    ],
)
def test_the_sources_own_labels_say_what_they_answer_beside_a_target_of_numbers(target, labels_of, kind, same):
    task, source = infer_task(target), Source("other", data=table(labels_of))
    found = source_task(source, task)
    assert found.id == kind and (found is task) is same
    splits = make_splits(target, task.encode(target.labels), seed=0)
    there = have(make_problem([source], target, task, splits, "none", 0))
    assert (Needs.SAME_TASK in there) is same and Needs.SOURCE_TASK in there


@pytest.mark.parametrize(
    ("method", "settings"),
    [
        ("parameter-sharing", {"mode": "fixed"}),
        ("parameter-sharing", {"mode": "weights"}),
        ("joint-training", {}),
        ("task-nesting", {}),
    ],
)
def test_classes_of_a_source_help_a_target_of_numbers(target, method, settings, tmp_path):
    source = Source("other", data=table(words, rows=200))
    result = transfer(
        source, target, method=method, settings=settings, control="none", epochs=2, out=tmp_path / "r", seeds=1
    )
    assert result.record["task"]["id"] == "regression"
    wrong = np.asarray(result.predict(target)) - np.asarray(target.labels, dtype=float)
    assert np.square(wrong).mean() < 0.15 * np.var(np.asarray(target.labels, dtype=float))
    assert result.scores["r2"].value > 0.85


@pytest.mark.parametrize("method", ["pooled", "coral", "example-mining", "source-only"])
def test_methods_that_need_the_sources_labels_to_be_the_targets_refuse_classes_for_numbers(target, method):
    with pytest.raises(RequestError, match=rf"^{method} needs .*source.*these fit: .*joint-training.*") as error:
        transfer(Source("other", data=table(words)), target, method=method, seeds=1)
    assert "task=" not in str(error.value)


def test_without_target_labels_classes_of_a_source_say_nothing_of_the_targets_units(target, tmp_path):
    rules = "IF a >= 0 THEN 4 (1)\nIF a < 0 THEN -2 (1)\n"
    result = transfer(
        Source("other", data=table(words)), target, method="rule-head", settings={"rules": rules}, labels=0,
        control="none", out=tmp_path / "r", seeds=1,
    )  # fmt: skip
    assert "r2" in result.scores


def test_a_head_or_labelled_data_answer_some_task(source, target, digits):
    task = infer_task(target)
    splits = make_splits(target, task.encode(target.labels), seed=0)
    for given, known in (
        (None, False),
        (source, False),
        (source.with_data(digits(60)), True),
        (Source("head", source.body, source.preparation, nn.Linear(24, 2), Classification(("a", "b"))), True),
    ):
        assert (
            Needs.SOURCE_TASK in have(make_problem([] if given is None else [given], target, task, splits, "none", 0))
        ) is known


def test_numbers_get_no_scale_from_test_rows_of_the_source(target):
    x = np.arange(40.0)
    labels = np.where(np.arange(40) < 30, x, 1e6)
    splits = {"train": list(range(30)), "test": list(range(30, 40))}
    source = Source("other", data=Domain.from_arrays(pd.DataFrame({"a": x, "b": x, "c": x}), labels, splits=splits))
    task = infer_task(target)
    rows = make_splits(target, task.encode(target.labels), seed=0, labels=0)
    found = make_problem([source], target, task, rows, "none", 0).task
    assert not len(rows.train) and (found.mean, found.scale) == pytest.approx((14.5, np.std(np.arange(30.0))))


def test_the_exam_knows_which_of_its_rows_are_of_one_group():
    rows = np.arange(60)
    target = table(words, seed=1, groups=[None if i % 5 == 0 else f"p{i // 10}" for i in rows])
    task = infer_task(target)
    exam = make_exam(target, task, make_splits(target, task.encode(target.labels), seed=0))
    patients = np.array(["" if i % 5 == 0 else f"p{i // 10}" for i in exam.rows])
    together = (patients[:, None] == patients) & (patients != "")[:, None]  # a row without a group is on its own
    assert exam.groups.dtype == np.int64 and exam.groups.max() + 1 == len(set(exam.groups))
    assert np.array_equal(exam.groups[:, None] == exam.groups, together | np.eye(len(exam.rows), dtype=bool))
    assert make_exam(table(words), task, make_splits(target, task.encode(target.labels), seed=0)).groups is None


def problem_of(weights, balance="none", source=None):
    labels = np.array(["a", "a", "a", "b", "a", "b"], dtype=object)
    splits = {"train": [0, 1, 2, 3], "validation": [4], "test": [5]}
    domain = Domain.from_arrays(np.arange(12.0).reshape(6, 2), labels, weights=weights, splits=splits)
    task = infer_task(domain)
    splits = make_splits(domain, task.encode(domain.labels), seed=0)
    return make_problem([] if source is None else [source], domain, task, splits, balance, seed=0), make_exam(
        domain, task, splits
    )


def test_weights_of_rows_have_mean_one_over_the_training_rows_and_are_multiplied_with_those_of_classes():
    problem, exam = problem_of([1, 2, 3, 2, 4, 5])
    np.testing.assert_allclose(problem.weights, np.array([1, 2, 3, 2, 4]) / 2)
    assert exam.weights.tolist() == [5] and problem.draw is None
    problem, _ = problem_of([1, 2, 3, 2, 4, 5], "weights")
    # Class a weighs 10 and class b 2, of 12: factors 12 / (2 * 10) and 12 / (2 * 2).
    np.testing.assert_allclose(problem.weights, np.array([1, 2, 3, 2, 4]) / 2 * [0.6, 0.6, 0.6, 3, 0.6])
    sampled, _ = problem_of([1, 2, 3, 2, 4, 5], "sampler")
    np.testing.assert_allclose(sampled.draw, problem.weights / 5)
    assert (sampled.weights == 1).all()


@pytest.mark.parametrize("balance", ["none", "weights", "sampler"])
def test_equal_weights_are_none_to_the_bit(balance):
    (plain, _), (weighted, _) = problem_of(None, balance), problem_of([0.1] * 6, balance)
    assert (plain.weights == weighted.weights).all() and (plain.row_weights() == weighted.row_weights()).all()


def test_a_sources_rows_weigh_one_on_average():
    data = Domain.from_arrays(np.eye(3, 2), list("aab"), weights=[10, 20, 30])
    problem, _ = problem_of([1, 2, 3, 2, 4, 5], source=Source("other", data=data))
    np.testing.assert_allclose(problem.on_source().weights, [0.5, 1, 1.5])
    both = problem.pooled()
    np.testing.assert_allclose(both.weights, [0.5, 1, 1.5, 1, 2, 0.5, 1, 1.5])
    np.testing.assert_allclose(both.given_weights, both.weights)


@pytest.mark.parametrize(
    ("weights", "said"), [([0, 0, 0, 0, 1, 1], "training rows"), ([1, 1, 1, 1, 1, 0], "test rows")]
)
def test_rows_that_all_weigh_nothing_are_refused(weights, said):
    labels = np.array(["a", "a", "b", "b", "a", "b"], dtype=object)
    splits = {"train": [0, 1, 2, 3], "validation": [4], "test": [5]}
    domain = Domain.from_arrays(np.arange(12.0).reshape(6, 2), labels, weights=weights, splits=splits)
    with pytest.raises(RequestError, match=f"{said} of arrays: all weights are 0"):
        transfer(None, domain, method="target-only", control="none")


def test_rows_of_one_content_leave_nothing_to_test_and_that_is_said():
    same = Domain.from_arrays(np.ones((40, 2)), np.array(["a", "b"] * 20))
    with pytest.raises(RequestError, match=r"its 40 labelled rows are of one content or group.*test="):
        transfer(None, same, method="target-only")
