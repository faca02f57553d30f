"""``sterna predict``."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sterna.cli.app import Debug, Json, Quiet, Trust, app, print_json
from sterna.errors import RequestError

if TYPE_CHECKING:
    from sterna.domains.inputs import Unread

SOME_UNREAD = 3
"""The exit code where some inputs have their predictions, and others could not be read."""


@app.command()
def predict(
    run: Annotated[Path, typer.Argument(help="Run folder.")],
    inputs: Annotated[
        list[Path],
        typer.Argument(metavar="INPUT ...", help="Image or audio files, folders or zips of them, or a table."),
    ],
    out: Annotated[Path | None, typer.Option(help="FILE.csv or FILE.json; standard output if not given.")] = None,
    trust: Trust = [],  # noqa: B006
    json: Json = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Predict new inputs, with probabilities."""
    from sterna.domains.unlabelled import unread_words
    from sterna.experiment import load_transfer
    from sterna.files import atomic, check_file
    from sterna.store.answers import csv_of
    from sterna.store.predictions import prediction_frame

    if out is not None and out.suffix not in (".csv", ".json"):
        raise RequestError(f"--out is {str(out)!r}; expected a name that ends in .csv or .json.")
    if out is not None:
        check_file(out)
    transfer = load_transfer(run, trust=trust)
    domain = transfer.read_inputs(inputs)
    frame = prediction_frame(transfer.task, domain, transfer.outputs(domain, progress=not quiet))
    unread = domain.inputs.unread
    as_json = json if out is None else out.suffix == ".json"
    written = frame.to_json(orient="records", force_ascii=False, indent=1) if as_json else csv_of(frame)
    if out is None:
        sys.stdout.write(written + ("\n" if as_json else ""))
    else:
        with atomic(out) as temporary:
            temporary.write_text(written, encoding="utf-8")
        if json:
            notes = list(transfer.input_notes)
            print_json({"rows": len(frame), "out": str(out), "notes": notes} | _listed(unread))
        elif not quiet:
            print(f"{len(frame) - len(unread)} predictions in {out}")
    if unread:
        print(f"Error: {unread_words(unread)}", file=sys.stderr)
        raise typer.Exit(SOME_UNREAD)


def _listed(unread: Sequence[Unread]) -> dict[str, Any]:
    return {"unread": [{"name": one.name, "why": one.why} for one in unread]} if unread else {}
