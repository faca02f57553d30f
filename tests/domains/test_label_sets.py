"""Several labels in one cell, and label sets of two data sets that are matched by name."""

import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sterna import Domain, RequestError, load_domain
from sterna.domains.label_sets import differences, holds_lists, in_columns, of_lists, separator_of
from sterna.domains.labels import alike
from sterna.domains.reader import Options
from sterna.domains.table_domains import load_table, table_domain

NAMES = st.sampled_from(["sky", "sea", "navy blue", "a, b"])


@given(st.lists(st.one_of(st.none(), st.sets(NAMES)), min_size=1).filter(lambda rows: any(rows)))
def test_lists_and_bars_say_the_same(rows):
    labels, names = of_lists(rows)
    again = [None if labels[i].sum() != labels[i].sum() else {n for n, v in zip(names, labels[i], strict=True) if v}
             for i in range(len(rows))]  # fmt: skip
    assert again == rows
    written = [None if row is None else "|".join(sorted(row)) or "|" for row in rows]
    assert np.array_equal(of_lists(written)[0], labels, equal_nan=True)


@pytest.mark.parametrize(
    ("values", "lists"),
    [
        ([["a", "b"], ["c"]], True),
        ([["a"], None, ["b"]], True),
        ([{"a", "b"}, ()], True),
        ([[1, 3], [2]], True),
        ([["a"], ["b"]], False),  # (n, 1): one label a row
        ([[0, 1], [1, 0]], False),  # (n, k)
        (np.eye(3), False),
        (["a", "b"], False),
        ([1.0, None], False),
    ],
)
def test_what_is_a_list_a_row(values, lists):
    assert holds_lists(values) == lists


def test_python_lists_are_several_labels_a_row():
    domain = Domain.from_arrays(["x", "y", "z", "w"], [["sea", "sky"], [], None, ("sky",)])
    assert domain.classes == ("sea", "sky")
    assert np.array_equal(domain.labels, [[1, 1], [0, 0], [np.nan, np.nan], [0, 1]], equal_nan=True)
    given = Domain.from_arrays(["x", "y"], [["sky"], []], classes=["sky", "sea"])
    assert given.classes == ("sky", "sea") and given.labels.tolist() == [[1, 0], [0, 0]]
    with pytest.raises(RequestError, match="The label 'skyy' is not one of the 2 labels given. Did you mean 'sky'"):
        Domain.from_arrays(["x", "y"], [["skyy", "sea"], []], classes=["sky", "sea"])
    frame = pd.DataFrame({"text": ["x", "y"], "tags": [["a", "b"], ["b"]]})
    assert table_domain(frame, Options(label="tags", text="text")).labels.tolist() == [[1, 1], [0, 1]]


def test_lists_in_json_lines_and_parquet(tmp_path):
    rows = [("x", ["sea", "sky"]), ("y", []), ("z", None), ("w", ["sky"]), ("v", "sea|sky")]
    lines = [json.dumps({"text": text, "label": label}) for text, label in rows]
    (tmp_path / "t.jsonl").write_text("\n".join(lines), encoding="utf-8")
    read = load_domain(tmp_path / "t.jsonl", text="text")
    wanted = [[1, 1], [0, 0], [np.nan, np.nan], [0, 1], [1, 1]]
    assert read.classes == ("sea", "sky") and np.array_equal(read.labels, wanted, equal_nan=True)
    pd.DataFrame(rows[:4], columns=["text", "label"]).to_parquet(tmp_path / "t.parquet")
    assert np.array_equal(load_domain(tmp_path / "t.parquet", text="text").labels, wanted[:4], equal_nan=True)


