"""What is known of a run: what ``manifest.json`` holds and ``sterna transfer --json`` prints."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from sterna.errors import RequestError
from sterna.record import reading
from sterna.record.hashes import check_own_hash, with_own_hash
from sterna.record.scores import Count, Gain, Number, Scores, Word

FORMAT = 2
"""What new records have; a file that names none is of format 1, and holds the same names and values."""


class _Part(BaseModel):
    # What a later version adds does not stop this one from showing the rest.
    model_config = ConfigDict(frozen=True, extra="ignore", ser_json_inf_nan="constants")

    @model_validator(mode="before")
    @classmethod
    def _leave_out_nothing(cls, values: Any) -> Any:
        """An optional part that was not filled in is as good as missing."""
        if not isinstance(values, dict):
            return values
        may = {name for name, about in cls.model_fields.items() if about.default is None}
        return {name: value for name, value in values.items() if value is not None or name in may}


class TaskRecord(_Part):
    """What was asked: what the task's `state` gives."""

    model_config = ConfigDict(extra="allow")

    id: str
    classes: tuple[Word, ...] | None = None
    metric: str


class DataRecord(_Part):
    """The labelled data of a source."""

    name: Word
    rows: Count


class SourceRecord(_Part):
    """What was moved."""

    spec: str = ""
    card: dict[str, Any] = {}
    data: DataRecord | None = None


class CandidateRecord(_Part):
    """A candidate that a method which tries others tried, over all draws.

    Attributes
    ----------
    method, settings, source
        What it is; `settings` are those that are not the method's defaults, `source` is empty where it needs none.
    score, loss
        The primary metric and the loss on labelled rows that were held out, on average over the draws where all of
        them were asked for; ``None`` where there was no such draw.
    draws, chosen
        In how many draws it was tried, and in how many chosen.
    seconds
        What trying took in all.
    left
        Why it was left in most draws where it was not chosen.
    """

    method: str
    settings: dict[str, Any] = {}
    source: Word = ""
    score: Number | None = None
    loss: Number | None = None
    draws: Count = 0
    chosen: Count = 0
    seconds: Number = math.nan
    left: str = ""


class TargetRecord(_Part):
    """Where it was moved to.

    Attributes
    ----------
    splits
        Rows of each; where there are several test splits, with the first of them.
    test_splits
        Rows of each of several test splits, which were scored together.
    variance_factor
        How many times intervals take the variance over rows, since rows of one test split are learnt from in another.
    given
        The splits that came with the data.
    reading
        The options of ``load_domain`` that other rows are read with.
    """

    name: Word
    kind: str = ""
    rows: Count | None = None
    notes: tuple[str, ...] = ()
    classes: tuple[Word, ...] = ()
    splits: dict[str, Count] = {}
    test_splits: tuple[Count, ...] = ()
    variance_factor: float = Field(1.0, ge=1, allow_inf_nan=False)
    given: tuple[str, ...] = ()
    reading: dict[str, Any] = {}


class Point(_Part):
    """One number of labels on the learning curve."""

    labels_per_class: Count
    scores: Scores = {}
    controls: dict[str, Scores] = {}
    gain: Gain | None = None
    gains: dict[str, Gain] = {}


