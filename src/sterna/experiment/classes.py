"""The classes of source and target: one name for one thing, and what a user should know of those that differ."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from sterna.bench.problem import Array
from sterna.domains import Domain
from sterna.domains.label_sets import differences, in_columns
from sterna.domains.labels import class_name, plain_name
from sterna.domains.splits import Splits
from sterna.errors import RequestError, closest, listed, quoted
from sterna.sources import Source
from sterna.tasks import infer_task
from sterna.tasks.task import Task


def renamed(sources: Sequence[Source], names: Mapping[str, str], task: Task) -> list[Source]:
    """The sources with their classes called as `names` says, in their data and in what their models answer.

    Raises
    ------
    RequestError
        If a name is no class of any source, its new name none of the target, or two answers of a model would be one.
    """
    known = sorted({name for source in sources for name in _of_source(source)})
    for old, new in names.items():
        if old not in known:
            raise RequestError(
                f"map_classes names {old!r}, which is no class of the source; it has {quoted(known) or 'none'}."
                f"{closest(old, known)}"
            )
        if new not in task.classes:
            raise RequestError(
                f"map_classes calls the source's {old!r} {new!r}, which is no class of the target; it has "
                f"{quoted(task.classes) or 'none'}.{closest(new, task.classes)}"
            )
    return [_renamed(source, names) for source in sources] if names else list(sources)


def _of_source(source: Source) -> tuple[str, ...]:
    """The classes of its data and of its model."""
    return (*(_classes(source.data) if source.data is not None else ()), *(source.task.classes if source.task else ()))


def _renamed(source: Source, names: Mapping[str, str]) -> Source:
    model = () if source.task is None else source.task.classes
    if source.data is not None and set(names) & set(_classes(source.data)):
        source = source.with_data(_with_names(source.data, names))
    if source.task is not None and set(names) & set(model):
        answers = tuple(names.get(name, name) for name in model)
        twice = [name for name in answers if answers.count(name) > 1]
        if twice:
            raise RequestError(f"map_classes makes one class, {twice[0]!r}, of two of the source's model's; map one.")
        state = {name: value for name, value in source.task.state().items() if name != "id"}
        source = replace(source, task=type(source.task)(**{**state, "classes": answers}))
    return source


def _classes(data: Domain) -> tuple[str, ...]:
    """The names of a data set's labels; of numbers that are no classes none."""
    if data.labels is None:
        return ()
    if data.labels.ndim == 2 or data.classes is not None:
        return data.classes or ()
    return tuple(sorted({name for name in map(class_name, set(data.labels.tolist())) if name is not None}))


def _with_names(data: Domain, names: Mapping[str, str]) -> Domain:
    """A data set whose labels are called otherwise; labels that are then one are joined."""
    assert data.labels is not None
    old = data.classes
    new = None if old is None else tuple(dict.fromkeys(names.get(name, name) for name in old))
    if data.labels.ndim == 1:
        called = [None if (name := class_name(value)) is None else names.get(name, name) for value in data.labels]
        return replace(data, labels=np.array([*called, None], dtype=object)[:-1], classes=new)
    assert old is not None and new is not None
    parts = {name: [i for i, each in enumerate(old) if names.get(each, each) == name] for name in new}
    columns = [np.fmax.reduce(data.labels[:, own], axis=1) for own in parts.values()]
    return replace(data, labels=np.column_stack(columns), classes=new)


def in_columns_of(source: Source, target: Domain) -> tuple[Source, list[str]]:
    """The source with the target's columns alone, where its table has all of them, and which columns one side lacks."""
    if source.data is None or not target.inputs.kinds or not source.data.inputs.kinds:
        return source, []
    data, wanted = source.data, target.inputs.kinds
    more, less = ([n for n in a if n not in b] for a, b in ((data.inputs.kinds, wanted), (wanted, data.inputs.columns)))
    if less:
        near = closest(less[0], more)
        return source, [f"The source {data.name} lacks columns of the target: {quoted(less, 30)}.{near}"]
    if not more:
        return source, []
    kept = data.inputs.only([name for name in data.inputs.columns if name not in more])
    note = f"The source {data.name} has columns that are no inputs of the target and are left out: {quoted(more, 30)}."
    return source.with_data(replace(data, inputs=kept)), [note]


