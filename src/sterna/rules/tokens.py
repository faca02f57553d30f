"""A line of rules, cut into pieces: keywords, words, quoted words and signs."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

KEYWORDS = ("IF", "AND", "THEN", "OTHERWISE", "IS", "NOT", "MISSING", "IN", "CONTAINS")
LONGEST_LINE = 1_000_000
"""Characters of a line that are read: what is longer is no rule that anybody wrote."""

_TOKEN = re.compile(
    r"""(?P<space>[^\S\n]+) | (?P<comment>\#.*) | (?P<quoted>"[^"\\]*(?:\\.[^"\\]*)*") | (?P<sign>>=|<=|!=|[><=(),])
    | (?P<bare>[^\s"(),<>=!\#“”„‟＂＇‘’（），＜＞＝！≥≤≠]+)""",
    re.VERBOSE,
)
NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?")
"""What is read as a number: digits can match in one way only, so that a long word takes no longer than its length."""

_LOOKALIKES = {"“": '"', "”": '"', "„": '"', "‟": '"', "＂": '"', "‘": '"', "’": '"', "＇": '"', "（": "(", "）": ")",
               "，": ",", "＜": "<", "＞": ">", "＝": "=", "！": "!=", "≥": ">=", "≤": "<=", "≠": "!="}  # fmt: skip


@dataclass(frozen=True)
class Token:
    """A piece of a line.

    Attributes
    ----------
    kind
        ``keyword``, ``bare``, ``quoted``, ``sign`` or ``end``.
    text
        A keyword in capitals, the content of a quoted word, else as written.
    column
        Where it begins, from 1.
    """

    kind: str
    text: str
    column: int


class Fault(Exception):
    """What is wrong at a column of a line."""

    def __init__(self, column: int, sentence: str) -> None:
        super().__init__(sentence)
        self.column, self.sentence = column, sentence


def tokens_of(line: str) -> list[Token]:
    """The pieces of a line, and an end; comments and spaces are left out."""
    line = line.removesuffix("\r")
    if len(line) > LONGEST_LINE:
        raise Fault(1, f"the line has {len(line):,} characters, expected at most {LONGEST_LINE:,}")
    found: list[Token] = []
    place = 0
    while place < len(line):
        match = _TOKEN.match(line, place)
        if match is None:
            raise Fault(place + 1, _unexpected(line[place], line[place:]))
        kind, text = str(match.lastgroup), match[0]
        if kind == "quoted":
            text = _unquoted(text, place + 1)
        elif kind == "bare" and text.upper() in KEYWORDS:
            kind, text = "keyword", text.upper()
        if kind not in ("space", "comment"):
            found.append(Token(kind, _encodable(text, place + 1), place + 1))
        place = match.end()
    return [*found, Token("end", "", len(line) + 1)]


def _unexpected(character: str, rest: str) -> str:
    if character in _LOOKALIKES:
        return f"expected {_LOOKALIKES[character]} for {character!r} (write signs and quotes in their ASCII form)"
    if character == '"':
        return f'expected a closing " for {short(rest)}'
    return f"expected a name, a value or a sign, found {character!r}"


def _unquoted(text: str, column: int) -> str:
    try:
        return str(json.loads(text, strict=False))
    except ValueError:
        raise Fault(column, f"expected escapes as in JSON (\\\\ for a backslash) in {short(text)}") from None


def _encodable(text: str, column: int) -> str:
    """Refuse half of a character: no file could hold it, and no screen show it."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise Fault(column, f"expected whole characters, found the half {text[error.start]!a}") from None
    return text


def short(text: str) -> str:
    """The beginning of a text, for an error."""
    return text if len(text) <= 30 else text[:27] + "..."
