"""``sterna shift``, and the function behind it."""

import json

import numpy as np
import pandas as pd
import pytest

from sterna import Domain, RequestError, load_domain
from sterna.selection.shift import common_columns, reading, shift


@pytest.fixture(scope="session")
def more(files):
    """Further tables beside those of `files`."""
    table = pd.read_csv(files / "t.csv")
    (files / "more").mkdir()
    table.assign(a=table["a"] + 4, hospital=["x", "y"] * 40).to_csv(files / "more/drifted.csv", index=False)
    table.rename(columns={"a": "A", "b": "B", "col c": "C", "城市": "D", "y": "E"}).to_csv(
        files / "more/others.csv", index=False
    )
    table.head(1).to_csv(files / "more/one.csv", index=False)
    return files


# -- the command ------------------------------------------------------------------------------------


def test_a_table_is_nearly_the_same_as_itself(sterna, more):
    found = sterna("shift", "t.csv", "t.parquet", "--json")
    record = json.loads(found.out)
    assert found.code == 0 and record["reading"] == "nearly the same" and record["p_value"] > 0.5
    assert record["rows"] == 80 and record["columns"] == ["a", "b", "col c", "城市"] and record["left_out"] == []


def test_a_drifted_column_is_found_and_named_for_people(sterna, more):
    found = sterna("shift", "t.csv", "more/drifted.csv")
    assert "clearly shifted: a linear classifier mistakes" in found.out and "proxy A-distance" in found.out
    assert "compared: a, b, col c, 城市" in found.out
    assert "left out, since only one has them, or they hold another kind or nothing: hospital" in found.out
    assert sterna("shift", "t.csv", "more/drifted.csv", "--quiet").out == ""


def test_the_same_seed_gives_the_same_record_and_another_another(sterna, more):
    words = ("--domain-column", "hospital", "--source-domain", "x", "--target-domain", "y", "--drop", "a", "--json")
    found = [sterna("shift", *["more/drifted.csv"] * 2, *words, "--seed", seed).out for seed in (0, 0, 1)]
    first, again, other = map(json.loads, found)
    assert first == again and first["p_value"] != other["p_value"] and first["mmd2"] == pytest.approx(other["mmd2"])
    assert "a" not in first["columns"]


def test_domains_of_one_file_and_a_file_without_labels(sterna, more):
    file, values = "more/drifted.csv", ("--source-domain", "x", "--target-domain", "y")
    record = json.loads(sterna("shift", file, file, "--domain-column", "hospital", *values, "--json").out)
    assert record["rows"] == 40 and "hospital" not in record["columns"]
    record = json.loads(sterna("shift", "t.csv", "unlabelled.csv", "--label", "y", "--json").out)
    assert record["rows"] == 80 and "y" not in [*record["columns"], *record["left_out"]]


def test_pictures_are_compared_by_pixels(sterna, more):
    record = json.loads(sterna("shift", "pictures.npz", "照片", "--json").out)
    assert record["features"] == "pixels at 32 × 32" and record["rows"] == 24 and record["reading"] == "nearly the same"


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("t.csv", "pictures.npz"), "t.csv holds table, but pictures holds images"),
        (("t.csv", "more/others.csv", "--label", "y"), "have no column in common"),
        (("t.csv", "more/one.csv"), "one.csv has 1 row; a shift is measured on at least 10"),
        (("texts.csv", "texts.csv", "--text", "text"), "Texts are compared by the features of a model"),
        (("t.csv", "nope.csv"), "nope.csv does not exist"),
        (("unlabelled.csv", "nope.csv"), "nope.csv does not exist"),
        (("unlabelled.csv", "pictures.npz"), "holds table, but pictures holds images"),
        (("t.csv", "t.csv", "--label", "yy"), "--label is 'yy', but no table has such a column. Did you mean 'y'"),
        (("t.csv", "t.csv", "--drop", "z"), "--drop is 'z', but no table"),
        (("t.csv", "t.csv", "--domain-column", "a"), "no domain is named; add --source-domain"),
        (("t.csv", "t.csv", "--target-domain", "a"), "without --domain-column"),
        (("t.csv", "t.csv", "--seed", "-1"), "--seed is -1"),
    ],
)
def test_a_wrong_request_gets_one_sentence(sterna, more, words, sentence):
    found = sterna("shift", *words)
    assert found.code == 2 and sentence in found.error and found.error.count("\n") == 1 and found.out == "", found.error


