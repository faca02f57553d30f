"""From a run's record to its charts."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from sterna.record.record import Point, Record
from sterna.record.scores import Gain
from sterna.report.draw import Line, Mark, Scale, interval_axis, interval_bar, line_chart, span, ticks
from sterna.report.language import ENGLISH, Language
from sterna.report.verdict import WORDS, gain_look
from sterna.report.words import control_meaning, count, interval, metric_name, plain, repeated

_STYLES = "abcdef"
_MOST_POINTS = 150
GAIN = "Gain against {name}: {value}, 95 % interval {interval}, {verdict}"
_NOT_TERMS = {"seed", "stage", "epoch", "step", "loss", "validation", "seconds", "method", "time"}


@dataclass(frozen=True)
class Figure:
    """A drawn chart with its heading and the names of its lines."""

    heading: str
    svg: Markup
    legend: tuple[tuple[str, str], ...] = ()
    below: str = ""


@dataclass(frozen=True)
class Bar:
    """One gain in a column of gains that share their axis; `kind` is its verdict, or ``"none"``."""

    name: str
    meaning: str
    gain: Gain
    kind: str
    svg: Markup
    value: str
    interval: str
    headline: bool = False


def gain_bars(
    gains: Sequence[tuple[str, str, Gain, int, str]],
    say: Language = ENGLISH,
    headline: str | None = None,
    *,
    title: str = GAIN,
) -> tuple[list[Bar], Markup]:
    """Gains drawn on one axis around zero.

    Parameters
    ----------
    gains
        For each: name, meaning, the gain, how many decimals it is printed with, and its verdict or ``"none"``.
    headline
        The name of the one that the verdict speaks of.
    title
        What a screen reader says of one.

    Returns
    -------
    tuple
        The bars, and the axis that goes under them.
    """
    values = [v for _, _, gain, *_ in gains for v in (gain.value, gain.low, gain.high) if _finite(v)]
    scale = Scale(*span([0.0, *values]))
    bars = []
    for name, meaning, gain, decimals, kind in gains:
        low, high = (v if _finite(v) else gain.value for v in (gain.low, gain.high))
        words = plain(gain.value, decimals, signed=True), interval(gain.low, gain.high, decimals, signed=True, say=say)
        verdict = say(WORDS[kind]).lower()
        told = say(title, name=name, value=words[0], interval=words[1], verdict=verdict)
        svg = Markup("")
        if _finite(gain.value):
            svg = interval_bar(gain.value, low, high, scale, verdict=kind, title=told)
        bars.append(Bar(name, meaning, gain, kind, svg, *words, name == headline))
    return bars, interval_axis(scale)


def control_bars(record: Record, say: Language = ENGLISH) -> tuple[list[Bar], Markup] | None:
    """The gain against each control, the headline first; ``None`` without any."""
    gains = dict(record.gains)
    if record.gain is not None:
        control = record.gain.control
        gains = {control: gains.get(control, record.gain), **{k: g for k, g in gains.items() if k != control}}
    if not gains:
        return None
    headline = record.gain.control if record.gain is not None else None
    drawn = [(name, control_meaning(name, say), gain, *gain_look(record, gain)) for name, gain in gains.items()]
    return gain_bars(drawn, say, headline)


def learning_curve(record: Record, say: Language = ENGLISH) -> Figure | None:
    """Score against labels a class, with interval bands; ``None`` where the run has fewer than two such points."""
    points = sorted(record.curve or (), key=lambda point: point.labels_per_class)
    if len(points) < 2:
        return None
    metric = record.gain.metric if record.gain is not None else record.task.metric
    controls = list(dict.fromkeys(name for point in points for name in point.controls))
    if record.gain is not None and record.gain.control in controls:
        controls.sort(key=lambda name: name != record.gain.control if record.gain else False)
    # The axis is logarithmic: no labels stand where half of the least would.
    places = [float(point.labels_per_class or points[1].labels_per_class / 2) for point in points]
    named = zip([record.method, *controls[:5]], ["a", *_STYLES[1:]], strict=False)
    lines = [_curve_line(name, style, places, points, name != record.method, metric) for name, style in named]
    lines = [line for line in lines if line.marks]
    if not lines:
        return None
    labels = [(place, count(point.labels_per_class)) for place, point in zip(places, points, strict=True)]
    name = metric_name(metric, say)
    svg = line_chart(
        lines,
        title=say("Learning curve: {metric} on the test split against labelled examples a class", metric=name),
        x_ticks=_apart(labels),
        logarithmic=True,
        height=260,
    )
    return Figure(
        f"{name[:1].upper()}{name[1:]}", svg, tuple((line.style, line.name) for line in lines), say("labels a class")
    )


def _apart(labels: Sequence[tuple[float, str]], least: float = 9.0) -> list[tuple[float, str]]:
    """Leave out axis labels that would stand on the one before."""
    scale = Scale(labels[0][0], labels[-1][0], logarithmic=True)
    kept: list[tuple[float, str]] = []
    for label in labels:
        if not kept or scale(label[0]) - scale(kept[-1][0]) >= least:
            kept.append(label)
    return kept


def _curve_line(
    name: str, style: str, places: Sequence[float], points: Sequence[Point], control: bool, metric: str
) -> Line:
    marks = []
    for place, point in zip(places, points, strict=True):
        scores = point.controls.get(name, {}) if control else point.scores
        score = scores.get(metric)
        if score is not None and _finite(score.value):
            # Bands for the transfer and the control to beat only: more of them hide each other.
            banded = style in "ab" and _finite(score.low) and _finite(score.high)
            low, high = (score.low, score.high) if banded else (None, None)
            marks.append(Mark(place, score.value, low, high))
    return Line(name, tuple(marks), style)


def training_curves(
    history: Mapping[str, list[dict[str, Any]]], record: Record, say: Language = ENGLISH
) -> list[Figure]:
    """Loss and validation score of each method that trained for at least two epochs."""
    figures = []
    for method, rows in history.items():
        runs = _by_seed(rows)
        terms = [key for key in dict.fromkeys(key for row in rows for key in row) if _is_term(key, rows)]
        if terms == ["loss"] or (len(terms) == 2 and _same(rows, *terms)):
            terms = ["loss"]
        losses = [_history_lines(runs, term, style) for term, style in zip(terms[:6], _STYLES, strict=False)]
        scores = [_history_lines(runs, "validation", "a")]
        for heading, groups, names in (
            (say("{method}: loss", method=method), losses, terms),
            (say("{method}: validation score", method=method), scores, ["validation"]),
        ):
            kept = [(lines, term) for lines, term in zip(groups, names, strict=False) if lines]
            if any(len(line.marks) > 1 for lines, _ in kept for line in lines):
                figures.append(_history_figure(heading, kept, runs, record, say))
    return figures


def _is_term(key: str, rows: Sequence[dict[str, Any]]) -> bool:
    return (key == "loss" or key not in _NOT_TERMS) and any(_finite(row.get(key)) for row in rows)


def _same(rows: Sequence[dict[str, Any]], first: str, second: str) -> bool:
    """Whether a lone loss term is the loss itself."""
    return all(row.get(first) == row.get(second) for row in rows)


def _by_seed(rows: Sequence[dict[str, Any]]) -> list[list[dict[str, Any]]]:
    runs: dict[Any, list[dict[str, Any]]] = {}
    for row in rows:
        runs.setdefault(row.get("seed"), []).append(row)
    return list(runs.values())


def _history_lines(runs: Sequence[list[dict[str, Any]]], key: str, style: str) -> list[Line]:
    """One line a seed; epochs are counted through all stages."""
    lines = []
    for run in runs:
        marks = [Mark(float(i), float(row[key])) for i, row in enumerate(run, start=1) if _finite(row.get(key))]
        step = math.ceil(len(marks) / _MOST_POINTS) or 1
        if marks:
            lines.append(Line(key, tuple(marks[::step]), style, dots=False))
    return lines


def _history_figure(
    heading: str,
    groups: Sequence[tuple[list[Line], str]],
    runs: Sequence[list[dict[str, Any]]],
    record: Record,
    say: Language,
) -> Figure:
    lines = [line for group, _ in groups for line in group]
    longest = max(runs, key=len)
    stages = [
        (float(i), str(row.get("stage") or ""))
        for i, row in enumerate(longest, start=1)
        if i == 1 or row.get("stage") != longest[i - 2].get("stage")
    ]
    low, high = min(m.x for line in lines for m in line.marks), max(m.x for line in lines for m in line.marks)
    breaks = _named_apart([stage for stage in stages if low <= stage[0] <= high], low, high) if len(stages) > 1 else []
    values = [t for t in ticks(low, high) if float(t).is_integer()] or [low, high]
    legend = tuple((group[0].style, name) for group, name in groups) if len(groups) > 1 else ()
    epoch = say("epoch")
    if len(runs) > 1:
        epoch = say("epoch, {draws}", draws=repeated(record, len(runs), say))
    svg = line_chart(
        lines,
        title=say("{heading}, by {epoch}", heading=heading, epoch=epoch),
        x_ticks=[(t, plain(t, 0)) for t in values],
        breaks=breaks,
        height=130,
    )
    return Figure(heading, svg, legend, epoch)


def _named_apart(stages: Sequence[tuple[float, str]], low: float, high: float) -> list[tuple[float, str]]:
    """Leave out the names of stages, not their lines, that would run into the next one on a phone."""
    ends = [*(at for at, _ in stages[1:]), high]
    room = [(end - at) / max(high - low, 1e-9) for (at, _), end in zip(stages, ends, strict=True)]
    return [(at, name if 0.02 * len(name) <= r else "") for (at, name), r in zip(stages, room, strict=True)]


def _finite(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
