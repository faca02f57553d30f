"""``sterna methods``."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from sterna.cli.app import Debug, Json, app, print_json
from sterna.cli.wording import in_terminal


@app.command()
def methods(
    method: Annotated[str | None, typer.Argument(metavar="[ID]", help="Show one method and its settings.")] = None,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """List the methods by kind, or show one with its settings."""
    from sterna.methods import list_methods
    from sterna.methods.method import method_class

    if method is not None:
        method_class(method)  # an unknown name is refused with close matches
    found = [about for about in list_methods() if method in (None, about["id"])]
    if json:
        print_json(found)
    elif method is None:
        _show_all(found)
    else:
        _show_one(found[0])


def _show_all(found: list[dict[str, Any]]) -> None:
    """A line each, cut to the width of the screen: needs and settings are shown for one."""
    from rich.console import Console
    from rich.text import Text

    console = Console()
    width = max(len(about["id"]) for about in found)
    for about in found:
        line = Text(f"{about['kind']:10}  {about['id']:{width}}  {about['summary']}")
        console.print(line, no_wrap=True, overflow="ellipsis", highlight=False)
    console.print("Needs and settings of one: sterna methods ID", highlight=False)


def _show_one(about: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    console = Console()
    console.print(f"[bold]{escape(about['id'])}[/] ({escape(about['kind'])})\n", highlight=False)
    console.print(reflowed(about["description"]), highlight=False, markup=False)
    needs = in_terminal(", ".join(about["needs"])) or "nothing"
    console.print(f"\nneeds: {needs}\n", highlight=False, markup=False)
    table = Table(box=None, padding=(0, 2, 0, 0))
    for column in ("setting", "default", "values", "meaning"):
        table.add_column(column)
    for setting in about["settings"]:
        default = "none" if setting["default"] is None else str(setting["default"])
        cells = (setting["name"], default, setting["values"], setting["description"])
        table.add_row(*(escape(cell) for cell in cells))
    if about["settings"]:
        console.print(table)


def reflowed(description: str) -> str:
    """A docstring with each paragraph on one line, for a terminal of any width."""
    paragraphs = []
    for paragraph in description.replace("``", "").split("\n\n"):
        heading, line, rest = paragraph.partition("\n---")
        if line:
            paragraphs.append(f"{heading}: " + " ".join(rest.lstrip("-").split()))
        else:
            paragraphs.append(" ".join(paragraph.split()))
    return "\n\n".join(paragraphs)
