"""Rows without labels that are kept aside to narrow the intervals of the scores."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from sterna.domains.domain import Domain
from sterna.domains.groups import unit_ids
from sterna.domains.splits import Splits
from sterna.errors import RequestError
from sterna.record.request import Request
from sterna.tasks.task import Task

PPI = "interval='ppi'"

MOST = 5000
"""Rows at most: more hardly make an interval narrower."""


def kept_aside(
    domain: Domain, task: Task, splits: Sequence[Splits], request: Request
) -> tuple[list[Splits], Domain | None]:
    """Half of the rows that no draw has a label of, out of every draw's splits; ``None`` where none are asked for.

    Methods do not see them, so that even one that learns from rows without labels answers them as it answers the test
    rows. Nor do they see others of their group or content.

    Raises
    ------
    RequestError
        If there are none, or none that were drawn as the test rows were.
    """
    if request.interval != "ppi":
        return list(splits), None
    if not task.one_class:
        raise RequestError(f"{PPI} is for a classification of one class a row, but this is a {task.id}; leave it out.")
    for sentence in _drawn_apart(domain, splits[0], request):
        raise RequestError(f"{PPI} needs rows without labels that were drawn as the test rows were, but {sentence}.")
    units, free = unit_ids(domain), np.ones(len(domain), dtype=bool)
    for each in splits:
        free &= np.isin(np.arange(len(domain)), each.unlabelled)
    whole = np.setdiff1d(units[free], units[~free])
    random = np.random.default_rng(request.split_seed)
    chosen = random.permutation(whole)[: (len(whole) + 1) // 2]
    chosen = chosen[np.bincount(units)[chosen].cumsum() <= MOST]
    rows = np.flatnonzero(np.isin(units, chosen))
    if len(rows) < 2:
        raise RequestError(
            f"{PPI} needs rows without labels, but {domain.name} has none to keep aside; labels=N uses N labels and "
            "hides the others."
        )
    return [
        replace(
            each,
            unlabelled=np.setdiff1d(each.unlabelled, rows),
            left_out=np.union1d(each.left_out, rows),
        )
        for each in splits
    ], domain.take(rows)


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


def powered_by(unlabelled: Domain | None) -> list[str]:
    """What a record says of the rows kept aside."""
    if unlabelled is None:
        return []
    return [
        f"The intervals of the scores rest on {len(unlabelled):,} rows without labels, too, which nothing learnt from; "
        "those of the gains do not. They hold where rows to label were drawn at random from all."
    ]
