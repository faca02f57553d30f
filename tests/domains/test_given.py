"""Data in memory where a path might stand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import sterna
from sterna import Domain, RequestError, load_domain
from sterna.domains.given import given_inputs
from sterna.domains.images import ImageArray


def frame(n, shift=0.0, seed=0):
    x = np.random.default_rng(seed).normal(size=(n, 3)) + shift
    return pd.DataFrame(x, columns=list("abc")).assign(y=np.where(x[:, 0] > shift, "p", "n"))


def test_a_frame_is_read_as_its_file_would_be(tmp_path):
    data = frame(30).assign(split=["train"] * 20 + ["test"] * 10, who=[f"p{i // 3}" for i in range(30)])
    data.to_parquet(tmp_path / "t.parquet")
    options = {"label": "y", "group": "who", "drop": ["c"]}
    ours, theirs = load_domain(data, **options), load_domain(tmp_path / "t.parquet", **options)
    assert ours.labels.tolist() == theirs.labels.tolist() and ours.groups.tolist() == theirs.groups.tolist()
    assert ours.inputs.keys() == theirs.inputs.keys() and ours.inputs.columns == ("a", "b")
    assert {k: v.tolist() for k, v in ours.splits.items()} == {k: v.tolist() for k, v in theirs.splits.items()}
    assert ours.reading == theirs.reading


def test_arrays_and_lists_take_one_label_a_row():
    assert load_domain(["x", "y"], label=["a", "b"]).labels.tolist() == ["a", "b"]
    assert load_domain(np.eye(3), label=np.array([1.5, 2, 3])).labels.tolist() == [1.5, 2, 3]
    assert load_domain(frame(3)[["a", "b"]], label=pd.Series(["u", "v", "u"])).labels.tolist() == ["u", "v", "u"]
    assert len(load_domain(np.zeros((2, 8, 8), np.uint8))) == 2
    kept = load_domain(["x", "y"])
    assert load_domain(kept).inputs is kept.inputs


def test_columns_of_a_frame_group_date_and_weigh_rows_whose_labels_stand_beside_it():
    data = frame(4).assign(
        who=list("uuvv"), when=pd.to_datetime([f"2024-01-0{day}" for day in (1, 2, 3, 4)]), w=[1, 2, 3, 4]
    )
    whole = load_domain(data, label="y", group="who", time="when", weight="w")
    beside = load_domain(data.drop(columns="y"), label=data["y"], group="who", time="when", weight="w")
    assert beside.groups.tolist() == whole.groups.tolist() == list("uuvv")
    assert (beside.times == whole.times).all() and (beside.weights == [1, 2, 3, 4]).all()
    assert beside.inputs.columns == whole.inputs.columns == ("a", "b", "c", "when")
    held = pytest.importorskip("datasets").Dataset.from_pandas(data)
    found = load_domain(held, label="y", group="who", time="when", weight="w")
    assert found.groups.tolist() == list("uuvv") and found.inputs.columns == ("a", "b", "c", "when")
    assert (found.times == whole.times).all() and (found.weights == whole.weights).all()
    with pytest.raises(RequestError, match="no such column"):
        load_domain(held, label="y", group="whose")


@pytest.mark.parametrize(
    ("data", "options", "sentence"),
    [
        (([1], [2]), {}, r"A tuple of 2 .* load_domain\(X, label=y\)"),
        (["x"], {"label": "y"}, "names a column, but list has none"),
        (frame(3), {"label": "z"}, "DataFrame has no such column"),
        (frame(3)[["a"]], {}, "say which column is the label"),
        ({"a": [1]}, {}, "a DataFrame or a number array"),
        ("x.csv", {"label": ["a"]}, "name its column or array"),
        (np.eye(2), {"label": ["a", "b"], "group": "g"}, r"group='g' names a column .*ndarray has none.*groups="),
        (["x", "y"], {"label": ["a", "b"], "time": "t"}, "time='t' names a column .*list has none.*times="),
        (np.eye(2), {"domain_column": "h", "domain": "va"}, "domain_column='h' names a column"),
        (load_domain(["x"]), {"group": "g"}, "it is a Domain already; give it where that is made"),
        (frame(3)[["a"]], {"label": list("aab"), "text": "a"}, "add the labels as a column"),
        (frame(3)[["a"]], {"label": list("aab"), "group": "who"}, "no such column"),
    ],
)
def test_what_is_accepted_is_said(data, options, sentence):
    with pytest.raises(RequestError, match=sentence):
        load_domain(data, **options)


def test_a_transfer_between_frames_answers_and_scores_frames():
    source, target = frame(60, 0.5), frame(60, seed=1)
    result = sterna.transfer(source, target, label="y", method="pooled", control="none", seeds=1)
    assert result.evidence.source.data.rows == 60 and result.evidence.target.reading["label"] == "y"
    bare = result.predict(target.drop(columns="y"))
    assert bare.tolist() == result.predict(target).tolist()
    assert result.score(target)["accuracy"].value == np.mean(bare == target["y"])
    with pytest.raises(RequestError, match="no such column"):
        result.score(target.drop(columns="y"))


def test_a_frame_of_texts_is_answered_by_the_column_of_the_run():
    words = [f"{'good' if i % 2 == 0 else 'bad'} w{i}" for i in range(40)]
    texts = pd.DataFrame({"id": range(40), "words": words, "y": ["p", "n"] * 20})
    domain = load_domain(texts, label="y", text="words")
    result = sterna.transfer(None, domain, method="target-only", control="none", seeds=1)
    assert result.predict(texts[["words"]][:2]).tolist() == ["p", "n"]
    assert result.predict(["bad"]).tolist() == ["n"]
    with pytest.raises(RequestError, match=r"a text is given in a list: \[text\]"):
        result.predict("bad")


def test_a_missing_target_says_what_to_call():
    with pytest.raises(RequestError, match=r"transfer\(None, data, label=...\)"):
        sterna.transfer(frame(5), label="y", seeds=1)


def test_of_no_rows_nothing_is_predicted():
    pictures = np.zeros((0, 4, 4), dtype=np.uint8)
    for data in (pictures, Domain("none", ImageArray(pictures))):
        with pytest.raises(RequestError, match="has no row, so there is nothing to predict"):
            given_inputs(data, "images", {})
