"""What a request comes to, and whether it can be met: made before anything is written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from sterna.bench.source_answers import answers
from sterna.domains import Domain
from sterna.domains.labels import alike
from sterna.domains.splits import Splits, make_splits
from sterna.domains.weights import not_all_zero, relative
from sterna.errors import RequestError, quoted
from sterna.experiment.classes import in_columns_of, matched, nothing_to_learn, renamed, said_of_source, said_of_split
from sterna.experiment.controls import ABLATION, control_methods, nothing_moves, without_knowledge
from sterna.experiment.evidence import FEW_LABELS
from sterna.experiment.overlaps import unseen
from sterna.experiment.powering import kept_aside, to_tell, without_aside
from sterna.experiment.problem import Exam, applied_balance, make_exam, make_problem, same_task, widened
from sterna.experiment.proxies import giving_away
from sterna.methods.method import Method, Needs, check_needs, fitting, method_ids
from sterna.methods.needs import have
from sterna.networks.trust import trust_note
from sterna.record.request import Request
from sterna.sources import Source
from sterna.tasks import infer_task
from sterna.tasks.task import Task

DRAWS = 5
"""Draws of the labels where they are few, unless another number is asked for."""

DEAR_DRAWS = 3
"""The same for a method that trains a source model, or may: the least that an interval over draws can be told from."""


@dataclass(frozen=True, eq=False)
class Plan:
    """What a request comes to; made before anything is written, so that a wrong one leaves nothing behind.

    Attributes
    ----------
    sources
        Without rows that are test rows as well.
    splits
        Of each draw of the labels.
    seeds
        Of each draw.
    left_out
        Controls that do not run, and why.
    notes
        What a user should know of it, one sentence each.
    balance
        ``"none"``, ``"weights"`` or ``"sampler"``.
    no_verdict
        Why no verdict can be given, where none can: the labels used are all the same, or the method moves nothing.
    """

    sources: tuple[Source, ...]
    task: Task
    exam: Exam
    splits: list[Splits]
    seeds: tuple[int, ...]
    controls: dict[str, Method]
    left_out: dict[str, str]
    notes: tuple[str, ...]
    balance: str
    no_verdict: str | None


def make_plans(sources: Sequence[Source], domain: Domain, method: Method, request: Request) -> list[Plan]:
    """A plan for each test split; task, balance, draws and controls are those of the first."""
    first = make_plan(sources, domain, method, request)
    request = replace(request, seeds=len(first.seeds))
    others = [make_plan(sources, domain, method, request, number) for number in range(1, request.test_repeats)]
    return [first, *(replace(plan, task=first.task, controls=first.controls, balance=first.balance) for plan in others)]


def make_plan(sources: Sequence[Source], domain: Domain, method: Method, request: Request, test_split: int = 0) -> Plan:
    """Task, splits and controls of a request, for one of its test splits."""
    if len(sources) > 1 and not method.several:
        raise RequestError(
            f"{len(sources)} sources were given, but {method.id()} moves knowledge from one; give one of them, or "
            "method='auto', which takes the best."
        )
    own = infer_task(domain, request.task, request.metric)
    matches = [matched(each, own) for each in renamed(sources, request.map_classes, own)]
    task = widened(own, [source for source, _ in matches])
    targets = task.matched(domain)[0] if domain.labels is not None else np.full(len(domain), -1)
    splits = [_split(domain, targets, request, request.seed, test_split)]
    seeds = tuple(range(request.seed, request.seed + _draws(request, method, sources, splits[0])))
    aside = kept_aside(domain, task, splits[0], request)
    first = [_split(domain, targets, request, request.seed, test_split, aside)] if len(aside) else splits
    splits = first + [_split(domain, targets, request, seed, test_split, aside) for seed in seeds[1:]]
    # The metric is chosen by the target as it was given, however few of its labels are used.
    seen = np.concatenate([splits[0].train, splits[0].validation])
    task = widened(infer_task(domain, request.task, own.metric, fit_rows=seen), [source for source, _ in matches])
    met = [_met(without_aside(source, domain, aside), said, domain, own, task, splits[0]) for source, said in matches]
    sources, differ = tuple(each.source for each in met), _by_source(met, "differ")
    answering = [each for each in sources if same_task(each, task) or answers(each, task)]
    unjudged = [*nothing_to_learn(task, targets, splits, bool(answering)), *nothing_moves(method)]
    said = [*differ, *said_of_split(answering, own, own.matched(domain)[0], splits), *unjudged]
    notes = [*_by_source(met, "left_out"), *_weighted(domain, sources, splits)]
    notes += [note for note in alike(task.classes) if note not in domain.notes]
    notes += [*said, *giving_away(domain, task, targets, seen)]
    by_metric = request.metric is not None or len(splits[0].train) > 0
    balance = applied_balance(request.balance, task, by_metric=by_metric)
    there = have(make_problem(sources, domain, task, splits[0], balance, seed=request.seed))
    known = list(method_ids())
    try:
        if request.labels == 0 and Needs.TARGET_LABELS in method.needs:
            raise RequestError(_without_labels(method, there, known))
        check_needs(method, there, known)
    except RequestError as error:
        raise RequestError(" ".join([str(error), *differ])) from error
    budgeted = (request.epochs, request.steps, request.seconds) != (None, None, None)
    controls, left = control_methods(request.control, method, domain.kind, there, budgeted=budgeted)
    for control in controls.values():
        check_needs(control, there, known)
    notes += _by_source(met, "data")
    if ABLATION in controls:
        notes.append(without_knowledge(method, controls[ABLATION]))
    notes = [*splits[0].notes, *notes, *_by_source(met, "model")]
    unlabelled, told = to_tell(domain, aside, sources, method)
    notes += told
    exam = make_exam(domain, task, splits[0], sources, method, unlabelled)
    no_verdict = unjudged[0] if unjudged else None
    return Plan(sources, task, exam, splits, seeds, controls, left, tuple(notes), balance, no_verdict)


@dataclass(frozen=True, eq=False)
class _Met:
    """A source as the target meets it.

    Attributes
    ----------
    source
        Without rows that are test rows as well.
    left_out, differ, data, model
        What a user should know: of those rows, of columns and classes that differ, of its data, and of its model.
    """

    source: Source
    left_out: Sequence[str]
    differ: Sequence[str]
    data: Sequence[str]
    model: Sequence[str]


def _met(source: Source, said: Sequence[str], domain: Domain, own: Task, task: Task, splits: Splits) -> _Met:
    """The source beside the target's columns, classes and test rows; `said` of its labels already."""
    source, columns = in_columns_of(source, domain)
    source, left_out = unseen(source, domain, splits.test)
    differ = [*columns, *said, *said_of_source(source, own, task)]
    model = [*_unknown(source, domain, splits), *trust_note(source.body)]
    return _Met(source, left_out, differ, _beside(source, domain), model)


