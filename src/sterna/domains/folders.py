"""Folders and zips of files: what is listed, which folder means what, which files are broken."""

from __future__ import annotations

import os
import stat
import warnings
import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from sterna.domains.domain import Domain
from sterna.domains.file_inputs import FileInputs, in_threads
from sterna.domains.images import ENDINGS, ImageFiles
from sterna.domains.pixels import reason
from sterna.errors import RequestError, closest, require

SPLIT_NAMES = {
    "train": "train",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "test": "test",
}
UNLABELLED = ("unlabelled", "unlabeled")

FULL_CHECK_FILES = 5_000
FULL_CHECK_BYTES = 500_000_000
"""Up to here every file is decoded at load, in seconds; beyond, only the headers are read."""

MOST_CORRUPT = 0.05
LARGEST_RATIO = 200
"""Unpacked over packed bytes of a whole archive; pictures stay below 20, bombs start in the thousands."""


@dataclass(frozen=True)
class FileKind:
    """What files of one kind of data are called, and how they are read.

    Attributes
    ----------
    one, many
        In a sentence: ``"an image"``, ``"images"``.
    endings
        Of their names.
    package, extra
        What it takes to read them, and which extra brings it.
    inputs
        Makes inputs of a root and paths.
    problem
        Why the file of a row cannot be read, or ``None``; with ``True`` all of it is tried, else its header.
    """

    one: str
    many: str
    endings: tuple[str, ...]
    package: str
    extra: str
    inputs: Callable[[Path, Sequence[str]], FileInputs]
    problem: Callable[[Any, int, bool], str | None]


@dataclass(frozen=True)
class Place:
    """Where a file stands in the layout ``[split/]class/file``."""

    file: str
    split: str | None
    label: str | None


def load_files(path: Path, kind: FileKind, names: Sequence[str], *, domain: str | None, strict: bool) -> Domain:
    """Read a folder or ``.zip`` of ``[split/]class/file``.

    Parameters
    ----------
    path
        The folder or zip.
    kind
        What its files are.
    names
        Paths of all files in it, as `names_below` gives them.
    domain
        Of ``domain/[split/]class/file``, the folder to take.
    strict
        One broken file is an error.

    Raises
    ------
    RequestError
        Nothing to read, a layout that is not understood, too many broken files.
    """
    require(kind.package, kind.extra)
    files = with_endings(names, kind.endings)
    if not files:
        raise RequestError(
            f"{path} holds no {kind.many} ({', '.join(kind.endings)}); {'a folder' if path.is_dir() else 'a zip'} of "
            "class/file or split/class/file was expected."
        )
    places, notes = _places(path, files, domain, kind)
    if len(files) < len(names):
        notes.append(f"Left out, no {kind.many} by their ending: {len(names) - len(files):,} of the files in "
                     f"{path.name}.")  # fmt: skip
    inputs = kind.inputs(path, [place.file for place in places])
    good, corrupt_notes = without_corrupt(inputs, kind, strict)
    places = [places[i] for i in good]
    labels = np.array([place.label for place in places] + [None], dtype=object)[:-1]
    splits = {
        split: np.flatnonzero([place.split == split for place in places]).astype(np.int64)
        for split in ("train", "validation", "test")
    }
    classes = tuple(sorted({place.label for place in places if place.label is not None}))
    return Domain(
        name=path.stem if path.is_file() else path.resolve().name,
        inputs=inputs if len(good) == len(inputs) else inputs.take(np.array(good, dtype=np.int64)),
        labels=labels if classes else None,
        splits=splits,
        classes=classes or None,
        notes=(*notes, *corrupt_notes),
    )


