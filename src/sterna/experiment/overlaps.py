"""Test rows that something learnt from all the same: counted, said, and scored without."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any

import numpy as np

from sterna.domains.domain import Domain
from sterna.domains.inputs import Inputs
from sterna.domains.learnt import Learnt
from sterna.domains.splits import Splits
from sterna.domains.text import plain_words
from sterna.errors import RequestError
from sterna.methods.method import Method, Needs
from sterna.sources.source import Source
from sterna.tasks.task import Task

Array = np.ndarray[Any, Any]

NEAR = "alike but for further columns, rounding, case, spaces, punctuation or the format or size of a file"


@dataclass(frozen=True, eq=False)
class Overlap:
    """Test rows that are no test of what was learnt.

    Attributes
    ----------
    rows
        Which, ``(n,)`` bool.
    words
        What they are, after their number: ``"of the 40 test rows are copies of training rows"``.
    """

    rows: Array
    words: str


def tied_to_training(domain: Domain, splits: Splits, rows: Array) -> tuple[Overlap, ...]:
    """Of these test rows of a split that came with the data, copies of rows outside it, and rows of their groups.

    A split that is made keeps copies and groups on one side.
    """
    if "test" not in splits.given:
        return ()
    outside = np.setdiff1d(np.arange(len(domain)), splits.test)
    test, rest, overlaps = domain.inputs.take(rows), domain.inputs.take(outside), []
    same = np.isin(test.keys(), rest.keys())
    found = same | test.near_copies(rest)
    if found.any():
        near = int((found & ~same).sum())
        words = f"of the {len(rows):,} test rows {_are(found)} copies of training rows"
        overlaps.append(Overlap(found, words + (f", {near:,} of them near copies ({NEAR})" if near else "")))
    if domain.groups is not None:
        tied = of_groups(domain.groups[rows], domain.groups[outside])
        if tied.any():
            overlaps.append(Overlap(tied, f"of the {len(rows):,} test rows {_are(tied)} of groups with training rows"))
    return tuple(overlaps)


def learnt_before(sources: Sequence[Source], method: Method | None, inputs: Inputs) -> tuple[Overlap, ...]:
    """Of these test rows, those that a source's model learnt from already, or that rules were extracted from."""
    drawn = None if method is None else method.learnt_before()
    return (
        *(one for each in sources for one in _known(each.learnt, inputs, f"the source {each.spec} learnt from")),
        *_known(drawn, inputs, "the rules were extracted from"),
    )


def _known(learnt: Learnt | None, inputs: Inputs, what: str) -> tuple[Overlap, ...]:
    if learnt is None:
        return ()
    words = f"of the {len(inputs):,} test rows {{}} rows that {what}"
    ways = zip(learnt.among(inputs), (", with their labels", ", without their labels"), strict=True)
    return tuple(Overlap(found, words.format(_are(found)) + how) for found, how in ways if found.any())


def known_rows(learnt: Learnt | None, inputs: Inputs) -> tuple[str, ...]:
    """How many of these rows a run learnt from, a sentence each for those with their labels and those without."""
    if learnt is None:
        return ()
    ways = zip(learnt.among(inputs), ("with", "without"), strict=True)
    return tuple(
        f"{found.sum():,} of the {len(inputs):,} rows are rows that the run learnt from, {how} their labels: a score "
        "on them says little of new rows."
        for found, how in ways
        if found.any()
    )


def learnt_of(sources: Sequence[Source], domain: Domain, method: Method, splits: Splits) -> Learnt:
    """Which rows a method learns from with these splits, and which ones its sources did."""
    data = [source.data for source in sources if source.data is not None]
    given = tuple(each.inputs.take(np.flatnonzero(learnt_rows(each))) for each in data)
    known = (*(source.learnt for source in sources), method.learnt_before())
    before = [each for each in known if each is not None]
    earlier = reduce(Learnt.joined, before) if before else None
    if not method.needs & (Needs.TARGET_LABELS | Needs.LABELS | Needs.UNLABELLED_TARGET):
        return Learnt.of(given, (), earlier)
    rows = np.concatenate([splits.train, splits.validation])
    seen = splits.unlabelled if Needs.UNLABELLED_TARGET in method.needs else splits.unlabelled[:0]
    return Learnt.of((*given, domain.inputs.take(rows)), (domain.inputs.take(seen),), earlier)


def learnt_rows(data: Domain) -> Array:
    """Which rows of a source's data may teach, ``(n,)``: the labelled ones outside its test split."""
    keep = data.labelled()
    keep[data.splits.get("test", [])] = False
    return keep


