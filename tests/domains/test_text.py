"""Texts as inputs."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sterna.domains.text import TextInputs
from sterna.errors import RequestError


def test_rows_keep_their_order_and_their_names() -> None:
    inputs = TextInputs(["a", "b", "c", "d"])
    some = inputs.take(np.array([3, 1])).take(np.array([1]))
    assert [some[0]] == ["b"]
    assert some.names() == ["1"]
    assert inputs.names() == ["0", "1", "2", "3"]
    assert inputs.kind == "text"


def test_what_is_not_taken_is_gone() -> None:
    assert b"secret" not in pickle.dumps(TextInputs(["open", "secret"]).take(np.array([0])))


@given(st.lists(st.text(max_size=6), min_size=1, max_size=12))
def test_keys_are_equal_exactly_where_texts_are(texts: list[str]) -> None:
    keys = TextInputs(texts).keys()
    assert [[a == b for b in keys] for a in keys] == [[a == b for b in texts] for a in texts]


@given(st.lists(st.text(max_size=4), max_size=6), st.lists(st.text(max_size=4), max_size=6))
def test_fingerprints_are_equal_exactly_where_all_texts_are(one: list[str], other: list[str]) -> None:
    assert (TextInputs(one).fingerprint() == TextInputs(other).fingerprint()) == (one == other)


def test_a_worker_gets_the_same() -> None:
    inputs = TextInputs(["上海", "a\ud800b"], ["x", "y"])
    copy = pickle.loads(pickle.dumps(inputs))
    assert copy.texts == inputs.texts
    assert copy.names() == ["x", "y"]
    assert copy.fingerprint() == inputs.fingerprint()


def test_something_else_is_refused() -> None:
    with pytest.raises(RequestError, match=r"row 1 is nan \(float\)"):
        TextInputs(["a", float("nan")])  # type: ignore[list-item]
    with pytest.raises(RequestError, match="1 names for 2 texts"):
        TextInputs(["a", "b"], ["x"])


def test_rules_speak_of_one_column_where_an_empty_text_is_missing() -> None:
    frame, asked, owner = TextInputs(["a tern", "  ", "", "Möwe"]).in_columns()
    assert list(frame.columns) == ["text"] and owner == "a text domain"
    assert frame["text"].fillna("?").tolist() == ["a tern", "?", "?", "Möwe"]
    assert asked == {"text": "text"}
