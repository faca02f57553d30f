"""Commands that refuse an option which is given again, where one value is all they take."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import typer
from typer.core import TyperCommand

from sterna.errors import RequestError

F = TypeVar("F", bound=Callable[..., Any])


class OnceCommand(TyperCommand):
    """A command of which the last of several values does not silently win."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        asked = self.make_parser(ctx).parse_args(list(args))[2]
        for parameter in dict.fromkeys(asked):
            flag = getattr(parameter, "is_flag", False)
            single = parameter.param_type_name == "option" and not (parameter.multiple or flag)
            if single and asked.count(parameter) > 1:
                name, values = max(parameter.opts, key=len), _values(parameter.opts, args)
                raise RequestError(
                    f"{name} is given {asked.count(parameter)} times ({', '.join(map(repr, values))}), but takes one "
                    "value; give it once."
                )
        return super().parse_args(ctx, args)


class App(typer.Typer):
    """An application of such commands."""

    def command(self, name: str | None = None, **more: Any) -> Callable[[F], F]:
        return super().command(name, cls=OnceCommand, **more)


def _values(names: Sequence[str], args: Sequence[str]) -> list[str]:
    """What was typed behind any of these names."""
    found = []
    for one, following in zip(args, [*args[1:], ""], strict=True):
        name, equals, value = one.partition("=")
        if name in names:
            found.append(value if equals else following)
    return found
