"""Tables and texts out of files: labels, splits, groups, domains, and the inputs themselves."""

from __future__ import annotations

import os
import pickle
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sterna.domains.domain import Domain
from sterna.domains.labels import as_labels
from sterna.domains.load import load_domain
from sterna.domains.reader import Options
from sterna.domains.table_cells import words
from sterna.domains.table_domains import frame_inputs, load_inputs, load_table, table_domain
from sterna.domains.tables import TableInputs, table_inputs
from sterna.domains.text import TextInputs
from sterna.errors import RequestError

DATA = Path(os.environ.get("STERNA_DATA", Path(__file__).resolve().parents[3] / "shared" / "data"))


def shared(name: str) -> Path:
    if not (DATA / name).is_file():
        pytest.skip(f"{name} is not in {DATA}; set STERNA_DATA")
    return DATA / name


def loaded(tmp_path: Path, content: str, /, **options: Any) -> Domain:
    path = tmp_path / "patients.csv"
    path.write_text(content, encoding="utf-8")
    return load_table(path, Options(**options))


def rows(domain: Domain) -> pd.DataFrame:
    assert isinstance(domain.inputs, TableInputs)
    return domain.inputs.frame


# Labels


@pytest.mark.parametrize("name", ["label", "target", "class", "y", "Label"])
def test_the_label_is_found_by_its_name(tmp_path: Path, name: str) -> None:
    domain = loaded(tmp_path, f"age,{name}\n1,a\n2,b\n3,\n")
    assert domain.labels is not None
    assert domain.labels.tolist() == ["a", "b", None]
    assert rows(domain).columns.tolist() == ["age"]
    assert "1 of 3 rows have no label" in domain.notes


def test_a_label_that_is_not_there_is_refused_with_the_columns(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match=r"patients\.csv: say which column.*'age', 'ill'"):
        loaded(tmp_path, "age,ill\n1,0\n2,1\n")
    with pytest.raises(RequestError, match="'label' and 'y' could all"):
        loaded(tmp_path, "label,y\n1,0\n2,1\n")
    with pytest.raises(
        RequestError, match=r"label='ilness': patients\.csv has no such column\. Did you mean 'illness'"
    ):
        loaded(tmp_path, "age,illness\n1,0\n2,1\n", label="ilness")


def test_a_constant_label_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match=r"'ill' of patients\.csv holds nothing but 1, in 2 of 3 rows"):
        loaded(tmp_path, "age,ill\n1,1\n2,1.0\n3,\n", label="ill")
    with pytest.raises(RequestError, match="nothing but 'yes'"):
        loaded(tmp_path, "age,ill\n1,yes\n2, yes \n", label="ill")


def test_without_any_label_all_rows_are_unlabelled(tmp_path: Path) -> None:
    domain = loaded(tmp_path, "age,ill\n1,\n2,\n", label="ill")
    assert domain.labels is None
    assert any("no row has a label" in note for note in domain.notes)


def test_numbers_are_numbers_unless_classes_are_asked_for(tmp_path: Path) -> None:
    text = "age,ill\n1,0\n2,1.0\n3,\n"
    numbers = loaded(tmp_path, text, label="ill").labels
    assert numbers is not None and numbers.dtype == np.float64
    np.testing.assert_array_equal(numbers, [0.0, 1.0, np.nan])
    classes = loaded(tmp_path, text, label="ill", task="classification").labels
    assert classes is not None and classes.tolist() == ["0", "1", None]
    codes = loaded(tmp_path, "age,code\n1,007\n2,010\n", label="code").labels
    assert codes is not None and codes.tolist() == ["007", "010"]


@pytest.mark.parametrize("word", ["nan", "inf", "-inf", "NaN", "Infinity"])
def test_a_target_that_is_no_finite_number_is_refused(tmp_path: Path, word: str) -> None:
    with pytest.raises(
        RequestError, match=rf"'price' of patients\.csv holds '{word}' \(row 1\); a target must be a finite"
    ):
        loaded(tmp_path, f"age,price\n1,2.5\n2,{word}\n3,4\n", label="price", task="regression")
    with pytest.raises(RequestError, match=r"holds inf \(row 1\)"):
        table_domain(pd.DataFrame({"x": [1, 2], "y": [1.0, np.inf]}), Options(label="y"))


def test_words_are_no_regression_targets(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match=r"holds 'cheap' \(row 1\), but regression needs numbers"):
        loaded(tmp_path, "age,price\n1,2.5\n2,cheap\n", label="price", task="regression")


