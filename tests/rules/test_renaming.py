"""Rules on the source's columns as rules on the target's."""

import pytest

from sterna import RequestError
from sterna.rules import column_map, parse_rules, translated
from sterna.rules.renaming import check_names

RULES = parse_rules("IF AGE > 60 THEN 1 (0.8)\nIF PAY_0 > 1 AND AGE > 30 THEN 1 (0.7)\nOTHERWISE 0 (0.6)")


def test_a_map_from_pairs_a_mapping_or_a_file(tmp_path):
    expected = {"AGE": "age", "PAY 0": "pay"}
    assert column_map("AGE=age, PAY 0 = pay") == column_map(expected) == expected
    for name, text in (("m.yaml", "AGE: age\nPAY 0: pay\n"), ("m.json", '{"AGE": "age", "PAY 0": "pay"}')):
        (tmp_path / name).write_text(text)
        assert column_map(str(tmp_path / name)) == expected
    assert column_map(None) == column_map("") == {}


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ("AGE=age,SEX", "has 'SEX'; expected OURS=THEIRS"),
        ("nope.yaml", "no such file"),
        ({"A": "x", "B": "x"}, "maps 'A' and 'B' to 'x'"),
        ("{folder}/list.yaml", "must map names to names"),
        ("{folder}/broken.yaml", "no JSON or YAML"),
    ],
)
def test_what_is_no_map_is_refused(tmp_path, given, sentence):
    (tmp_path / "list.yaml").write_text("- a\n- b\n")
    (tmp_path / "broken.yaml").write_text("{a: [")
    with pytest.raises(RequestError, match=sentence):
        column_map(given.format(folder=tmp_path) if isinstance(given, str) else given)


def test_rules_are_renamed_and_those_without_a_counterpart_dropped_and_counted():
    found = translated(RULES, {"AGE": "age"}, ["age", "housing"])
    assert str(found.rules) == "IF age > 60 THEN 1 (0.8)\nOTHERWISE 0 (0.6)"
    assert found.note() == (
        "1 of 2 rules speak of columns without a counterpart in the target ('PAY_0') and were dropped."
    )
    assert translated(RULES, {}, ["AGE", "PAY_0"]).note() is None
    with pytest.raises(RequestError, match=r"None of the 2 rules .*lacking: 'AGE', 'PAY_0'.*'columns': .*'age'"):
        translated(RULES, {}, ["age"])


def test_a_column_whose_name_the_map_gives_to_another_has_no_counterpart():
    rules = parse_rules("IF income > 5 THEN a (0.9)\nIF salary > 3 THEN b (0.8)")
    found = translated(rules, {"income": "salary"}, ["salary", "age"])
    assert str(found.rules) == "IF salary > 5 THEN a (0.9)"
    assert found.dropped == 1 and found.lacking == ("salary",)
    swapped = translated(rules, {"income": "salary", "salary": "income"}, ["salary", "income"])
    assert str(swapped.rules) == "IF salary > 5 THEN a (0.9)\nIF income > 3 THEN b (0.8)"
    with pytest.raises(
        RequestError, match=r"lacking: 'salary'\); map the names, such as settings={'columns': 'NAME=name'}\.$"
    ):
        translated(parse_rules("IF salary > 3 THEN b (0.8)"), {"income": "salary"}, ["salary", "age"])


def test_a_column_that_is_on_neither_side_is_named_with_those_near_it():
    check_names({"AGE": "age"}, ["AGE", "SEX"], ["age"])
    with pytest.raises(RequestError, match="maps 'AEG', which the source has not. Did you mean 'AGE'"):
        check_names({"AEG": "age"}, ["AGE", "SEX"], ["age"])
    with pytest.raises(RequestError, match="maps 'AGE' to 'agee', which the target has not. Did you mean 'age'"):
        check_names({"AGE": "agee"}, ["AGE", "SEX"], ["age"])
