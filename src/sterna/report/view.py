"""Everything that the page shows of one run, in the order it is shown."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from sterna.record.record import Record
from sterna.report import words
from sterna.report.board import Tried, tried
from sterna.report.charts import Bar, Figure, control_bars, learning_curve, training_curves
from sterna.report.draw import scatter
from sterna.report.language import ENGLISH, Language
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
    metric: str
    board: tuple[Tried, ...]
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


def view(run: Run, say: Language = ENGLISH, noted: Callable[[str], str] = str) -> View:
    """What the page shows of `run`, in a language; `noted` says what the run noted itself."""
    record = run.record
    bars = control_bars(record, say)
    numbers = pairs(run) if task_type(record.task.id).one_number else []
    return View(
        record=record,
        title=record.target.name,
        source=record.source.spec if record.source is not None and record.source.spec else say("no source"),
        verdict=judge(record, say),
        facts=_facts(record, say),
        bars=bars[0] if bars else [],
        axis=bars[1] if bars else Markup(""),
        scores=scores_table(record, say),
        by_class=class_table(record, say),
        confusion=confusion_table(record),
        curve=learning_curve(record, say),
        scatter=scatter(numbers, title=say("Each test row: its prediction against the truth")) if numbers[1:] else None,
        mistakes=most_confident(run, 12 if words.pictured(record.target.kind) else 8, say),
        training=training_curves(run.history, record, say),
        source_card=_pairs(record.source.card, say) if record.source is not None else (),
        metric=words.metric_name(record.task.metric, say),
        board=tried(record, say),
        parameters=_parameters(record, say),
        share_trained=_share(record),
        target=_target(record, say),
        splits=_splits(record, say),
        picked=_picked(record, say, noted),
        validation=tuple(
            (name, words.plain(value, words.places(record.validation.values())))
            for name, value in record.validation.items()
        ),
        settings=_pairs(record.settings, say),
        cost=_cost(record, say),
        notes=tuple(dict.fromkeys(map(noted, (*record.target.notes, *record.messages)))),
        environment=_pairs({"sterna": record.sterna, **record.environment}, say),
        folder=run.folder.name or str(run.folder),
    )


def _pairs(values: Mapping[str, Any], say: Language) -> Pairs:
    return tuple(
        (say(str(name).replace("_", " ")), words.said(value, say)) for name, value in values.items() if value != ""
    )


def _facts(record: Record, say: Language) -> tuple[str, ...]:
    rows = words.tested(record)
    facts = []
    if rows is not None:
        named = words.rows_name(record.target.kind, say)
        facts.append(say("Scored once on {n} test {rows} kept aside", n=words.count(rows), rows=named))
    if record.selected_by:
        sentence = words.selection(record.selected_by, say)
        facts.append(sentence[:1].upper() + sentence[1:])
    if record.target.test_splits:
        facts.append(say("{n} test splits without common rows", n=len(record.target.test_splits)))
    if len(record.seeds) > 1:
        facts.append(words.repeated(record, len(record.seeds), say))
    return tuple(facts)


def _splits(record: Record, say: Language) -> Pairs:
    target, several = record.target, len(record.target.test_splits)

    def called(name: str) -> str:
        if name in target.given:
            return say("{split} (came with the data)", split=say(name))
        return say("{split} (of the first)", split=say(name)) if several else say(name)

    every = ((say("all {n} test splits", n=several), words.count(words.tested(record))),) if several else ()
    return (*every, *((called(name), words.count(rows)) for name, rows in target.splits.items()))


def _picked(record: Record, say: Language, noted: Callable[[str], str]) -> Pairs:
    """Which labels chose what, and what was chosen, for each draw where draws differ."""
    found = [(say("Model"), words.selection(record.selected_by, say) if record.selected_by else "")]
    if record.gain is not None:
        found.append((say("Control to beat"), words.found_by(record.control_selected_by, say)))
    if record.left_out:
        reasons = [f"{name}: {noted(say(why))}" for name, why in record.left_out.items()]
        found.append((say("Controls not run"), say("; ").join(reasons)))
    for name in dict.fromkeys(name for each in record.chosen for name in each):
        values = dict.fromkeys(words.said(each[name], say) for each in record.chosen if name in each)
        found.append((say("Chosen: {name}", name=name.replace("_", " ")), "; ".join(values)))
    return tuple((name, said) for name, said in found if said)


def _share(record: Record) -> float | None:
    if record.trained_parameters is None or not record.total_parameters:
        return None
    return record.trained_parameters / record.total_parameters


def _parameters(record: Record, say: Language) -> str:
    if record.trained_parameters is None:
        return ""
    share, trained = _share(record), words.count(record.trained_parameters)
    if share is None:
        return say("{n} numbers were trained.", n=trained)
    total = words.count(record.total_parameters)
    if share >= 1:
        return say("All {n} parameters were trained.", n=total)
    percent = f"{100 * share:.0f}" if share >= 0.1 or share == 0 else f"{100 * share:.2g}"
    told = say("{n} of {total} parameters were trained ({percent}\u00a0%)", n=trained, total=total, percent=percent)
    kept = say("; the others came from the source and stayed as they were") if record.source is not None else ""
    return told + kept + say(".")


def _target(record: Record, say: Language) -> Pairs:
    target, task = record.target, record.task
    rows = say("{n} {rows}", n=words.count(target.rows), rows=words.rows_name(target.kind, say))
    asked = say(task_type(task.id).asks)
    found = [(say("Data"), rows if target.rows is not None else "")]
    found.append(
        (say("Task"), say("{task}, scored by {metric}", task=asked, metric=words.metric_name(task.metric, say)))
    )
    if task.classes:
        several = say("{n} classes", n=len(task.classes))
        found.append((several, say(", ").join(task.classes[:40]) + (" …" * (len(task.classes) > 40))))
    if record.balance:
        found.append((say("Balance"), say(record.balance)))
    return tuple((name, said) for name, said in found if said)


def _cost(record: Record, say: Language) -> Pairs:
    seconds = record.seconds
    found = [(say("Whole run"), words.duration(seconds.get("total"), say))] if "total" in seconds else []
    found += [(name, words.duration(value, say)) for name, value in seconds.items() if name != "total"]
    if record.peak_memory_bytes is not None:
        found.append((say("Peak memory"), words.size(record.peak_memory_bytes)))
    if record.device:
        found.append((say("Device"), record.device))
    found += [
        (say("Budget: {name}", name=say(str(name).replace("_", " "))), words.said(v, say))
        for name, v in record.budget.items()
        if v
    ]
    if record.seeds:
        found.append((say("Seeds") if len(record.seeds) > 1 else say("Seed"), ", ".join(map(str, record.seeds))))
    return tuple(found)
