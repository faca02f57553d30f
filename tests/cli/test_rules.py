"""``sterna rules`` as people type it."""

import json

import numpy as np
import pandas as pd
import pytest

from sterna import Domain, transfer

GOOD = "# by hand\nIF a > 0 THEN yes (0.9)\nIF a <= 0 AND 城市 = 北京 THEN no (0.8)\nIF b > 99 THEN no (0.7)\n"


@pytest.fixture
def written(tmp_path):
    path = tmp_path / "规则.txt"
    path.write_text(GOOD, encoding="utf-8")
    return path


@pytest.mark.parametrize("command", [(), ("extract",), ("show",), ("check",), ("apply",)])
def test_help_fits_eighty_columns(sterna, monkeypatch, command):
    monkeypatch.setenv("COLUMNS", "80")
    found = sterna("rules", *command, "--help")
    assert found.code == 0 and max(map(len, found.out.splitlines())) <= 80


def test_rules_from_labelled_data_are_written_read_and_checked(sterna, tmp_path):
    out = tmp_path / "rules.txt"
    made = json.loads(sterna("rules", "extract", "t.csv", "--label", "y", "--out", out, "--depth", 2, "--json").out)
    assert made["held_out"] == 16 and 0 <= made["fidelity"] <= 1
    text = out.read_text(encoding="utf-8")
    assert text.startswith("# ") and "held-out rows" in text.splitlines()[0]
    written, _, origin = text.partition("\n\n")
    assert written.splitlines()[1:] == made["rules"] and all(line.startswith("#") for line in origin.splitlines())
    shown = json.loads(sterna("rules", "show", out, "--json").out)
    assert [rule["rule"] for rule in shown["rules"]] + [shown["otherwise"]] == made["rules"]
    checked = json.loads(sterna("rules", "check", out, "t.csv", "--label", "y", "--json").out)
    assert checked["value"] > 0.85 and checked["rows"] == 80


def test_rules_from_a_run_stand_for_its_model(sterna, runs):
    found = sterna("rules", "extract", runs / "table", "t.csv", "--label", "y")
    assert found.code == 0 and "predicted by the run table" in found.out and "IF " in found.out
    assert sterna("rules", "extract", runs / "table").error.count("name rows for its model to predict") == 1


def test_rules_from_a_run_need_no_label(sterna, runs, tmp_path, files):
    found = sterna("rules", "extract", runs / "table", "unlabelled.csv")
    labelled = sterna("rules", "extract", runs / "table", "t.csv")
    assert found.code == 0 and found.out.splitlines()[1:] == labelled.out.splitlines()[1:]
    texts = tmp_path / "texts.csv"
    pd.read_csv(files / "texts.csv").drop(columns="label").to_csv(texts, index=False)
    assert "CONTAINS" in sterna("rules", "extract", runs / "text", texts).out
    two = tmp_path / "two.csv"
    pd.read_csv(files / "t.csv").assign(site=["s", "t"] * 40).to_csv(two, index=False)
    of_one = sterna("rules", "extract", runs / "table", two, "--domain-column", "site", "--target-domain", "s").out
    assert "extracted from 32 rows of two.csv (s), predicted by the run table" in of_one and "site" not in of_one


def test_the_labels_of_a_test_split_make_no_rule(sterna, tmp_path):
    random = np.random.default_rng(0)
    rows = pd.DataFrame({"a": random.normal(size=100), "b": random.normal(size=100), "split": ["train", "test"] * 50})
    rules = []
    for flip in (False, True):
        known = (rows["a"] > 0) ^ (flip & (rows["split"] == "test"))
        rows.assign(y=np.where(known, "yes", "no")).to_csv(tmp_path / "t.csv", index=False)
        rules.append(sterna("rules", "extract", tmp_path / "t.csv").out)
    assert rules[0] == rules[1] and "extracted from 40 rows of t.csv without its test split" in rules[0]