def test_a_class_called_na_is_kept_and_said(tmp_path: Path) -> None:
    domain = loaded(tmp_path, "age,label\n1,NA\n2,EU\n3,\n")
    assert domain.labels is not None and domain.labels.tolist() == ["NA", "EU", None]
    assert any("'NA'" in note for note in domain.notes)


def test_several_labels_in_columns(tmp_path: Path) -> None:
    domain = loaded(tmp_path, "x,wet,cold\n1,0,1\n2,1,\n3,,\n", label="wet,cold")
    np.testing.assert_array_equal(domain.labels, [[0, 1], [1, np.nan], [np.nan, np.nan]])
    assert domain.classes == ("wet", "cold")
    assert rows(domain).columns.tolist() == ["x"]
    with pytest.raises(RequestError, match=r"'cold' of patients\.csv holds '2' \(row 1\)"):
        loaded(tmp_path, "x,wet,cold\n1,0,1\n2,1,2\n", label="wet,cold")
    with pytest.raises(RequestError, match="Did you mean 'cold'"):
        loaded(tmp_path, "x,wet,cold\n1,0,1\n2,1,1\n", label="wet,colt")


def test_several_labels_in_one_column(tmp_path: Path) -> None:
    domain = loaded(tmp_path, "x,label\n1,wet|cold\n2,\n3,|\n4,cold\n", task="multilabel")
    assert domain.classes == ("cold", "wet")
    np.testing.assert_array_equal(domain.labels, [[1, 1], [np.nan, np.nan], [0, 0], [1, 0]])


# Splits, groups, domains


def test_given_splits_are_used_and_said(tmp_path: Path) -> None:
    text = "x,y,split\n1,a,train\n2,b,Train\n3,a,valid\n4,b,TEST\n5,a,train_extra\n"
    domain = loaded(tmp_path, text)
    assert {s: r.tolist() for s, r in domain.splits.items()} == {"train": [0, 1, 4], "validation": [2], "test": [3]}
    assert rows(domain).columns.tolist() == ["x"]
    assert "'train_extra' (1 rows) as train" in domain.notes[0]


def test_rows_of_other_splits_are_left_out_and_keep_their_numbers(tmp_path: Path) -> None:
    domain = loaded(tmp_path, "x,y,set\n1,a,heldout\n2,b,train\n3,a,dev\n4,b,\n5,a,trainer\n")
    assert {s: r.tolist() for s, r in domain.splits.items()} == {"train": [0], "validation": [1]}
    assert domain.inputs.names() == ["1", "2"]
    assert any("1 rows of 'heldout', 1 rows of 'trainer', 1 rows without a name" in note for note in domain.notes)


@pytest.mark.parametrize("values", ["0,1,2", "a,b,a", "train,train,train"])
def test_a_column_without_split_names_is_an_ordinary_one(tmp_path: Path, values: str) -> None:
    text = "x,y,fold\n" + "".join(f"{i},{'ab'[i % 2]},{v}\n" for i, v in enumerate(values.split(",")))
    domain = loaded(tmp_path, text)
    assert domain.splits == {}
    assert "fold" in rows(domain).columns
    assert any("ordinary column" in note for note in domain.notes)


def test_a_dropped_split_column_is_not_used(tmp_path: Path) -> None:
    domain = loaded(tmp_path, "x,y,split\n1,a,train\n2,b,test\n", drop=["split"])
    assert domain.splits == {}
    assert rows(domain).columns.tolist() == ["x"]


def test_groups_leave_the_inputs(tmp_path: Path) -> None:
    domain = loaded(tmp_path, "x,y,patient\n1,a,7\n2,b,7.0\n3,a,\n4,b,\n", group="patient")
    assert domain.groups is not None
    assert domain.groups.tolist() == ["7", "7", None, None]
    assert rows(domain).columns.tolist() == ["x"]