class Record(_Part):
    """The record of one run.

    Attributes
    ----------
    format
        Of the record itself.
    sterna, created, environment
        Version, time (ISO 8601, UTC), and the versions of what ran.
    name, run
        Of the run, and its folder.
    method, settings, seeds, budget, balance, device
        What ran.
    task, source, target
        What was asked, what was moved, and where to.
    scores, controls
        On the test rows, of the run and of each control.
    gain, gains
        Over all controls together (the smallest), and over each.
    no_verdict
        Why no verdict can be given, where none can: the verdicts of the gains are then ``"unclear"``.
    selected_by, control_selected_by
        Which labels chose the model, and how the control of the headline was found.
    left_out
        Controls that did not run, and why.
    chosen
        What was chosen, by name, for each draw on each test split.
    candidates
        Of a method that tries others, the best first: how each did on held-out labels, and why it was left.
    validation
        Of older records: the primary metric of the run and of each control on the validation rows.
    seconds
        Of the whole run (``"total"``), of the method and of each control.
    peak_memory_bytes, trained_parameters, total_parameters
        What else it cost.
    messages
        What the user should know, one sentence each.
    confusion
        Test rows by class and by answer, ``(k, k)``.
    curve
        The same at several numbers of labels, where a learning curve was asked for.
    files
        The SHA-256 of the run folder's other files; ``network/network.json`` holds those of the files beside it.
    """

    format: int = 1
    sterna: str = ""
    name: Word = ""
    method: str
    settings: dict[str, Any] = {}
    task: TaskRecord
    source: SourceRecord | None = None
    target: TargetRecord
    scores: Scores
    controls: dict[str, Scores] = {}
    gain: Gain | None = None
    gains: dict[str, Gain] = {}
    no_verdict: str | None = None
    selected_by: str = ""
    control_selected_by: str = ""
    left_out: dict[str, str] = {}
    chosen: tuple[dict[str, Any], ...] = ()
    candidates: tuple[CandidateRecord, ...] = ()
    validation: dict[str, Number] = {}
    trained_parameters: Count | None = None
    total_parameters: Count | None = None
    messages: tuple[str, ...] = ()
    confusion: tuple[tuple[Count, ...], ...] | None = None
    balance: str | None = None
    seeds: tuple[int, ...] = ()
    seconds: dict[str, Number] = {}
    peak_memory_bytes: Count | None = None
    device: str | None = None
    budget: dict[str, Any] = {}
    run: str = ""
    created: str = ""
    environment: dict[str, Any] = {}
    curve: tuple[Point, ...] | None = None
    files: dict[str, str] = {}

    @property
    def verdict(self) -> str:
        """That of the smallest gain; ``"no verdict"`` where none can be given."""
        return "no verdict" if self.gain is None or self.no_verdict is not None else self.gain.verdict

    def plain(self) -> dict[str, Any]:
        """The record as JSON has it: names, numbers, lists; what was not filled in is left out."""
        found = self.model_dump(mode="json", exclude_unset=True)
        return {name: value for name, value in found.items() if value is not None or name in ("source", "gain")}

    def to_json(self) -> str:
        """The text of ``manifest.json``, with a hash of itself.

        Numbers that are not finite are ``NaN`` and ``Infinity``, as Python reads.
        """
        return json.dumps(with_own_hash(self.plain()), indent=1, ensure_ascii=False, allow_nan=True)

    def at(self, labels_per_class: int) -> Point:
        """What a learning curve keeps of this run."""
        return Point(
            labels_per_class=labels_per_class, scores=self.scores, controls=self.controls, gain=self.gain,
            gains=self.gains,
        )  # fmt: skip


def read_record(path: Path) -> Record:
    """Read a ``manifest.json``, of this format or an older one.

    Raises
    ------
    RequestError
        If it is missing, cannot be read, is no record, or not as it was written.
    """
    content = read_json(path)
    if not isinstance(content, dict):
        raise RequestError(
            f"{str(path)!r} is not the record of a run: expected a JSON object, found {type(content).__name__}; "
            "give a folder that a transfer has written."
        )
    try:
        found = Record.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(step) for step in first["loc"])
        raise RequestError(
            f"{str(path)!r} is not the record of a run that this version can read: {where!r} is wrong "
            f"({first['msg'].lower()}); run the transfer again, or make the report with the version that wrote it."
        ) from error
    check_own_hash(path, content)
    return found


def read_json(path: Path) -> Any:
    """Read a JSON file of a run."""
    try:
        return reading.read_json(path)
    except RequestError as error:
        if not path.exists():
            raise RequestError(f"{str(path.parent)!r} is not a finished Sterna run: it has no {path.name}.") from None
        if isinstance(error.__cause__, ValueError):  # also of letters that are not UTF-8
            raise RequestError(
                f"{str(path)!r} cannot be read as JSON, so it is damaged or cut short: {reading.AGAIN}."
            ) from error
        raise
