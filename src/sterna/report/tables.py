"""The tables of a run: scores beside the controls, each class, the confusion matrix."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from markupsafe import Markup

from sterna.record.record import Record
from sterna.record.scores import Score
from sterna.report.language import ENGLISH, Language
from sterna.report.words import count, exact, interval, metric_meaning, metric_name, places
from sterna.tasks.infer import smaller_is_better

_KINDS = ("precision", "recall", "f1")
_MOST_CLASSES = 20


@dataclass(frozen=True)
class Cell:
    """A value with its interval."""

    value: Markup
    interval: str
    best: bool = False


@dataclass(frozen=True)
class Row:
    """A row of a table of scores."""

    name: str
    meaning: str
    cells: tuple[Cell | None, ...]
    smaller: bool = False
    primary: bool = False


@dataclass(frozen=True)
class Table:
    """Scores with the names of their columns."""

    columns: tuple[str, ...]
    rows: tuple[Row, ...]


def scores_table(record: Record, say: Language = ENGLISH) -> Table:
    """Each metric of the transfer beside every control's, the primary metric first."""
    sides = [record.scores, *_controls(record).values()]
    apart = {f"{kind}[{name}]" for name in record.task.classes or () for kind in _KINDS}
    names = [metric for metric in dict.fromkeys(name for side in sides for name in side) if metric not in apart]
    primary = record.gain.metric if record.gain is not None else record.task.metric
    names.sort(key=lambda metric: metric != primary)
    decimals = {metric: places(_value(side.get(metric)) for side in sides) for metric in names}
    rows = []
    for metric in names:
        smaller = smaller_is_better(record.task.id, metric) or (
            record.gain is not None and metric == record.gain.metric and not record.gain.higher_is_better
        )
        values = [_value(side.get(metric)) for side in sides]
        known = [value for value in values if value is not None]
        best = (min if smaller else max)(known) if len(known) > 1 else None
        cells = tuple(
            _cell(side.get(metric), decimals[metric], say, best is not None and value == best)
            for side, value in zip(sides, values, strict=True)
        )
        rows.append(Row(metric_name(metric, say), metric_meaning(metric, say), cells, smaller, metric == primary))
    return Table((record.method, *_controls(record)), tuple(rows))


def class_table(record: Record, say: Language = ENGLISH) -> Table | None:
    """Precision, recall and F1 of each class, where the run has them."""
    rows = []
    for name in record.task.classes or ():
        found = [record.scores.get(f"{kind}[{name}]") for kind in _KINDS]
        if any(found):
            rows.append(Row(name, "", tuple(_cell(score, 3, say) for score in found)))
    return Table(tuple(metric_name(kind, say) for kind in _KINDS), tuple(rows)) if rows else None


@dataclass(frozen=True)
class Shade:
    """A cell of the confusion matrix."""

    count: str
    share: float
    right: bool


@dataclass(frozen=True)
class Confusion:
    """How often each class was answered for each class; for many classes only the pairs that were confused most."""

    classes: tuple[str, ...]
    rows: tuple[tuple[str, tuple[Shade, ...], str], ...] = ()
    worst: tuple[tuple[str, str, str], ...] = ()


def confusion_table(record: Record) -> Confusion | None:
    """The confusion matrix, shaded by the share of each true class; ``None`` where there is none that fits."""
    matrix, classes = record.confusion, record.task.classes or ()
    if not matrix or len(matrix) != len(classes) or any(len(row) != len(classes) for row in matrix):
        return None
    if len(classes) > _MOST_CLASSES:
        wrong = [
            (value, true, answer)
            for true, row in zip(classes, matrix, strict=True)
            for answer, value in zip(classes, row, strict=True)
            if value and true != answer
        ]
        wrong.sort(key=lambda item: -item[0])
        return Confusion(classes, worst=tuple((count(value), true, answer) for value, true, answer in wrong[:15]))
    rows = []
    for i, (name, row) in enumerate(zip(classes, matrix, strict=True)):
        total = sum(row)
        shades = tuple(Shade(count(v), v / total if total else 0.0, i == j) for j, v in enumerate(row))
        rows.append((name, shades, count(total)))
    return Confusion(classes, tuple(rows))


def _controls(record: Record) -> Mapping[str, Mapping[str, Score]]:
    """The controls, the one to beat first."""
    headline = record.gain.control if record.gain is not None else None
    return dict(sorted(record.controls.items(), key=lambda item: item[0] != headline))


def _value(score: Score | None) -> float | None:
    return score.value if score is not None and math.isfinite(score.value) else None


def _cell(score: Score | None, decimals: int, say: Language, best: bool = False) -> Cell | None:
    if score is None:
        return None
    return Cell(exact(score.value, decimals), interval(score.low, score.high, decimals, say=say), best)