def test_check_measures_each_rule_and_all_together(sterna, written):
    found = json.loads(sterna("rules", "check", written, "t.csv", "--label", "y", "--json").out)
    first, second, third = found["rules"]
    assert first["precision"] == 1.0 and first["low"] < 1 == first["high"] and first["line"] == 2
    assert second["precision"] == 1.0 and 0 < second["rows"] < 60
    assert third["rows"] == 0 and third["precision"] is None
    assert found["abstained"] == pytest.approx(1 - (first["rows"] + second["rows"]) / 80)
    assert found["accuracy"] == 1.0
    words = sterna("rules", "check", written, "t.csv", "--label", "y").out
    assert "never fire: 3" in words and "right where a rule fires: 1.000" in words and "no rule fires on" in words
    assert sterna("rules", "check", written, "t.csv", "--label", "y", "--quiet").out == ""


def test_show_needs_no_data(sterna, written):
    found = sterna("rules", "show", written)
    assert found.code == 0 and "a <= 0 AND 城市 = 北京" in found.out and "precision" not in found.out
    assert "precision" in sterna("rules", "show", written, "t.csv", "--label", "y").out


def test_apply_answers_rows_and_names_the_rules(sterna, written, tmp_path):
    rows = json.loads(sterna("rules", "apply", written, "unlabelled.csv", "--json").out)
    assert len(rows) == 80 and {"name", "answer", "probability", "rules"} == set(rows[0])
    fired = {row["rules"]: (row["answer"], row["probability"]) for row in rows}
    assert fired["1"] == ("yes", 0.9) and fired["2"] == ("no", 0.8) and fired[""] == (None, None)
    out = tmp_path / "answers.csv"
    said = sterna("rules", "apply", written, "t.csv", "--out", out)
    assert f"80 predictions in {out}" in said.out and out.read_text().splitlines()[0] == "name,answer,probability,rules"


def test_apply_invents_no_class_and_answers_as_rule_head_where_it_is_told_the_classes(sterna, tmp_path, files):
    file, rows = tmp_path / "rules.txt", pd.read_csv(files / "t.csv")
    file.write_text("IF a > 0 THEN yes (0.4)\nIF b > 0 THEN no (0.4)")
    found = json.loads(sterna("rules", "apply", file, "t.csv", "--classes", "maybe,no,yes", "--json").out)
    domain = sterna_domain(rows, ["maybe", "no", "yes"])
    run = transfer(
        None, domain, method="rule-head", labels=0, control="none", settings={"rules": file.read_text()}, seeds=1
    )
    fired = [i for i, row in enumerate(found) if row["rules"]]
    assert [found[i]["answer"] for i in fired] == run.predict(domain)[fired].tolist()
    np.testing.assert_allclose(
        [found[i]["probability"] for i in fired], run.predict_proba(domain).max(1)[fired], atol=1e-6
    )
    assert {row["answer"] for row in found if row["rules"] == "1"} == {"yes"}
    two = json.loads(sterna("rules", "apply", file, "t.csv", "--json").out)
    assert {row["answer"] for row in two if row["rules"] == "1"} == {"no"}
    file.write_text("IF a > 0 THEN yes (0.4)\nIF b > 0 THEN yes (0.5)")
    alone = json.loads(sterna("rules", "apply", file, "t.csv", "--json").out)
    answers = {row["rules"]: (row["answer"], row["probability"]) for row in alone}
    assert answers == {"1": (None, None), "1 2": (None, None), "2": ("yes", 0.5), "": (None, None)}


def sterna_domain(rows, classes):
    labels = np.array(classes, dtype=object)[np.arange(len(rows)) % len(classes)]
    return Domain.from_arrays(rows.drop(columns="y"), labels)


