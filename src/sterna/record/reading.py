"""How the files of a run are read: by one reader, which says one sentence where a file is missing or damaged.

A run folder may be old, cut short, changed, or from a stranger. So whatever its files hold ends in an answer or in a
:class:`RequestError` that says which file, what is wrong with it, and what to do.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sterna.errors import RequestError, SternaError

AGAIN = "run the transfer again"
"""The way out where nothing better is known."""

DEEPEST = 60
"""Lists in lists that a JSON file may hold: those of Sterna need a tenth of it, and a parser's stack is short."""

LARGEST = 2**28
"""Bytes of a JSON file: a column of a million names takes a tenth of it."""


@contextmanager
def reading(path: Path, way_out: str = AGAIN) -> Iterator[None]:
    """Say of whatever goes wrong inside that the file is damaged.

    What a file holds goes into libraries that were not made for damaged ones and raise errors of every type, so all are
    caught; ``--debug`` shows the one behind.
    """
    try:
        yield
    except SternaError:
        raise
    except Exception as error:
        if not path.exists():
            raise RequestError(f"{str(path)!r} is missing, so the folder is not whole: {way_out}.") from error
        raise damaged(path, in_words(error), way_out) from error


def damaged(path: Path, why: str, way_out: str = AGAIN) -> RequestError:
    """What is said of a file that is not as it was written."""
    return RequestError(f"{str(path)!r} is damaged ({why}); {way_out}.")


def in_words(error: Exception, most: int = 160) -> str:
    """What an error says, in so many characters of one line."""
    said = " ".join(str(error).split())
    named = said if isinstance(error, OSError | RequestError) else f"{type(error).__name__}: {said}"
    return (named if said else type(error).__name__)[:most].rstrip(" .:")


def check_file(path: Path, way_out: str = AGAIN) -> None:
    """Refuse what is there but is no file: reading a pipe or a device would not end."""
    if path.exists() and not path.is_file():
        raise damaged(path, "it is no file", way_out)


def read_json(path: Path, way_out: str = AGAIN) -> Any:
    """What a JSON file holds.

    Raises
    ------
    RequestError
        If it is missing, is no file, or is damaged: no JSON, too large, or too deep.
    """
    with reading(path, way_out):
        check_file(path, way_out)
        if path.stat().st_size > LARGEST:
            raise damaged(path, f"it has more than {LARGEST // 2**20} MB", way_out)
        text = path.read_text(encoding="utf-8")
        found = json.loads(text)
        if _deeper(found, DEEPEST):
            raise damaged(path, f"it has more than {DEEPEST} levels", way_out)
        if "\\ud" in text.lower():  # half of a pair of surrogates is no letter, and could not be written anywhere
            json.dumps(found, ensure_ascii=False).encode()
        return found


def read_object(path: Path, way_out: str = AGAIN) -> dict[str, Any]:
    """The names and values that a JSON file holds.

    Raises
    ------
    RequestError
        As :func:`read_json`, or if it holds something else.
    """
    found = read_json(path, way_out)
    if not isinstance(found, dict):
        raise damaged(path, f"a JSON object was expected, found {type(found).__name__}", way_out)
    return found


def _deeper(value: Any, levels: int) -> bool:
    """Whether lists and objects lie deeper in each other than so many levels."""
    found = [value]
    for _ in range(levels):
        inner = [each.values() if isinstance(each, dict) else each for each in found if isinstance(each, dict | list)]
        found = [each for some in inner for each in some]
        if not found:
            return False
    return True
