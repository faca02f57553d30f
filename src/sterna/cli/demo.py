"""``sterna demo``."""

from __future__ import annotations

import time
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sterna.cli.app import Debug, Json, Quiet, app, print_json
from sterna.cli.wording import in_terminal, say
from sterna.record.request import Request

if TYPE_CHECKING:
    from sterna.domains import Domain
    from sterna.record.record import Record
    from sterna.record.scores import Gain


class Demo(StrEnum):
    """Demos by name."""

    pneumonia = "pneumonia"
    digits = "digits"
    text = "text"


PLANS: dict[Demo, dict[str, Any]] = {
    Demo.pneumonia: {
        "title": "ImageNet photographs → chest X-rays, 20 labels a class",
        "source": "packaged/efficientnet-lite0",
        "labels_per_class": 20,
        "metric": "balanced_accuracy",
        "methods": ("feature-extraction", "fine-tuning"),
        "controls": {"feature-extraction": "target-only"},  # scratch costs as much as fine-tuning: once is enough
        "seeds": {"feature-extraction": 3, "fine-tuning": 1},  # a draw takes 10 s and half a minute
    },
    Demo.digits: {
        "title": "ImageNet photographs → handwritten digits of 8 x 8 pixels, 10 labels a class",
        "source": "packaged/efficientnet-lite0",
        "labels_per_class": 10,
        "methods": ("feature-extraction",),
    },
    Demo.text: {
        "title": "English sentences → departments of short product reviews, 10 labels a class",
        "source": "packaged/minilm-l6",
        "labels_per_class": 10,
        "methods": ("auto",),
    },
}


@app.command()
def demo(
    name: Annotated[Demo, typer.Argument(help="Which knowledge moves where.")] = Demo.text,
    out: Annotated[Path, typer.Option(help="Folder for the runs and the report.")] = Path("runs"),
    json: Json = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Run the main job on data that ship with Sterna, and write a report."""
    from sterna.experiment.run import run
    from sterna.report import write_report
    from sterna.sources import load_source

    plan, started = PLANS[name], time.monotonic()
    loud = not (quiet or json)
    if loud:
        print(f"Sterna demo: {plan['title']}")
    source, target, results = load_source(plan["source"]), demo_domain(name), []
    once = cache(say)  # what is told of the data is the same for each method
    for method in plan["methods"]:
        asked = Request(
            method=method,
            labels_per_class=plan["labels_per_class"],
            metric=plan.get("metric"),
            control=(plan.get("controls", {}).get(method, "auto"),),
            seeds=plan.get("seeds", {}).get(method),
            out=out / f"demo-{name}" / method,
            overwrite=True,
        )
        results.append(run([source], target, asked, progress=not quiet, told=once if loud else None))
    page = write_report(
        [result.folder.path for result in results], out / f"demo-{name}" / "report.html", noted=in_terminal
    )
    if json:
        print_json({"runs": [result.record for result in results], "report": str(page)})
    elif loud:
        _show([result.evidence for result in results])
        print(f"\nreport: {page}   ({time.monotonic() - started:.0f} s)")


def demo_domain(name: Demo) -> Domain:
    """The target of a demo."""
    from sterna.data import demo_path
    from sterna.domains import Domain, load_domain

    if name is Demo.pneumonia:
        return load_domain(demo_path("pneumonia"))
    if name is Demo.text:
        return load_domain(demo_path("reviews"), text="text", label="department", drop=["sentiment"])
    import numpy as np
    from sklearn.datasets import load_digits

    digits = load_digits()
    return Domain.from_arrays((digits.images * 255 / 16).astype(np.uint8), digits.target, name="digits")


def _show(records: list[Record]) -> None:
    """Each method, and below it its own controls with the gain over each: those of another method are not its own."""
    from rich.console import Console
    from rich.table import Table

    from sterna.experiment.shown import with_interval

    metric = records[0].task.metric
    table = Table(box=None, padding=(0, 2, 0, 0), caption=f"{metric} on the test split, 95 % intervals")
    for column in ("method, its controls", "score", "gain over the control", ""):
        table.add_column(column, no_wrap=True)
    for record in records:
        table.add_row(f"[bold]{record.method}[/]", with_interval(record.scores[metric]), "", _verdict(record.gain))
        for control, gain in record.gains.items():
            own = with_interval(record.controls[control][metric])
            table.add_row(f"  {control}", own, with_interval(gain, "+"), _verdict(gain))
    Console().print(table)
    for record in (each for each in records if each.candidates):
        taken = " or ".join(each.method for each in record.candidates if each.chosen)
        print(f"{record.method} tried {len(record.candidates)} candidates on held-out labels and took {taken}")
    splits = records[0].target.splits
    draws = ", ".join(f"{len(record.seeds)} ({record.method})" for record in records)
    print(f"labels used: {splits['train'] + splits['validation']}; draws of them: {draws}")
    print(f"test rows: {splits['test']} (looked at once, to score)")


def _verdict(gain: Gain | None) -> str:
    colours = {"helps": "green", "hurts": "red", "unclear": "yellow"}
    return f"[{colours[gain.verdict]}]{gain.verdict}[/]" if gain else ""
