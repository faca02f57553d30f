"""What must hold before rows are split."""

from __future__ import annotations

import numpy as np

from sterna.domains.domain import Domain
from sterna.domains.inputs import Rows
from sterna.domains.labels import class_name
from sterna.errors import RequestError, listed


def labelled_rows(targets: np.ndarray) -> np.ndarray:
    """Which rows have a label, ``(n,)`` bool; targets are encoded."""
    if targets.dtype.kind in "iu":
        return np.asarray(targets >= 0)
    known = ~np.isnan(targets)
    return np.asarray(known if known.ndim == 1 else known.any(axis=1))


def check_request(
    domain: Domain,
    targets: np.ndarray,
    test_fraction: float | None,
    labels_per_class: int | None,
    labels: int | None,
) -> None:
    """Refuse what :func:`~sterna.domains.splits.make_splits` cannot do."""
    if test_fraction is not None and not (
        0.01 <= test_fraction <= 0.9 or (test_fraction >= 1 and test_fraction % 1 == 0)
    ):
        raise RequestError(
            f"test_size={test_fraction:g} is out of range; a share of 0.01 to 0.9, or a number of rows, was expected."
        )
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
    known = labelled_rows(targets)
    if not known.any():
        raise RequestError(
            f"{domain.name} has no labels; some rows with a label are needed, at the least for the test."
        )
    if targets.dtype.kind in "iu" and len(np.unique(targets[known])) == 1:
        raise RequestError(
            f"{domain.name} has rows of one class only ({class_of(domain, int(known.argmax()))}); "
            "at least two classes are needed."
        )


def check_classes(domain: Domain, targets: np.ndarray, rows: Rows, *, least: int, what: str) -> None:
    """Refuse where a class among these rows has fewer than `least`."""
    if targets.dtype.kind not in "iu":
        if targets.ndim == 1 and len(rows) < least:
            raise RequestError(f"{domain.name} has {len(rows)} labelled row; {what} need at least {least}.")
        return
    _, first, counts = np.unique(targets, return_index=True, return_counts=True)
    rare = np.flatnonzero(counts < least)
    if len(rare):
        names = [class_of(domain, rows[first[i]]) for i in rare]
        raise RequestError(_too_rare(domain.name, names, counts[rare].tolist(), least, what))


def _too_rare(name: str, classes: list[str], counts: list[int], least: int, what: str) -> str:
    """A sentence on all classes that have too few rows, the rarest first, twenty at most, and the ways out."""
    asked, several = "=" in what, len(classes) > 1
    ordered = sorted(zip(counts, classes, strict=True), key=lambda pair: pair[0])
    shown = listed([f"{each} ({count})" for count, each in ordered], 20) if several else classes[0]
    few = "too few labelled rows" if several else f"{counts[0]} labelled row{'s' if counts[0] > 1 else ''}"
    way = "lower it" if asked else "leave them out, or give them one name" if several else "leave the class out"
    return (
        f"Class{'es' if several else ''} {shown} of {name} {'have' if several else 'has'} {few}, but {what} "
        f"need{'s' if asked else ''} at least {least} of each class; add rows, or {way}."
    )


def class_of(domain: Domain, row: int) -> str:
    """The class of a row, for a sentence."""
    return repr(class_name(domain.labels[row])) if domain.labels is not None else f"of row {row}"
