"""``sterna sources``."""

from __future__ import annotations

from sterna.cli.app import Debug, Json, app, print_json
from sterna.cli.wording import in_terminal


@app.command()
def sources(json: Json = False, debug: Debug = False) -> None:
    """List what knowledge can be loaded from."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from sterna.sources import list_sources

    found = list_sources()
    if json:
        print_json([{"spec": spec, "kind": kind, "note": note} for spec, kind, note in found])
        return
    table = Table(box=None, padding=(0, 2, 0, 0))
    for column in ("source", "kind", "what it is"):
        table.add_column(column)
    for spec, kind, note in found:
        table.add_row(f"[bold]{escape(spec)}[/]", escape(kind), escape(in_terminal(note)))
    Console().print(table)
