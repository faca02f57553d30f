"""``sterna transfer``."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sterna.cli.app import Debug, Json, Quiet, app, print_json, read_config, settings_of
from sterna.errors import RequestError, RunError

if TYPE_CHECKING:
    from sterna.experiment import Transfer

DATA, TRAINING, OUTPUT = "Data", "Method and training", "Output"


class TaskName(StrEnum):
    """Tasks."""

    classification = "classification"
    multilabel = "multilabel"
    regression = "regression"


class Balance(StrEnum):
    """Ways to treat uneven classes."""

    none = "none"
    weights = "weights"
    sampler = "sampler"
    auto = "auto"


class Device(StrEnum):
    """Devices."""

    auto = "auto"
    cpu = "cpu"
    cuda = "cuda"


def _option(text: str, panel: str, *names: str, **more: Any) -> Any:
    return typer.Option(*names, help=text, rich_help_panel=panel, **more)


def _flag(text: str, panel: str, name: str) -> Any:
    return typer.Option(name, help=text, rich_help_panel=panel, is_flag=True)


@app.command()
def transfer(
    target: Annotated[
        str, typer.Argument(help="Folder or zip of images or audio, CSV/TSV/Parquet/JSON Lines, or .npz.")
    ],
    source: Annotated[
        list[str],
        _option(
            "What is known: packaged/NAME, timm/NAME, hf/ID, sentence-transformers/ID, file:PATH, run:FOLDER.",
            DATA,
            metavar="SPEC",
        ),
    ] = [],  # noqa: B006
    source_data: Annotated[
        str | None, _option("Labelled data of the source; read as TARGET is.", DATA, metavar="SPEC")
    ] = None,
    source_label: Annotated[
        str | None, _option("Target column of --source-data; that of --label if not given.", DATA, metavar="NAME")
    ] = None,
    architecture: Annotated[
        str | None, _option("Of a file: source: timm:NAME or module:function.", DATA, metavar="SPEC")
    ] = None,
    image_size: Annotated[
        int | None, _option("Pixels a side that the body sees; its own size if not given.", DATA, metavar="PIXELS")
    ] = None,
    method: Annotated[
        str, _option("Id of the method (sterna methods).", TRAINING, metavar="ID")
    ] = "feature-extraction",
    set_: Annotated[
        list[str], _option("A setting of the method; may be repeated.", TRAINING, "--set", metavar="NAME=VALUE")
    ] = [],  # noqa: B006
    task: Annotated[
        TaskName | None,
        _option("classification, multilabel or regression; told from the labels if not given.", DATA, metavar="NAME"),
    ] = None,
    label: Annotated[str | None, _option("Target column of a table or manifest.", DATA, metavar="NAME")] = None,
    text: Annotated[str | None, _option("Column whose texts are the inputs.", DATA, metavar="NAME")] = None,
    drop: Annotated[list[str], _option("Column to leave out; may be repeated.", DATA, metavar="NAME")] = [],  # noqa: B006
    column: Annotated[
        list[str], _option("Kind of a column that should not be guessed; may be repeated.", DATA, metavar="NAME=KIND")
    ] = [],  # noqa: B006
    group: Annotated[
        str | None, _option("Column (a patient, say) never on two sides of a split.", DATA, metavar="NAME")
    ] = None,
    test: Annotated[str | None, _option("A separate test set.", DATA, metavar="SPEC")] = None,
    domain_column: Annotated[str | None, _option("Column that names domains.", DATA, metavar="NAME")] = None,
    source_domain: Annotated[
        str | None,
        _option("Rows of this domain are source data: of --source-data, or of TARGET.", DATA, metavar="VALUE"),
    ] = None,
    target_domain: Annotated[str | None, _option("Rows of this domain are the target.", DATA, metavar="VALUE")] = None,
    strict: Annotated[bool, _flag("One unreadable image or recording is an error.", DATA, "--strict")] = False,
    labels_per_class: Annotated[
        int | None, _option("Use K labels a class, hide the others.", DATA, metavar="K")
    ] = None,
    labels: Annotated[int | None, _option("Use N labels in all; 0 hides every one.", DATA, metavar="N")] = None,
    metric: Annotated[str | None, _option("Primary metric.", TRAINING, metavar="NAME")] = None,
    balance: Annotated[
        Balance, _option("Of uneven classes: none, weights, sampler or auto.", TRAINING, metavar="NAME")
    ] = Balance.none,
    control: Annotated[
        list[str], _option("auto, none, or ids of controls; may be repeated.", TRAINING, metavar="ID")
    ] = ["auto"],  # noqa: B006
    seeds: Annotated[int, _option("How many repetitions.", TRAINING, metavar="N")] = 1,
    seed: Annotated[int, _option("The first seed.", TRAINING, metavar="N")] = 0,
    curve: Annotated[str | None, _option("Learning curve over labels a class.", TRAINING, metavar="5,10,20")] = None,
    epochs: Annotated[int | None, _option("Budget of a training stage, in epochs,", TRAINING, metavar="N")] = None,
    steps: Annotated[int | None, _option("in optimiser steps,", TRAINING, metavar="N")] = None,
    seconds: Annotated[float | None, _option("or in seconds: whichever ends first.", TRAINING, metavar="T")] = None,
    batch_size: Annotated[int | None, _option("Rows of an optimiser step.", TRAINING, metavar="N")] = None,
    device: Annotated[Device, _option("auto, cpu or cuda.", TRAINING, metavar="NAME")] = Device.auto,
    out: Annotated[Path | None, _option("Run folder; runs/TARGET-METHOD if not given.", OUTPUT, metavar="RUN")] = None,
    resume: Annotated[
        bool, _flag("Go on with a run that was stopped: that in --out, or the latest of its name.", OUTPUT, "--resume")
    ] = False,
    overwrite: Annotated[bool, _flag("Replace the run in --out.", OUTPUT, "--overwrite")] = False,
    config: Annotated[
        Path | None, _option("YAML file with these names.", OUTPUT, metavar="FILE", callback=read_config, is_eager=True)
    ] = None,
    json: Json = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Move knowledge from a source to TARGET, beside controls that do without it.

    Example: sterna transfer photos.zip --source packaged/efficientnet-lite0 --method fine-tuning
    """
    from sterna import experiment
    from sterna.domains import load_domain
    from sterna.sources import Source, load_source
    from sterna.training.distributed import rank_and_world

    if len(source) > 1:
        raise RequestError(f"{len(source)} sources were given; this version moves knowledge from one at a time.")
    for name, value in (("--architecture", architecture), ("--image-size", image_size)):
        if value is not None and not source:
            raise RequestError(f"{name} is {value!r}, which is for a source, but none is given; add --source.")
    if source_domain is not None and source_domain == target_domain and source_data is None:
        raise RequestError(f"--source-domain and --target-domain are both {source_domain!r}; name two different ones.")
    if source_domain is not None and target_domain is None and source_data is None:
        raise RequestError(
            "--source-domain takes rows of TARGET, so --target-domain must say which rows are the target."
        )
    if seed < 0:
        raise RequestError(f"--seed is {seed}; expected 0 or more.")
    domain = load_domain(
        target, label=label, text=text, drop=drop, columns=columns_of(column), group=group, test=test, strict=strict,
        domain_column=domain_column, domain=target_domain, task=task.value if task else None,
    )  # fmt: skip
    known = load_source(source[0], architecture=architecture, image_size=image_size) if source else None
    if source_data or source_domain:
        data = load_domain(
            source_data or target, label=source_label or label, text=text, drop=drop, columns=columns_of(column),
            strict=strict, domain_column=domain_column if source_domain else None, domain=source_domain,
            task=task.value if task else None,
        )  # fmt: skip
        known = (
            known.with_data(data) if known else Source(spec=data_spec(source_data or target, source_domain), data=data)
        )
    elif source_label is not None:
        raise RequestError(f"--source-label is {source_label!r}, which is for --source-data; give that as well.")
    folder = out or run_folder(domain.name, method, resume)
    try:
        result = experiment.transfer(
            known, domain, method=method, settings=settings_of(set_), task=task.value if task else None, metric=metric,
            labels_per_class=labels_per_class, labels=labels, balance=balance.value, control=control, seeds=seeds,
            seed=seed, epochs=epochs, steps=steps, seconds=seconds, batch_size=batch_size, device=device.value,
            curve=curve_of(curve), out=folder, resume=resume, overwrite=overwrite, progress=not quiet,
        )  # fmt: skip
    except KeyboardInterrupt:
        raise RunError(stopped(folder)) from None
    if rank_and_world()[0] > 0:
        return
    if json:
        print_json(result.record)
    elif not quiet:
        show(result)