def test_one_domain_of_several(tmp_path: Path) -> None:
    text = "hospital,x,y\nbern,1,a\ngenf,2,b\nbern,3,b\n"
    domain = loaded(tmp_path, text, domain_column="hospital", domain="bern")
    assert rows(domain)["x"].tolist() == [1.0, 3.0]
    assert "bern" in domain.name
    assert rows(domain).columns.tolist() == ["x"]
    with pytest.raises(RequestError, match=r"domain='gent': no row .*Did you mean 'genf'.*'bern', 'genf'"):
        loaded(tmp_path, text, domain_column="hospital", domain="gent")
    with pytest.raises(RequestError, match="needs domain=VALUE"):
        loaded(tmp_path, text, domain_column="hospital")
    with pytest.raises(RequestError, match="without domain_column"):
        loaded(tmp_path, text, domain="bern")
    numbered = loaded(tmp_path, "batch,x,y\n1,1,a\n1.0,2,b\n2,3,a\n", domain_column="batch", domain="1")
    assert len(numbered) == 2


# Columns


def test_columns_are_dropped_and_named_when_missing(tmp_path: Path) -> None:
    text = "age,num,y\n1,0,a\n2,1,b\n"
    assert rows(loaded(tmp_path, text, drop=["num"])).columns.tolist() == ["age"]
    with pytest.raises(RequestError, match=r"drop='nun'.*Did you mean 'num'"):
        loaded(tmp_path, text, drop=["nun"])
    with pytest.raises(RequestError, match="no input column left"):
        loaded(tmp_path, text, drop=["num", "age"])


def test_a_frame_with_two_columns_of_one_name_is_refused() -> None:
    with pytest.raises(RequestError, match="more than one column named '1'"):
        table_domain(pd.DataFrame([[1, 2]], columns=[1, "1"]), Options())


def test_numbered_columns_and_doubled_row_names_are_no_trouble() -> None:
    frame = pd.DataFrame(np.arange(6.0).reshape(3, 2), index=["a", "a", "b"])
    inputs, _ = table_inputs(frame)
    assert isinstance(inputs, TableInputs)
    assert inputs.schema.names == ["0", "1"]
    assert inputs.names() == ["a", "a", "b"]
    assert inputs[2] == {"0": 4.0, "1": 5.0}
    np.testing.assert_array_equal(inputs.frame.to_numpy(), frame.to_numpy())


def test_cells_of_a_row() -> None:
    frame = pd.DataFrame({"n": [1.5, None], "w": ["a", None], "d": pd.to_datetime(["2024-01-31", None])})
    inputs, _ = table_inputs(frame)
    assert inputs[0] == {"n": 1.5, "w": "a", "d": pd.Timestamp("2024-01-31")}
    assert inputs[1] == {"n": None, "w": None, "d": None}


def test_rules_are_drawn_on_numbers_and_categories_and_speak_of_all_columns() -> None:
    frame = pd.DataFrame(
        {
            "age": np.arange(40.0),
            "sex": ["f", "m"] * 20,
            "day": pd.date_range("2024-01-01", periods=40),
            "id": [f"patient-{i}" for i in range(40)],
        }
    )
    inputs = table_domain(frame, Options()).inputs
    found = inputs.in_columns()
    assert found is not None
    assert list(found.frame.columns) == ["age", "sex", "day", "id"] and found.owner == "the table"
    assert found.asked == {"age": "number", "sex": "category"}


# Texts


def test_a_text_column_makes_a_text_domain(tmp_path: Path) -> None:
    text = 'title,body,y,stars\nA,good,1,5\n,bad,0,1\n" ",,1,3\n'
    domain = loaded(tmp_path, text, text="title,body")
    assert isinstance(domain.inputs, TextInputs)
    assert domain.inputs.texts == ("A\ngood", "bad", "")
    assert any("not used beside the text: 'stars'" in note for note in domain.notes)
    assert "1 texts are empty" in domain.notes
    single = loaded(tmp_path, text, text="body", drop=["stars"]).inputs
    assert isinstance(single, TextInputs) and single.texts == ("good", "bad", "")
    with pytest.raises(RequestError, match="text='bdy'.*Did you mean 'body'"):
        loaded(tmp_path, text, text="bdy")


def test_words_that_mean_missing_in_a_table_are_texts_here(tmp_path: Path) -> None:
    domain = loaded(tmp_path, "text,label\nNone,a\n007,b\nNA,a\n1.0,b\n", text="text")
    assert isinstance(domain.inputs, TextInputs)
    assert domain.inputs.texts == ("None", "007", "NA", "1.0")


def test_inputs_for_predictions_need_no_label(tmp_path: Path) -> None:
    (tmp_path / "new.csv").write_text("age,town\n1,Bern\n")
    inputs, _ = load_inputs(tmp_path / "new.csv", {})
    assert inputs[0] == {"age": 1.0, "town": "Bern"}
    (tmp_path / "new.jsonl").write_text('{"review": "fine"}\n')
    texts, _ = load_inputs(tmp_path / "new.jsonl", {"text": "review"})
    assert texts[0] == "fine"


