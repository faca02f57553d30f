"""The harness itself: it makes the same inputs each time, and sees what it is there to see."""

import json
import time

import pytest
from harness import BYTES, JSON, TEXT, fault, mutant

from sterna.errors import RequestError

pytest.importorskip("resource")


@pytest.mark.parametrize("mutators", [BYTES, TEXT, JSON])
def test_an_input_is_known_by_its_number(mutators):
    content = json.dumps({"a": [1, 2, {"b": "c"}], "d": None}).encode()
    first, again = ([mutant("x", content, i, mutators) for i in range(200)] for _ in range(2))
    assert first == again and len(set(first)) > 100
    assert first != [mutant("y", content, i, mutators) for i in range(200)]


def test_an_empty_file_can_be_damaged():
    assert all(isinstance(mutant("x", b"", i), bytes) for i in range(50))


def test_one_sentence_is_right():
    def read():
        raise RequestError("This is wrong; do that.")

    assert fault(read) is None and fault(lambda: 1) is None


def test_what_is_wrong_is_seen():
    def says(message):
        error = RequestError()
        error.args = (message,)  # the constructor would have made one line of it
        raise error

    assert fault(lambda: says("two\nlines")).startswith("not one sentence")
    assert fault(lambda: {}["x"]).startswith("KeyError at test_harness.py")
    assert fault(lambda: bytearray(5 * 2**30)).startswith("more than 2 GB")


def test_what_hangs_is_ended(monkeypatch):
    monkeypatch.setattr("harness.SECONDS", 0.2)
    assert fault(lambda: time.sleep(5)).startswith("more than")


def test_faults_are_told_apart_by_place(fuzz):
    def read(content):
        if len(content) < 4:
            raise KeyError("short")
        return content.decode()

    with pytest.raises(AssertionError, match="2 kinds of faults"):
        fuzz("words", b"good words", read)


def test_the_file_is_put_back(fuzz, tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"good words")
    seen = set()
    fuzz.file(path, lambda: seen.add(path.read_bytes()))
    assert path.read_bytes() == b"good words" and len(seen) > 50
