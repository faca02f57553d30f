"""How an outcome shows itself, in a console and in a notebook."""

from __future__ import annotations

from html import escape

from sterna.record.record import Record
from sterna.record.scores import Gain, Score


class Scores(dict[str, Score]):
    """Scores by metric; shown as a line each."""

    def __repr__(self) -> str:
        width = max(map(len, self), default=0)
        return "\n".join(f"{name:{width}}  {with_interval(score)}" for name, score in self.items()) or "no scores"


def line(record: Record) -> str:
    """The outcome in a line."""
    found = record.scores.get(record.task.metric)
    if found is None:
        return f"Transfer({record.method}: no scores yet)"
    gain = f", gain {record.gain.value:+z.3f} ({record.verdict})" if record.gain else ""
    return f"Transfer({record.method}: {record.task.metric} {with_interval(found)}{gain})"


def table(record: Record) -> str:
    """The scores beside those of the controls, and the verdict, as HTML for a notebook."""
    columns = {record.method: record.scores, **record.controls}
    names = [name for name in record.scores if "[" not in name]
    rows = [("test score", *columns)]
    for name in names:
        star = " *" if name == record.task.metric else ""
        rows.append((name + star, *(with_interval(found[name]) if name in found else "" for found in columns.values())))
    head = "".join(f"<th>{escape(cell)}</th>" for cell in rows[0])
    body = ["".join(f"<td>{escape(cell)}</td>" for cell in row) for row in rows[1:]]
    lines = "".join(f"<tr>{row}</tr>" for row in body)
    gain = record.gain
    verdict = "No baseline ran, so nothing is said about the gain."
    if gain is not None:
        verdict = f"Gain over {gain.control}: {with_interval(gain, '+')} {gain.metric}: {record.verdict}"
    return f"<table><thead><tr>{head}</tr></thead><tbody>{lines}</tbody></table><p>{escape(verdict)}</p>"


def curve_lines(record: Record) -> list[str]:
    """The primary metric of the method and of each control at each number of labels of a curve, a line each."""
    lines = []
    for point in record.curve or ():
        found = {record.method: point.scores, **point.controls}
        scores = ", ".join(f"{name} {with_interval(some[record.task.metric])}" for name, some in found.items())
        lines.append(f"{point.labels_per_class} labels a class: {scores}")
    return lines


def with_interval(found: Score | Gain, sign: str = "") -> str:
    """A score, or with the sign ``"+"`` a gain, with its interval; what rounds to zero is not negative."""
    value, low, high = (f"{number:{sign}z.3f}" for number in (found.value, found.low, found.high))
    return f"{value} [{low}, {high}]"