# Inputs


def test_what_is_not_taken_is_gone() -> None:
    frame = pd.DataFrame({"w": ["open", "secret", "open"], "n": [1.0, 4242.0, 3.0]})
    inputs, _ = table_inputs(frame)
    part = inputs.take(np.array([2, 0]))
    assert part.names() == ["2", "0"]
    assert part[0] == {"w": "open", "n": 3.0}
    assert isinstance(part, TableInputs)
    copy = pickle.loads(pickle.dumps(part))
    assert copy.fingerprint() == part.fingerprint()
    pd.testing.assert_frame_equal(copy.frame, part.frame)
    assert b"secret" not in pickle.dumps(part)
    assert part.schema["n"].summary == "1 to 3"
    assert inputs.take(np.array([], dtype=np.int64)).schema["w"].summary == ""


VALUE = st.none() | st.sampled_from([0.0, -0.0, 1.0, 2.5])
WORD = st.none() | st.sampled_from(["a", "b"])


@given(st.lists(st.tuples(VALUE, VALUE, WORD), min_size=2, max_size=12))
def test_keys_are_equal_exactly_where_rows_are(cells: list[tuple[Any, Any, Any]]) -> None:
    inputs, _ = table_inputs(pd.DataFrame(cells, columns=["p", "q", "w"]))
    keys = inputs.keys()
    assert [[a == b for b in keys] for a in keys] == [[a == b for b in cells] for a in cells]


def test_keys_do_not_depend_on_the_order_of_columns_nor_on_identifiers() -> None:
    frame = pd.DataFrame({"a": [1.0, 2.0] * 15, "b": [2.0, 1.0] * 15, "id": range(30)})
    inputs, _ = table_inputs(frame)
    turned, _ = table_inputs(frame[["b", "id", "a"]])
    assert inputs.keys() == turned.keys()
    assert len(set(inputs.keys())) == 2  # columns are told apart: (1, 2) is not (2, 1)
    other, _ = table_inputs(frame.assign(id=frame["id"] + 1))
    assert inputs.fingerprint() != other.fingerprint()
    assert inputs.fingerprint() != inputs.take(np.arange(29, -1, -1)).fingerprint()
    assert inputs.fingerprint() == inputs.take(np.arange(30)).fingerprint()


# Real data


def test_heart_disease_of_four_hospitals() -> None:
    path = shared("tab_heart_4hospitals.csv.gz")
    raw = pd.read_csv(path)
    sizes = {}
    for hospital in raw["hospital"].unique():
        domain = load_table(path, Options(label="disease", drop=["num"], domain_column="hospital", domain=hospital))
        part = raw[raw["hospital"] == hospital]
        sizes[hospital] = len(domain)
        np.testing.assert_array_equal(domain.labels, part["disease"])
        inputs = part.drop(columns=["hospital", "num", "disease"])
        np.testing.assert_array_equal(rows(domain).to_numpy(np.float64), inputs.to_numpy(np.float64))
        assert domain.inputs.names() == [str(i) for i in part.index]
    assert sizes == {"cleveland": 303, "hungarian": 221, "switzerland": 92, "va_long_beach": 150}


def test_credit_and_bicycles() -> None:
    german = load_table(shared("tab_credit_german.csv.gz"), Options(label="bad_credit"))
    assert isinstance(german.inputs, TableInputs)
    assert [c.kind for c in german.inputs.schema].count("category") == 13
    assert german.labels is not None and german.labels.mean() == 0.3
    taiwan = load_table(
        shared("tab_credit_taiwan.csv.gz"), Options(label="default_next_month", columns={"SEX": "category"})
    )
    assert isinstance(taiwan.inputs, TableInputs)
    assert taiwan.inputs.schema["SEX"].summary == "2: 2, 1"
    assert len(taiwan) == 30_000
    bikes = load_table(
        shared("tab_bike_dc_seoul.csv.gz"),
        Options(label="count", task="regression", domain_column="city", domain="seoul"),
    )
    assert isinstance(bikes.inputs, TableInputs)
    assert bikes.inputs.schema["date"].kind == "date"
    assert bikes.inputs.schema["season"].kind == "category"
    assert len(bikes) == 8465