def test_check_names_rules_below_even_odds_and_show_does_not(sterna, tmp_path):
    file = tmp_path / "rules.txt"
    file.write_text("IF a > 0 THEN yes (0.9)\nIF a <= 0 THEN no (0.3)\nOTHERWISE no (0.4)")
    words = "below even odds, so they speak against their own prediction: 2, otherwise\n"
    assert words in sterna("rules", "check", file, "t.csv", "--label", "y").out
    assert "even odds" not in sterna("rules", "show", file, "t.csv", "--label", "y").out
    found = json.loads(sterna("rules", "check", file, "t.csv", "--label", "y", "--json").out)
    assert found["against"] == ["2", "otherwise"]


def test_an_answer_with_a_keyword_in_it_is_shown_beside_its_conditions(sterna, tmp_path, monkeypatch):
    monkeypatch.setenv("COLUMNS", "120")
    file = tmp_path / "rules.txt"
    file.write_text('IF a > 0 THEN "x THEN [b]y[/b]" (0.4)')
    assert sterna("rules", "show", file).out.splitlines()[1].split("  ")[1:3] == ["a > 0", "x THEN [b]y[/b]"]


def test_apply_answers_texts_and_numbers(sterna, tmp_path):
    words, numbers = tmp_path / "words.txt", tmp_path / "numbers.txt"
    words.write_text("IF text CONTAINS good THEN p (0.9)\nOTHERWISE n (0.6)")
    rows = json.loads(sterna("rules", "apply", words, "texts.csv", "--text", "text", "--json").out)
    assert [row["answer"] for row in rows[:2]] == ["n", "p"]
    numbers.write_text("IF a > 0 THEN 12.5 (0.9)")
    rows = json.loads(sterna("rules", "apply", numbers, "prices.csv", "--numbers", "--json").out)
    assert {row["answer"] for row in rows} == {12.5, None}


@pytest.mark.parametrize(
    ("arguments", "content", "sentence"),
    [
        (
            ("check", "{file}", "t.csv", "--label", "y"),
            "IF a >> 0 THEN yes (0.9)",
            "line 1, column 7: expected a number",
        ),
        (
            ("check", "{file}", "t.csv", "--label", "y"),
            "IF 城 = 北京 THEN yes (1)",
            "speak of the column '城', which the table has not (it has 'a', 'b', 'col c', '城市'). Did you mean '城市'",
        ),
        (("check", "{file}", "t.csv", "--label", "y"), "IF a > 0 THEN yess (0.9)", "Did you mean 'yes'"),
        (("check", "{file}", "t.csv", "--label", "z"), GOOD, "--label z"),
        (("check", "{file}", "unlabelled.csv"), GOOD, "label"),
        (("check", "{file}", "nope.csv"), GOOD, "does not exist"),
        (("show", "{file}.bak"), GOOD, "There is no file of rules"),
        (("apply", "{file}", "lacking.csv"), "IF b > 0 THEN x (0.9)", "column 'b', which the table has not"),
        (("apply", "{file}", "nope.csv"), GOOD, "There is no input 'nope.csv'"),
        (("apply", "{file}", "t.csv", "--classes", "no,maybe"), GOOD, "'yes', which is none of the classes no, maybe"),
        (("apply", "{file}", "t.csv", "--classes", "no,yes", "--numbers"), GOOD, "--numbers and --classes were both"),
        (("extract", "t.csv", "t.csv", "--label", "y"), GOOD, "is no run folder"),
        (("extract", "pictures.npz"), GOOD, "Rules speak of table columns and of texts, but came upon images"),
        (("extract", "nope.csv"), GOOD, "nope.csv does not exist"),
        ((), GOOD, "Missing command"),
    ],
)
def test_what_is_wrong_is_one_sentence_and_exit_code_2(sterna, tmp_path, arguments, content, sentence):
    file = tmp_path / "rules.txt"
    file.write_text(content, encoding="utf-8")
    found = sterna("rules", *(word.format(file=file) for word in arguments))
    assert found.code == 2 and sentence in found.error and found.error.count("\n") == 1
