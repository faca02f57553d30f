"""``sterna score``."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from sterna.cli.app import Debug, DomainColumn, Json, Quiet, Trust, app, print_json
from sterna.cli.wording import say


@app.command()
def score(
    run: Annotated[Path, typer.Argument(help="Run folder.")],
    domain: Annotated[str, typer.Argument(help="A labelled Domain.")],
    label: Annotated[str | None, typer.Option(help="Target column; the run's own if not given.")] = None,
    domain_column: DomainColumn = None,
    target_domain: Annotated[str | None, typer.Option(metavar="VALUE", help="Score the rows of this domain.")] = None,
    trust: Trust = [],  # noqa: B006
    json: Json = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Score a run's network on a labelled Domain."""
    import numpy as np

    from sterna.experiment import load_transfer
    from sterna.experiment.shown import with_interval

    transfer = load_transfer(run, trust=trust)
    asked = transfer.read(domain, label=label, domain_column=domain_column, domain=target_domain)
    found = transfer.score(asked)
    rows = np.flatnonzero(asked.labelled())
    known = transfer.learnt_from(asked.take(rows))
    notes = [*known, *transfer.input_notes, *transfer.differences(asked)]
    for note in () if quiet else notes:
        say(f"note: {note}")
    if json:
        print_json(
            {"scores": {name: asdict(value) for name, value in found.items()}, "rows": len(rows), "notes": notes}
        )
    elif not quiet:
        print(f"{len(rows)} rows")
        for name, value in found.items():
            print(f"{name:32} {with_interval(value)}")
