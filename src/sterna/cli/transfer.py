"""``sterna transfer``."""

from __future__ import annotations

import math
import shlex
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sterna.cli.app import Debug, Json, Quiet, app, print_json, read_config, settings_of
from sterna.cli.options import plain, takes_request
from sterna.cli.wording import OF_THE_SOURCE, in_terminal, say
from sterna.errors import RequestError, RunError
from sterna.leftovers import sweep
from sterna.record.request import OUTPUT, Request

if TYPE_CHECKING:
    from rich.console import Console

    from sterna.domains import Domain
    from sterna.experiment import Transfer
    from sterna.record.record import Record
    from sterna.record.scores import Score
    from sterna.sources import Source


@app.command()
@takes_request
def transfer(
    target: Annotated[
        str, typer.Argument(help="Folder or zip of images or audio, CSV/TSV/Parquet/JSON Lines, or .npz.")
    ],
    *,
    config: Annotated[
        Path | None,
        typer.Option(
            help="YAML file with these names.", rich_help_panel=OUTPUT, metavar="FILE", callback=read_config,
            is_eager=True,
        ),
    ] = None,
    json: Json = False,
    quiet: Quiet = False,
    debug: Debug = False,
    **asked: Any,
) -> None:  # fmt: skip
    """Move knowledge from a source to TARGET, beside controls that do without it.

    Example: sterna transfer photos.zip --source packaged/efficientnet-lite0 --method fine-tuning
    """
    request = request_of(target, asked)
    from sterna.experiment.defaults import with_method
    from sterna.experiment.run import run
    from sterna.training.strategy import leads

    domain = read_target(request)
    known = read_sources(request, domain)
    request, notes = with_method(request, known, domain)
    folder = request.out or run_folder(domain.name, request.chosen, request.resume)
    try:
        told = None if quiet or json else say
        result = run(known, domain, replace(request, out=folder), progress=not quiet, notes=notes, told=told)
    except KeyboardInterrupt:
        raise RunError(stopped(folder)) from None
    if not leads():
        return
    if json:
        print_json(result.record)
    elif not quiet:
        show(result)


def request_of(target: str, asked: dict[str, Any]) -> Request:
    """The request that was typed; lists of words become what they mean."""
    values = {name: plain(value) for name, value in asked.items()}
    read = {
        "settings": settings_of(asked["settings"]),
        "column": columns_of(asked["column"]),
        "curve": curve_of(asked["curve"]),
        "budget": seconds_of(asked["budget"]),
        "map_classes": classes_of(asked["map_classes"]),
    }
    return Request(**{**values, **read, "target": target})


def read_target(request: Request) -> Domain:
    """The target, read as the options say."""
    from sterna.domains import load_domain
    from sterna.tasks.infer import task_type

    if request.task is not None:
        task_type(request.task)  # a name that is wrong is said before anything is read
    return load_domain(
        request.target, label=request.label, text=request.text, drop=list(request.drop),
        columns=dict(request.column) or None, group=request.group, weight=request.weight, test=request.test,
        strict=request.strict, domain_column=request.domain_column, domain=request.target_domain, task=request.task,
        time=request.time,
    )  # fmt: skip


def read_sources(request: Request, target: Domain | None = None) -> list[Source]:
    """What is known: models, or labelled data, or each of the data seen through each of the models."""
    from sterna.sources import Source, load_source
    from sterna.sources.source import named

    models = [
        load_source(spec, architecture=request.architecture, image_size=request.image_size, trust=request.trust)
        for spec in request.source
    ]
    files = request.source_data or ((request.target,) if request.source_domain else ())
    parts = [(spec, domain) for spec in files for domain in request.source_domain or (None,)]
    data = [(_source_data(request, *part, target), data_spec(*part)) for part in parts]
    if not models:
        return named([Source(spec=spec, data=rows) for rows, spec in data])
    return named([model.with_data(rows) for model in models for rows, _ in data] if data else models)


