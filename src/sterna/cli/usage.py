"""What the parser of the command line says no to, in one sentence like any other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

_KINDS = (("integer", "a whole number"), ("number", "a number"), ("float", "a number"), ("boolean", "true or false"))


def sentence(error: Any, arguments: Sequence[str]) -> str:
    """What is wrong, what was expected, and where to look.

    Parameters
    ----------
    error
        A usage error of click (or of the copy of it in typer).
    arguments
        What was typed, to show the value that came.
    """
    context = getattr(error, "ctx", None)
    command = context.command_path if context is not None else "sterna"
    message = " ".join(error.format_message().replace("Value error, ", "").split()).rstrip(".")
    parameter = getattr(error, "param", None)
    if parameter is not None and message.startswith("Invalid value"):
        wanted = _expected(message)
        if wanted:
            name, value = _given(parameter, arguments, getattr(context, "default_map", None) or {})
            return f"{name} is {value!r}; expected {wanted}." if value is not None else f"{name}: expected {wanted}."
    return f"{message}; see: {command} --help."


def _expected(message: str) -> str | None:
    choices = message.rpartition("is not one of ")[2] if "is not one of " in message else ""
    if choices:
        return "one of " + choices.rstrip(".").replace("'", "")
    about = message.partition(": ")[2]
    return next((words for kind, words in _KINDS if kind in about), None)


def _given(parameter: Any, arguments: Sequence[str], defaults: dict[str, Any]) -> tuple[str, Any]:
    """The parameter's name as it is typed, and its value where that can be told."""
    names = [name for name in getattr(parameter, "opts", ()) if name.startswith("-")]
    if not names:
        return str(getattr(parameter, "human_readable_name", parameter.name)), arguments[-1]
    for i in range(len(arguments) - 1, -1, -1):
        for name in names:
            if arguments[i] == name and i + 1 < len(arguments):
                return name, arguments[i + 1]
            if arguments[i].startswith(f"{name}="):
                return name, arguments[i].partition("=")[2]
    return names[0], defaults.get(parameter.name)
