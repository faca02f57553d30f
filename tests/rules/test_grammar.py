"""Rules as text: what reads back as the same, and where a fault is."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sterna import RequestError
from sterna.rules import Condition, Rule, RuleSet, format_rules, parse_rules, read_rules
from sterna.rules.ruleset import EQUALITIES, ORDERS

TEXTS = st.one_of(
    st.text(min_size=1, max_size=12),
    st.sampled_from(
        ["if", "And", "chest pain", "5", "1e3", "a\nb", 'say "x"', "back\\slash", "年龄（岁）", "#1", "x=1", "ıf"]
    ),
)
NUMBERS = st.floats(allow_nan=False, allow_infinity=False)
VALUES = st.one_of(NUMBERS, TEXTS)
CONDITIONS = st.one_of(
    st.builds(Condition, TEXTS, st.sampled_from(ORDERS), st.tuples(NUMBERS)),
    st.builds(Condition, TEXTS, st.sampled_from(EQUALITIES), st.tuples(VALUES)),
    st.builds(Condition, TEXTS, st.just("IN"), st.lists(VALUES, min_size=1, max_size=4).map(tuple)),
    st.builds(Condition, TEXTS, st.sampled_from(["IS MISSING", "IS NOT MISSING"])),
    st.builds(Condition, TEXTS, st.sampled_from(["CONTAINS", "NOT CONTAINS"]), st.tuples(TEXTS)),
)
SURE = st.floats(min_value=0, max_value=1, exclude_min=True)
RULES = st.builds(Rule, st.lists(CONDITIONS, min_size=1, max_size=4).map(tuple), TEXTS, SURE)
OTHERWISE = st.builds(Rule, st.just(()), TEXTS, SURE)
SETS = st.builds(RuleSet, st.lists(RULES, min_size=1, max_size=5).map(tuple), st.none() | OTHERWISE)


@settings(max_examples=100, deadline=None)
@given(SETS)
def test_what_is_written_reads_back_as_the_same(rules):
    text = format_rules(rules)
    assert parse_rules(text) == rules
    assert format_rules(parse_rules(text)) == text


def test_a_file_as_a_person_writes_it(tmp_path):
    path = tmp_path / "heart.txt"
    path.write_bytes(
        "\ufeff# by Dr Ōta\r\n\r\nif age>=60 and thal is missing then 1 (0.82)  # old\r\n"
        'IF "chest pain" IN (typical, "4", 4) AND sex != "m" THEN "not ill" (1)\r\n'
        'If text contains "难吃" AND text not contains 好吃 THEN 0 (.95)\r\n'
        "IF oldpeak < -1.5e0 AND ca IS NOT MISSING THEN 1 (0.5)\r\nOtherwise 0 (0.6)".encode()
    )
    found = read_rules(path)
    assert found.rules[0] == Rule((Condition("age", ">=", (60,)), Condition("thal", "IS MISSING")), "1", 0.82)
    assert found.rules[1].conditions[0].values == ("typical", "4", 4.0)
    assert found.rules[1].answer == "not ill" and found.rules[1].line == 4
    assert [c.operator for c in found.rules[2].conditions] == ["CONTAINS", "NOT CONTAINS"]
    assert found.otherwise == Rule((), "0", 0.6)
    assert found.columns == ("age", "thal", "chest pain", "sex", "text", "oldpeak", "ca")
    assert found.answers == ("1", "not ill", "0")
    assert format_rules(found).splitlines()[1] == (
        'IF "chest pain" IN (typical, "4", 4) AND sex != m THEN "not ill" (1)'
    )


@pytest.mark.parametrize(
    ("line", "column", "expected"),
    [
        ("age >= 60 THEN 1 (0.8)", 1, "expected IF or OTHERWISE, found 'age'"),
        ("IF THEN 1 (0.8)", 4, "expected the name of a column (a keyword is quoted where it is a name), found 'THEN'"),
        ("IF age 60 THEN 1 (0.8)", 8, "expected one of >= > <= < = != IN IS CONTAINS NOT, found '60'"),
        ("IF age >= old THEN 1 (0.8)", 11, "expected a number, found 'old'"),
        ("IF age >= 1e999 THEN 1 (0.8)", 11, "expected a number, found '1e999'"),
        ("IF age >= THEN 1 (0.8)", 11, "expected a number, found 'THEN'"),
        ("IF age = > 4 THEN 1 (0.8)", 10, "expected a number or a word, found '>'"),
        ("IF age IS 60 THEN 1 (0.8)", 11, "expected MISSING or NOT MISSING, found '60'"),
        ("IF age IS NOT 60 THEN 1 (0.8)", 15, "expected MISSING, found '60'"),
        ("IF age NOT IN (1) THEN 1 (0.8)", 12, "expected CONTAINS, found 'IN'"),
        ("IF c IN a THEN 1 (0.8)", 9, "expected ( and the values, found 'a'"),
        ("IF c IN (a b) THEN 1 (0.8)", 12, "expected , or ), found 'b'"),
        ("IF c IN () THEN 1 (0.8)", 10, "expected a number or a word, found ')'"),
        ("IF c CONTAINS THEN 1 (0.8)", 15, "expected the text to look for"),
        ('IF c CONTAINS "" THEN 1 (0.8)', 15, "expected the text to look for, found ''"),
        ('IF c CONTAINS "bad THEN 1 (0.8)', 15, 'expected a closing " for "bad THEN 1 (0.8)'),
        ('IF c = "\\q" THEN 1 (0.8)', 8, "expected escapes as in JSON"),
        ('IF c = "\\ud800" THEN 1 (0.8)', 8, "expected whole characters, found the half '\\ud800'"),
        ("IF c = \ud800 THEN 1 (0.8)", 8, "expected whole characters, found the half '\\ud800'"),
        ("IF c CONTAINS “bad” THEN 1 (0.8)", 15, "expected \" for '“'"),
        ("IF age ≥ 60 THEN 1 (0.8)", 8, "expected >= for '≥'"),
        ("IF age > 60 THEN 1 （0.8）", 20, "expected ( for '（'"),
        ("IF age > 60 ; b = 1 THEN 1 (0.8)", 13, "expected AND or THEN, found ';'"),
        ("IF age > 60! THEN 1 (0.8)", 12, "expected a name, a value or a sign, found '!'"),
        ("IF age > 60 OR b = 1 THEN 1 (0.8)", 13, "expected AND or THEN, found 'OR'"),
        ("IF age > 60", 12, "expected AND or THEN, found the end of the line"),
        ("IF age > 60 THEN", 17, "expected a class or a number to predict, found the end of the line"),
        ("IF age > 60 THEN 1", 19, "expected the confidence in brackets, such as (0.8), found the end of the line"),
        ("IF age > 60 THEN 1 (80%)", 21, "expected a confidence above 0, at most 1, found '80%'"),
        ("IF age > 60 THEN 1 (0)", 21, "expected a confidence above 0, at most 1, found '0'"),
        ("IF age > 60 THEN 1 (1.2)", 21, "expected a confidence above 0, at most 1, found '1.2'"),
        ("IF age > 60 THEN 1 (0.8", 24, "expected ), found the end of the line"),
        ("IF age > 60 THEN 1 (0.8) (0.9)", 26, "expected the end of the line, found '('"),
        ("OTHERWISE (0.8)", 11, "expected a class or a number to predict, found '('"),
    ],
)
def test_a_fault_is_named_with_line_column_and_what_was_expected(line, column, expected):
    with pytest.raises(RequestError) as raised:
        parse_rules(f"# a comment\n\n{line}\n", "x.txt")
    sentence = str(raised.value)
    assert sentence.startswith(f"x.txt, line 3, column {column}: ")
    assert expected in sentence and "\n" not in sentence and sentence.endswith(".")


def test_nothing_follows_otherwise_and_other_wrong_lines_are_counted():
    with pytest.raises(RequestError, match=r"line 2, column 1: expected nothing after OTHERWISE \(line 1\); 1 more"):
        parse_rules("OTHERWISE 1 (0.5)\nIF a = 1 THEN 1 (0.5)\nIF\n")
    for empty in ("", "# nothing\n\n"):
        with pytest.raises(RequestError, match="there is no rule; expected lines such as"):
            parse_rules(empty)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"IF a = 1 THEN 1 (0.5)\n\xff\xfe\x80", "is not UTF-8 text (line 2)"),
        (b"\x00\x01\x02PK", "zero bytes"),
        (b"IF a = 1 THEN 1 (0.5)\n" + b"IF " + b"a" * 3_000_000, "line 2, column 1: the line has 3,000,003 characters"),
        (b"x" * 11_000_000, "has more than 10,000,000 bytes"),
        (b'IF "' * 4_000, "line 1, column"),
    ],
)
def test_a_hostile_file_is_refused_in_one_sentence(tmp_path, content, sentence):
    path = tmp_path / "rules.txt"
    path.write_bytes(content)
    with pytest.raises(RequestError) as raised:
        read_rules(path)
    assert sentence in str(raised.value) and len(str(raised.value)) < 300 and "\n" not in str(raised.value)


def test_a_file_that_is_not_there_is_near_one_that_is(tmp_path):
    (tmp_path / "rules.txt").write_text("OTHERWISE 1 (1)")
    with pytest.raises(RequestError, match="Did you mean 'rules.txt'"):
        read_rules(tmp_path / "rule.txt")
    with pytest.raises(RequestError, match="is a folder"):
        read_rules(tmp_path)


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: Condition("a", "~", (1,)), "operator '~'"),
        (lambda: Condition("", "=", (1,)), "empty column"),
        (lambda: Condition("a", ">", ("x",)), "expected one number"),
        (lambda: Condition("a", "IN", ()), "expected one or more numbers or words"),
        (lambda: Condition("a", "IS MISSING", (1,)), "expected none"),
        (lambda: Condition("a", "CONTAINS", ("",)), "text that is not empty"),
        (lambda: Condition("a", "=", (float("nan"),)), "finite"),
        (lambda: Rule((), "x", 0), "confidence 0"),
        (lambda: Rule((), "", 0.5), "empty prediction"),
        (lambda: RuleSet(()), "no rule"),
        (lambda: RuleSet((Rule((), "x", 0.5),)), "no condition"),
    ],
)
def test_what_is_no_rule_cannot_be_made(make, sentence):
    with pytest.raises(RequestError, match=sentence):
        make()