@pytest.mark.parametrize(
    ("name", "options", "count", "splits"),
    [
        ("text_en_amazon_multidomain", {"text": "title,text", "domain_column": "domain", "domain": "books"}, 2000, {}),
        ("text_en_agnews_subset", {}, 17601, {"train": 10001, "test": 7600}),
        ("text_en_sst2", {}, 61486, {"train": 60614, "validation": 872}),
        ("text_zh_hotel_chnsenticorp", {}, 5863, {}),
        ("text_zh_takeaway_waimai", {}, 8995, {}),
        ("text_zh_shopping10", {"domain_column": "domain", "domain": "fruit", "drop": ["cat_zh"]}, 7425, {}),
    ],
)
def test_reviews_and_news(name: str, options: dict[str, Any], count: int, splits: dict[str, int]) -> None:
    path = shared(f"{name}.csv.gz")
    domain = load_table(path, Options(**options))
    assert domain.kind == "text"
    assert len(domain) == count
    assert {s: len(r) for s, r in domain.splits.items()} == splits
    raw = pd.read_csv(path, keep_default_na=False)
    column = "review" if "review" in raw else "text"
    last = int(domain.inputs.names()[-1])
    assert domain.inputs[count - 1].endswith(raw[column][last])
    assert domain.labels is not None and str(domain.labels[-1]).removesuffix(".0") == str(raw["label"][last])


@pytest.mark.parametrize("others", [[], ["unknown"], ["007"], ["1.25"]])
def test_a_cell_is_the_same_word_whatever_stands_beside_it(others):
    frame = pd.DataFrame({"g": ["1.0", "2", "1", "+2.00", *others]})
    inputs = table_domain(frame.assign(y=range(len(frame))), Options(label="y", columns={"g": "category"})).inputs
    assert inputs.frame["g"].tolist() == ["1", "2", "1", "2", *others]
    assert words(pd.Series([1.0, 2.0])).tolist() == ["1", "2"]  # as a table that was never text has them


def test_words_keep_all_digits_of_whole_numbers_and_leading_zeros():
    long = "12345678901234567891"
    assert words(pd.Series([long, "0", "0.50", "00.5", "1.0 kg", None], dtype="str")).tolist()[:5] == [
        long, "0", "0.5", "00.5", "1.0 kg"
    ]  # fmt: skip


LONG = [2**60 + 1 + i for i in range(30)]


def with_ids(form, missing):
    ids = pd.array([*LONG[:-1], pd.NA if missing else LONG[-1]], dtype="Int64")
    frame = pd.DataFrame({"id": ids, "x": np.arange(30) / 7, "y": ["a", "b"] * 15})
    if form == "objects":
        return frame.assign(id=pd.Series([*LONG[:-1], None if missing else LONG[-1]], dtype=object))
    if form == "decimals":
        return frame.assign(id=[*map(Decimal, LONG[:-1]), None if missing else Decimal(LONG[-1])])
    return frame if missing else frame.astype({"id": "int64"})


@pytest.mark.parametrize("missing", [False, True])
@pytest.mark.parametrize("form", ["csv", "parquet", "jsonl", "frame", "objects", "decimals", "dataset"])
def test_whole_numbers_that_no_float_holds_keep_their_digits(tmp_path, form, missing):
    frame, path = with_ids(form, missing), tmp_path / f"t.{form}"
    if form == "csv":
        frame.to_csv(path, index=False)
    elif form == "parquet":
        frame.to_parquet(path)
    elif form == "jsonl":
        frame.to_json(path, orient="records", lines=True)
    data = path if path.exists() else frame
    if form == "dataset":
        data = pytest.importorskip("datasets").Dataset.from_pandas(frame)
    written = [*map(str, LONG[:-1]), None if missing else str(LONG[-1])]
    domain = load_domain(data, label="y")
    assert domain.inputs.identifiers() == {"id": written} and domain.inputs.kinds == {"x": "number"}
    if form != "dataset":
        assert load_domain(data, label="y", group="id").groups.tolist() == written
        labels = load_domain(data, label="id", task="classification").labels
        assert labels.tolist() == written
    again, _ = frame_inputs(with_ids("frame", missing), "new", domain.reading)
    assert again.identifiers() == {"id": written}


@pytest.mark.parametrize("labels", [np.array(LONG), np.array(LONG, "uint64"), LONG, [*LONG, None], pd.Series(LONG)])
def test_labels_in_memory_keep_their_digits(labels):
    assert as_labels(labels).tolist()[:30] == list(map(str, LONG))
