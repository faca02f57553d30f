"""Everything that the page shows of one run, in the order it is shown."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from sterna.record.record import Record
from sterna.report import words
from sterna.report.charts import Bar, Figure, control_bars, learning_curve, training_curves
from sterna.report.draw import scatter
from sterna.report.mistakes import Mistake, most_confident, pairs
from sterna.report.run import Run
from sterna.report.tables import Confusion, Table, class_table, confusion_table, scores_table
from sterna.report.verdict import Verdict, judge
from sterna.tasks.infer import task_type

Pairs = tuple[tuple[str, str], ...]
"""Names and what is said of them."""


@dataclass(frozen=True, eq=False)
class View:
    """One run as it is shown."""

    record: Record
    title: str
    source: str
    verdict: Verdict
    facts: tuple[str, ...]
    bars: list[Bar]
    axis: Markup
    scores: Table
    by_class: Table | None
    confusion: Confusion | None
    curve: Figure | None
    scatter: Markup | None
    mistakes: list[Mistake]
    training: list[Figure]
    source_card: Pairs
    parameters: str
    share_trained: float | None
    target: Pairs
    splits: Pairs
    validation: Pairs
    picked: Pairs
    settings: Pairs
    cost: Pairs
    notes: tuple[str, ...]
    environment: Pairs
    folder: str


def view(run: Run) -> View:
    """What the page shows of `run`."""
    record = run.record
    bars = control_bars(record)
    numbers = pairs(run) if task_type(record.task.id).one_number else []
    return View(
        record=record,
        title=record.target.name,
        source=record.source.spec if record.source is not None and record.source.spec else "no source",
        verdict=judge(record),
        facts=_facts(record),
        bars=bars[0] if bars else [],
        axis=bars[1] if bars else Markup(""),
        scores=scores_table(record),
        by_class=class_table(record),
        confusion=confusion_table(record),
        curve=learning_curve(record),
        scatter=scatter(numbers, title="Each test row: its answer against the truth") if len(numbers) > 1 else None,
        mistakes=most_confident(run, 12 if words.pictured(record.target.kind) else 8),
        training=training_curves(run.history, words.repeats(record)),
        source_card=_pairs(record.source.card) if record.source is not None else (),
        parameters=_parameters(record),
        share_trained=_share(record),
        target=_target(record),
        splits=_splits(record),
        picked=_picked(record),
        validation=tuple(
            (name, words.plain(value, words.places(record.validation.values())))
            for name, value in record.validation.items()
        ),
        settings=_pairs(record.settings),
        cost=_cost(record),
        notes=tuple(dict.fromkeys((*record.target.notes, *record.messages))),
        environment=_pairs({"sterna": record.sterna, **record.environment}),
        folder=run.folder.name or str(run.folder),
    )


def _pairs(values: Mapping[str, Any]) -> Pairs:
    return tuple((str(name).replace("_", " "), words.said(value)) for name, value in values.items() if value != "")


def _facts(record: Record) -> tuple[str, ...]:
    rows = record.target.splits.get("test")
    facts = []
    if rows is not None:
        facts.append(f"Scored once on {words.count(rows)} test {words.rows_name(record.target.kind)} kept aside")
    if record.selected_by:
        facts.append(_selection(record))
    if len(record.seeds) > 1:
        facts.append(f"{len(record.seeds)} {words.repeats(record)}")
    return tuple(facts)


def _selection(record: Record) -> str:
    """Which labels chose the model, as a sentence without its full stop."""
    sentence = words.selection(record.selected_by)
    return sentence[:1].upper() + sentence[1:]


def _splits(record: Record) -> Pairs:
    target = record.target
    return tuple(
        (f"{name} (came with the data)" if name in target.given else name, words.count(rows))
        for name, rows in target.splits.items()
    )


def _picked(record: Record) -> Pairs:
    """Which labels chose what, and what was chosen, for each draw where draws differ."""
    found = [("Model", words.selection(record.selected_by) if record.selected_by else "")]
    if record.gain is not None:
        found.append(("Control to beat", record.control_selected_by))
    if record.left_out:
        found.append(("Controls not run", "; ".join(f"{name}: {why}" for name, why in record.left_out.items())))
    for name in dict.fromkeys(name for each in record.chosen for name in each):
        values = dict.fromkeys(words.said(each[name]) for each in record.chosen if name in each)
        found.append((f"Chosen: {name.replace('_', ' ')}", "; ".join(values)))
    return tuple((name, said) for name, said in found if said)


def _share(record: Record) -> float | None:
    if record.trained_parameters is None or not record.total_parameters:
        return None
    return record.trained_parameters / record.total_parameters


def _parameters(record: Record) -> str:
    if record.trained_parameters is None:
        return ""
    share = _share(record)
    if share is None:
        return f"{words.count(record.trained_parameters)} numbers were trained."
    kept = "; the others came from the source and stayed as they were" if record.source is not None else ""
    percent = f"{100 * share:.0f}" if share >= 0.1 or share == 0 else f"{100 * share:.2g}"
    return (
        f"{words.count(record.trained_parameters)} of {words.count(record.total_parameters)} parameters "
        f"were trained ({percent}\u00a0%){kept}."
        if share < 1
        else f"All {words.count(record.total_parameters)} parameters were trained."
    )


def _target(record: Record) -> Pairs:
    target, task = record.target, record.task
    asked = task_type(task.id).asks
    found = [("Data", f"{words.count(target.rows)} {words.rows_name(target.kind)}" if target.rows is not None else "")]
    found.append(("Task", f"{asked}, scored by {words.metric_name(task.metric)}"))
    if task.classes:
        found.append((f"{len(task.classes)} classes", ", ".join(task.classes[:40]) + (" …" * (len(task.classes) > 40))))
    if record.balance:
        found.append(("Balance", record.balance))
    return tuple((name, said) for name, said in found if said)


def _cost(record: Record) -> Pairs:
    seconds = record.seconds
    found = [("Whole run", words.duration(seconds.get("total")))] if "total" in seconds else []
    found += [(name, words.duration(value)) for name, value in seconds.items() if name != "total"]
    if record.peak_memory_bytes is not None:
        found.append(("Peak memory", words.size(record.peak_memory_bytes)))
    if record.device:
        found.append(("Device", record.device))
    found += [(f"Budget: {str(name).replace('_', ' ')}", words.said(v)) for name, v in record.budget.items() if v]
    if record.seeds:
        found.append(("Seeds" if len(record.seeds) > 1 else "Seed", ", ".join(map(str, record.seeds))))
    return tuple(found)
