"""Sentences in the words of the terminal: below the command line options are called as in Python."""

from __future__ import annotations

import ast
import re
import shlex
from typing import Any

from sterna.record.request import options

_OTHERWISE = {"columns": "--column", "domain": "--target-domain"}
"""What an argument of Python is in the terminal, where neither its name nor `Request` says so."""

_QUOTED = r"'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\""


def _flags() -> dict[str, str]:
    own = {name: about.flag or f"--{name.replace('_', '-')}" for name, about in options().items()}
    return own | _OTHERWISE


def in_terminal(sentence: str) -> str:
    """The sentence with ``labels_per_class=5`` written ``--labels-per-class 5``.

    What is quoted, and whole calls such as ``load_domain(data, label=...)``, stay as they are.
    """
    flags = _flags()
    given = rf"\{{[^{{}}]*\}}|\[[^\[\]]*\]|{_QUOTED}|\.\.\.|[\w<>/-]+(?:[.,:][\w<>/-]+)*"
    name = rf"(?<![\w-])(?P<name>{'|'.join(flags)})=(?P<value>{given})?"
    pattern = rf"(?<!\w)(?:{_QUOTED})(?!\w)|\w+\([^()]*\)|--set \S+|{name}"
    return re.sub(pattern, lambda m: _typed(flags[m["name"]], m["value"]) if m["name"] else m[0], sentence)


def _typed(flag: str, value: str | None) -> str:
    """An option and its value as they are typed."""
    if not value:
        return flag
    try:
        plain: Any = ast.literal_eval(value)
    except (ValueError, SyntaxError):
        return f"{flag} {value}"
    if plain is True or plain is ...:
        return flag if plain is True else f"{flag} ..."
    if isinstance(plain, dict):
        plain = [f"{name}={held}" for name, held in plain.items()]
    if flag == "--curve":
        return f"{flag} {','.join(map(str, plain))}"
    parts = plain if isinstance(plain, list) else [plain]
    return " ".join(f"{flag} {shlex.quote(str(part))}" for part in parts)