def _source_data(request: Request, spec: str, domain: str | None, target: Domain | None) -> Domain:
    """Labelled data of a source; a table's columns are read as the target's."""
    from sterna.domains.load_alike import load_with_what_there_is

    reading: dict[str, Any] = {
        "label": request.source_label or request.label, "text": request.text, "drop": list(request.drop),
        "columns": dict(request.column) or None, "strict": request.strict, "domain": domain,
        "domain_column": request.domain_column if domain else None, "task": request.task,
        **({} if target is None else {name: target.reading.get(name) for name in ("schema", "forms")}),
        "partial_labels": True, "group": request.group, "weight": request.weight,
    }  # fmt: skip
    try:
        return load_with_what_there_is(spec, ("group", "weight"), **reading)
    except RequestError as error:
        raise RequestError(in_terminal(str(error), OF_THE_SOURCE)) from error


def data_spec(spec: str, domain: str | None) -> str:
    """What to call a source that is labelled data alone."""
    return f"{Path(spec).name}:{domain}" if domain else Path(spec).name


def columns_of(pairs: list[str]) -> dict[str, str]:
    """``["ca=category"]`` as a dictionary."""
    found: dict[str, str] = {}
    for pair in pairs:
        name, equals, kind = pair.rpartition("=")
        if not equals:
            raise RequestError(f"--column is {pair!r}; expected NAME=KIND, such as --column zip=category.")
        if name in found:
            raise RequestError(f"--column {name} is given twice; a column is of one kind.")
        found[name] = kind
    return found


def classes_of(pairs: list[str]) -> dict[str, str]:
    """``["cat=Cat"]`` as a dictionary."""
    found: dict[str, str] = {}
    for pair in pairs:
        old, equals, new = (part.strip() for part in pair.partition("="))
        if not old or not equals or not new or found.get(old, new) != new:
            raise RequestError(
                f"--map-classes is {pair!r}; expected SOURCE=TARGET, each class of the source once, such as "
                "--map-classes cat=Cat."
            )
        found[old] = new
    return found


def curve_of(text: str | None) -> tuple[int, ...]:
    """``"5,10"`` as numbers."""
    try:
        return tuple(int(part) for part in text.split(",")) if text else ()
    except ValueError:
        raise RequestError(f"--curve is {text!r}; expected numbers of labels a class, such as 5,10,20.") from None


def seconds_of(text: str | None) -> float | None:
    """``"90"``, ``"90s"``, ``"5m"`` or ``"1h"`` as seconds."""
    if text is None:
        return None
    try:
        found = float(text.rstrip("smh")) * {"m": 60, "h": 3600}.get(text[-1:], 1)
    except ValueError:
        found = math.nan
    if not 0 < found < math.inf:
        raise RequestError(f"--budget is {text!r}; expected a time above zero, such as 90, 5m or 1h.")
    return found


def run_folder(name: str, method: str, resume: bool) -> Path:
    """``runs/NAME-METHOD``, or with a number where that exists; the latest of them to go on with it."""
    safe = "".join(c if c.isalnum() or c in "-_." else "-" for c in Path(name).name).strip("-.") or "target"
    first = Path("runs") / f"{safe}-{method}"
    numbered = [first if i == 1 else first.with_name(f"{first.name}-{i}") for i in range(1, 10_000)]
    sweep(first.parent)
    free = next(i for i, path in enumerate(numbered) if not path.exists())
    if resume and not free:
        raise RequestError(f"--resume: there is no run {str(first)!r} to go on with; name its folder with --out.")
    return numbered[free - 1 if resume else free]


PIPED = 160
"""Columns of what is shown where no terminal says how many there are."""


def stopped(folder: Path) -> str:
    """What a person who pressed Ctrl-C should know."""
    if not folder.exists():
        return "Stopped before anything was kept."
    return f"Stopped; what was finished is kept: repeat the command with --out {shlex.quote(str(folder))} --resume."


