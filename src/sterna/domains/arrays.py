"""Arrays in a ``.npz``: images, or numbers as a table; whole, by split or by domain."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from sterna.domains.archives import Location, check_archive
from sterna.domains.domain import Domain
from sterna.domains.in_memory import inputs_from_arrays
from sterna.domains.layout import SPLIT_NAMES
from sterna.domains.reader import Options, Reader
from sterna.domains.weights import not_all_zero
from sterna.errors import RequestError, closest

_INPUTS = ("images", "x", "data")
_LABELS = ("labels", "y", "targets")
_PLAIN = re.compile(rf"^(?:(?P<part>.+)_)?(?P<role>{'|'.join(_INPUTS + _LABELS)})$", re.IGNORECASE)
_KERAS = re.compile(r"^(?P<role>x|y)_(?P<part>.+)$", re.IGNORECASE)


class Arrays(Reader):
    """A ``.npz`` of images, or of numbers as a table."""

    files = ".npz"
    endings = (".npz",)

    def finds(self, place: Location) -> str:
        return "arrays" if place.path.is_file() and place.path.name.lower().endswith(".npz") else ""

    def load(self, place: Location, options: Options) -> Domain:
        options.refuse(place.path, "a file of arrays", "text")
        check_archive(place.path, place.max_unpacked_bytes)
        return load_arrays(place.path, options)


def load_arrays(path: Path, options: Options) -> Domain:
    """Read ``images`` and ``labels``, or ``X`` and ``y``; or these after a split or a domain (``train_images``, ...).

    Parameters
    ----------
    path
        The file. ``class_names`` in it names the classes that whole-number labels stand for.
    options
        Label, group, weight, time and column of domains are names of arrays ``(n,)`` beside one array of inputs.
        Without such a column, the domain is the prefix of the arrays to take.

    Raises
    ------
    RequestError
        If the arrays needed are not there, hold objects, or are of different length.
    """
    archive, label, domain, domain_column = _opened(path), options.label, options.domain, options.domain_column
    inputs, labels = _roles(archive.files)
    parts, notes = _chosen_parts(path, archive.files, list(inputs), None if domain_column else domain)
    read = [_read(archive, inputs[part], path) for part in parts]
    if len({array.shape[1:] for array in read}) > 1:
        shapes = " and ".join(f"{inputs[part]} {array.shape}" for part, array in zip(parts, read, strict=True))
        raise RequestError(
            f"The arrays of {path} differ in more than their number of rows: {shapes}; give them one shape."
        )
    types = sorted({str(array.dtype) for array in read})
    if read[0].ndim > 2 and "uint8" in types and len(types) > 1:
        raise RequestError(f"The images of {path} are {' and '.join(types)}, so white differs; give them one type.")
    lengths = [len(array) for array in read]
    names = archive.files
    classes = _class_names(archive, path) if "class_names" in names and label is None else None
    values = _labels(archive, path, parts, lengths, labels, label)
    stacked = np.concatenate(read) if len(read) > 1 else read[0]
    learnt = np.repeat([SPLIT_NAMES.get(part.lower()) != "test" for part in parts], lengths)
    taken, more = inputs_from_arrays(
        stacked, columns=options.columns, drop=options.drop, levels=options.levels, learnt=np.flatnonzero(learnt)
    )

    def beside(argument: str) -> np.ndarray | None:
        name = getattr(options, argument)
        return None if name is None else _beside(archive, path, name, argument, sum(lengths))

    found = Domain(
        name=path.stem if domain is None else f"{path.stem}/{domain}",
        inputs=taken,
        labels=values,
        splits=_splits(parts, lengths),
        groups=beside("group"),
        times=beside("time"),
        weights=beside("weight"),
        classes=classes if values is not None else None,
        notes=(*notes, *more),
    )
    if found.weights is not None:
        not_all_zero(found.weights, f"The array {options.weight!r} of {path}")
    if domain_column is None:
        return found
    if domain is None:
        raise RequestError(f"domain_column={domain_column!r} needs domain=, the value whose rows are wanted.")
    column = _beside(archive, path, domain_column, "domain_column", sum(lengths)).astype(str)
    if domain not in column:
        known = sorted(set(column.tolist()))
        raise RequestError(f"{domain_column!r} of {path} has no value {domain!r}; it has {', '.join(known[:20])}.")
    return found.take(np.flatnonzero(column == domain))


def _opened(path: Path) -> Any:
    try:
        return np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise RequestError(
            f"{path} is not a .npz that can be read ({error}); write it again with numpy.savez."
        ) from error


def _read(archive: Any, key: str, path: Path) -> np.ndarray:
    try:
        array = np.asarray(archive[key])
    except ValueError as error:
        if "pickle" not in str(error):
            raise RequestError(f"The array {key!r} of {path} is broken ({error}); write the file again.") from error
        raise RequestError(
            f"The array {key!r} of {path} holds Python objects, which are never unpickled; save it as numbers or "
            "fixed-width strings (.astype(str))."
        ) from error
    except Exception as error:  # a broken zip member or header
        raise RequestError(f"The array {key!r} of {path} is broken ({error}); write the file again.") from error
    if array.ndim == 0:  # what is no array at all comes as bytes
        raise RequestError(f"The array {key!r} of {path} is a single value or none; one for each row was expected.")
    if array.dtype.kind == "S":
        array = np.char.decode(array, "utf-8", "replace")
    if array.dtype.kind == "U":
        letters = np.ascontiguousarray(array.astype(array.dtype.newbyteorder("="))).view(np.uint32)
        if ((letters > 0x10FFFF) | ((letters >= 0xD800) & (letters <= 0xDFFF))).any():
            raise RequestError(f"The array {key!r} of {path} holds what is no character; write the file again.")
    return array


def _roles(names: Sequence[str]) -> tuple[dict[str, str], dict[str, str]]:
    """Array name of the inputs, and of the labels, for each part (``""`` when there is one)."""
    inputs: dict[str, str] = {}
    labels: dict[str, str] = {}
    for name in names:
        match = _PLAIN.match(name) or _KERAS.match(name)
        if match:
            role, part = match["role"].lower(), match["part"] or ""
            (inputs if role in _INPUTS else labels).setdefault(part, name)
    return inputs, labels


def _chosen_parts(
    path: Path, names: Sequence[str], parts: list[str], domain: str | None
) -> tuple[list[str], list[str]]:
    if not parts:
        raise RequestError(
            f"{path} has the arrays {', '.join(list(names)[:12])}; 'images' and 'labels', 'X' and 'y', or these after "
            "a split ('train_images', ...) were expected."
        )
    if domain is not None:
        if domain not in parts:
            known = [part for part in parts if part]
            raise RequestError(
                f"{path} has no arrays of a domain {domain!r}" + (f"; it has {', '.join(known)}" if known else "")
                + f".{closest(domain, known)}"
            )  # fmt: skip
        return [domain], []
    splits = [part for part in parts if part.lower() in SPLIT_NAMES]
    if "" in parts:
        chosen = [""]
    elif splits:
        chosen = sorted(splits, key=lambda part: list(SPLIT_NAMES).index(part.lower()))
    else:
        raise RequestError(f"{path} holds the domains {', '.join(parts)}; choose one with domain={parts[0]!r}.")
    left = [part for part in parts if part not in chosen]
    return chosen, [
        f"{path.name} also holds {', '.join(left)}, left out; domain={left[0]!r} takes it alone."
    ] if left else []


def _labels(
    archive: Any, path: Path, parts: list[str], lengths: list[int], labels: Mapping[str, str], label: str | None
) -> np.ndarray | None:
    if label is not None:
        return _beside(archive, path, label, "label", sum(lengths))
    if not any(part in labels for part in parts):
        return None
    read = []
    for part, n in zip(parts, lengths, strict=True):
        if part not in labels:
            raise RequestError(
                f"{path} has labels for some splits but none for {part!r}; add {part}_labels (-1 for unlabelled)."
            )
        values = _read(archive, labels[part], path)
        if len(values) != n:
            raise RequestError(
                f"{labels[part]!r} of {path} has {len(values)} rows for {n} inputs; give one label for each."
            )
        read.append(values)
    return np.concatenate(read)


def _class_names(archive: Any, path: Path) -> tuple[str, ...]:
    found = _read(archive, "class_names", path)
    if found.dtype.kind not in "SUiufb":
        raise RequestError(f"The array 'class_names' of {path} is of the type {found.dtype}; words were expected.")
    classes = tuple(found.ravel().astype(str).tolist())
    if len(found) != len(classes) or len({*classes}) != len(classes):
        raise RequestError(
            f"The array 'class_names' of {path} has the shape {found.shape} and {len({*classes})} different names; one "
            "name for each class was expected."
        )
    return classes


def _beside(archive: Any, path: Path, name: str, option: str, n: int) -> np.ndarray:
    if name not in archive.files:
        raise RequestError(f"{option}={name!r}: {path} has no such array.{closest(name, archive.files)}")
    values = _read(archive, name, path)
    if values.ndim == 0 or len(values) != n:
        raise RequestError(f"{option}={name!r}: the array has the shape {values.shape}, but there are {n} rows.")
    return values


def _splits(parts: list[str], lengths: list[int]) -> dict[str, np.ndarray]:
    splits: dict[str, list[np.ndarray]] = {}
    start = 0
    for part, n in zip(parts, lengths, strict=True):
        if part.lower() in SPLIT_NAMES:
            splits.setdefault(SPLIT_NAMES[part.lower()], []).append(np.arange(start, start + n))
        start += n
    return {split: np.concatenate(rows) for split, rows in splits.items()}
