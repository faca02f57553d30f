"""``sterna rank``."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sterna.cli.app import Debug, Json, Quiet, app, print_json
from sterna.cli.options import plain, takes_request
from sterna.cli.transfer import PIPED, columns_of, read_source, read_target
from sterna.cli.wording import in_terminal
from sterna.record.request import DATA, Request

if TYPE_CHECKING:
    from sterna.domains import Domain
    from sterna.experiment.ranked import Ranking
    from sterna.sources import Source

ASKED = (
    "source", "source_label", "trust", "image_size", "task", "label", "text", "drop", "column", "group", "weight",
    "test", "time", "gap", "test_size", "split_seed", "domain_column", "target_domain", "strict", "labels_per_class",
    "labels", "metric", "seed", "device",
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
    source_data: Annotated[
        list[str],
        typer.Option(
            metavar="SPEC", rich_help_panel=DATA,
            help="Labelled data of a source; may be repeated. With one --source, each is seen through that model.",
        ),
    ] = [],  # noqa: B006
    source_domain: Annotated[
        list[str],
        typer.Option(
            metavar="VALUE", rich_help_panel=DATA, help="Rows of TARGET of this domain are a source; may be repeated."
        ),
    ] = [],  # noqa: B006
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
    models, own = list(values.pop("source")), {name: values.pop(name) for name in ("image_size", "source_label")}
    request = Request(**values, target=target)
    data = [*(("source_data", each) for each in source_data), *(("source_domain", each) for each in source_domain)]
    pairs = _pairs(models, data)
    check_count(len(pairs))
    domain = read_target(request)
    known = [_source(request, domain, model, some, **own) for model, some in pairs]
    found = ranking(domain, known, request, progress=not quiet)
    if json:
        print_json(found.record())
    elif not quiet:
        show(found)


Data = tuple[str, str]
"""An option that names labelled data, and its value."""


def _pairs(models: list[str], data: list[Data]) -> list[tuple[str | None, Data | None]]:
    """The model and the data of each source."""
    if len(models) == 1 and len(data) > 1:
        return [(models[0], each) for each in data]
    return [*((model, None) for model in models), *((None, each) for each in data)]


def _source(
    request: Request, domain: Domain, model: str | None, data: Data | None, image_size: int | None,
    source_label: str | None,
) -> Source:  # fmt: skip
    given: dict[str, Any] = {"source": model, "image_size": image_size} if model else {}
    if data is not None:
        given |= {data[0]: data[1], "source_label": source_label}
    known = read_source(replace(request, **given), domain)
    assert known is not None
    return known


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
