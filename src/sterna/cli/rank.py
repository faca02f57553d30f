"""``sterna rank``."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sterna.cli.app import Debug, Json, Quiet, app, print_json
from sterna.cli.options import plain, takes_request
from sterna.cli.transfer import PIPED, columns_of, read_sources, read_target
from sterna.cli.wording import in_terminal
from sterna.record.request import Request

if TYPE_CHECKING:
    from sterna.experiment.ranked import Ranking

ASKED = (
    "source", "source_data", "source_label", "source_domain", "trust", "image_size", "task", "label", "text", "drop",
    "column", "group", "weight", "test", "time", "gap", "test_size", "split_seed", "domain_column", "target_domain",
    "strict", "labels_per_class", "labels", "metric", "seed", "device",
)  # fmt: skip
"""The options of a transfer that decide which rows and sources there are."""

TITLES = {
    "probe": "probe", "logme": "LogME", "h_score": "H-score", "transrate": "TransRate", "knn": "kNN", "leep": "LEEP",
    "nce": "NCE", "proxy_a_distance": "A-distance", "mmd2": "MMD²", "class_shift": "class shift",
    "constant": "as named",
}  # fmt: skip


@app.command()
@partial(takes_request, only=ASKED)
def rank(
    target: Annotated[
        str, typer.Argument(help="Folder or zip of images or audio, CSV/TSV/Parquet/JSON Lines, or .npz.")
    ],
    *,
    json: Json = False,
    quiet: Quiet = False,
    debug: Debug = False,
    **asked: Any,
) -> None:  # fmt: skip
    """Rank sources for TARGET before anything is moved; name first what you would take without asking.

    Example: sterna rank photos.zip --source packaged/efficientnet-lite0 --source packaged/efficientnet-lite1
    """
    from sterna.experiment.ranking import check_count, ranking

    values = {name: plain(value) for name, value in asked.items()} | {"column": columns_of(asked["column"])}
    request = Request(**values, target=target)
    domain = read_target(request)
    known = read_sources(request, domain)
    check_count(len(known))
    found = ranking(domain, known, request, progress=not quiet)
    if json:
        print_json(found.record())
    elif not quiet:
        show(found)


def show(found: Ranking) -> None:
    """The sources, the best first, with each score and its rank; what it comes to in a sentence."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    console = Console()
    if not console.is_terminal:
        console.width = PIPED
    what = f"{found.labels} labels, {found.metric}" if found.labels else "no labels: smaller is nearer"
    console.print(f"\nsources for {found.target}: {found.rows} rows, {what}", highlight=False, markup=False)
    notes = [*found.notes, *(f"{name} is left out: {reason}" for name, reason in found.left_out.items())]
    for sentence in notes:
        console.print(f"note: {in_terminal(sentence)}", highlight=False, markup=False, style="yellow")
    names = [name for name in TITLES if any(name in each.scores for each in found.sources)]
    table = Table(box=None, padding=(0, 2, 0, 0))
    table.add_column("source")
    for title in (*(TITLES[name] for name in names), TITLES["constant"], "seconds"):
        table.add_column(title, justify="right")
    for each in found.sources:
        cells = [f"{each.scores[name]:.3f} ({each.ranks[name]})" if name in each.scores else "–" for name in names]
        table.add_row(escape(each.source), *cells, f"({each.named})", f"{sum(each.seconds.values()):.1f}")
    taus = [f"{found.agreement[name]:+.2f}" if name in found.agreement else "" for name in (*names, "constant")]
    table.add_row(f"agreement with {TITLES[found.reference]}", *taus, style="dim")
    spent = [f"{sum(each.seconds.get(name, 0.0) for each in found.sources):.1f}" for name in names]
    table.add_row("seconds", *spent, style="dim")
    console.print(table)
    console.print(found.sentence(), highlight=False, markup=False)
