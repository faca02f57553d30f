"""Splits: who trains, who chooses, who tests; what is never on two sides."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from sterna.domains.domain import Domain
from sterna.domains.draws import draw_labels, draw_side, strata_of
from sterna.domains.groups import unit_ids
from sterna.domains.inputs import Rows
from sterna.errors import RequestError

if TYPE_CHECKING:
    import pandas as pd

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
        Rows without a label that belong to a group with test rows: used on no side.
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
    test_fraction: float = 0.2,
    validation_fraction: float = 0.2,
    labels_per_class: int | None = None,
    labels: int | None = None,
) -> Splits:
    """Split the rows of a domain.

    Splits that came with the data are used; of two, the second is the test split. What is missing is drawn: stratified
    by class (by the rarest label of a row, by quantile for numbers), whole groups on one side, rows of identical
    content on one side. The test split depends on `split_seed` alone.

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
        Of the labelled rows.
    validation_fraction
        Of the labelled rows that are not test rows, or of the few labels.
    labels_per_class
        Keep this many labels of each class for training and validation together; others are hidden.
    labels
        Keep this many in all; 0 hides every label.

    Raises
    ------
    RequestError
        If there are no labels, one class only, a class with too few rows, or fewer labels than asked for.
    """
    _check(domain, targets, test_fraction, validation_fraction, labels_per_class, labels)
    known = _labelled(targets)
    given, notes = _given(domain, known)
    units = _Units(domain)
    if "test" in given:
        test = given["test"]
        pool = _pool(given, known)
    else:
        pool = _pool(given, known)
        _check_classes(domain, targets[pool], pool, least=2, what="training and test")
        test = _draw(pool, targets, units, test_fraction, split_seed)
        pool = np.setdiff1d(pool, test)
    validation = given.get("validation")
    if labels_per_class is None and labels is None:
        if validation is None:
            validation = _draw(pool, targets, units, validation_fraction, seed)
            pool = np.setdiff1d(pool, validation)
    else:
        # A given validation split brings its labels too: "k labels" counts all that training and choosing may see.
        pool = pool if validation is None else np.union1d(pool, validation)
        if labels_per_class is not None:
            if not len(pool):
                raise RequestError(
                    f"labels_per_class={labels_per_class} needs labelled rows beside those of the test split."
                )
            _check_classes(
                domain, targets[pool], pool, least=labels_per_class, what=f"labels_per_class={labels_per_class}"
            )
        pool = draw_labels(pool, targets, units, labels_per_class, labels, np.random.default_rng([seed, 1]))
        validation = _draw(pool, targets, units, validation_fraction, seed)
        pool = np.setdiff1d(pool, validation)
    rest = np.setdiff1d(np.arange(len(domain)), np.concatenate([pool, validation, test]))
    # Rows of a group that is tested are seen by no method, not even without their labels. Given splits stay as given.
    tied = np.isin(units(rest), units(test)) if "test" not in given and len(rest) else np.zeros(len(rest), dtype=bool)
    return Splits(pool, validation, test, rest[~tied], tuple(given), rest[tied], tuple(notes))


class _Units:
    """The unit (a group, or all rows of one content) that each row belongs to; found when first asked for."""

    def __init__(self, domain: Domain) -> None:
        self._domain = domain
        self._ids: np.ndarray | None = None

    def __call__(self, rows: Rows) -> np.ndarray:
        if self._ids is None:
            self._ids = unit_ids(self._domain)
        return self._ids[rows]


def _labelled(targets: np.ndarray) -> np.ndarray:
    if targets.dtype.kind in "iu":
        return np.asarray(targets >= 0)
    known = ~np.isnan(targets)
    return np.asarray(known if known.ndim == 1 else known.any(axis=1))


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


def _draw(pool: Rows, targets: np.ndarray, units: Callable[[Rows], np.ndarray], fraction: float, seed: int) -> Rows:
    if fraction == 0 or not len(pool):
        return np.empty(0, dtype=np.int64)
    side = draw_side(strata_of(targets[pool]), units(pool), fraction, np.random.default_rng([seed, 0]))
    return np.sort(pool[side])


def _check(
    domain: Domain,
    targets: np.ndarray,
    test_fraction: float,
    validation_fraction: float,
    labels_per_class: int | None,
    labels: int | None,
) -> None:
    for name, fraction, least in (
        ("test_fraction", test_fraction, 0.01),
        ("validation_fraction", validation_fraction, 0.0),
    ):
        if not least <= fraction <= 0.9:
            raise RequestError(f"{name}={fraction} is out of range; {least:g} to 0.9 was expected.")
    if len(targets) != len(domain):
        raise RequestError(f"{domain.name} has {len(domain)} rows but {len(targets)} targets; give one for each.")
    if labels is not None and labels_per_class is not None:
        raise RequestError("labels_per_class= and labels= were both given; use one of them.")
    if labels_per_class is not None and labels_per_class < 1:
        raise RequestError(
            f"labels_per_class={labels_per_class} is too few; 1 or more was expected (labels=0 hides all)."
        )
    if labels is not None and labels < 0:
        raise RequestError(f"labels={labels} is negative; 0 (hide all) or more was expected.")
    if labels_per_class is not None and targets.dtype.kind == "f" and targets.ndim == 1:
        raise RequestError(
            "labels_per_class= is for classes, but the target is a number; use labels= for so many in all."
        )
    known = _labelled(targets)
    if not known.any():
        raise RequestError(
            f"{domain.name} has no labels; some rows with a label are needed, at the least for the test."
        )
    if targets.dtype.kind in "iu" and len(np.unique(targets[known])) == 1:
        raise RequestError(
            f"{domain.name} has rows of one class only ({_class_name(domain, int(known.argmax()))}); "
            "at least two classes are needed."
        )


def _check_classes(domain: Domain, targets: np.ndarray, rows: Rows, *, least: int, what: str) -> None:
    if targets.dtype.kind not in "iu":
        if targets.ndim == 1 and len(rows) < least:
            raise RequestError(f"{domain.name} has {len(rows)} labelled row; {what} need at least {least}.")
        return
    codes, first, counts = np.unique(targets, return_index=True, return_counts=True)
    if len(codes) and counts.min() < least:
        i = int(counts.argmin())
        raise RequestError(
            f"Class {_class_name(domain, rows[first[i]])} of {domain.name} has {counts[i]} labelled "
            f"row{'s' if counts[i] > 1 else ''}, but {what} need{'s' if '=' in what else ''} at least {least} of each "
            "class; add rows, or " + ("lower it" if "=" in what else "leave the class out") + "."
        )


def _class_name(domain: Domain, row: int) -> str:
    return repr(domain.labels[row]) if domain.labels is not None else f"of row {row}"
