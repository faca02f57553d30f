"""What a run folder holds, read carefully: the folder may be old, cut short, or no run at all."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError, model_validator

from sterna.errors import RequestError

if TYPE_CHECKING:
    import pyarrow

Word = Annotated[str, BeforeValidator(lambda value: str(value) if isinstance(value, int | float) else value)]
"""A name; class names that are numbers are names too."""

Number = float | None


class _Part(BaseModel):
    # What a later version adds does not stop this one from showing the rest.
    model_config = ConfigDict(frozen=True, extra="ignore")

    @model_validator(mode="before")
    @classmethod
    def _leave_out_nothing(cls, values: Any) -> Any:
        """An optional part that was not filled in is as good as missing."""
        return {k: v for k, v in values.items() if v is not None} if isinstance(values, dict) else values


class Score(_Part):
    """A value with its 95 % interval."""

    value: Number = None
    low: Number = None
    high: Number = None


class Gain(Score):
    """A paired difference to a control; positive where the transfer is better."""

    metric: str
    control: str
    verdict: Literal["helps", "unclear", "hurts"]
    higher_is_better: bool = True


class Task(_Part):
    """What was asked."""

    id: str
    metric: str
    classes: tuple[Word, ...] | None = None


class Source(_Part):
    """What was moved."""

    spec: str = ""
    card: dict[str, Any] = {}


class Target(_Part):
    """Where it was moved to."""

    name: Word
    kind: str = ""
    rows: int | None = None
    classes: Any = None
    notes: tuple[str, ...] = ()
    splits: dict[str, int] = {}
    given: tuple[str, ...] = ()


class Point(_Part):
    """One number of labels on the learning curve."""

    labels_per_class: float
    scores: dict[str, Score] = {}
    controls: dict[str, dict[str, Score]] = {}
    gain: Gain | None = None


class Manifest(_Part):
    """``manifest.json``: the record of one run."""

    method: str
    task: Task
    target: Target
    scores: dict[str, Score]
    sterna: str = ""
    name: Word = ""
    settings: dict[str, Any] = {}
    source: Source | None = None
    controls: dict[str, dict[str, Score]] = {}
    gain: Gain | None = None
    gains: dict[str, Gain] = {}
    selected_by: str = ""
    control_selected_by: str = ""
    chosen: tuple[dict[str, Any], ...] = ()
    validation: dict[str, Number] = {}
    balance: str | None = None
    seeds: tuple[int, ...] = ()
    seconds: dict[str, Number] = {}
    peak_memory_bytes: float | None = None
    trained_parameters: int | None = None
    total_parameters: int | None = None
    device: str | None = None
    budget: dict[str, Any] = {}
    curve: tuple[Point, ...] = ()
    confusion: tuple[tuple[float, ...], ...] | None = None
    created: str = ""
    environment: dict[str, Any] = {}
    messages: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Record:
    """One run folder, read.

    Attributes
    ----------
    folder
        Where it lies.
    manifest
        The record itself.
    history
        Rows of each method's training, ``{method id: [{"epoch": ..., "loss": ...}, ...]}``; empty where none was kept.
    predictions
        A row for each test row and seed; ``None`` where none were kept.
    """

    folder: Path
    manifest: Manifest
    history: Mapping[str, list[dict[str, Any]]] = field(default_factory=dict)
    predictions: pyarrow.Table | None = None


def read_record(folder: Path) -> Record:
    """Read a run folder.

    Raises
    ------
    RequestError
        If the folder is missing, is no run folder, or holds a file that cannot be read.
    """
    folder = Path(folder)
    if not folder.exists():
        raise RequestError(f"There is no run folder at {str(folder)!r}: give a folder that a transfer has written.")
    if not folder.is_dir():
        raise RequestError(f"{str(folder)!r} is a file, not a run folder: give the folder that a transfer has written.")
    path = folder / "manifest.json"
    if not path.is_file():
        raise RequestError(
            f"{str(folder)!r} is not a run folder (it holds no manifest.json): "
            "give a folder that a transfer has written."
        )
    return Record(folder, _manifest(path), _history(folder / "history.json"), _predictions(folder))


def _manifest(path: Path) -> Manifest:
    content = _json(path)
    if not isinstance(content, dict):
        raise RequestError(
            f"{str(path)!r} is not the record of a run: expected a JSON object, found {type(content).__name__}; "
            "give a folder that a transfer has written."
        )
    try:
        return Manifest.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(step) for step in first["loc"])
        raise RequestError(
            f"{str(path)!r} is not the record of a run that this version can read: {where!r} is wrong "
            f"({first['msg'].lower()}); run the transfer again, or make the report with the version that wrote it."
        ) from error


def _history(path: Path) -> dict[str, list[dict[str, Any]]]:
    if not path.is_file():
        return {}
    content = _json(path)
    if not isinstance(content, dict):
        raise RequestError(
            f"{str(path)!r} is not a run's history: expected a JSON object of lists, found {type(content).__name__}; "
            "remove the file to make the report without training curves."
        )
    return {
        str(method): [row for row in rows if isinstance(row, dict)]
        for method, rows in content.items()
        if isinstance(rows, list)
    }


def _predictions(folder: Path) -> pyarrow.Table | None:
    path = folder / "predictions.parquet"
    if not path.is_file():
        return None
    import pyarrow
    import pyarrow.parquet

    try:
        table = pyarrow.parquet.read_table(path)
    except (OSError, pyarrow.ArrowException) as error:
        raise RequestError(
            f"{str(path)!r} cannot be read as Parquet; remove the file to make the report without its mistakes, "
            "or run the transfer again."
        ) from error
    return table if {"row", "label", "answer"} <= set(table.column_names) else None


def _json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:  # a UnicodeDecodeError or JSONDecodeError is a ValueError
        raise RequestError(
            f"{str(path)!r} cannot be read as JSON (it may be damaged or cut short): run the transfer again."
        ) from error