@pytest.mark.parametrize("separator", [", ", ";", "、", "/", "; "])
def test_another_separator_is_named(tmp_path, separator):
    cells = ["sea", "sky", separator.join(["sea", "sky"]), separator.join(["sea", "sun"]), "sun", ""]
    frame = pd.DataFrame({"text": list("abcdef"), "label": cells})
    frame.to_csv(tmp_path / "t.csv", index=False)
    mark = separator.strip()
    with pytest.raises(RequestError, match=f"separated by '{mark}' .*write them as a|b"):
        load_table(tmp_path / "t.csv", Options(label="label", text="text", task="multilabel"))
    bars = [cell.replace(separator, "|") for cell in cells]
    read = table_domain(frame.assign(label=bars), Options(label="label", text="text", task="multilabel"))
    assert read.classes == ("sea", "sky", "sun") and read.notes == ("1 of 6 rows have no label",)


def test_lists_written_as_text_and_numbers_of_labels_are_named():
    for cells in (
        ["['sea' 'sky']", "['sea']", "[]"],
        ['["sea", "sky"]', '["sea"]', '["sky"]'],
        ["0,1,2", "0", "1,2", "2"],
    ):
        frame = pd.DataFrame({"text": list("abcd")[: len(cells)], "label": cells})
        with pytest.raises(RequestError, match="looks like several labels a cell.*write them as a|b"):
            table_domain(frame, Options(label="label", text="text", task="multilabel"))
        (note,) = table_domain(frame, Options(label="label", text="text")).notes
        assert "each combination is read as one class" in note


def test_rows_of_0_and_1_are_no_names():
    frame = pd.DataFrame({"x": range(3), "label": [[0, 1, 1], [1, 0, 0], None]})
    with pytest.raises(RequestError, match=r"a list of labels is \[0, 1, 1\].*names of the labels that apply"):
        table_domain(frame, Options(label="label"))
    assert of_lists([[3, 1], [1, 3]])[1] == ("1", "3") and of_lists([[0, 1], [1, 0], [0, 1]])[1] == ("0", "1")


def test_columns_of_a_frame_name_the_labels():
    frame = pd.DataFrame({"x": range(4), "sea": [0, 1, 1, 0], "sky": [1, 1, 0, 0]})
    names, beside = load_domain(frame, label=["sky", "sea"]), load_domain(frame[["x"]], label=frame[["sky", "sea"]])
    for read in (names, beside):
        assert read.classes == ("sky", "sea") and read.labels.tolist() == [[1, 0], [1, 1], [0, 1], [0, 0]]
    excel = frame.assign(sea=["FALSE", "TRUE", "TRUE", "FALSE"])
    assert load_domain(excel, label="sky,sea").labels.tolist() == names.labels.tolist()


def test_labels_in_memory_that_look_like_sets_are_named():
    (note,) = Domain.from_arrays(["a", "b", "c"], ["sea|sky", "sea", "sky"]).notes
    assert note.startswith("the label looks like several labels a cell (such as 'sea|sky')")


def test_a_comma_in_a_name_is_no_separator():
    assert separator_of(["Paris, TX", "Austin, MA", "Boston, VT"]) is None
    assert separator_of(["1,5", "2,5", "1,0", "2"]) is None
    assert alike(["-1", "1", "+1"]) == [] and alike(["Two-Way", "twoway"]) and alike(["café", "cafe\u0301"])
    found = separator_of(["Paris, TX", "Austin, TX", "Boston, MA"])
    assert found is not None and not found[2]  # likely, not sure
    assert separator_of(["['a', 'b']", "['a']"]) == ("a list", "['a', 'b']", True)


def test_one_class_a_combination_is_said_where_no_task_is_named():
    frame = pd.DataFrame({"text": list("abcd"), "label": ["sea|sky", "sea", "sky", "sea|sky"]})
    (note,) = table_domain(frame, Options(label="label", text="text")).notes
    assert "'sea|sky'" in note and "multilabel" in note


def test_labels_that_differ_in_case_or_spaces_are_named():
    frame = pd.DataFrame({"x": range(4), "label": ["Cat", "cat ", "dog", "sea lion"]})
    (note,) = table_domain(frame, Options(label="label")).notes[-1:]
    assert "'Cat' and 'cat'" in note
    assert alike(["sea lion", "Sea-Lion", "dog"]) and not alike(["cat", "dog", "cats"])


