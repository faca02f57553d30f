"""How two sets of inputs agree, and how they are put together."""

import numpy as np
import pandas as pd
import pytest

from sterna.domains import ImageArray, TextInputs
from sterna.domains.joined import joined_inputs
from sterna.domains.tables import table_inputs
from sterna.errors import RequestError


def table(**columns):
    return table_inputs(pd.DataFrame(columns))[0]


@pytest.fixture
def ours():
    return table(a=[1.0, 2.5], b=["x", "y"], c=[1.5, np.nan])


@pytest.fixture
def theirs():
    return table(a=[3.5, 4.5], b=[0.5, 1.5], d=["u", "v"])


def test_a_table_covers_another_with_all_its_columns(ours, theirs):
    assert ours.covers(ours.only(["c", "a"])) and not ours.only(["a"]).covers(ours) and not ours.covers(theirs)
    texts, images = TextInputs(["a"]), ImageArray(np.zeros((1, 2, 2), np.uint8))
    assert texts.covers(texts) and not texts.covers(images) and not ours.covers(texts) and not texts.covers(ours)


def test_an_identifier_may_be_missing():
    many = table(id=[f"p{i}" for i in range(30)], a=[float(i) for i in range(30)])
    fewer = table(a=[0.5, 1.5])
    assert many.columns == ("id", "a") and fewer.covers(many)
    both = joined_inputs(many, fewer)
    assert both.frame["a"].tolist()[-2:] == [0.5, 1.5] and both.frame["id"].isna().tolist() == [False] * 30 + [True] * 2
    assert len(both.row_keys()) == 32


def test_columns_are_shared_by_name_and_kind_and_by_how_many_cells_they_have(ours, theirs):
    assert ours.shared(theirs) == ("a",)
    assert ours.shared(ours, missing=0.5) == ("a", "b")
    assert ours.shared(theirs, {"a": "b", "b": "d", "c": None}.get) == ("a", "b")
    assert ours.shared(TextInputs(["a"])) is None and TextInputs(["a"]).shared(ours) is None


def test_some_columns_of_a_table_alone_know_their_own_rows(ours):
    some = ours.only(["c", "a"])
    assert some.columns == ("c", "a") and [c.missing for c in some.schema] == [1, 0]
    texts = TextInputs(["a"])
    assert texts.only(["c"]) is texts and texts.columns == () and texts.kinds == {}


def test_rows_of_one_kind_follow_one_another(ours, theirs):
    both = joined_inputs(ours, ours)
    assert both.frame["a"].tolist() == [1.0, 2.5, 1.0, 2.5]
    assert joined_inputs(TextInputs(["a"]), TextInputs(["b"])).texts == ("a", "b")
    images = ImageArray(np.arange(8, dtype=np.uint8).reshape(2, 2, 2))
    pair = joined_inputs(images, images.take(np.array([1])))
    assert pair.kind == "images" and pair.row_keys() == [*images.keys(), images.keys()[1]]
    with pytest.raises(RequestError, match="The test set lacks the column 'c' of the first"):
        joined_inputs(ours, theirs, "the first", "test set")
    with pytest.raises(RequestError, match="holds text, but the first holds table; give the same kind"):
        joined_inputs(ours, TextInputs(["a"]))