def matched(source: Source, task: Task) -> tuple[Source, list[str]]:
    """The source with its labels in the target's order where there are several a row, and what differs.

    Labels that only the source has are left out; where it has none of the target's, it stays as it is.
    """
    data = source.data
    if data is None or data.labels is None or data.labels.ndim != 2 or data.classes is None:
        return source, []
    shared = [name for name in task.classes if name in data.classes]
    if task.one_class:
        return source, []
    if not shared:
        return source, [
            f"The source {data.name} has none of the target's labels: it has {quoted(data.classes)}, the target "
            f"{quoted(task.classes)}.",
            *_offered(data.classes, task.classes),
        ]
    said = differences(f"The source {data.name}", data.classes, task.classes)
    said += _offered([n for n in data.classes if n not in shared], [n for n in task.classes if n not in shared])
    return source.with_data(
        replace(data, labels=in_columns(data.labels, data.classes, shared), classes=tuple(shared))
    ), said


def said_of_source(source: Source, own: Task, task: Task) -> list[str]:
    """What differs between the classes of the target, of its source, and of the task that comes of both.

    Parameters
    ----------
    own
        The target's own task.
    task
        The same with what the source's classes add.
    """
    data = source.data
    if source.task is not None and data is None:
        answers = source.task.classes
        return _offered([n for n in answers if n not in own.classes], [n for n in own.classes if n not in answers])
    if not own.one_class or data is None or data.labels is None or data.labels.ndim != 1:
        return []
    try:
        theirs = infer_task(data, own.id if own.takes(data.labels) else None).classes
    except RequestError:
        return []
    more, less = ([n for n in a if n not in b] for a, b in ((theirs, own.classes), (own.classes, theirs)))
    notes = []
    if len(task.classes) > len(own.classes):
        notes.append(
            f"The source has classes that the target lacks, {quoted(more)}: the task is widened by them, from "
            f"{len(own.classes)} to {len(task.classes)} classes, and a prediction of one of them is wrong."
        )
    elif more and less:
        notes.append(
            f"Source and target have other classes, so the source's labels do not fit the target's task: only the "
            f"source has {quoted(more)}, only the target {quoted(less)}."
        )
    elif less and theirs:
        notes.append(f"The source has no row of the target's classes {quoted(less)}.")
    return [*notes, *_offered(more, less)]


def _offered(theirs: Sequence[str], ours: Sequence[str]) -> list[str]:
    """A sentence that offers to make one of classes that look like one."""
    near = alike_pairs(theirs, ours)
    return [f"Classes of the source look like the target's: map_classes={near} makes them one."] if near else []


def alike_pairs(theirs: Sequence[str], ours: Sequence[str]) -> dict[str, str]:
    """Names of theirs that differ from one of ours in case, spaces, hyphens, accents or a plural ending alone."""
    plain = {_stem(name): name for name in reversed(ours)}
    return {name: plain[_stem(name)] for name in theirs if _stem(name) in plain}


def _stem(name: str) -> str:
    plain = "".join(c for c in unicodedata.normalize("NFD", plain_name(name)) if not unicodedata.combining(c))
    return plain[:-1] if len(plain) > 3 and plain.endswith("s") else plain


