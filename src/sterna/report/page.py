"""The page: one HTML file that needs nothing but itself."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from sterna.errors import RequestError
from sterna.files import atomic, explained
from sterna.record.hashes import MANIFEST
from sterna.record.reading import reading
from sterna.record.record import Record
from sterna.report import words
from sterna.report.charts import gain_bars
from sterna.report.run import read_run
from sterna.report.verdict import both_values, gain_places
from sterna.report.view import View, view

if TYPE_CHECKING:
    import jinja2


def write_report(runs: Sequence[Path], out: Path) -> Path:
    """Make one self-contained HTML file from run folders alone.

    The file asks the network for nothing and holds no script; it reads well on a phone, on paper, in light and dark.

    Parameters
    ----------
    runs
        Folders that a transfer has written; several are compared before each is shown.
    out
        The HTML file to write; one that is there is replaced.

    Returns
    -------
    Path
        The file that was written.

    Raises
    ------
    RequestError
        If no run is given, one cannot be read, or `out` is a folder or ends as another sort of file does.
    RunError
        If the file cannot be written.
    """
    if not runs:
        raise RequestError("No run was given to report on: give at least one folder that a transfer has written.")
    out = Path(out)
    with explained(out):
        folder = out.is_dir()
    if folder:
        raise RequestError(
            f"{str(out)!r} is a folder: give the name of an HTML file, such as {str(out / 'report.html')!r}."
        )
    if out.suffix.lower() not in (".html", ".htm", ""):
        raise RequestError(
            f"The report is one HTML file, but its name is {str(out)!r}: give one that ends in .html (a browser prints "
            "it as PDF)."
        )
    views = [_viewed(Path(run)) for run in runs]
    page = _environment().get_template("page.html.jinja").render(views=views, comparison=_comparison(views))
    with atomic(out) as temporary:
        temporary.write_text(page, encoding="utf-8")
    return out


def _viewed(folder: Path) -> View:
    """What the page shows of a run; a record whose numbers cannot be is said to be damaged."""
    run = read_run(folder)
    with reading(folder / MANIFEST):
        return view(run)


@cache
def _environment() -> jinja2.Environment:
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("sterna.report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["day"] = words.day
    return environment


def _comparison(views: Sequence[View]) -> dict[str, object] | None:
    """The table over several runs; gains share an axis only where they share a metric."""
    if len(views) < 2:
        return None
    compared = [(v, v.record.gain) for v in views]
    metrics = {gain.metric for _, gain in compared if gain is not None}
    targets = {v.record.target.name for v in views}
    gains = [
        (f"{gain.control} ({v.record.method})", "", gain, gain_places(v.record, gain.metric))
        for v, gain in compared
        if gain is not None
    ]
    bars, axis = gain_bars(gains) if gains else ([], None)
    drawn = iter(bars)
    rows = [(v, next(drawn) if gain is not None else None, _score(v.record)) for v, gain in compared]
    helped = sum(gain is not None and gain.verdict == "helps" for _, gain in compared)
    return {"rows": rows, "axis": axis, "drawn": len(metrics) == 1, "targets": len(targets), "helped": helped}


def _score(record: Record) -> tuple[str, str]:
    """The metric that was compared, and its value."""
    gain = record.gain
    metric = gain.metric if gain is not None else record.task.metric
    score = record.scores.get(metric)
    value = score.value if score is not None else None
    decimals = words.places(both_values(record, gain)) if gain is not None else words.places([value])
    return words.metric_name(metric), words.plain(value, decimals)