def test_columns_are_matched_by_name():
    labels = np.array([[1.0, 0, np.nan], [0, 1, 1]])
    matched = in_columns(labels, ("b", "c", "d"), ("a", "c", "b"))
    assert np.array_equal(matched, [[np.nan, 0, 1], [np.nan, 1, 0]], equal_nan=True)
    assert differences("t", ("b", "a"), ("a", "b")) == []
    more, less = differences("t", ("b", "Dog"), ("b", "dog"))
    assert "never learnt" in more and "'Dog'" in more and "Did you mean 'dog'" in more
    assert less == "t says nothing of the labels 'dog', which count as not known there."
    with pytest.raises(RequestError, match="none of those that are learnt"):
        differences("t", ("x",), ("a", "b"))


def test_a_test_set_is_matched_by_name(tmp_path):
    (tmp_path / "train.csv").write_text("text,label\np,a|b\nq,b|c\nr,|\n", encoding="utf-8")
    (tmp_path / "test.csv").write_text("text,label\ns,d|c\nt,b\nu,d\n", encoding="utf-8")
    read = load_domain(tmp_path / "train.csv", text="text", task="multilabel", test=tmp_path / "test.csv")
    assert read.classes == ("a", "b", "c")
    assert np.array_equal(read.labels[3:], [[np.nan, 0, 1], [np.nan, 1, 0], [np.nan, 0, 0]], equal_nan=True)
    assert any("'d'" in note and "never learnt" in note for note in read.notes)
    (tmp_path / "wide.csv").write_text("text,a,b\np,1,0\nq,0,1\n", encoding="utf-8")
    (tmp_path / "part.csv").write_text("text,b\ns,1\nt,0\n", encoding="utf-8")
    read = load_domain(tmp_path / "wide.csv", text="text", label="a,b", test=tmp_path / "part.csv")
    assert np.array_equal(read.labels[2:], [[np.nan, 1], [np.nan, 0]], equal_nan=True)
    alone = load_domain(tmp_path / "part.csv", text="text", label="b", task="multilabel")
    assert alone.classes == ("b",) and alone.take([1, 0]).labels.tolist() == [[0], [1]]


def test_all_new_classes_of_a_test_set_are_named(tmp_path):
    (tmp_path / "train.csv").write_text("x,label\n1,a\n2,b\n3,a\n4,b\n", encoding="utf-8")
    (tmp_path / "test.csv").write_text("x,label\n1,a\n2,d\n3,e\n", encoding="utf-8")
    with pytest.raises(RequestError, match="'d', 'e', which train.csv has not"):
        load_domain(tmp_path / "train.csv", test=tmp_path / "test.csv")


@pytest.mark.parametrize("mark", ["-", "_", ":"])
def test_marks_that_stand_within_names_too_are_said_where_cells_look_joined_by_them(mark):
    def notes(cells):
        frame = pd.DataFrame({"text": [f"row {i}" for i in range(len(cells))], "label": cells})
        return " ".join(load_domain(frame, text="text", label="label", task="multilabel").notes)

    sets = [
        mark.join(each) for each in (("red", "blue"), ("red",), ("blue", "sea"), ("sea",), ("red", "sea"), ("blue",))
    ]
    assert f"several labels a cell, separated by {mark!r} (such as 'blue{mark}sea')" in notes(sets * 3)
    assert "several" not in notes([f"semi{mark}final", "final", f"knock{mark}out"] * 3)


@pytest.mark.parametrize("value", [[["a"], "b"], [{"a": 1}], [[0]]])
def test_a_list_in_a_list_is_no_name(value):
    with pytest.raises(RequestError, match="A list of labels holds .*, which is no name"):
        of_lists([["a"], value])
