"""Labels in the three forms of a Domain."""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import date
from typing import Any

import numpy as np

from sterna.errors import RequestError, closest, listed

EXACT = 2**53
"""Whole numbers up to here are exact as float64: larger ones, as ids are, keep their digits as words."""


def as_labels(values: Any, classes: Sequence[str] | None = None) -> np.ndarray:
    """Labels in one of the three forms of a `Domain`.

    Parameters
    ----------
    values
        ``(n,)`` or ``(n, 1)`` strings, booleans or numbers; ``(n, k)`` numbers.
    classes
        Names that whole numbers ``(n,)`` stand for; −1 is then unlabelled.

    Returns
    -------
    ``(n,)`` object (strings or None), ``(n,)`` float64, or ``(n, k)`` float64.
    """
    if hasattr(values, "detach"):  # a torch tensor
        values = values.detach().cpu().numpy()
    words = isinstance(values, (list, tuple)) and any(isinstance(value, str) or _long(value) for value in values)
    array = np.asarray(values, dtype=object) if words else np.asarray(values)  # NaN among words must not become "nan"
    alone = classes is not None and len(classes) == 1  # the one label of several that a data set says something of
    if array.ndim == 2 and array.shape[1] == 1 and not alone:  # MedMNIST and others keep a column
        array = array[:, 0]
    if array.ndim == 2:
        return _several_labels(array, classes)
    if array.ndim != 1:
        raise RequestError(
            f"Labels have the shape {array.shape}; (n,) or, for several labels a row, (n, k) was expected."
        )
    long = array.dtype.kind in "iu" and len(array) and (_long(array.max()) or _long(array.min()))
    if array.dtype.kind in "iuf" and not long:
        return array.astype(np.float64) if classes is None else _named(array, classes)
    objects = as_objects(array)
    present = [v for v in objects if not is_missing(v)]
    if present and all(isinstance(v, (int, float)) and not isinstance(v, bool) and not _long(v) for v in present):
        numbers = np.array([np.nan if is_missing(v) else float(v) for v in objects])
        return numbers if classes is None else _named(numbers, classes)
    labels = np.empty(len(objects), dtype=object)
    labels[:] = [None if is_missing(v) else str(v) for v in objects]
    if classes is not None and (unknown := sorted({v for v in labels if v is not None} - set(classes))):
        raise RequestError(
            f"The label {unknown[0]!r} is not one of the {len(classes)} classes given.{closest(unknown[0], classes)}"
        )
    return labels


def _long(value: Any) -> bool:
    return isinstance(value, int | np.integer) and abs(int(value)) > EXACT


def _named(codes: np.ndarray, classes: Sequence[str]) -> np.ndarray:
    labels = np.empty(len(codes), dtype=object)
    known = ~np.isnan(codes.astype(np.float64)) & (codes != -1)
    bad = known & ((codes < 0) | (codes >= len(classes)) | (codes != np.floor(codes)))
    if bad.any():
        raise RequestError(
            f"The label {codes[bad][0]} is no class number: with {len(classes)} classes, 0 to {len(classes) - 1} "
            "(and -1 for unlabelled) were expected."
        )
    names = np.array([str(c) for c in classes], dtype=object)
    labels[known] = names[codes[known].astype(np.int64)]
    return labels


def _several_labels(array: np.ndarray, classes: Sequence[str] | None) -> np.ndarray:
    try:
        labels = array.astype(np.float64)
    except (TypeError, ValueError):
        raise RequestError(
            "Labels of shape (n, k) must be numbers: 1 where a label applies, 0 where not, NaN unknown."
        ) from None
    if classes is not None and len(classes) != labels.shape[1]:
        raise RequestError(
            f"{len(classes)} class names were given for {labels.shape[1]} label columns; give one for each."
        )
    return labels


def as_objects(values: Any) -> np.ndarray:
    """Any values as Python objects, ``(n,)``; bytes as the words they spell, as HDF5 and Parquet keep these."""
    array = np.asarray(values, dtype=object)
    plain = [v.item() if isinstance(v, np.generic) else v for v in array.ravel()]
    words = [v.decode("utf-8", "replace") if isinstance(v, bytes) else v for v in plain]
    return np.array([*words, None], dtype=object)[:-1]


def is_missing(value: Any) -> bool:
    """Whether a cell says nothing: None, NaN, pandas' NA, an empty text."""
    # value != value holds for NaN and NaT alone; pandas' NA answers with itself and is told by its name.
    if value is None or type(value).__name__ == "NAType":
        return True
    return bool(value != value) or (isinstance(value, str) and not value.strip())


def class_name(label: Any) -> str | None:
    """The class a label names: text as it is, ``2.0`` as ``"2"``; None where there is no label."""
    if label is None or isinstance(label, str):
        return label or None
    if isinstance(label, (bool, np.bool_)):
        return str(bool(label))
    number = float(label)
    if np.isnan(number):
        return None
    return str(int(number)) if number.is_integer() else repr(number)


def summary(labels: np.ndarray, classes: Sequence[str] | None) -> str:
    """What labels there are, in one line."""
    if labels.dtype == object:
        names, counts = np.unique([v for v in labels if v is not None], return_counts=True)
        return listed([f"{name} {count:,}" for name, count in zip(names, counts, strict=True)], 20)
    if labels.ndim == 2:
        names = np.array(classes if classes is not None else [str(i) for i in range(labels.shape[1])])
        return ", ".join(f"{name} {int(np.nansum(column)):,}" for name, column in zip(names, labels.T, strict=True))
    known = labels[~np.isnan(labels)]
    return f"numbers from {known.min():g} to {known.max():g}, mean {known.mean():g}" if len(known) else "none"


def as_times(values: Any) -> np.ndarray:
    """When rows were, ``(n,)``: numbers as float64, dates as ``datetime64[us]``."""
    array = np.asarray(values)
    if array.dtype == object:
        dated = any(isinstance(each, np.datetime64 | date) for each in array)
        array = array.astype("datetime64[us]" if dated else np.float64)
    if array.dtype.kind not in "iufM":
        raise RequestError(f"times are {array.dtype}; numbers or dates (datetime64) were expected, one a row.")
    return array.astype("datetime64[us]" if array.dtype.kind == "M" else np.float64)


def plain_name(name: str) -> str:
    """A name without what people write differently: case, spaces, underscores, hyphens, full-width letters.

    >>> plain_name("Two - Way"), plain_name("-1")
    ('twoway', '-1')
    """
    name = unicodedata.normalize("NFKC", name).casefold().strip()
    sign = "-" if re.match(r"-\s*[.\d]", name) else ""  # of a number
    return sign + "".join(c for c in name if not c.isspace() and c not in "_-")


def alike(names: Iterable[str]) -> list[str]:
    """A note where some of the names differ only in case, spaces, underscores or hyphens."""
    by_plain = defaultdict(list)
    for name in names:
        by_plain[plain_name(name) or name].append(name)
    same = [" and ".join(map(repr, sorted(some))) for some in by_plain.values() if len(some) > 1]
    if not same:
        return []
    differ = "differ only in case, spaces or hyphens, or in how a letter is stored, and are taken as different"
    return [f"The labels {listed(same, between='; ')} {differ}: write them alike."]
