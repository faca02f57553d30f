"""Everything that the page shows of one run, in the order it is shown."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from sterna.report import words
from sterna.report.charts import Bar, Figure, control_bars, learning_curve, training_curves
from sterna.report.draw import scatter
from sterna.report.mistakes import Mistake, most_confident, pairs
from sterna.report.record import Manifest, Record
from sterna.report.tables import Confusion, Table, class_table, confusion_table, scores_table
from sterna.report.verdict import Verdict, judge
from sterna.tasks.infer import task_type

Pairs = tuple[tuple[str, str], ...]
"""Names and what is said of them."""


@dataclass(frozen=True, eq=False)
class View:
    """One run as it is shown."""

    manifest: Manifest
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


def view(record: Record) -> View:
    """What the page shows of `record`."""
    manifest = record.manifest
    bars = control_bars(manifest)
    numbers = pairs(record) if task_type(manifest.task.id).one_number else []
    return View(
        manifest=manifest,
        title=manifest.target.name,
        source=manifest.source.spec if manifest.source is not None and manifest.source.spec else "no source",
        verdict=judge(manifest),
        facts=_facts(manifest),
        bars=bars[0] if bars else [],
        axis=bars[1] if bars else Markup(""),
        scores=scores_table(manifest),
        by_class=class_table(manifest),
        confusion=confusion_table(manifest),
        curve=learning_curve(manifest),
        scatter=scatter(numbers, title="Each test row: its answer against the truth") if len(numbers) > 1 else None,
        mistakes=most_confident(record, 12 if manifest.target.kind == "images" else 8),
        training=training_curves(record.history),
        source_card=_pairs(manifest.source.card) if manifest.source is not None else (),
        parameters=_parameters(manifest),
        share_trained=_share(manifest),
        target=_target(manifest),
        splits=_splits(manifest),
        picked=_picked(manifest),
        validation=tuple(
            (name, words.plain(value, words.places(manifest.validation.values())))
            for name, value in manifest.validation.items()
        ),
        settings=_pairs(manifest.settings),
        cost=_cost(manifest),
        notes=tuple(dict.fromkeys((*manifest.target.notes, *manifest.messages))),
        environment=_pairs({"sterna": manifest.sterna, **manifest.environment}),
        folder=record.folder.name or str(record.folder),
    )


def _pairs(values: Mapping[str, Any]) -> Pairs:
    return tuple((str(name).replace("_", " "), words.said(value)) for name, value in values.items() if value != "")


def _facts(manifest: Manifest) -> tuple[str, ...]:
    rows = manifest.target.splits.get("test")
    facts = []
    if rows is not None:
        facts.append(f"Scored once on {words.count(rows)} test {words.rows_name(manifest.target.kind)} kept aside")
    if manifest.selected_by:
        facts.append(_selection(manifest))
    if len(manifest.seeds) > 1:
        facts.append(f"{len(manifest.seeds)} seeds")
    return tuple(facts)


def _selection(manifest: Manifest) -> str:
    """Which labels chose the model, as a sentence without its full stop."""
    sentence = words.selection(manifest.selected_by)
    return sentence[:1].upper() + sentence[1:]


def _splits(manifest: Manifest) -> Pairs:
    target = manifest.target
    return tuple(
        (f"{name} (came with the data)" if name in target.given else name, words.count(rows))
        for name, rows in target.splits.items()
    )


def _picked(manifest: Manifest) -> Pairs:
    """Which labels chose what, and what was chosen, for each seed where seeds differ."""
    found = [("Model", words.selection(manifest.selected_by) if manifest.selected_by else "")]
    if manifest.gain is not None:
        found.append(("Control to beat selected by", manifest.control_selected_by))
    for name in dict.fromkeys(name for each in manifest.chosen for name in each):
        values = dict.fromkeys(words.said(each[name]) for each in manifest.chosen if name in each)
        found.append((f"Chosen: {name.replace('_', ' ')}", "; ".join(values)))
    return tuple((name, said) for name, said in found if said)


def _share(manifest: Manifest) -> float | None:
    if manifest.trained_parameters is None or not manifest.total_parameters:
        return None
    return manifest.trained_parameters / manifest.total_parameters


def _parameters(manifest: Manifest) -> str:
    if manifest.trained_parameters is None:
        return ""
    share = _share(manifest)
    if share is None:
        return f"{words.count(manifest.trained_parameters)} numbers were trained."
    kept = "; the others came from the source and stayed as they were" if manifest.source is not None else ""
    percent = f"{100 * share:.0f}" if share >= 0.1 or share == 0 else f"{100 * share:.2g}"
    return (
        f"{words.count(manifest.trained_parameters)} of {words.count(manifest.total_parameters)} parameters "
        f"were trained ({percent}\u00a0%){kept}."
        if share < 1
        else f"All {words.count(manifest.total_parameters)} parameters were trained."
    )


def _target(manifest: Manifest) -> Pairs:
    target, task = manifest.target, manifest.task
    asked = task_type(task.id).asks
    found = [("Data", f"{words.count(target.rows)} {words.rows_name(target.kind)}" if target.rows is not None else "")]
    found.append(("Task", f"{asked}, scored by {words.metric_name(task.metric)}"))
    if task.classes:
        found.append((f"{len(task.classes)} classes", ", ".join(task.classes[:40]) + (" …" * (len(task.classes) > 40))))
    if manifest.balance:
        found.append(("Balance", manifest.balance))
    return tuple((name, said) for name, said in found if said)


def _cost(manifest: Manifest) -> Pairs:
    seconds = manifest.seconds
    found = [("Whole run", words.duration(seconds.get("total")))] if "total" in seconds else []
    found += [(name, words.duration(value)) for name, value in seconds.items() if name != "total"]
    if manifest.peak_memory_bytes is not None:
        found.append(("Peak memory", words.size(manifest.peak_memory_bytes)))
    if manifest.device:
        found.append(("Device", manifest.device))
    found += [(f"Budget: {str(name).replace('_', ' ')}", words.said(v)) for name, v in manifest.budget.items() if v]
    if manifest.seeds:
        found.append(("Seeds" if len(manifest.seeds) > 1 else "Seed", ", ".join(map(str, manifest.seeds))))
    return tuple(found)
