"""Sentences in the words of the terminal: below the command line options are called as in Python."""

from __future__ import annotations

import ast
import re
import shlex
import sys
from collections.abc import Mapping
from typing import Any

from sterna.record.request import options

_OTHERWISE = {"columns": "--column", "domain": "--target-domain"}
"""What an argument of Python is in the terminal, where neither its name nor `Request` says so."""

OF_THE_SOURCE = {**_OTHERWISE, "label": "--source-label", "domain": "--source-domain"}
"""What they are where data of the source are read."""

_READ_FOR = {"source=load_domain": "--source-data", "body=load_source": "--source"}
"""Calls that are given as an argument: the option takes what is read."""

_QUOTED = r"'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\""


def in_terminal(sentence: str, otherwise: Mapping[str, str] = _OTHERWISE) -> str:
    """The sentence with ``labels_per_class=5`` written ``--labels-per-class 5``.

    What is quoted, and whole calls such as ``load_domain(data, label=...)``, stay as they are.

    Parameters
    ----------
    otherwise
        Options that are called otherwise than the arguments are.
    """
    flags = {name: f"--{about.flag or name.replace('_', '-')}" for name, about in options().items()} | dict(otherwise)
    given = rf"\{{[^{{}}]*\}}|\[[^\[\]]*\]|{_QUOTED}|\.\.\.|[\w<>/-]+(?:[.,:][\w<>/-]+)*"
    name = rf"(?<![\w-])(?P<name>{'|'.join(flags)})=(?P<value>{given})?"
    call = rf"(?<![\w-])(?P<call>{'|'.join(_READ_FOR)})\((?P<read>[^()]*)\)"
    pattern = rf"(?<!\w)(?:{_QUOTED})(?!\w)|{call}|\w+\([^()]*\)|--set \S+|{name}"

    def typed(found: re.Match[str]) -> str:
        if found["call"]:
            return _typed(_READ_FOR[found["call"]], found["read"])
        return _typed(flags[found["name"]], found["value"]) if found["name"] else found[0]

    return re.sub(pattern, typed, sentence)


def say(line: str) -> None:
    """Print a line on standard error, in the words of the terminal."""
    print(in_terminal(line), file=sys.stderr)


def _typed(flag: str, value: str | None) -> str:
    """An option and its value as they are typed."""
    if not value:
        return flag
    try:
        plain: Any = ast.literal_eval(value)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return f"{flag} {value}"
    if plain is True or plain is ...:
        return flag if plain is True else f"{flag} ..."
    if isinstance(plain, dict):
        plain = [f"{name}={'...' if held is ... else held}" for name, held in plain.items()]
    parts = plain if isinstance(plain, list) else [plain]
    if flag == "--curve":
        return f"{flag} {','.join(map(str, parts))}"
    return " ".join(f"{flag} {shlex.quote(str(part))}" for part in parts)