def unseen(source: Source, domain: Domain, test: Array) -> tuple[Source, tuple[str, ...]]:
    """The source without rows that are test rows or of their groups, and a note where there were some."""
    if source.data is None:
        return source, ()
    data, tested, notes = source.data, domain.take(test), []
    out = np.zeros(len(data), dtype=bool)

    def leave_out(found: Array, words: str) -> None:
        more = found & ~out
        if more.any():
            notes.append(f"{more.sum():,} {words}, and were left out.")
            out[more] = True

    if data.kind == domain.kind:
        leave_out(
            np.isin(data.inputs.keys(), tested.inputs.keys()),
            "rows of the source's data are rows of the test split as well",
        )
        leave_out(
            data.inputs.near_copies(tested.inputs), f"rows of the source's data are near copies of test rows ({NEAR})"
        )
    if tested.groups is not None and data.groups is None:
        notes.append(
            "The source's data name no groups: if rows of theirs are of a group with test rows, they were not found."
        )
    elif tested.groups is not None and data.groups is not None:
        tied = of_groups(data.groups, tested.groups)
        notes.extend(_other_names(data, domain))
        leave_out(tied, "more rows of the source's data are of groups with test rows" if out.any()
                  else "rows of the source's data are of groups with test rows")  # fmt: skip
    if out.any() and not learnt_rows(data)[~out].any():
        raise RequestError(
            f"No labelled row of the source's data {data.name} is left to learn from: {' '.join(notes)} Give data that "
            "hold other rows than the test split."
        )
    return (source if not out.any() else source.with_data(data.take(np.flatnonzero(~out)))), tuple(notes)


def of_groups(groups: Array, known: Array) -> Array:
    """Which of these rows are of a group that is known, however it is written there, ``(n,)`` bool."""
    names = {_plain_name(group) for group in known if group is not None}
    return np.array([group is not None and _plain_name(group) in names for group in groups], dtype=bool)


def _plain_name(group: object) -> str:
    """A group's name, however another file writes it: in other case, with other marks, numbers with zeros before."""
    words = plain_words(str(group))
    bare = re.sub(r"(?<!\d)0+(?=\d)", "", re.sub(r"(?<=\d)[\W_]+(?=\d)", "-", words))
    return re.sub(r"(?!(?<=\d)-\d)[\W_]", "", bare) or words


def _other_names(data: Domain, domain: Domain) -> list[str]:
    """What is said where groups of source and target share numbers, but no name: 3 and P003 may be one patient."""
    both = [{_plain_name(group): str(group) for group in d.groups if group is not None} for d in (data, domain)]  # type: ignore[union-attr]
    ours, theirs = both
    numbers = [{re.sub(r"[^\d-]", "", name) for name in names} - {""} for names in both]
    if ours.keys() & theirs.keys() or 2 * len(numbers[0] & numbers[1]) <= len(ours):
        return []
    return [
        f"No group of the source's data is called as one of the target is (such as {min(ours.values())!r}, in the "
        f"target {min(theirs.values())!r}), though their numbers are the same: if they are the same ones, write them "
        "alike, for rows of groups with test rows were not found."
    ]


def overlap_notes(
    overlaps: Sequence[Overlap], task: Task, targets: Array, outputs: Mapping[str, Sequence[Array]]
) -> tuple[str, ...]:
    """A sentence for each overlap: how many test rows, and the scores without them.

    Parameters
    ----------
    outputs
        Of the method and of each control, the answers of each seed for the test rows.
    """
    notes = []
    for overlap in overlaps:
        count, rest = int(overlap.rows.sum()), np.flatnonzero(~overlap.rows)
        sentence = f"{count:,} {overlap.words}"
        if not len(rest):
            notes.append(f"{sentence}: none is left that could test what was learnt.")
            continue
        every = np.arange(len(targets))
        scores = [
            f"{name} {_mean(task, each, targets, rest):.3f} (all rows {_mean(task, each, targets, every):.3f})"
            for name, each in outputs.items()
        ]
        notes.append(
            f"{sentence}; {task.metric} on the other {len(rest):,} rows: {', '.join(scores)}. "
            "The verdict is of those rows alone."
        )
    return tuple(notes)


def _mean(task: Task, outputs: Sequence[Array], targets: Array, rows: Array) -> float:
    """The primary metric of these rows, averaged over seeds."""
    names = [task.metric]
    found = [task.metrics(task.statistics(each[rows], targets[rows], names), names=names) for each in outputs]
    return float(np.mean([each[task.metric][0] for each in found]))


def _are(found: Array) -> str:
    return "is" if found.sum() == 1 else "are"
