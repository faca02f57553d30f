"""The few errors of the library, and the helpers that word them."""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Iterable
from types import ModuleType

LONGEST_NAME = 200
"""Characters of a name that others are compared with: the time grows with the square of them."""


LONGEST_SENTENCE = 1600
"""Characters of a message: of what is longer, such as one that quotes a word of a megabyte, the middle is left out."""


class SternaError(Exception):
    """Anything Sterna says no to; the message is one sentence a user can act on."""

    exit_code = 1

    def __init__(self, message: object = "") -> None:
        super().__init__(_one_sentence(str(message)))


class RequestError(SternaError, ValueError):
    """The request is wrong: an argument, a file or a setting (exit code 2)."""

    exit_code = 2


class RunError(SternaError, RuntimeError):
    """The request was right, but the run failed: loss not finite, disk full (exit code 1)."""


class StoppedError(RunError):
    """Somebody asked the run to stop while it trained.

    Attributes
    ----------
    by_user
        Whether that was Ctrl-C, rather than the system.
    """

    by_user = False


class TooLongError(RunError):
    """A training cannot end in the time that it has.

    Attributes
    ----------
    seconds
        What it would take, as its first steps tell.
    """

    def __init__(self, message: str, seconds: float) -> None:
        super().__init__(message)
        self.seconds = seconds


def _one_sentence(message: str) -> str:
    """On one line, of characters that any screen and file takes, and not endless, whatever it quotes."""
    line = "".join(c if c.isprintable() else " " if c.isspace() else ascii(c)[1:-1] for c in message)
    return line if len(line) <= LONGEST_SENTENCE else f"{line[:1000]} ... {line[-500:]}"


def listed(names: Iterable[str], most: int = 10, between: str = ", ") -> str:
    """Names in a sentence, so many at the most.

    >>> listed("abcd", 2)
    'a, b and 2 more'
    """
    every = list(names)
    return between.join(every[:most]) + (f" and {len(every) - most:,} more" if len(every) > most else "")


def quoted(names: Iterable[str], most: int = 10) -> str:
    """The same of names in quotation marks."""
    return listed(map(repr, names), most)


def closest(name: str, known: Iterable[str], limit: int = 3) -> str:
    """Say which known names are near `name`: ``" Did you mean 'a' or 'b'?"``, or an empty string."""
    if len(name) > LONGEST_NAME:
        return ""
    others = [n for n in known if n != name and len(n) <= LONGEST_NAME]
    near = difflib.get_close_matches(name, others, n=limit, cutoff=0.5)
    return f" Did you mean {' or '.join(repr(n) for n in near)}?" if near else ""


def require(module: str, extra: str) -> ModuleType:
    """Import an optional library, or say which extra brings it."""
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.split(".")[0] != module.split(".")[0]:
            raise
        raise RequestError(
            f"This needs the package {module!r}, which is not installed: pip install 'sterna[{extra}]'."
        ) from error