def said_of_split(sources: Sequence[Source], own: Task, targets: Array, draws: Sequence[Splits]) -> list[str]:
    """Which classes are tested but have no labelled row to be learnt from, and which labels all rows have.

    Parameters
    ----------
    sources
        Those that answer it, too.
    own
        The target's own task, which `targets` are encoded by.
    draws
        The splits of each draw of the labels.
    """
    if not own.classes:
        return []
    used = [np.concatenate([splits.train, splits.validation]) for splits in draws]
    rows, asked = np.unique(np.concatenate(used)), _counts(own, targets[draws[0].test])
    lacking = np.sum([np.equal(_counts(own, targets[some]), 0) for some in used], axis=0)  # draws without each class
    lent = {name for source in sources for name in _of_source(source)}
    tested = [(name, n, int(lacks)) for name, n, lacks in zip(own.classes, asked, lacking, strict=True) if n and lacks]
    lost = [
        f"{name!r} ({n:,} test row{'s' * (n > 1)})"
        for name, n, lacks in tested
        if name not in lent and lacks == len(draws)
    ]
    some = [f"{name!r} (in {lacks})" for name, _, lacks in tested if name not in lent and lacks < len(draws)]
    only = [name for name, _, lacks in tested if name in lent and lacks == len(draws)]
    notes = []
    if lost and (len(rows) or lent):
        notes.append(f"Never learnt, for none of the labels used is of them: {listed(lost)}.")
    if some:
        notes.append(f"No label is of these classes in some of the {len(draws)} draws: {listed(some)}.")
    if only and len(rows):
        notes.append(f"Only the source has labelled rows of {quoted(only)}.")
    if targets.ndim == 2 and len(rows):
        seen = _counts(own, targets[rows])
        free = [i for i, name in enumerate(own.classes) if name not in lent and (seen[i] or not asked[i])]
        notes += _never_varies(free, own.classes, targets[rows])
    return notes


def _never_varies(some: Sequence[int], names: Sequence[str], labels: Array) -> list[str]:
    """A sentence where one of some labels, of several a row, is set in every row that tells of it, or in none."""
    known, seen = (~np.isnan(labels)).sum(axis=0), (labels == 1).sum(axis=0)
    found = {
        "every row": [names[i] for i in some if known[i] and seen[i] == known[i]],
        "no row": [names[i] for i in some if known[i] and not seen[i]],
    }
    said = " and ".join(f"{where} has {quoted(some)}" for where, some in found.items() if some)
    return [f"Where it is known, {said}: nothing tells rows with from rows without."] if said else []


def _counts(task: Task, targets: Array) -> list[int]:
    """Rows of each class."""
    if targets.ndim == 2:
        return [int(n) for n in (targets == 1).sum(axis=0)]
    return [int(n) for n in np.bincount(targets[targets >= 0], minlength=len(task.classes))]


def nothing_to_learn(task: Task, targets: Array, draws: Sequence[Splits], same: bool) -> list[str]:
    """A sentence where the labels of each draw are all the same, and no source's labels answer the task.

    Then methods differ by chance alone, and no verdict is given.
    """
    each = [targets[np.concatenate([splits.train, splits.validation])] for splits in draws]
    if same or not all(len(labels) and not _vary(labels) for labels in each):
        return []
    count, first = len(each[0]), each[0][:1]
    labels = f"All {count:,} labels used are" if count > 1 else "The only label used is"
    if _vary(np.concatenate(each)):
        what = "the same, another in other draws," if count > 1 else "another in each draw,"
    elif first.ndim == 1:
        only: Any = task.decode(first)[0]
        what = f"of the class {only!r}," if task.classes else f"{only:g},"
    else:
        what = "the same in every row,"
    return [f"{labels} {what} so there is nothing to learn, and no verdict is given."]


def _vary(labels: Array) -> bool:
    """Whether two rows differ in a label that both have, ``(n,)`` or ``(n, k)`` with NaN where unknown."""
    known = labels.reshape(len(labels), -1).astype(np.float64)
    low, high = np.where(np.isnan(known), np.inf, known).min(0), np.where(np.isnan(known), -np.inf, known).max(0)
    return bool((high > low).any())
