"""Charts as inline SVG, by small pure functions.

Positions are percentages, so that a chart fills its place while its text keeps its size, on a phone as on paper.
Colours and line styles come from the page's style sheet, by class; words that a user chose are escaped by `Markup`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from sterna.report.words import places, plain


@dataclass(frozen=True)
class Scale:
    """Values from `low` to `high` on 0 to 100 %, linear or by logarithm."""

    low: float
    high: float
    logarithmic: bool = False

    def __call__(self, value: float) -> float:
        """Where the value stands, in per cent."""
        if self.logarithmic:
            low, high, value = math.log(self.low), math.log(self.high), math.log(value)
        else:
            low, high = self.low, self.high
        return 50.0 if high == low else 100.0 * (value - low) / (high - low)


@dataclass(frozen=True)
class Mark:
    """A value with its interval, where it has one."""

    x: float
    y: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Line:
    """Marks joined by a line; `style` is a class of the style sheet: ``"a"`` to ``"f"``."""

    name: str
    marks: tuple[Mark, ...]
    style: str = "a"
    dots: bool = True


def ticks(low: float, high: float, about: int = 4) -> list[float]:
    """Round numbers between `low` and `high`, about as many as asked for.

    >>> ticks(0.0, 1.0), ticks(-0.03, 0.21)
    ([0.0, 0.2, 0.4, 0.6, 0.8, 1.0], [0.0, 0.05, 0.1, 0.15, 0.2])
    """
    if not high > low:
        return [low]
    rough = (high - low) / about
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * unit for unit in (1, 2, 5, 10) if power * unit >= rough * 0.75)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    decimals = max(0, -math.floor(math.log10(step)))
    return [round(i * step, decimals) + 0.0 for i in range(first, last + 1)]


def span(values: Sequence[float], *, pad: float = 0.06) -> tuple[float, float]:
    """From the smallest to the largest value, with a little room at both ends."""
    low, high = min(values), max(values)
    room = (high - low) * pad or max(abs(high) * 0.1, 0.01)
    return low - room, high + room


def interval_bar(value: float, low: float, high: float, scale: Scale, *, verdict: str, title: str) -> Markup:
    """One interval with its value beside the line of no difference."""
    zero = f"{scale(0.0):.2f}%"
    x1, x2, x = (f"{scale(v):.2f}%" for v in (low, high, value))
    return Markup(
        '<svg class="bar {}" role="img" width="100%" height="28"><title>{}</title>'
        '<line class="zero" x1="{}" x2="{}" y1="0" y2="28"/>'
        '<line class="whisker" x1="{}" x2="{}" y1="14" y2="14"/>'
        '<circle class="dot" cx="{}" cy="14" r="5.5"/></svg>'
    ).format(verdict, title, zero, zero, x1, x2, x)


def interval_axis(scale: Scale) -> Markup:
    """The axis under a column of interval bars."""
    values = ticks(scale.low, scale.high)
    decimals = _tick_places(values)
    labels = Markup("").join(
        Markup('<text x="{}%" y="12" class="{}">{}</text>').format(
            f"{scale(v):.2f}", "tick zero-tick" if v == 0 else "tick", plain(v, decimals, signed=True)
        )
        for v in values
    )
    return Markup('<svg class="axis" aria-hidden="true" width="100%" height="16">{}</svg>').format(labels)


def line_chart(
    lines: Sequence[Line],
    *,
    title: str,
    x_ticks: Sequence[tuple[float, str]],
    logarithmic: bool = False,
    breaks: Sequence[tuple[float, str]] = (),
    height: int = 200,
) -> Markup:
    """Lines with interval bands over a light grid.

    Parameters
    ----------
    lines
        What to draw; the first is drawn last, on top.
    title
        What a screen reader says.
    x_ticks
        Values of the horizontal axis and their labels.
    logarithmic
        Whether the horizontal axis is one of ratios; its values must then be positive.
    breaks
        Where a new stage begins on the horizontal axis, and its name.
    height
        In pixels, without the axis labels.
    """
    marks = [mark for line in lines for mark in line.marks]
    xs = [mark.x for mark in marks]
    x = Scale(min(xs), max(xs), logarithmic)
    ys = [v for mark in marks for v in (mark.y, mark.low, mark.high) if v is not None]
    y = Scale(*span(ys))
    y_values = ticks(y.low, y.high)
    decimals = _tick_places(y_values)
    parts = [Markup('<svg class="chart" role="img" width="100%" height="{}"><title>{}</title>').format(height, title)]
    for value in y_values:
        at = f"{100 - y(value):.2f}%"
        parts.append(Markup('<line class="grid" x1="0" x2="100%" y1="{}" y2="{}"/>').format(at, at))
        label = plain(value, decimals)
        parts.append(Markup('<text class="tick y" x="-8" y="{}" dy="0.32em">{}</text>').format(at, label))
    for value, label in breaks:
        at = f"{x(value):.2f}%"
        parts.append(Markup('<line class="break" x1="{}" x2="{}" y1="0" y2="100%"/>').format(at, at))
        parts.append(Markup('<text class="tick stage" x="{}" y="-5" dx="3">{}</text>').format(at, label))
    for value, label in x_ticks:
        parts.append(
            Markup('<text class="tick" x="{}%" y="100%" dy="1.5em">{}</text>').format(f"{x(value):.2f}", label)
        )
    parts.append(Markup('<svg viewBox="0 0 100 100" preserveAspectRatio="none" width="100%" height="100%">'))
    parts += [_band(line, x, y) for line in lines]
    parts += [_path(line, x, y) for line in reversed(lines)]
    parts.append(Markup("</svg>"))
    for line in reversed(lines):
        if line.dots or len(line.marks) == 1:
            parts += [
                Markup('<circle class="dot {}" cx="{}%" cy="{}%" r="4"/>').format(
                    line.style, f"{x(mark.x):.2f}", f"{100 - y(mark.y):.2f}"
                )
                for mark in line.marks
            ]
    parts.append(Markup("</svg>"))
    return Markup("").join(parts)


def scatter(pairs: Sequence[tuple[float, float]], *, title: str, height: int = 320) -> Markup:
    """Answers (vertical) against the truth (horizontal), with the line where both are equal."""
    low, high = span([value for pair in pairs for value in pair], pad=0.03)
    scale = Scale(low, high)
    values = ticks(low, high)
    decimals = _tick_places(values)
    parts = [Markup('<svg class="chart" role="img" width="100%" height="{}"><title>{}</title>').format(height, title)]
    for value in values:
        at, label = f"{scale(value):.2f}", plain(value, decimals)
        up = f"{100 - scale(value):.2f}%"
        parts.append(Markup('<line class="grid" x1="0" x2="100%" y1="{}" y2="{}"/>').format(up, up))
        parts.append(Markup('<text class="tick y" x="-8" y="{}" dy="0.32em">{}</text>').format(up, label))
        parts.append(Markup('<text class="tick" x="{}%" y="100%" dy="1.5em">{}</text>').format(at, label))
    # A line of no length with a round end is a dot: ten characters a point instead of forty.
    path = "".join(f"M{scale(a):.1f} {100 - scale(b):.1f}h0" for a, b in pairs)
    parts.append(
        Markup(
            '<svg viewBox="0 0 100 100" preserveAspectRatio="none" width="100%" height="100%">'
            '<path class="equal" d="M0 100L100 0"/><path class="points" d="{}"/></svg></svg>'
        ).format(path)
    )
    return Markup("").join(parts)


def _path(line: Line, x: Scale, y: Scale) -> Markup:
    points = " ".join(f"{x(mark.x):.2f},{100 - y(mark.y):.2f}" for mark in line.marks)
    return Markup('<polyline class="line {}" points="{}"/>').format(line.style, points)


def _band(line: Line, x: Scale, y: Scale) -> Markup:
    marks = [(mark.x, mark.low, mark.high) for mark in line.marks if mark.low is not None and mark.high is not None]
    if len(marks) < 2:
        return Markup("")
    there = [f"{x(at):.2f},{100 - y(high):.2f}" for at, _, high in marks]
    back = [f"{x(at):.2f},{100 - y(low):.2f}" for at, low, _ in reversed(marks)]
    return Markup('<polygon class="band {}" points="{}"/>').format(line.style, " ".join(there + back))


def _tick_places(values: Sequence[float]) -> int:
    """Decimals that tell these axis labels apart."""
    most = places(values)
    return next((d for d in range(most) if all(abs(round(v, d) - v) < 1e-9 * max(1, abs(v)) for v in values)), most)
