"""Rows without labels that are kept aside to narrow the intervals of the scores."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from sterna.domains.domain import Domain
from sterna.domains.groups import unit_ids
from sterna.domains.splits import Splits
from sterna.errors import RequestError
from sterna.experiment.overlaps import learnt_before, unseen
from sterna.methods.method import Method
from sterna.record.request import Request
from sterna.sources import Source
from sterna.tasks.task import Task

Array = np.ndarray[Any, Any]

PPI = "interval='ppi'"

LEAST, MOST = 50, 5000
"""Groups or contents at the least: of few rows nobody knows how much they say. And rows at most: more hardly make an
interval narrower."""


def kept_aside(domain: Domain, task: Task, splits: Splits, request: Request) -> Array:
    """Half of the rows that no draw needs a label of, ``(m,)``; none where they are not asked for.

    They are drawn before any label is, whole groups and contents together, as the test rows were, and no method sees
    them: even one that learns from rows without labels answers them as it answers the test rows.

    Parameters
    ----------
    splits
        Any draw of the labels: its test rows are those of all draws.

    Raises
    ------
    RequestError
        If there are too few, or none that were drawn as the test rows were.
    """
    if request.interval != "ppi":
        return np.empty(0, dtype=np.int64)
    if not task.one_class:
        raise RequestError(f"{PPI} is for a classification of one class a row, but this is a {task.id}; leave it out.")
    for sentence in _drawn_apart(domain, splits, request):
        raise RequestError(f"{PPI} needs rows without labels that were drawn as the test rows were, but {sentence}.")
    units, taken = unit_ids(domain), np.zeros(len(domain), dtype=bool)
    taken[splits.test] = True
    if request.labels is None:  # then every label is used
        taken |= domain.labelled()
    free = np.random.default_rng([request.split_seed, 1]).permutation(np.setdiff1d(units, units[taken]))
    chosen = free[: (len(free) + 1) // 2]
    if len(chosen) < LEAST:
        raise RequestError(
            f"{PPI} needs {2 * LEAST} rows without labels or more (of groups, so many groups), but {domain.name} has "
            f"{len(free):,} that no label is used of; labels=N uses N labels and hides the others, or leave it out."
        )
    sizes = np.bincount(units)[chosen].cumsum()
    return np.flatnonzero(np.isin(units, chosen[: max(LEAST, np.searchsorted(sizes, MOST, side="right"))]))


def _drawn_apart(domain: Domain, splits: Splits, request: Request) -> Iterator[str]:
    """Why rows without labels are not like the test rows, and the way out."""
    if splits.given:
        yield f"the splits {', '.join(splits.given)} came with the data; leave it out"
    if domain.times is not None:
        yield "the test rows are the last in time; leave it out"
    if request.labels_per_class is not None:
        yield "labels_per_class= takes labels by class; give labels=N, which takes them in the shares of the classes"
    if request.test_repeats > 1:
        yield "rows of one test split are learnt from in the others; leave out test_repeats="


def without_aside(source: Source, domain: Domain, rows: Array) -> Source:
    """The source without these rows of the target, near copies of them, or rows of their groups."""
    return unseen(source, domain, rows)[0] if len(rows) else source


def to_tell(domain: Domain, rows: Array, sources: Sequence[Source], method: Method) -> tuple[Domain | None, list[str]]:
    """Of the rows kept aside those that no source's model learnt from, and what a record says of them."""
    if not len(rows):
        return None, []
    known = [each.rows for each in learnt_before(sources, method, domain.inputs.take(rows))]
    rows = rows[~np.any(known, axis=0)] if known else rows
    if len(np.unique(unit_ids(domain)[rows])) < LEAST:
        raise RequestError(f"{PPI}: the source learnt from nearly all rows without labels; leave it out.")
    return domain.take(rows), [
        f"The intervals of the scores rest on {len(rows):,} rows without labels, too, which nothing learnt from: they "
        "hold where the rows to label were drawn at random from all. Gains are differences of scores on the test rows "
        "alone."
    ]
