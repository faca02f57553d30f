"""Splits: who trains, who chooses, who tests; what is never on two sides."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from sterna.domains.domain import Domain
from sterna.domains.draws import draw_apart, draw_labels, draw_rows
from sterna.domains.groups import unit_ids
from sterna.domains.inputs import Rows
from sterna.domains.split_checks import check_classes, check_request, class_of, labelled_rows
from sterna.domains.time_splits import Times, before, known_times, last_part, said
from sterna.errors import RequestError

if TYPE_CHECKING:
    import pandas as pd

VALIDATION = 0.2
"""Share of the labelled rows that are not test rows, or of the few labels, for validation."""

NAMES = ("train", "validation", "test", "unlabelled", "left_out")


@dataclass(frozen=True, eq=False)
class Splits:
    """Row numbers, each split sorted; every row is in exactly one.

    Attributes
    ----------
    train, validation, test
        Rows whose labels train, choose, and score.
    unlabelled
        Rows whose labels, if any, nobody sees.
    given
        The splits that came with the data.
    left_out
        Rows used on no side: without a label, of a group with test rows; in a split by time also those in a gap, after
        the first test row, or without a time.
    notes
        What a user should know about them, one sentence each.
    """

    train: Rows
    validation: Rows
    test: Rows
    unlabelled: Rows
    given: tuple[str, ...] = ()
    left_out: Rows = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    notes: tuple[str, ...] = ()

    def __repr__(self) -> str:
        sizes = ", ".join(f"{name} {len(getattr(self, name)):,}" for name in NAMES[:4])
        return f"Splits({sizes})"

    def to_frame(self) -> pd.DataFrame:
        """For the run folder: columns ``row`` (int64, sorted) and ``split``."""
        import pandas as pd

        rows = np.concatenate([getattr(self, name) for name in NAMES])
        names = np.repeat(np.array(NAMES, dtype=object), [len(getattr(self, name)) for name in NAMES])
        order = np.argsort(rows)
        return pd.DataFrame({"row": rows[order], "split": names[order]})


def make_splits(
    domain: Domain,
    targets: np.ndarray,
    *,
    seed: int,
    split_seed: int = 0,
    test_fraction: float | None = None,
    labels_per_class: int | None = None,
    labels: int | None = None,
    gap: float = 0.0,
    test_repeats: int = 1,
    test_split: int = 0,
    aside: Rows | None = None,
) -> Splits:
    """Split the rows of a domain.

    Splits that came with the data are used; of two, the second is the test split. What is missing is drawn: stratified
    by class (by the rarest label of a row, by quantile for numbers), whole groups on one side, rows of identical
    content on one side. The test split depends on `split_seed` alone. Where the domain says when its rows were, they
    are split by time: the last are the test split, those before it validation.

    Parameters
    ----------
    domain
        Its splits, groups and inputs (for identical rows) are used, not its labels.
    targets
        Labels as the task encodes them: int ``(n,)`` codes (−1 unlabelled), float ``(n,)`` (NaN unlabelled), or float
        ``(n, k)``.
    seed
        Draws validation and the few labels.
    split_seed
        Draws the test split.
    test_fraction
        Of the labelled rows, or about how many of them (1 or more); 0.2 if none.
    labels_per_class
        Keep this many labels of each class for training and validation together; others are hidden.
    labels
        Keep this many in all; 0 hides every label.
    gap
        In a split by time: so long before validation, and before the test split, no row is used; days, or the unit of
        times that are numbers.
    test_repeats, test_split
        How many test splits without common rows there are, and which of them is meant, from 0 on.
    aside
        Rows outside the test split that are used on no side.

    Raises
    ------
    RequestError
        If there are no labels, one class only, a class with too few rows, or fewer labels than asked for.
    """
    check_request(domain, targets, test_fraction, labels_per_class, labels)
    known = labelled_rows(targets)
    given, notes = _given(domain, known)
    units = _Units(domain)
    if test_fraction is not None and "test" in given:
        raise RequestError(
            f"test_size={test_fraction:g} was asked for, but {domain.name} brings its own test split; leave it out."
        )
    if test_repeats > 1 and ("test" in given or domain.times is not None):
        why = "is split by time" if domain.times is not None else "brings its own test split"
        raise RequestError(
            f"test_repeats={test_repeats} draws several test splits, but {domain.name} {why}; leave it out."
        )
    if domain.times is None and gap:
        raise RequestError(f"gap={gap:g} is for splits by time; name the column of times as well (time=).")
    if domain.times is not None:
        chosen = _chosen(labels_per_class, labels, targets, units, seed)
        return _by_time(domain, domain.times, targets, units, test_fraction, gap, chosen)
    if "test" in given:
        test = given["test"]
        pool = _pool(given, known)
    else:
        pool = _pool(given, known)
        check_classes(domain, targets[pool], pool, least=2, what="training and test")
        share = _share(test_fraction, len(pool), test_repeats)
        test = draw_apart(pool, targets, units, share, split_seed, test_repeats, test_split)
        if test_repeats > 1 and not len(test):
            raise RequestError(
                f"{domain.name} has too few rows or groups of a class for test_repeats={test_repeats} test splits: "
                f"number {test_split + 1} would be empty; lower it."
            )
        pool = np.setdiff1d(pool, test)
    aside = np.empty(0, dtype=np.int64) if aside is None else aside
    pool = np.setdiff1d(pool, aside)
    validation = given.get("validation")
    if labels_per_class is None and labels is None:
        if validation is None:
            validation = draw_rows(pool, targets, units, VALIDATION, seed)
            pool = np.setdiff1d(pool, validation)
    else:
        # A given validation split brings its labels too: "k labels" counts all that training and choosing may see.
        pool = pool if validation is None else np.union1d(pool, validation)
        if labels_per_class is not None:
            if not len(pool):
                raise RequestError(
                    f"labels_per_class={labels_per_class} needs labelled rows beside those of the test split."
                )
            check_classes(
                domain, targets[pool], pool, least=labels_per_class, what=f"labels_per_class={labels_per_class}"
            )
        pool = draw_labels(pool, targets, units, labels_per_class, labels, np.random.default_rng([seed, 1]))
        validation = draw_rows(pool, targets, units, VALIDATION, seed)
        pool = np.setdiff1d(pool, validation)
    rest = np.setdiff1d(np.arange(len(domain)), np.concatenate([pool, validation, test, aside]))
    # Rows of a group that is tested are seen by no method, not even without their labels. Given splits stay as given.
    tied = np.isin(units(rest), units(test)) if "test" not in given and len(rest) else np.zeros(len(rest), dtype=bool)
    return Splits(pool, validation, test, rest[~tied], tuple(given), np.union1d(rest[tied], aside), tuple(notes))


Chosen = Callable[[Rows], Rows]
"""Of rows that may be learnt from, those whose labels are seen."""


def _chosen(labels_per_class: int | None, labels: int | None, targets: np.ndarray, units: _Units, seed: int) -> Chosen:
    def chosen(pool: Rows) -> Rows:
        if labels_per_class is None and labels is None:
            return pool
        return draw_labels(pool, targets, units, labels_per_class, labels, np.random.default_rng([seed, 1]))

    return chosen


def _by_time(
    domain: Domain, times: Times, targets: np.ndarray, units: _Units, test_fraction: float | None,
    gap: float, chosen: Chosen,
) -> Splits:  # fmt: skip
    """The last rows are the test split, those before it validation; no row of a tested group is in either."""
    if domain.splits:
        raise RequestError(
            f"{domain.name} is to be split by time, but brings the splits {', '.join(domain.splits)}; leave time out, "
            "or the column or test set that gives them."
        )
    dated = known_times(times)
    pool = np.flatnonzero(labelled_rows(targets) & dated)
    past, test = last_part(pool, times, units, _share(test_fraction, len(pool)), gap)
    start = times[test].min()
    if not len(past):
        raise RequestError(
            f"Split by time, {domain.name} has no row left to learn from: every row before {said(start)} is of a group "
            "with later rows, or within the gap; leave out group or gap, or lower test_size."
        )
    seen = chosen(past)
    train, validation = seen, seen[:0]
    if len(np.unique(times[seen])) > 1:
        train, validation = last_part(seen, times, units, VALIDATION, gap)
    if len(seen) and not len(train):  # every group goes on: better none to choose by than none to learn from
        train, validation = seen, seen[:0]
    if targets.dtype.kind in "iu" and len(train) and len(np.unique(targets[train])) == 1:
        raise RequestError(
            f"Split by time, the training rows of {domain.name} (before {said(times[train].max())} or then) are of one "
            f"class only, {class_of(domain, int(train[0]))}; lower test_size, or split at random."
        )
    rest = np.setdiff1d(np.arange(len(domain)), np.concatenate([train, validation, test]))
    early = np.zeros(len(rest), dtype=bool)
    early[dated[rest]] = times[rest[dated[rest]]] < before(start, gap)
    free = early & ~np.isin(units(rest), units(test))
    notes = [f"Split by time: rows before {said(start)} to learn from, from then on the test split."]
    tied, undated = int((early & ~free).sum()), int((~dated).sum())
    if tied:
        notes.append(f"{tied:,} earlier rows of a group or content with test rows are used on no side.")
    if undated:
        notes.append(f"{undated:,} rows have no time, the first of them row {int((~dated).argmax())}: used on no side.")
    return Splits(train, validation, test, rest[free], (), rest[~free], tuple(notes))


def _share(fraction: float | None, rows: int, repeats: int = 1) -> float:
    """What part of these rows each test split takes: as asked, a share or a number of them, or a fifth at most."""
    if fraction is None:
        return min(0.2, 1 / repeats)
    if fraction >= 1 and fraction > 0.9 * rows:
        raise RequestError(f"test_size={fraction:g} is more than nine tenths of the {rows:,} labelled rows; lower it.")
    share = fraction if fraction < 1 else fraction / rows
    if share * repeats > 1 + 1e-9:
        raise RequestError(
            f"test_repeats={repeats} test splits of test_size={fraction:g} would test rows twice, but each is tested "
            f"once; lower test_repeats to {int(1 / share + 1e-9)}, or test_size."
        )
    return share


class _Units:
    """The unit (a group, or all rows of one content) that each row belongs to; found when first asked for."""

    def __init__(self, domain: Domain) -> None:
        self._domain = domain
        self._ids: np.ndarray | None = None

    def __call__(self, rows: Rows) -> np.ndarray:
        if self._ids is None:
            self._ids = unit_ids(self._domain)
        return self._ids[rows]


def _given(domain: Domain, known: np.ndarray) -> tuple[dict[str, Rows], list[str]]:
    """The splits that came with the data, labelled rows only; the second of two is the test split."""
    given: dict[str, Rows] = {}
    notes = []
    for name, rows in domain.splits.items():
        labelled = rows[known[rows]]
        if len(labelled):
            given[name] = labelled
        if 0 < len(labelled) < len(rows):
            notes.append(
                f"{len(rows) - len(labelled):,} rows of the {name} split have no label and count as unlabelled."
            )
        elif not len(labelled):
            notes.append(f"The {name} split has no labels, so its rows count as unlabelled.")
    if "test" not in given and "validation" in given:
        given["test"] = given.pop("validation")
        notes.append("The validation split that came with the data is the test split; validation is cut from train.")
    return given, notes


def _pool(given: dict[str, Rows], known: np.ndarray) -> Rows:
    """Labelled rows that training may draw on: the given train split, or all that no given split has."""
    if "train" in given:
        return given["train"]
    taken = np.concatenate([np.empty(0, dtype=np.int64), *given.values()])
    return np.setdiff1d(np.flatnonzero(known), taken)