def show(result: Transfer) -> None:
    """The scores beside the controls', the verdict, and where everything is."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from sterna.experiment.shown import curve_lines, with_interval
    from sterna.report.words import repeats, selection, tested

    console, record = Console(), result.evidence
    if not console.is_terminal:
        console.width = PIPED
    source = record.source.spec if record.source else "no source"
    what = escape(f"{source} → {record.target.name}")  # a name may hold what rich would read as markup
    console.print(f"\n[bold]{escape(record.method)}[/bold]: {what}", highlight=False)
    parts = ", ".join(f"{name} {rows}" for name, rows in record.target.splits.items() if rows)
    several = len(record.target.test_splits)
    tests = f"; the first of {several} test splits of {tested(record)} rows in all" if several else ""
    console.print(f"rows: {parts}{tests}; {repeats(record)}: {len(record.seeds)}", highlight=False, style="dim")
    for sentence in [*record.target.notes, *record.messages]:
        console.print(f"note: {in_terminal(sentence)}", highlight=False, markup=False, style="yellow")
    table = Table(box=None, padding=(0, 2, 0, 0))
    table.add_column("test score")
    for name in (record.method, *record.controls):
        table.add_column(escape(name), justify="right")
    for metric in shown_metrics(record.scores):
        cells = [record.scores[metric], *(found[metric] for found in record.controls.values())]
        star = " *" if metric == record.task.metric else ""
        table.add_row(escape(metric) + star, *map(with_interval, cells))
    console.print(table)
    for line in [*map(escape, curve_lines(record)), *verdict_lines(record)]:
        console.print(line, highlight=False)
    _show_tried(console, record)
    console.print(selection(record.selected_by), highlight=False, markup=False)
    console.print(f"{record.seconds['total']:.0f} s; run folder {record.run}", highlight=False, markup=False)
    console.print(f"report: sterna report {record.run} --out report.html", highlight=False, markup=False)


BEST = 6
"""Candidates shown."""


def _show_tried(console: Console, record: Record) -> None:
    """The best of what a method tried that tries others, by held-out labels."""
    from rich.markup import escape
    from rich.table import Table

    from sterna.report.board import tried

    if not (lines := tried(record)):
        return
    more = f"; {len(lines) - BEST} more are in candidates.parquet" if len(lines) > BEST else ""
    table = Table(box=None, padding=(0, 2, 0, 0))
    held = "labels" if record.target.splits.get("train") else "rows of the source"
    for name in (f"tried on held-out {held}{more}", record.task.metric, "loss", "time"):
        table.add_column(escape(name), justify="left" if name.startswith("tried") else "right")
    table.add_column("")
    for each in lines[:BEST]:
        table.add_row(*map(escape, (each.name, each.score, each.loss, each.seconds, in_terminal(each.state))))
    console.print(table)


def shown_metrics(scores: Mapping[str, Score]) -> list[str]:
    """The metrics of a whole run; those of single classes are left to the report."""
    return [name for name in scores if "[" not in name]


def verdict_lines(record: Record) -> list[str]:
    """The headline gain in words, with rich's markup."""
    from rich.markup import escape

    from sterna.experiment.shown import with_interval

    gain = record.gain
    if gain is None:
        return ["no control ran, so nothing is said about the gain"]
    colour = {"helps": "green", "hurts": "red", "unclear": "yellow"}[gain.verdict]
    who = record.control_selected_by
    by = who if who.startswith("the ") else f"control chosen by {who}"
    left = "; ".join(f"{name} ({in_terminal(reason)})" for name, reason in record.left_out.items())
    return [
        f"gain over {escape(gain.control)}: [bold {colour}]{with_interval(gain, '+')} "
        f"{escape(gain.metric)}: {record.verdict}[/]  ({escape(by)})",
        *([f"controls not run: {escape(left)}"] if left else []),
    ]
