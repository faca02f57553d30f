"""The few errors of the library, and the two helpers that word them."""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Iterable
from types import ModuleType


class SternaError(Exception):
    """Anything Sterna says no to; the message is one sentence a user can act on."""

    exit_code = 1


class RequestError(SternaError, ValueError):
    """The request is wrong: an argument, a file or a setting (exit code 2)."""

    exit_code = 2


class RunError(SternaError, RuntimeError):
    """The request was right, but the run failed: loss not finite, disk full (exit code 1)."""


def closest(name: str, known: Iterable[str], limit: int = 3) -> str:
    """Say which known names are near `name`: ``" Did you mean 'a' or 'b'?"``, or an empty string."""
    near = difflib.get_close_matches(name, list(known), n=limit, cutoff=0.5)
    return f" Did you mean {' or '.join(repr(n) for n in near)}?" if near else ""


def require(module: str, extra: str) -> ModuleType:
    """Import an optional library, or say which extra brings it.

    Raises
    ------
    RequestError
        If the module is not installed.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.split(".")[0] != module.split(".")[0]:
            raise
        raise RequestError(
            f"This needs the package {module!r}, which is not installed: pip install 'sterna[{extra}]'."
        ) from error
