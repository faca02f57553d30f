"""The application, and what its commands share."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml

from sterna import __version__
from sterna.cli.once import App
from sterna.errors import RequestError, closest
from sterna.untrusted import read_yaml, read_yaml_file

app = App(
    name="sterna",
    pretty_exceptions_enable=False,
    add_completion=False,
    help="Move knowledge from where it was learnt to where labels are few, and say what the move was worth.",
)

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on standard output.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress and no table.")]
Trust = Annotated[
    list[str],
    typer.Option(
        "--trust", metavar="MODULE:FUNCTION", help="A function that the run's network may import and call; repeatable."
    ),
]
Text = Annotated[str | None, typer.Option(metavar="NAME", help="Column whose texts are the inputs.")]
Drop = Annotated[list[str], typer.Option(metavar="NAME", help="Column to leave out; may be repeated.")]
DomainColumn = Annotated[str | None, typer.Option(metavar="NAME", help="Column that names domains.")]
Debug = Annotated[bool, typer.Option("--debug", help="Show a traceback when something goes wrong.")]


def _version(asked: bool) -> None:
    if asked:
        print(f"sterna {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print it.")] = False,
) -> None: ...


def print_json(value: Any) -> None:
    """One object on standard output; numbers that are not finite become null."""
    print(json.dumps(_finite(value), ensure_ascii=False, indent=1))


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if abs(value) < float("inf") else None
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    return [_finite(item) for item in value] if isinstance(value, (list, tuple)) else value


def read_config(context: typer.Context, path: Path | None) -> Path | None:
    """Take the defaults of a command from a YAML file with the names of its options."""
    if path is None:
        return None
    try:
        found = read_yaml_file(path) or {}
    except FileNotFoundError:
        raise RequestError(f"--config: there is no file {str(path)!r}.") from None
    except ValueError as error:
        raise RequestError(f"--config: {str(path)!r} is not readable YAML: {error}.") from error
    if not isinstance(found, dict):
        raise RequestError(
            f"--config: {str(path)!r} must hold names and values, one a line, such as 'method: scratch'."
        )
    names = {p.name: p for p in context.command.params if p.name}
    values: dict[str, Any] = {}
    for key, value in found.items():
        name = _parameter(str(key).replace("-", "_"), names)
        if name is None:
            raise RequestError(f"--config: {str(path)!r} has the unknown name {key!r}.{closest(str(key), names)}")
        if name in values:
            raise RequestError(f"--config: {str(path)!r} has {key!r} twice, once with - and once with _; keep one.")
        values[name] = _as_option(value, names[name])
        parts = values[name] if isinstance(values[name], list) else [values[name]]
        if isinstance(values[name], list) and not names[name].multiple:
            raise RequestError(f"--config: {key!r} of {str(path)!r} holds {len(value)} values; it takes one.")
        if any(isinstance(part, dict | list | set | tuple) for part in parts):
            raise RequestError(f"--config: {key!r} of {str(path)!r} holds values in each other; expected plain ones.")
    context.default_map = {**(context.default_map or {}), **values}
    return path


def _parameter(key: str, names: dict[str, Any]) -> str | None:
    if key in names:
        return key
    return next((n for n, p in names.items() if f"--{key.replace('_', '-')}" in getattr(p, "opts", ())), None)


def _as_option(value: Any, parameter: Any) -> Any:
    """A value of a YAML file as the option takes it."""
    if parameter.name == "settings" and isinstance(value, dict):
        return pairs_of(value)
    if parameter.name == "map_classes" and isinstance(value, dict):
        return [f"{old}={new}" for old, new in value.items()]
    if parameter.name == "curve" and isinstance(value, list):
        return ",".join(str(v) for v in value)
    return [value] if parameter.multiple and not isinstance(value, list) else value


def pairs_of(values: dict[str, Any]) -> list[str]:
    """What :func:`settings_of` reads as these names and values."""
    return [f"{name}={_on_one_line(value)}" for name, value in values.items()]


def _on_one_line(value: Any) -> str:
    return str(yaml.safe_dump(value, default_style='"', default_flow_style=True, width=math.inf)).strip()


def settings_of(pairs: list[str]) -> dict[str, Any]:
    """``["alpha=0.3", "blocks=[a, b]"]`` as a dictionary; values of one line are read as YAML."""
    found: dict[str, Any] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or not name:
            raise RequestError(f"--set is {pair!r}; expected NAME=VALUE, such as --set blocks=last.")
        name = name.strip().replace("-", "_")
        if name in found:
            raise RequestError(f"--set {name} is given twice; a setting takes one value.")
        try:
            found[name] = value if "\n" in value else read_yaml(value)
        except ValueError as error:
            raise RequestError(f"--set {name}: {value[:60]!r} cannot be read as a value: {error}.") from error
    return found
