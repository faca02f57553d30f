"""Weights of rows: a column that is named, columns that look like one, and what is refused."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from sterna import Domain, load_domain
from sterna.domains.load_alike import load_as_learnt, load_with_what_there_is
from sterna.domains.table_domains import frame_inputs
from sterna.domains.weights import relative, weights_in
from sterna.errors import RequestError


def frame(**more):
    return pd.DataFrame({"x": [0.5, 1.5, 2.5, 3.5], "label": list("abab"), **more})


@pytest.mark.parametrize(
    "name",
    [
        "weight",
        "Weights",
        "sample_weight",
        "sampling weight",
        "survey-weights",
        "sampleWeight",
        "case_weight",
        "权重",
        "pweight",
        "Gewichtung",
        "fnlwgt",
    ],
)
def test_a_column_called_like_a_weight_is_an_input_and_noted_once(name):
    found = load_domain(frame(**{name: [1, 2, 3, 4]}))
    (note,) = (note for note in found.notes if "weight" in note)
    assert f"weight={name!r}" in note and "ordinary input" in note
    assert found.inputs.columns == ("x", name) and found.weights is None


@pytest.mark.parametrize("name", ["birth_weight", "weight_kg", "weighted", "lightweight", "wt"])
def test_other_columns_are_not_taken_for_weights(name):
    assert not load_domain(frame(**{name: [1, 2, 3, 4]})).notes and not weights_in([name])


def test_a_column_that_weighs_the_rows_is_no_input_and_goes_where_the_rows_go(tmp_path):
    frame(w=["1", "2,5", "0", "4"]).to_csv(tmp_path / "t.csv", index=False, sep=";")
    found = load_domain(tmp_path / "t.csv", weight="w")
    assert found.weights.tolist() == [1, 2.5, 0, 4] and found.inputs.columns == ("x",)
    assert not any("weight" in note for note in found.notes)
    assert found.reading["weight"] == "w" and "weights: 0 to 4" in found.describe()
    assert found.take([3, 1]).weights.tolist() == [4, 2.5] and found.take([2]).weights.tolist() == [0]
    assert frame_inputs(frame(w=1), "t", {"weight": "w"})[0].columns == ("x",)
    both = load_domain(tmp_path / "t.csv", weight="w", test=frame(w=[7, 8, 9, 10]))
    assert both.weights.tolist() == [1, 2.5, 0, 4, 7, 8, 9, 10]


def test_beside_texts_and_in_arrays(tmp_path):
    texts = frame(text=["one two"] * 4, sample_weight=[1, 2, 3, 4])
    assert any("weight='sample_weight'" in note for note in load_domain(texts, text="text").notes)
    found = load_domain(texts, text="text", weight="sample_weight")
    assert found.weights.tolist() == [1, 2, 3, 4] and not any("sample_weight" in note for note in found.notes)
    np.savez(tmp_path / "a.npz", X=np.eye(4), y=np.arange(4), w=np.arange(4.0))
    assert load_domain(tmp_path / "a.npz", weight="w").weights.tolist() == [0, 1, 2, 3]
    assert Domain.from_arrays(np.eye(4), list("abab"), weights=[0, 1, 2, 3]).weights.tolist() == [0, 1, 2, 3]


def test_in_a_manifest(tmp_path):
    for i in range(4):
        Image.fromarray(np.full((4, 4), i, np.uint8)).save(tmp_path / f"{i}.png")
    files = pd.DataFrame({"file": [f"{i}.png" for i in range(4)], "label": list("abab"), "weight": [4, 3, 2, 1]})
    files.to_csv(tmp_path / "manifest.csv", index=False)
    found = load_domain(tmp_path)
    assert found.weights is None and any("weight='weight'" in note for note in found.notes)
    found = load_domain(tmp_path, weight="weight")
    assert found.weights.tolist() == [4, 3, 2, 1] and not found.notes
    (tmp_path / "manifest.csv").unlink()
    with pytest.raises(RequestError, match="weight='weight' is for tables"):
        load_domain(tmp_path, weight="weight")


@pytest.mark.parametrize(
    ("cells", "said"),
    [
        ([1, -1, 1, 1], r"holds '-1' \(row 1\)"),
        ([1, 1, np.inf, 1], r"holds 'inf' \(row 2\)"),
        ([1, 1, None, 1], "lacks a weight in row 2"),
        (["1", "1", "much", "1"], r"holds 'much' \(row 2\)"),
        ([0, 0, 0, 0], "all weights are 0"),
        ([1, 1e300, 0, 1], r"from 1 to 1e\+300 is too far"),
        (pd.to_datetime(["2024-01-01"] * 4), "holds dates"),
    ],
)
def test_weights_are_finite_not_negative_and_not_all_zero(cells, said):
    with pytest.raises(RequestError, match=said):
        load_domain(frame(w=cells), weight="w")
    if said[:5] in ("holds", "lacks") and "much" not in said and "dates" not in said:
        with pytest.raises(RequestError, match="row [12] has"):
            Domain.from_arrays(np.eye(4), list("abab"), weights=cells)


def test_a_column_that_is_not_there_or_is_the_label_is_refused():
    with pytest.raises(RequestError, match="weight='v': DataFrame has no such column"):
        load_domain(frame(w=1), weight="v")
    with pytest.raises(RequestError, match="names the column of labels"):
        load_domain(frame(w=1), label="w", weight="w")
    for data in (np.eye(4), Domain.from_arrays(np.eye(4), list("abab"))):
        with pytest.raises(RequestError, match="weights="):
            load_domain(data, weight="w")
    with pytest.raises(RequestError, match="4 rows but 3 weights"):
        Domain.from_arrays(np.eye(4), list("abab"), weights=[1, 2, 3])


def test_what_may_be_missing():
    found = load_with_what_there_is(frame(w=1), ("group", "weight"), group="g", weight="w")
    assert found.groups is None and found.weights.tolist() == [1] * 4
    with pytest.raises(RequestError, match="holds '-1'"):
        load_with_what_there_is(frame(w=-1), ("group", "weight"), group="g", weight="w")
    assert any("weigh alike" in note for note in load_as_learnt(frame(), {"weight": "w"}).notes)


def test_equal_weights_are_exactly_one():
    for value in (0.1, 3.3, 1e-9, 1e300):
        assert (relative(np.full(7, value)) == 1).all()
    assert relative(np.zeros(3)).tolist() == [1, 1, 1]
