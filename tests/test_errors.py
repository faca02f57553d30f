"""What an error says: one line that any screen takes, however odd what it quotes."""

from sterna.errors import RequestError, closest, listed, quoted


def test_a_message_is_one_line_of_whole_characters():
    assert str(RequestError("found 'a\nb\tc', and \ud83d, \x1b[31m, 好")) == (
        r"found 'a b c', and \ud83d, \x1b[31m, 好"
    )  # fmt: skip


def test_of_a_message_that_quotes_a_megabyte_both_ends_are_left():
    said = str(RequestError(f"{'9' * 1_000_000!r} is no column; leave it out."))
    assert said.startswith("'999") and said.endswith("999' is no column; leave it out.") and len(said) < 1700


def test_no_name_is_suggested_for_itself():
    assert closest("a.csv", ["a.csv", "b.csv"]) == " Did you mean 'b.csv'?"


def test_names_too_long_to_compare_are_near_to_none():
    assert closest("9" * 50_000, ["9" * 49_999, "age"]) == ""
    assert closest("aeg", ["age", "9" * 50_000]) == " Did you mean 'age'?"


def test_a_list_in_a_sentence_says_how_many_names_it_leaves_out():
    assert listed(["a", "b"]) == "a, b" and listed([]) == ""
    assert listed(map(str, range(1500)), 2) == "0, 1 and 1,498 more"
    assert quoted(["it's", "b", "c"], 1) == '"it\'s" and 2 more'