def _by_source(met: Sequence[_Met], what: str) -> list[str]:
    """Sentences of each source, with its name where there are several."""
    named = [("" if len(met) == 1 else f"{each.source.spec}: ", getattr(each, what)) for each in met]
    return list(dict.fromkeys(f"{name}{sentence}" for name, some in named for sentence in some))


def _split(
    domain: Domain, targets: np.ndarray[Any, Any], request: Request, seed: int, test_split: int,
    aside: np.ndarray[Any, Any] | None = None,
) -> Splits:  # fmt: skip
    """One draw of the labels; the test rows are those of every draw."""
    return make_splits(
        domain, targets, seed=seed, split_seed=request.split_seed, test_fraction=request.test_size, gap=request.gap,
        labels_per_class=request.labels_per_class, labels=request.labels, test_repeats=request.test_repeats,
        test_split=test_split, aside=aside,
    )  # fmt: skip


def _draws(request: Request, method: Method, sources: Sequence[Source], splits: Splits) -> int:
    """How many draws of the labels: as asked, or several where the labels are few, fewer where a draw takes long."""
    if request.seeds is not None:
        return request.seeds
    labels = len(splits.train) + len(splits.validation)
    if not 0 < labels <= FEW_LABELS:
        return 1
    dear = (method.recipe() is not None or method.several) and any(source.body is not None for source in sources)
    return DEAR_DRAWS if dear else DRAWS


def _beside(source: Source, domain: Domain) -> list[str]:
    """What was noted on the source's data, and where they differ from the target's if they have the same columns."""
    if source.data is None:
        return []
    name = source.data.name
    said = [note if name in note else f"{name}: {note}" for note in source.data.notes if note not in domain.notes]
    ours, theirs = (domain.name, name) if name != domain.name else ("the target", "the source")
    alike = source.data.inputs.covers(domain.inputs)
    return said + (domain.inputs.compared(source.data.inputs, ours, theirs) if alike else [])


def _weighted(domain: Domain, sources: Sequence[Source], splits: Sequence[Splits]) -> list[str]:
    """How rows are weighted, if they are; the training rows of no draw may weigh nothing."""
    weighted = [source.data.weights is not None for source in sources if source.data is not None]
    if domain.weights is None:
        return ["Rows of the source's data are weighted in training."] if any(weighted) else []
    for each in splits:
        not_all_zero(domain.weights[each.train], f"The {len(each.train):,} training rows of {domain.name}")
    name, most = domain.reading.get("weight"), relative(domain.weights).max()
    by = f" by {name!r}" if name else ""
    said = f"Rows are weighted{by}, up to {most:.3g} times the mean, in training and in scores."
    return [said if all(weighted) else f"{said} Each row of the source's data weighs 1."]


def _unknown(source: Source, domain: Domain, splits: Splits) -> list[str]:
    """What the source's body cannot read of the target, by some of the rows that a method may see."""
    if source.body is None or getattr(source.preparation, "kind", None) != domain.kind:
        return []
    assert source.preparation is not None
    seen = np.concatenate([splits.train, splits.validation, splits.unlabelled])
    read = {name for names in source.learnt.columns for name in names} if source.learnt else set()
    more = [name for name in domain.inputs.kinds if name not in read] if read else []
    unread = [f"The source {source.spec} does not read columns of the target: {quoted(more, 30)}."] if more else []
    return [*unread, *(f"{note}." for note in source.preparation.unknown(domain.inputs.take(seen)))]


def _without_labels(method: Method, there: Needs, ids: Sequence[str]) -> str:
    names = fitting(there, ids)
    way = (
        f"choose one that does without: {', '.join(names)}"
        if names
        else "with what there is no method does without: name a source that predicts these classes already "
        "(run:FOLDER, say) with method source-only, or use labels"
    )
    return f"labels=0 hides every target label, but {method.id()} learns from them; {way}."
