from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from sterna.domains.domain import Domain
from sterna.errors import RequestError
from sterna.tasks import Classification, MultiLabel, Regression, infer_task, task_from_state
from sterna.tasks.names import natural_order


def table(labels: Any, **more: Any) -> Domain:
    return Domain.from_arrays(np.zeros((len(labels), 2)) + np.arange(len(labels))[:, None], labels, **more)


def texts(labels: Any) -> Domain:
    return Domain.from_arrays([f"text {i}" for i in range(len(labels))], labels)


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        (["yes", "no", "no", "yes"], Classification(("no", "yes"))),
        (["10", "2", "1", "10", "2", "1"], Classification(("1", "2", "10"))),
        (["ward 10", "Ward 2", "ward 10", "Ward 2"], Classification(("Ward 2", "ward 10"))),
        ([0, 1, 1, 0], Classification(("0", "1"))),
        ([1.0, 2.0, 10.0, 1.0, 2.0, 10.0], Classification(("1", "2", "10"))),
        ([-1.0, 1.0, -1.0, 1.0], Classification(("-1", "1"))),
    ],
)
def test_text_and_few_whole_numbers_are_classes_in_natural_order(labels: list[Any], expected: Classification) -> None:
    assert infer_task(table(labels)) == expected


@pytest.mark.parametrize(
    "labels",
    [
        [0.5, 1.0, 0.5, 1.0],  # not whole
        list(range(10)),  # each value once
        list(range(21)) * 3,  # more than 20 values
    ],
)
def test_other_numbers_are_a_regression(labels: list[float]) -> None:
    task = infer_task(table(labels))
    assert task == Regression("r2", float(np.mean(labels)), float(np.std(labels)))


def test_class_codes_of_texts_and_images_may_be_many() -> None:
    codes = list(range(100)) * 2
    assert infer_task(texts(codes)).id == "classification"
    assert infer_task(texts([code + 1 for code in codes])).id == "regression"


def test_a_named_task_goes_before_the_rule() -> None:
    assert infer_task(table([0, 1, 2, 0, 1, 2]), "regression").id == "regression"
    assert infer_task(table([0.5, 1.5, 0.5]), "classification").state()["classes"] == ["0.5", "1.5"]
    assert infer_task(table(["1", "2.5", "1"]), "regression").id == "regression"


def test_columns_of_labels_are_a_multilabel_task() -> None:
    labels = np.array([[0, 1], [1, 1], [np.nan, 0]])
    assert infer_task(table(labels, classes=("a", "b"))) == MultiLabel(("a", "b"), "macro_f1")
    assert infer_task(table(labels)).state()["classes"] == ["0", "1"]


def test_given_classes_keep_their_order_and_those_without_rows() -> None:
    domain = table(["hot", "cold", "hot", "cold"], classes=("hot", "warm", "cold"))
    assert infer_task(domain) == Classification(("hot", "warm", "cold"))


def test_imbalance_outside_the_test_split_chooses_the_metric() -> None:
    labels = ["a"] * 4 + ["b"] * 8
    assert infer_task(table(labels)).metric == "balanced_accuracy"
    test = {"train": np.arange(8), "test": np.arange(8, 12)}
    assert infer_task(table(labels, splits=test)).metric == "accuracy"
    validation = {"train": np.arange(8), "validation": np.arange(8, 12)}
    assert infer_task(table(labels, splits=validation)).metric == "accuracy"
    assert infer_task(table(labels), fit_rows=np.array([0, 1, 4, 5])).metric == "accuracy"
    assert infer_task(table(labels), metric="auroc").metric == "auroc"


def test_unlabelled_rows_are_no_class() -> None:
    assert infer_task(table(["a", None, "b", "a", "b"])) == Classification(("a", "b"))
    assert infer_task(table([0.0, np.nan, 1.0, 0.0, 1.0])) == Classification(("0", "1"))


def test_a_regression_is_standardised_by_the_training_rows() -> None:
    labels = np.array([1.5, 2.5, 1000.0, np.nan])
    task = infer_task(table(labels), fit_rows=np.array([0, 1, 3]))
    assert (task.mean, task.scale) == (2.0, 0.5)
    assert infer_task(table(labels, splits={"train": np.array([0, 1, 3]), "test": np.array([2])})).mean == 2.0
    one = infer_task(table(labels), fit_rows=np.array([2]))
    assert (one.mean, one.scale) == (1000.0, 1.0)
    assert infer_task(table(labels), fit_rows=np.array([], dtype=np.int64)).mean == 0.0


