"""`load_domain`: one spec, the right reader."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from sterna.domains.archives import MAX_UNPACKED_BYTES, Location, endings_of
from sterna.domains.domain import Domain
from sterna.domains.given import given_domain
from sterna.domains.groups import joined_groups
from sterna.domains.joined import joined_inputs
from sterna.domains.label_sets import differences, in_columns
from sterna.domains.layout import check_utf8
from sterna.domains.levels import checked
from sterna.domains.manifests import is_labelled_by_folders
from sterna.domains.reader import Options, Reader, readers
from sterna.domains.table_labels import as_words
from sterna.errors import RequestError, closest, quoted
from sterna.files import user_path


def load_domain(
    spec: str | Path | Any,
    *,
    label: str | Any = None,
    text: str | None = None,
    drop: Sequence[str] = (),
    columns: Mapping[str, str] | None = None,
    schema: Mapping[str, Mapping[str, Any]] | None = None,
    forms: Mapping[str, str] | None = None,
    group: str | None = None,
    domain_column: str | None = None,
    domain: str | None = None,
    test: str | Path | Any = None,
    strict: bool = False,
    task: str | None = None,
    levels: tuple[float, float] | None = None,
    time: str | None = None,
    partial_labels: bool = False,
    weight: str | None = None,
    max_unpacked_bytes: int = MAX_UNPACKED_BYTES,
) -> Domain:
    """Read a Domain.

    Parameters
    ----------
    spec
        A folder or ``.zip`` of images, of WAV, FLAC, OGG or MP3 recordings, or of ``.txt`` files (``class/file`` or
        ``split/class/file``, without a class in ``unlabelled/``; or with a ``manifest.csv`` that names them and their
        labels, which may be given itself), a ``.npz`` (``images``, ``labels``, or ``train_images``, ...; ``X``, ``y``
        for tables), or a table: ``.csv``, ``.tsv``, ``.parquet``, ``.jsonl``, ``.ndjson``, also with ``.gz``. Or data
        in memory: a DataFrame, an array, a list of images, of texts or of `Sound`, a Hugging Face Dataset.
    label
        The target column of a table or of a manifest; of a ``.npz``, the array. Of an array or a list in memory, one
        label for each row.
    text
        The column whose texts are the inputs; a table otherwise.
    drop
        Columns to leave out.
    columns
        Kinds of columns that should not be guessed: ``{"zip": "category"}``.
    schema
        How the columns of an earlier table were read, ``first.reading["schema"]``: a table that comes after it is read
        alike, numbers and dates in the same form, so that the first decides what ``03/04/2024`` is.
    forms
        The same of numbers that are labels or weights, ``first.reading["forms"]``.
    group
        Column whose rows of one value are never on two sides of a split.
    domain_column, domain
        Only the rows with this value in this column; of images and recordings in ``domain/class/file`` and of arrays
        named ``domain_X``, the `domain` alone.
    test
        A separate test set, read in the same way; `spec` then gives no test rows.
    strict
        One image or recording that cannot be read is an error; up to 5 % are skipped with a warning otherwise.
    task
        ``classification``, ``multilabel`` or ``regression``, where the labels of a table leave it open.
    levels
        Of images deeper than 8 bits, the values that are black and white: ``(0, 4095)``. Where not given, one pair for
        the whole set is told from its values, those of a given test split aside, and noted.
    time
        Column of dates or numbers that says when each row was: the last rows are then the test split.
    partial_labels
        Of several label columns (``label="a,b,c"``) some may be missing: what they say is then not known. So a test
        set is read.
    weight
        Column of numbers of 0 or more: how much each row counts, in training, scores and intervals. It is no input.
    max_unpacked_bytes
        Most bytes that a zip or ``.npz`` may unpack to.

    Raises
    ------
    RequestError
        If there is nothing at `spec`, or it cannot be read; one sentence says what to do.
    """
    options = Options(
        label if isinstance(label, str) else None,
        text,
        tuple(drop),
        columns,
        schema,
        forms,
        group,
        domain_column,
        None if domain is None else str(domain),
        strict,
        task,
        None if levels is None else checked(levels),
        time,
        partial_labels,
        weight,
    )
    if time is not None and test is not None:
        raise RequestError(f"time={time!r} makes the last rows the test split, and test= gives one; use one of them.")
    main = _read(spec, label, options, max_unpacked_bytes)
    if test is not None:
        found = {name: main.reading.get(name, getattr(options, name)) for name in ("levels", "schema", "forms")}
        options = replace(options, partial_labels=True, **found)
        if is_labelled_by_folders(test):
            options = replace(options, label=None)
        given = None if options.label is None else label
        other = test if isinstance(test, Domain) else _read(test, given, options, max_unpacked_bytes)
        main = _with_test(main, other)
    named = {
        **main.reading,
        "label": label if isinstance(label, str) else None,
        "text": text,
        "drop": list(drop),
        "columns": dict(columns) if columns else None,
        "task": task,
        "group": group,
        "weight": weight,
    }
    return replace(main, reading={name: value for name, value in named.items() if value})


def _read(spec: Any, label: Any, options: Options, max_unpacked_bytes: int) -> Domain:
    if not isinstance(spec, (str, Path)):
        return given_domain(spec, label, options)
    if label is not None and not isinstance(label, str):
        raise RequestError(
            f"label= is {type(label).__name__}, but {spec} is read from a file; name its column or array."
        )
    if not str(spec).strip():
        raise RequestError("The path of the data is empty; name a folder, a zip, an .npz or a table.")
    return _load(user_path(spec), options, max_unpacked_bytes)


def _load(path: Path, options: Options, max_unpacked_bytes: int) -> Domain:
    if not _exists(path):
        raise RequestError(f"{path} does not exist.{_near(path)}")
    check_utf8(str(path), "The path")
    place = Location(path, max_unpacked_bytes)
    known = readers()
    found = {name: what for name, reader in known.items() if (what := reader.finds(place))}
    behind = {name for first in found for name in known[first].instead_of}
    chosen = [name for name in found if name not in behind]
    if not chosen:
        raise _nothing_found(place, list(known.values()))
    if len(chosen) > 1:
        raise RequestError(f"{path} holds both {' and '.join(found[name] for name in chosen)}; keep one kind in it.")
    return known[chosen[0]].load(place, options)


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):  # a name that is too long, or that no file can have
        return False


def _nothing_found(place: Location, known: Sequence[Reader]) -> RequestError:
    path, of_folders = place.path, [reader for reader in known if reader.contents]
    if place.holds_files:
        none = [f"no {reader.contents} ({', '.join(reader.endings)})" for reader in of_folders]
        what = f"{'a folder' if path.is_dir() else 'a zip'} of class/file or split/class/file was expected"
        beside = f", but files of {endings_of(place.names)}" if place.names else ""
        return RequestError(f"{path} holds {', '.join(none[:-1])} and {none[-1]}{beside}; {what}.")
    files = [reader for reader in known if reader.files]
    *most, last = [reader.contents for reader in of_folders]
    forms = [f"a folder or .zip of {', '.join(most)} or {last}"]
    forms += [reader.files for reader in files]
    endings = [".zip", *(ending for reader in files for ending in reader.endings)]
    like = [ending for ending in endings if abs(len(ending) - len(path.suffix)) <= 1]
    return RequestError(
        f"{path} is of no kind that is known: {', '.join(forms[:-1])}, or {forms[-1]} was expected."
        f"{closest(path.suffix, like)}"
    )


def _near(path: Path) -> str:
    parent = path.parent
    if not parent.is_dir():
        return f" Neither does the folder {parent}."
    try:
        return closest(path.name, os.listdir(parent)) or f" Look into {parent.resolve()} for its name."
    except PermissionError:
        return ""


def _with_test(main: Domain, other: Domain) -> Domain:
    """`main` with the rows of `other` as its test split."""
    if "test" in main.splits:
        raise RequestError(f"{main.name} has a test split of its own, and test= gives {other.name}; use one of them.")
    if "test" in other.splits:
        other = other.take(other.splits["test"])
    if not other.labelled().any():
        raise RequestError(
            f"The test set {other.name} has no labels, so nothing can be scored on it; give a labelled one."
        )
    if main.kind != other.kind:
        raise RequestError(
            f"The test set {other.name} holds {other.kind}, but {main.name} holds {main.kind}; give the same kind."
        )
    other = _in_words(other, main)
    said = main.inputs.compared(other.inputs, main.name, f"test set {other.name}")
    _check_classes(main, other)
    other, more = _matched(other, main)
    said = [*said, *more]
    n, m = len(main), len(other)
    splits = {name: rows for name, rows in main.splits.items()}
    return Domain(
        name=main.name,
        inputs=joined_inputs(main.inputs, other.inputs, main.name, f"test set {other.name}"),
        labels=_joined_labels(main, other),
        splits={**splits, "test": np.arange(n, n + m)},
        groups=_joined_groups(main, other),
        weights=_joined_weights(main, other),
        classes=main.classes,
        notes=(*main.notes, *(note for note in (*other.notes, *said) if note not in main.notes)),
        reading=main.reading,
    )


def _in_words(other: Domain, main: Domain) -> Domain:
    """A test set whose rows happen to be of classes 1 and 2 alone, where those of the training set are 1, 2 and x."""
    if main.labels is None or main.labels.dtype != object or other.labels is None or other.labels.ndim != 1:
        return other
    words = as_words(other.labels)
    return replace(other, labels=words) if {*words} & {*main.labels} - {None} else other


def _check_classes(main: Domain, other: Domain) -> None:
    if main.labels is None or other.labels is None or not main.labels.dtype == other.labels.dtype == object:
        return
    known = sorted({v for v in main.labels if v is not None})
    unknown = sorted({v for v in other.labels if v is not None} - set(known))
    if unknown:
        raise RequestError(
            f"The test set {other.name} has the class {quoted(unknown)}, which {main.name} "
            f"has not (it has {', '.join(known[:10])}), so it would never be learnt.{closest(unknown[0], known)}"
        )


def _matched(other: Domain, main: Domain) -> tuple[Domain, list[str]]:
    """A test set with its labels, where there are several a row, in the order of the training set's; what differs."""
    if main.classes is None or other.classes is None or other.labels is None or other.labels.ndim != 2:
        return other, []
    said = differences(f"The test set {other.name}", other.classes, main.classes)
    labels = in_columns(other.labels, other.classes, main.classes)
    return replace(other, labels=labels, classes=main.classes), said


