"""``sterna report``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sterna.cli.app import Debug, Json, Quiet, app, print_json
from sterna.cli.wording import in_terminal


@app.command()
def report(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN ...", help="Run folders.")],
    out: Annotated[Path, typer.Option(help="The HTML file to write.")] = Path("report.html"),
    lang: Annotated[
        str | None, typer.Option(metavar="en|zh", help="Language of the page; that of LANG if not given.")
    ] = None,
    json: Json = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Write one self-contained HTML page about one or several runs."""
    from sterna.report import write_report

    path = write_report(runs, out, lang=lang, noted=in_terminal)
    if json:
        print_json({"report": str(path)})
    elif not quiet:
        print(path)