def test_natural_order() -> None:
    assert natural_order(["10", "2", "1.5", "-3"]) == ["-3", "1.5", "2", "10"]
    assert natural_order(["b", "a10", "a2", "A1", "nan"]) == ["A1", "a2", "a10", "b", "nan"]
    assert natural_order(["01", "1"]) == ["01", "1"]


@pytest.mark.parametrize(
    ("labels", "arguments", "message"),
    [
        (["a", "a"], {}, "is of the class 'a'; a classification needs two classes or more"),
        ([2.5, 2.5, 2.5, 2.5], {}, "has the target 2.5; a regression needs a target that varies"),
        ([2.5, np.inf, 3.5], {}, r"1 of 3 targets are infinite \(first: row 1\)"),
        ([None, None], {"task": "classification"}, "labels"),
        (["a", "b"], {"metric": "acuracy"}, "Did you mean 'accuracy'"),
        (["a", "b"], {"task": "clasification"}, "Did you mean 'classification'"),
        (["a", "b"], {"task": "regression"}, "'a' of row 0 is not a number"),
        (["a", "b"], {"task": "multi-label"}, "one column of 0 and 1 a label"),
        ([[0, 1], [1, 3]], {}, "Row 1 has 3 for the label"),
        ([[0, 1], [1, 1]], {"task": "classification"}, "2 columns of labels, but a classification takes one"),
    ],
)
def test_wrong_labels_and_requests_say_what_is_wrong(
    labels: list[Any], arguments: dict[str, str], message: str
) -> None:
    values = np.array(labels, dtype=object if isinstance(labels[0], (str, type(None))) else np.float64)
    with pytest.raises(RequestError, match=message):
        infer_task(table(values), **arguments)


def test_a_domain_without_labels_is_refused() -> None:
    with pytest.raises(RequestError, match=r"has no labels; name their column with label="):
        infer_task(Domain.from_arrays(np.zeros((3, 2))))


def test_an_unknown_saved_task_is_refused() -> None:
    with pytest.raises(RequestError, match="'ranking', but one of classification, multilabel, regression"):
        task_from_state({"id": "ranking"})


class _Entry:
    """An entry point of another package."""

    name = "ordered-classes"

    @staticmethod
    def load() -> type[Classification]:
        return _OrderedClasses


class _OrderedClasses(Classification):
    id = "ordered-classes"


def test_a_task_of_another_package_is_found_by_its_entry_point(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "sterna.registry.metadata.entry_points", lambda group: {"sterna.tasks": [_Entry]}.get(group, [])
    )
    task = infer_task(table(["low", "high", "low", "high"]), "ordered_classes")
    assert type(task) is _OrderedClasses and task.classes == ("high", "low")
    again = task_from_state(task.state())
    assert type(again) is _OrderedClasses and again == task
    with pytest.raises(RequestError, match="'orderd-classes' is unknown.*Did you mean 'ordered-classes'"):
        infer_task(table(["low", "high"]), "orderd-classes")


def test_a_table_may_count_where_other_inputs_have_codes() -> None:
    assert not table([0.0, 1.0]).inputs.codes_are_classes and texts(["a", "b"]).inputs.codes_are_classes


@pytest.mark.parametrize(
    ("asked", "metric"),
    [
        ("f1", "macro_f1"), ("auc", "auroc"), ("roc_auc", "auroc"), ("ROC-AUC", "auroc"), ("mcc", "mcc"),
        ("Accuracy", "accuracy"), ("balanced accuracy", "balanced_accuracy"), ("AP", "average_precision"),
        ("neg_log_loss", "log_loss"), ("F1[a]", "f1[a]"),
    ],
)  # fmt: skip
def test_metrics_are_known_by_other_names(asked: str, metric: str) -> None:
    assert infer_task(table(["a", "b"] * 5), metric=asked).metric == metric


def test_a_metric_of_another_task_is_refused_with_those_there_are() -> None:
    assert infer_task(table([0.5, 1.5, 2.5]), metric="RMSE").metric == "rmse"
    with pytest.raises(RequestError, match="The metric 'f1' is unknown for regression; it has r2, rmse"):
        infer_task(table([0.5, 1.5, 2.5]), metric="f1")
    with pytest.raises(RequestError, match="Did you mean 'auroc'"):
        infer_task(table(["a", "b"] * 5), metric="rocauc2")


def test_nearly_a_class_a_row_is_taken_for_identifiers() -> None:
    with pytest.raises(RequestError, match="of 40 classes in 60 rows, nearly a class a row, as identifiers are"):
        infer_task(table([f"p{i % 40}" for i in range(60)]))
    assert len(infer_task(table([f"p{i % 30}" for i in range(60)])).classes) == 30
    with pytest.raises(RequestError, match="more than 5,000"):
        infer_task(table([f"p{i % 5001}" for i in range(10_002)]))
