"""The options of a command, made from the fields of what it asks for."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection
from dataclasses import fields
from enum import Enum, StrEnum
from typing import Annotated, Any, get_type_hints

import typer

from sterna.cli.wording import in_terminal
from sterna.record.request import Option, Request, options


def takes_request(command: Callable[..., None], only: Collection[str] | None = None) -> Callable[..., None]:
    """Give a command an option for each field of a `Request`, or some by name, in the place of its ``**asked``."""
    hints = get_type_hints(command, include_extras=True)
    own = [p.replace(annotation=hints[p.name]) for p in inspect.signature(command).parameters.values()]
    typed = [p for p in own if p.kind is p.POSITIONAL_OR_KEYWORD]
    about_itself = [p for p in own if p.kind is p.KEYWORD_ONLY]
    signature = inspect.Signature([*typed, *_parameters(only), *about_itself])
    command.__signature__ = signature  # type: ignore[attr-defined]
    command.__annotations__ = {name: p.annotation for name, p in signature.parameters.items()}
    return command


def _parameters(only: Collection[str] | None) -> list[inspect.Parameter]:
    """A parameter for each option of a transfer, or for some, as typer reads it."""
    hints, defaults = get_type_hints(Request), {each.name: each.default for each in fields(Request)}
    asked = {name: about for name, about in options().items() if only is None or name in only}
    return [_parameter(name, about, hints[name], defaults[name]) for name, about in asked.items()]


def _parameter(name: str, about: Option, hint: Any, default: Any) -> inspect.Parameter:
    kind: Any = about.typed or hint
    if about.choices:
        values = StrEnum(name.capitalize(), [(choice, choice) for choice in about.choices])  # type: ignore[misc]
        kind, default = (values | None, None) if default is None else (values, values(default))
    elif about.typed == list[str]:
        default = list(default) if isinstance(default, tuple) else []
    elif about.typed is not None:
        default = None
    flags = [f"--{about.flag or name.replace('_', '-')}"] if about.flag or hint is bool else []
    option = typer.Option(*flags, help=in_terminal(about.help), rich_help_panel=about.panel, metavar=about.metavar)
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=Annotated[kind, option])


def plain(value: Any) -> Any:
    """What was typed, as a field of `Request` has it."""
    if isinstance(value, Enum):
        return value.value
    return tuple(value) if isinstance(value, list) else value