def data_spec(spec: str, domain: str | None) -> str:
    """What to call a source that is labelled data alone."""
    return f"{Path(spec).name}:{domain}" if domain else Path(spec).name


def columns_of(pairs: list[str]) -> dict[str, str] | None:
    """``["ca=category"]`` as a dictionary."""
    for pair in pairs:
        if "=" not in pair:
            raise RequestError(f"--column is {pair!r}; expected NAME=KIND, such as --column zip=category.")
    return {pair.rpartition("=")[0]: pair.rpartition("=")[2] for pair in pairs} or None


def curve_of(text: str | None) -> list[int]:
    """``"5,10"`` as numbers."""
    try:
        return [int(part) for part in text.split(",")] if text else []
    except ValueError:
        raise RequestError(f"--curve is {text!r}; expected numbers of labels a class, such as 5,10,20.") from None


def run_folder(name: str, method: str, resume: bool) -> Path:
    """``runs/NAME-METHOD``, or with a number where that exists; the latest of them to go on with it."""
    safe = "".join(c if c.isalnum() or c in "-_." else "-" for c in Path(name).name).strip("-.") or "target"
    first = Path("runs") / f"{safe}-{method}"
    numbered = [first if i == 1 else first.with_name(f"{first.name}-{i}") for i in range(1, 10_000)]
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
    from rich.table import Table

    from sterna.report.words import selection

    console, record = Console(), result.record
    if not console.is_terminal:
        console.width = PIPED
    source = record["source"]["spec"] if record["source"] else "no source"
    console.print(f"\n[bold]{record['method']}[/bold]: {source} → {record['target']['name']}", highlight=False)
    parts = ", ".join(f"{name} {rows}" for name, rows in record["target"]["splits"].items() if rows)
    console.print(f"rows: {parts}; seeds: {len(record['seeds'])}", highlight=False, style="dim")
    for sentence in [*record["target"]["notes"], *record["messages"]]:
        console.print(f"note: {sentence}", highlight=False, markup=False, style="yellow")
    table = Table(box=None, padding=(0, 2, 0, 0))
    table.add_column("test score")
    for name in (record["method"], *record["controls"]):
        table.add_column(name, justify="right")
    for metric in shown_metrics(record):
        cells = [record["scores"][metric], *(found[metric] for found in record["controls"].values())]
        star = " *" if metric == record["task"]["metric"] else ""
        table.add_row(metric + star, *(f"{c['value']:.3f} [{c['low']:.3f}, {c['high']:.3f}]" for c in cells))
    console.print(table)
    for line in verdict_lines(record):
        console.print(line, highlight=False)
    console.print(selection(record["selected_by"]), highlight=False, markup=False)
    console.print(f"{record['seconds']['total']:.0f} s; run folder {record['run']}", highlight=False, markup=False)
    console.print(f"report: sterna report {record['run']} --out report.html", highlight=False, markup=False)


def shown_metrics(record: Mapping[str, Any]) -> list[str]:
    """The metrics of a whole run; those of single classes are left to the report."""
    return [name for name in record["scores"] if "[" not in name]


def chosen_by(words: str) -> str:
    """Who chose the control of the headline."""
    return words if words.startswith("the only") else f"control chosen by {words}"


def verdict_lines(record: Mapping[str, Any]) -> list[str]:
    """The headline gain in words, with rich's markup."""
    gain = record["gain"]
    if gain is None:
        return ["no control ran, so nothing is said about the gain"]
    colour = {"helps": "green", "hurts": "red", "unclear": "yellow"}[gain["verdict"]]
    return [
        f"gain over {gain['control']}: [bold {colour}]{gain['value']:+.3f} \\[{gain['low']:+.3f}, {gain['high']:+.3f}] "
        f"{gain['metric']}: {gain['verdict']}[/]  ({chosen_by(record['control_selected_by'])})"
    ]
