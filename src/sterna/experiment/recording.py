"""What a run leaves: its record, and the folder's files beside it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd

from sterna import __version__
from sterna.domains import Domain
from sterna.experiment.board import board, candidate_table
from sterna.experiment.evidence import evidence
from sterna.experiment.fits import Fitted
from sterna.experiment.problem import split_counts
from sterna.experiment.units import summed_history
from sterna.kinds.kind import kind_of
from sterna.record.record import FORMAT, DataRecord, Record, SourceRecord, TargetRecord, TaskRecord
from sterna.record.request import Request
from sterna.sources import Source
from sterna.store.environment import environment, peak_memory_bytes
from sterna.store.predictions import prediction_table, write_pictures, write_table
from sterna.store.run import RunFolder
from sterna.training.trainer import pick_device


def record_of(
    request: Request, sources: Sequence[Source], domain: Domain, fitted: Fitted, path: Path, started: float
) -> Record:
    """The record of a run that started then (by ``time.monotonic``), without its learning curve."""
    found = evidence(
        fitted.task, fitted.exam, request.chosen, fitted.units, fitted.splits[0], fitted.no_verdict, len(fitted.tests)
    )
    seconds = {name: sum(unit.seconds for unit in some) for name, some in fitted.units.items()}
    return Record(
        format=FORMAT,
        sterna=__version__,
        name=path.name,
        method=request.chosen,
        settings=dict(request.settings),
        task=TaskRecord(**fitted.task.state()),
        source=source_record(_moved_from(sources, fitted, request.chosen)),
        target=target_record(domain, fitted),
        **vars(found),
        candidates=board(fitted.units[request.chosen]),
        balance=fitted.balance,
        seeds=fitted.seeds,
        left_out=dict(fitted.left_out),
        seconds={"total": time.monotonic() - started, **seconds},
        peak_memory_bytes=peak_memory_bytes(),
        device=str(pick_device(request.device)),
        budget={name: getattr(request, name) for name in ("epochs", "steps", "seconds", "batch_size")},
        run=str(path),
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        environment=dict(environment()),
    )


def _moved_from(sources: Sequence[Source], fitted: Fitted, method: str) -> Source | None:
    """The source that the network of the first draw has its knowledge from."""
    spec = fitted.units[method][0].log.chosen.get("source")
    return sources[0] if len(sources) == 1 else next((each for each in sources if each.spec == spec), None)


def source_record(source: Source | None) -> SourceRecord | None:
    """What a record says of the source."""
    if source is None:
        return None
    data = DataRecord(name=source.data.name, rows=len(source.data)) if source.data else None
    return SourceRecord(spec=source.spec, card=dict(source.card), data=data)


def target_record(domain: Domain, fitted: Fitted) -> TargetRecord:
    """What a record says of the target."""
    splits = fitted.splits[0]
    return TargetRecord(
        name=domain.name,
        kind=domain.kind,
        rows=len(domain),
        notes=tuple(dict.fromkeys([*domain.notes, *fitted.notes])),
        classes=tuple(getattr(fitted.task, "classes", ())),
        splits=split_counts(splits),
        test_splits=fitted.tests if len(fitted.tests) > 1 else (),
        variance_factor=fitted.exam.variance_factor,
        given=splits.given,
        reading=dict(domain.reading),
    )


def keep(record: Record, fitted: Fitted, folder: RunFolder, domain: Domain) -> Record:
    """Write the run folder, the manifest last, since it says that the run is done; gives the record as written."""
    task, exam = fitted.task, fitted.exam
    outputs = fitted.outputs
    names = domain.inputs.names()
    named = [names[row] for row in exam.rows]
    own = outputs.pop(record.method)
    known = {} if exam.groups is None else {"group": exam.groups}
    known |= {} if exam.weights is None else {"weight": exam.weights}
    known |= {} if exam.fresh.all() else {"learnt": ~exam.fresh}
    numbers = np.arange(1, len(fitted.tests) + 1)
    known |= {} if len(numbers) == 1 else {"test_split": np.repeat(numbers, fitted.tests)}
    table = prediction_table(task, exam.domain, exam.rows, named, record.seeds, own, outputs, known)
    write_table(table, folder.path / "predictions.parquet")
    seeds = list(record.seeds) * len(numbers)
    frames = [s.to_frame().assign(seed=seed) for s, seed in zip(fitted.splits, seeds, strict=True)]
    if len(numbers) > 1:
        of_split = np.repeat(numbers, len(record.seeds))
        frames = [frame.assign(test_split=number) for frame, number in zip(frames, of_split, strict=True)]
    write_table(pd.concat(frames, ignore_index=True), folder.path / "splits.parquet")
    if record.candidates:
        tried = candidate_table(fitted.units[record.method], record.seeds, len(fitted.tests))
        write_table(tried, folder.path / "candidates.parquet")
    if kind_of(domain.kind).pictured:
        write_pictures(table, task, exam.domain, exam.rows, folder.path / "mistakes")
    folder.write_json("history.json", {name: summed_history(some) for name, some in fitted.units.items()})
    record = folder.write_record(record)
    folder.clear_work()
    return record
