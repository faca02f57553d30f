from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from sterna.domains import Domain, ImageArray, TableInputs, TextInputs
from sterna.domains.labels import as_labels
from sterna.errors import RequestError


def texts(n: int, **more) -> Domain:
    return Domain("d", TextInputs([f"text {i}" for i in range(n)]), **more)


def test_labels_take_one_of_three_forms():
    assert as_labels(["a", None, "", float("nan"), "b"]).tolist() == ["a", None, None, None, "b"]
    assert as_labels([True, False]).tolist() == ["True", "False"]
    numbers = as_labels([1, None, 2.5])
    assert numbers.dtype == np.float64 and numbers[0] == 1 and np.isnan(numbers[1]) and numbers[2] == 2.5
    assert as_labels(np.array([[1], [0]])).tolist() == [1.0, 0.0]
    assert as_labels([[1, 0], [0, 1]]).shape == (2, 2)
    assert as_labels(pd.Series(["x", pd.NA, "y"], dtype="string")).tolist() == ["x", None, "y"]


def test_class_numbers_become_names_and_minus_one_is_unlabelled():
    assert as_labels(np.array([1, -1, 0]), ("ant", "bee")).tolist() == ["bee", None, "ant"]
    with pytest.raises(RequestError, match="label 2 is no class number.*0 to 1"):
        as_labels(np.array([0, 2]), ("ant", "bee"))
    with pytest.raises(RequestError, match="'bea' is not one of the 2 classes.*'bee'"):
        as_labels(["bea"], ("ant", "bee"))


def test_take_drops_the_other_rows_and_renumbers_splits():
    domain = texts(6, labels=list("aabbab"), splits={"test": [4, 5], "train": [0, 2]}, groups=list("uvwxyz"))
    taken = domain.take(np.array([5, 2, 0]))
    assert [taken.inputs[i] for i in range(3)] == ["text 5", "text 2", "text 0"]
    assert taken.labels.tolist() == ["b", "b", "a"]
    assert taken.groups.tolist() == ["z", "w", "u"]
    assert {k: v.tolist() for k, v in taken.splits.items()} == {"train": [1, 2], "test": [0]}
    assert len(taken.inputs.texts) == 3
    assert "test" not in domain.take(np.array([0, 1])).splits


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"labels": ["a"]}, "3 rows but 1 labels"),
        ({"groups": ["a"]}, "3 rows but 1 groups"),
        ({"splits": {"training": [0]}}, "split 'training'.*Did you mean 'train'"),
        ({"splits": {"train": [0, 1], "test": [1]}}, "Row 1 of d is in two splits, train and test"),
        ({"splits": {"train": [3]}}, "names row 3, but the rows go from 0 to 2"),
    ],
)
def test_what_does_not_fit_is_named(more, message):
    with pytest.raises(RequestError, match=message):
        texts(3, **more)


def test_labelled_counts_any_known_label_of_several():
    domain = texts(3, labels=np.array([[1, np.nan], [np.nan, np.nan], [0, 1]]))
    assert domain.labelled().tolist() == [True, False, True]
    assert texts(2).labelled().tolist() == [False, False]


def test_repr_and_describe_are_readable():
    domain = texts(4, labels=["a", "b", None, "b"], classes=("a", "b"), splits={"test": [0]}, notes=("One thing.",))
    assert repr(domain) == "Domain('d', text: 4 rows, 2 classes, 3 labelled, test 1)"
    assert domain.describe().splitlines()[1:] == ["labels: a 1, b 2", "note: One thing."]


def test_from_arrays_knows_images_tables_and_texts():
    assert isinstance(Domain.from_arrays(np.zeros((3, 8, 8), np.uint8), [0, 1, 0]).inputs, ImageArray)
    pictures = Domain.from_arrays([Image.new("RGB", (4, 5)), Image.new("L", (6, 7))])
    assert pictures.kind == "images" and pictures.inputs[1].size == (6, 7)
    table = Domain.from_arrays(np.arange(6.0).reshape(3, 2), ["a", "b", "a"])
    assert isinstance(table.inputs, TableInputs) and list(table.inputs.frame.columns) == ["x0", "x1"]
    for strings in (["a b", "c"], np.array(["a b", "c"]), pd.Series(["a b", "c"])):
        domain = Domain.from_arrays(strings)
        assert domain.kind == "text" and domain.inputs[0] == "a b"


def test_from_arrays_takes_a_column_name_as_labels_and_kinds_of_columns():
    frame = pd.DataFrame({"code": [1, 2, 1], "age": [3.5, 2.0, 1.0], "y": ["u", "v", None], "skip": [1, 2, 3]})
    domain = Domain.from_arrays(frame, "y", columns={"code": "category"}, drop=["skip"])
    assert domain.labels.tolist() == ["u", "v", None]
    assert {c.name: c.kind for c in domain.inputs.schema} == {"code": "category", "age": "number"}
    assert "category" in domain.describe()
    with pytest.raises(RequestError, match="labels='z' is no column"):
        Domain.from_arrays(frame, "z")


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        (np.zeros((2, 8, 8), complex), "Images are complex128; numbers"),
        (np.zeros((2, 3, 8, 8), np.uint8), "channels last"),
        ([], "an empty sequence"),
        ("words", "Inputs are str"),
        (np.array([1.0, 2.0]), r"float64 with the shape \(2,\)"),
    ],
)
def test_arrays_of_no_kind_are_refused(inputs, message):
    with pytest.raises(RequestError, match=message):
        Domain.from_arrays(inputs)