def test_help_fits_eighty_columns(sterna, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    found = sterna("shift", "--help")
    assert found.code == 0 and max(map(len, found.out.splitlines())) <= 80


# -- the function -----------------------------------------------------------------------------------


def test_halves_of_the_digits_are_the_same_and_labels_are_not_looked_at(digits_arrays):
    images, labels = digits_arrays
    order = np.random.default_rng(0).permutation(1000)
    first, second = (Domain.from_arrays(images[rows], [str(v) for v in labels[rows]]) for rows in np.split(order, 2))
    found = shift(first, second, rows=300)
    assert found.reading == "nearly the same" and found.proxy_a_distance < 0.25 and found.p_value > 0.02
    assert shift(Domain.from_arrays(first.inputs), second, rows=300) == found


def test_features_of_a_body_are_compared(source, digits_arrays):
    images = digits_arrays[0]
    first, second = Domain.from_arrays(images[:200]), Domain.from_arrays(255 - images[200:400])
    found = shift(first, second, body=source, device="cpu")
    assert found.features.startswith("24 features of ") and found.reading == "clearly shifted"


def test_mnist_and_mnist_m_are_far_apart(shared_data):
    with np.load(shared_data / "digits_mnist.npz") as grey, np.load(shared_data / "digits_mnistm.npz") as colour:
        first = Domain.from_arrays(grey["test_images"][:300])
        second = Domain.from_arrays(colour["images"][:300])
    found = shift(first, second)
    assert found.reading == "clearly shifted" and found.proxy_a_distance > 1.9 and found.mmd2 > 0.1
    assert found.p_value == pytest.approx(1 / 501)


def test_hospitals_share_columns_but_not_patients(shared_data):
    file = shared_data / "tab_heart_4hospitals.csv.gz"
    options = {"label": "disease", "drop": ["num"], "domain_column": "hospital"}
    domains = [load_domain(file, domain=name, **options) for name in ("cleveland", "va_long_beach")]
    found = shift(*domains)
    assert found.rows == 150 and found.reading == "clearly shifted" and "age" in found.columns


def test_rows_are_drawn_at_random():
    """Of a sorted table the first rows are not like the others."""
    x = np.random.default_rng(0).normal(size=(600, 1))
    shuffled, ordered = (Domain.from_arrays(pd.DataFrame(part, columns=["a"])) for part in (x, np.sort(x, axis=0)))
    assert shift(shuffled, ordered, rows=150).reading == "nearly the same"


def test_a_column_without_a_value_is_named_among_those_left_out():
    frame = pd.DataFrame({"a": np.random.default_rng(0).normal(size=40), "b": np.full(40, np.nan)})
    found = shift(Domain.from_arrays(frame), Domain.from_arrays(frame))
    assert (found.columns, found.left_out) == (("a",), ("b",))


def test_columns_of_another_kind_are_left_out():
    first = Domain.from_arrays(pd.DataFrame({"a": [1.0, 2.0, 3.5], "b": ["u", "v", "u"], "c": [1.5, 2.0, 3.0]}))
    second = Domain.from_arrays(pd.DataFrame({"b": [1.5, 2.0, 3.0], "a": [4.0, 5.0, 6.5], "d": [1.5, 2.0, 3.0]}))
    assert common_columns(first.inputs, second.inputs) == (("a",), ("b", "c", "d"))


def test_readings_follow_from_both_numbers():
    assert reading(0.1, 0.3, 1000) == reading(0.6, 0.3, 20) == "nearly the same"
    assert reading(0.1, 0.01, 1000) == reading(0.6, 0.3, 1000) == reading(1.5, 0.2, 1000) == "somewhat shifted"
    assert reading(1.2, 0.01, 1000) == "clearly shifted"


def test_a_body_for_another_kind_is_refused(source, shared_data):
    table = load_domain(shared_data / "tab_heart_4hospitals.csv.gz", label="disease")
    with pytest.raises(RequestError, match="takes images"):
        shift(table, table, body=source)


def test_too_few_permutations_are_refused(digits):
    with pytest.raises(RequestError, match="permutations 20; expected at least"):
        shift(digits(50), digits(50), permutations=20)


# -- rows of groups -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def wards(tmp_path_factory):
    """Two tables of 12 patients with 5 rows each, of one population."""
    random, folder = np.random.default_rng(0), tmp_path_factory.mktemp("wards")
    for name in ("one", "two"):
        of = np.repeat(np.arange(12), 5)
        x = random.normal(size=(12, 3))[of] + 0.3 * random.normal(size=(60, 3))
        pd.DataFrame(x, columns=list("abc")).assign(patient=[f"{name}{i}" for i in of]).to_csv(
            folder / f"{name}.csv", index=False
        )
    return folder


def test_whole_groups_are_exchanged(sterna, wards):
    pair = (str(wards / "one.csv"), str(wards / "two.csv"))
    rows = json.loads(sterna("shift", *pair, "--drop", "patient", "--json").out)
    whole = json.loads(sterna("shift", *pair, "--group", "patient", "--json").out)
    assert rows["groups"] is None and whole["groups"] == [12, 12] and whole["columns"] == ["a", "b", "c"]
    assert rows["p_value"] <= 0.05 < whole["p_value"] and whole["reading"] == "nearly the same"
    assert "groups: 12 and 12" in sterna("shift", *pair, "--group", "patient").out


def test_few_groups_are_said_and_one_is_refused(wards):
    one, two = (load_domain(wards / f"{name}.csv", label="a", group="patient") for name in ("one", "two"))
    few = shift(one.take(np.arange(15)), two.take(np.arange(15)))
    assert few.groups == (3, 3) and few.p_value > 0.09
    assert few.sentence().endswith("with 3 and 3 groups, p cannot fall below 0.1, whatever the shift")
    assert "groups" not in shift(one.take(np.arange(20)), two.take(np.arange(15))).sentence()
    with pytest.raises(RequestError, match=r"The rows of two.* are all of one group, so chance cannot be told"):
        shift(one, two.take(np.arange(5)).take(np.tile(np.arange(5), 3)))