def _joined_labels(main: Domain, other: Domain) -> np.ndarray | None:
    assert other.labels is not None  # checked: it has labelled rows
    if main.labels is None:
        missing: Any = None if other.labels.dtype == object else np.nan
        return np.concatenate(
            [np.full((len(main), *other.labels.shape[1:]), missing, other.labels.dtype), other.labels]
        )
    if main.labels.dtype != other.labels.dtype or main.labels.shape[1:] != other.labels.shape[1:]:
        kinds = ["words" if d.labels is not None and d.labels.dtype == object else "numbers" for d in (main, other)]
        raise RequestError(
            f"Labels of the test set {other.name} ({kinds[1]}, shape {other.labels.shape}) do not match those of "
            f"{main.name} ({kinds[0]}, shape {main.labels.shape}); write them in the same way."
        )
    return np.concatenate([main.labels, other.labels])


def _joined_weights(main: Domain, other: Domain) -> np.ndarray | None:
    """The weights of both; a row of one without any weighs as much as one of the other does on average."""
    known = [domain.weights for domain in (main, other) if domain.weights is not None]
    if not known:
        return None
    mean = float(np.concatenate(known).mean())
    return np.concatenate([np.full(len(d), mean) if d.weights is None else d.weights for d in (main, other)])


def _joined_groups(main: Domain, other: Domain) -> np.ndarray | None:
    if main.groups is None:
        return None
    return joined_groups(main, other)