def check_archive(path: Path, max_unpacked_bytes: int) -> None:
    """Refuse a zip that climbs out of its folder, is encrypted, or unpacks to too much.

    Raises
    ------
    RequestError
        Naming the zip, the member and the limit.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
    except (zipfile.BadZipFile, EOFError, OSError, ValueError, NotImplementedError) as error:
        raise RequestError(
            f"{path} is not a zip that can be read ({reason(error)}); download or pack it again."
        ) from error
    for member in members:
        name = member.filename.replace("\\", "/")
        if name.startswith("/") or name[1:2] == ":" or ".." in name.split("/"):
            raise RequestError(f"{path} has a member {member.filename!r} that climbs out of its folder; "
                               "such a zip is not opened, pack it again from inside the folder.")  # fmt: skip
        if member.flag_bits & 0x1:
            raise RequestError(f"{path} is encrypted ({member.filename!r}); unpack it and give the folder.")
    unpacked = sum(member.file_size for member in members)
    if unpacked > max_unpacked_bytes:
        raise RequestError(f"{path} unpacks to {unpacked:,} bytes, over the limit of {max_unpacked_bytes:,}; "
                           "if you trust it, raise max_unpacked_bytes.")  # fmt: skip
    if unpacked > 100_000_000 and unpacked > LARGEST_RATIO * path.stat().st_size:
        raise RequestError(f"{path} unpacks {path.stat().st_size:,} bytes to {unpacked:,}, as only a zip bomb does; "
                           "if you trust it, unpack it and give the folder.")  # fmt: skip


def names_below(path: Path) -> list[str]:
    """Paths of all files in a folder or zip, sorted, but for hidden ones."""
    return sorted(_walk(path, "", set()) if path.is_dir() else _members(path))


def with_endings(names: Sequence[str], endings: tuple[str, ...]) -> list[str]:
    """Those of the names that end so."""
    return [name for name in names if name.lower().endswith(endings)]


def _walk(root: Path, below: str, seen: set[tuple[int, int]]) -> Iterator[str]:
    folder = root / below
    status = folder.stat()
    if (status.st_dev, status.st_ino) in seen:  # a link to a folder above
        return
    seen.add((status.st_dev, status.st_ino))
    try:
        entries = list(os.scandir(folder))
    except PermissionError as error:
        raise RequestError(f"{folder} may not be read ({error.strerror}); change its permissions.") from error
    for entry in entries:
        if _is_hidden(entry.name):
            continue
        name = f"{below}{entry.name}"
        if entry.is_dir():
            yield from _walk(root, name + "/", seen)
        elif entry.is_file():
            yield name


def _members(path: Path) -> Iterator[str]:
    with zipfile.ZipFile(path) as archive:
        seen = set()
        for info in archive.infolist():
            linked = stat.S_ISLNK(info.external_attr >> 16)
            if info.is_dir() or linked or info.filename in seen:
                continue
            if not any(_is_hidden(part) for part in info.filename.split("/")):
                seen.add(info.filename)
                yield info.filename


def _is_hidden(name: str) -> bool:
    return name.startswith(".") or name in ("__MACOSX", "Thumbs.db", "desktop.ini")


def _places(path: Path, files: list[str], domain: str | None, kind: FileKind) -> tuple[list[Place], list[str]]:
    parts = [PurePosixPath(file.replace("\\", "/")).parts for file in files]
    depth = _enclosing(parts)
    if domain is not None:
        known = sorted({part[depth] for part in parts if len(part) > depth + 1})
        if domain not in known:
            raise RequestError(f"{path} has no folder {domain!r}; it has {_some(known)}.{closest(domain, known)}")
        chosen = [i for i, part in enumerate(parts) if len(part) > depth + 1 and part[depth] == domain]
        files, parts, depth = [files[i] for i in chosen], [parts[i] for i in chosen], depth + 1
    folders = {part[depth] for part in parts if len(part) > depth + 1}
    split_layout = bool(folders) and all(f.lower() in (*SPLIT_NAMES, *UNLABELLED) for f in folders)
    split_layout = split_layout and any(f.lower() in SPLIT_NAMES for f in folders)
    places, beside = [], []
    for file, part in zip(files, parts, strict=True):
        inner = part[depth:-1]
        split = None
        if split_layout and inner and inner[0].lower() in SPLIT_NAMES:
            split, inner = SPLIT_NAMES[inner[0].lower()], inner[1:]
        elif folders and not inner:
            beside.append(file)
            continue
        if len(inner) > 1 and inner[0].lower() not in UNLABELLED:
            raise RequestError(
                f"{file} in {path} lies deeper than class/file or split/class/file; if {inner[0]!r} is one of several "
                f"domains, choose it with domain={inner[0]!r}, else put {kind.many} directly into the folder of their "
                "class."
            )
        places.append(Place(file, split, inner[0] if inner and inner[0].lower() not in UNLABELLED else None))
    notes = []
    if beside:
        notes.append(f"{len(beside):,} {kind.many} lie beside the class folders ({_some(beside)}) and were left out; "
                     f"{kind.many} without a class go into a folder 'unlabelled'.")  # fmt: skip
    return places, notes


def _enclosing(parts: list[tuple[str, ...]]) -> int:
    """How many single folders enclose everything else: those that are neither a split nor a class."""
    depth = 0
    while True:
        # The folder goes only if all files are in it, it is no word of the layout, and none lies directly in it.
        first = {part[depth] if len(part) > depth + 1 else None for part in parts}
        name = next(iter(first))
        if len(first) > 1 or name is None or name.lower() in (*SPLIT_NAMES, *UNLABELLED):
            return depth
        if any(len(part) == depth + 2 for part in parts):
            return depth
        depth += 1


def without_corrupt(inputs: FileInputs, kind: FileKind, strict: bool) -> tuple[list[int], list[str]]:
    """Rows whose file can be read, and a note on the others."""
    full = len(inputs) <= FULL_CHECK_FILES and sum(_sizes(inputs)) <= FULL_CHECK_BYTES
    names = inputs.names()
    bad: dict[int, str] = {}
    for row, problem in enumerate(in_threads(lambda row: kind.problem(inputs, row, full), len(inputs))):
        if problem is None:
            continue
        if strict:
            raise RequestError(
                f"{names[row]} in {inputs.root} cannot be read as {kind.one} ({problem}); replace or remove it, or "
                "leave strict out to skip such files."
            )
        bad[row] = problem
    if not bad:
        return list(range(len(inputs))), []
    shown = _some([f"{names[row]} ({problem})" for row, problem in bad.items()])
    what = f"{len(bad):,} of {len(inputs):,} {kind.many} of {inputs.root} cannot be read: {shown}"
    if len(bad) > MOST_CORRUPT * len(inputs):
        raise RequestError(f"{what}; up to {MOST_CORRUPT:.0%} would be skipped, so replace or remove them.")
    note = f"{what}; skipped."
    warnings.warn(note, UserWarning, stacklevel=6)  # where load_domain was called
    return [row for row in range(len(inputs)) if row not in bad], [note]


def _sizes(inputs: FileInputs) -> list[int]:
    try:
        return inputs.sizes()
    except OSError:  # a dangling link is found, and named, by the check itself
        return []


def _image_problem(inputs: ImageFiles, row: int, full: bool) -> str | None:
    from PIL import Image

    try:
        with inputs.stream(row) as stream, Image.open(stream) as image:
            if full:
                # JPEG only: all data is read and broken data found, at an eighth of the pixels.
                image.draft(image.mode, (1, 1))
                image.load()
        return None
    except Exception as error:  # Pillow raises nearly anything on broken files
        return reason(error)


def _some(names: list[str], most: int = 5) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most:,} more" if len(names) > most else "")


IMAGES = FileKind("an image", "images", ENDINGS, "PIL", "image", ImageFiles, _image_problem)
