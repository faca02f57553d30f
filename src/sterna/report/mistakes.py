"""Which answers on the test split were most surely wrong, with what was seen."""

from __future__ import annotations

import base64
import math
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sterna.record.hashes import MANIFEST, check_hash
from sterna.report.language import ENGLISH, Language
from sterna.report.run import Run
from sterna.report.words import places, plain, said
from sterna.tasks.infer import task_type

if TYPE_CHECKING:
    import pyarrow

_PNG = b"\x89PNG\r\n\x1a\n"
_MOST_BYTES = 150_000
_PIXELATED_BELOW = 64


@dataclass(frozen=True)
class Picture:
    """A thumbnail that travels inside the page."""

    uri: str
    width: int
    height: int

    @property
    def small(self) -> bool:
        """Whether its pixels should stay visible when it is enlarged."""
        return max(self.width, self.height) <= _PIXELATED_BELOW


@dataclass(frozen=True)
class Mistake:
    """One wrong answer.

    Attributes
    ----------
    row, name
        Which row of the target.
    label, answer
        What was true and what was answered, in words.
    weight
        How wrong: the confidence in the wrong answer in per cent, or the absolute error of a number; empty if unknown.
    wrong, draws
        In how many of how many draws the answer was wrong.
    text
        The row's text, for texts.
    picture
        The row's thumbnail, for images.
    control
        What the headline control answered, where it is known.
    """

    row: int
    name: str
    label: str
    answer: str
    weight: str
    wrong: int
    draws: int
    text: str | None = None
    picture: Picture | None = None
    control: str | None = None


def most_confident(run: Run, limit: int = 12, say: Language = ENGLISH) -> list[Mistake]:
    """The most confident wrong answers, the surest first; for numbers the largest errors.

    With several draws a row is shown once, with its surest wrong answer. Where thumbnails were kept, rows that have one
    come first.
    """
    table = run.predictions
    if table is None or table.num_rows == 0:
        return []
    weights = _weights(table, run)
    rows = table.column("row").to_pylist()
    best: dict[int, int] = {}
    wrong: dict[int, int] = {}
    seen: dict[int, int] = {}
    for i, (row, weight) in enumerate(zip(rows, weights, strict=True)):
        seen[row] = seen.get(row, 0) + 1
        if weight is None:
            continue
        wrong[row] = wrong.get(row, 0) + 1
        if row not in best or weight > (weights[best[row]] or 0.0):
            best[row] = i
    pictures = {path.stem for path in (run.folder / "mistakes").glob("*.png")}
    order = sorted(best, key=lambda row: (str(row) not in pictures, -(weights[best[row]] or 0.0), row))
    shown = [best[row] for row in order[:limit]]
    # One number of decimals for all, so that they stand in line.
    numbers = [
        v for i in shown for v in (table.column("label")[i].as_py(), table.column("answer")[i].as_py(), weights[i])
    ]
    decimals = places(numbers) if task_type(run.record.task.id).one_number else 0
    return [
        _mistake(run, table, i, weights[i], (wrong[row], seen[row]), decimals, say)
        for i, row in zip(shown, order, strict=False)
    ]


def pairs(run: Run, most: int = 1000) -> list[tuple[float, float]]:
    """Truth and answer of numbers, evenly thinned to at most `most` pairs."""
    table = run.predictions
    if table is None:
        return []
    both = zip(table.column("label").to_pylist(), table.column("answer").to_pylist(), strict=True)
    found = [(a, b) for a, b in both if _is_number(a) and _is_number(b)]
    step = math.ceil(len(found) / most) or 1
    return found[::step]


def _weights(table: pyarrow.Table, run: Run) -> list[float | None]:
    """How wrong each prediction is; ``None`` where it is right or its label is not known."""
    labels, answers = table.column("label").to_pylist(), table.column("answer").to_pylist()
    if task_type(run.record.task.id).one_number:
        return [
            abs(label - answer) if _is_number(label) and _is_number(answer) else None
            for label, answer in zip(labels, answers, strict=True)
        ]
    classes = run.record.task.classes or ()
    columns = {
        name: table.column(f"p_{name}").to_pylist() for name in classes if f"p_{name}" in set(table.column_names)
    }
    return [
        None if label is None or said(label) == said(answer) else _confidence(columns, i, label, answer)
        for i, (label, answer) in enumerate(zip(labels, answers, strict=True))
    ]


def _confidence(columns: dict[str, list[Any]], i: int, label: Any, answer: Any) -> float:
    if said(answer) in columns:
        return float(columns[said(answer)][i] or 0.0)
    # Several labels a row, joined by "|": the surest of the labels that are wrongly there or wrongly missing.
    true, given = _names(label), _names(answer)
    wrong = [name for name in columns if (name in true) != (name in given)]
    sure = [columns[name][i] if name in given else 1.0 - columns[name][i] for name in wrong]
    return float(max(sure, default=0.0))


def _names(value: Any) -> set[str]:
    return set(str(value).split("|"))


def _mistake(
    run: Run, table: pyarrow.Table, i: int, weight: float | None, draws: tuple[int, int], decimals: int, say: Language
) -> Mistake:
    values = {name: table.column(name)[i].as_py() for name in table.column_names if not name.startswith("p_")}
    gain = run.record.gain
    task = task_type(run.record.task.id)

    def words(value: Any) -> str:
        if task.one_number and _is_number(value):
            return plain(value, decimals)
        several = not (task.one_class or task.one_number)
        return ", ".join(sorted(_names(value) - {""})) or say("none") if several else said(value, say)

    control = values.get(f"control_{gain.control}") if gain is not None else None
    if task.one_number:
        weighed = plain(weight, decimals)
    else:
        known = weight is not None and any(name.startswith("p_") for name in table.column_names)
        weighed = f"{100 * weight:.0f}\u00a0%" if known and weight is not None else ""
    return Mistake(
        row=values["row"],
        name=_name(values),
        label=words(values["label"]),
        answer=words(values["answer"]),
        weight=weighed,
        wrong=draws[0],
        draws=draws[1],
        text=values.get("text"),
        picture=_picture(run, values["row"]),
        control=None if control is None else words(control),
    )


def _name(values: dict[str, Any]) -> str:
    """The file's name; where rows have none, their number in the whole data rather than in the test split."""
    name = str(values.get("name") or "")
    return name if name and not name.isdecimal() else str(values["row"])


def _picture(run: Run, row: int) -> Picture | None:
    name = f"mistakes/{int(row)}.png"
    path = run.folder / name
    if not path.is_file() or path.is_symlink() or path.stat().st_size > _MOST_BYTES:
        return None
    check_hash(run.folder, name, run.record.files, MANIFEST)
    content = path.read_bytes()
    # The size stands in the first chunk of every PNG; what does not begin like one does not go into the page.
    if not content.startswith(_PNG) or len(content) < 24:
        return None
    width, height = struct.unpack(">II", content[16:24])
    return Picture("data:image/png;base64," + base64.b64encode(content).decode("ascii"), width, height)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
