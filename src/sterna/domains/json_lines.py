"""JSON Lines into columns: one object a line."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from sterna.domains.labels import EXACT
from sterna.domains.table_faults import Opener, bad_bytes
from sterna.errors import RequestError

MOST_CELLS = 20_000_000
SPARSEST = 100
"""Cells, given and missing, that a table always may have; over them one in so many is given, or its keys are no
columns."""


def read_json_lines(path: Path, opener: Opener) -> pd.DataFrame:
    """The columns ``(n, d)`` of a file with one JSON object a line; a key that some lines lack is missing there.

    Raises
    ------
    RequestError
        Naming the first line that is no object, holds half a character, or has one new key too many.
    """
    columns: dict[str, list[Any]] = {}
    rows = given = 0
    with opener(path) as file:
        for number, line in enumerate(file, 1):
            text = line.removeprefix(b"\xef\xbb\xbf") if number == 1 else line
            if not text.strip():
                continue
            found = _object(text, number, path, opener)
            for key, value in found.items():
                column = columns.setdefault(key, [])
                column.extend([None] * (rows - len(column)))
                column.append(value)
            rows, given = rows + 1, given + len(found)
            if rows * len(columns) > max(MOST_CELLS, SPARSEST * given):
                raise RequestError(
                    f"{path.name}, line {number}: so far there are {len(columns):,} different keys, most of them in "
                    "hardly any line; the keys are the columns of a table, so give all lines the same ones."
                )
    if not rows:
        raise RequestError(f"{path.name} is empty: no line holds a JSON object.")
    for column in columns.values():
        column.extend([None] * (rows - len(column)))
    return pd.DataFrame({key: _column(values) for key, values in columns.items()})


def _column(values: list[Any]) -> pd.Series[Any]:
    try:
        # Beside a missing cell pandas would make a float of an id, which has fewer digits.
        long = any(type(value) is int and abs(value) > EXACT for value in values)
        return pd.Series(values, dtype=object if long else None)
    except (OverflowError, ValueError, TypeError):  # numbers too large for any type of numpy, among others
        return pd.Series(values, dtype=object)


def _object(line: bytes, number: int, path: Path, opener: Opener) -> dict[str, Any]:
    where = f"{path.name}, line {number}"
    try:
        value = json.loads(line.decode(), object_pairs_hook=partial(_once, where))
    except UnicodeDecodeError as error:
        raise RequestError(bad_bytes(path, opener)) from error
    except ValueError as error:
        raise RequestError(f"{where}: this is not JSON ({error}); each line should be one object.") from error
    except RecursionError as error:
        raise RequestError(f"{where}: its values lie too deep in each other; each should be plain.") from error
    if not isinstance(value, dict):
        raise RequestError(
            f'{where}: found a {type(value).__name__}, expected one JSON object a line ({{"label": ..., "text": ...}}).'
        )
    if b"\\u" in line:
        _check_characters(value, where)
    return value


def _once(where: str, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """The keys and values of an object; of a key that comes again JSON would keep the last value alone."""
    found = dict(pairs)
    if len(found) < len(pairs):
        twice = next(key for place, (key, _) in enumerate(pairs) if key in dict(pairs[:place]))
        raise RequestError(f"{where} has the key {twice!r} twice; give each key once.")
    return found


def _check_characters(value: dict[str, Any], where: str) -> None:
    """An escape may stand for half of a character, as where a text was cut inside an emoji: no file could hold it."""
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        half = error.object[error.start]
        raise RequestError(f"{where} holds {half!a}, which is half of a character; take it out.") from error
