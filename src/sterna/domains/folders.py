"""Image folders and zips: what is listed, which folder means what, which files are broken."""

from __future__ import annotations

import os
import stat
import warnings
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np

from sterna.domains.domain import Domain
from sterna.domains.images import ImageFiles, in_threads
from sterna.domains.pixels import reason
from sterna.errors import RequestError, closest, require

ENDINGS = (".jpg", ".jpeg", ".jpe", ".png", ".webp", ".bmp", ".tif", ".tiff")
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
"""Up to here every image is decoded at load, in seconds; beyond, only the headers are read."""

MOST_CORRUPT = 0.05
LARGEST_RATIO = 200
"""Unpacked over packed bytes of a whole archive; pictures stay below 20, bombs start in the thousands."""


@dataclass(frozen=True)
class Place:
    """Where a file stands in the layout ``[split/]class/file``."""

    file: str
    split: str | None
    label: str | None


def load_images(path: Path, *, domain: str | None, strict: bool, max_unpacked_bytes: int) -> Domain:
    """Read a folder or ``.zip`` of ``[split/]class/file``.

    Parameters
    ----------
    path
        The folder or zip.
    domain
        Of ``domain/[split/]class/file``, the folder to take.
    strict
        One broken image is an error.
    max_unpacked_bytes
        Most bytes that a zip may unpack to.

    Raises
    ------
    RequestError
        Nothing to read, a layout that is not understood, a hostile zip, too many broken images.
    """
    require("PIL", "image")
    if path.is_file():
        check_archive(path, max_unpacked_bytes)
    files, others = listed(path)
    if not files:
        raise RequestError(
            f"{path} holds no images ({_endings()}); {'a folder' if path.is_dir() else 'a zip'} of class/file or "
            "split/class/file was expected."
        )
    places, notes = _places(path, files, domain)
    if others:
        notes.append(f"Left out, no images by their ending: {others:,} of the files in {path.name}.")
    inputs = ImageFiles(path, [place.file for place in places])
    good, corrupt_notes = _without_corrupt(inputs, strict)
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


def listed(path: Path) -> tuple[list[str], int]:
    """Image files below `path`, sorted, and how many other files there are; hidden ones count nowhere."""
    names = sorted(_walk(path, "", set()) if path.is_dir() else _members(path))
    images = [name for name in names if name.lower().endswith(ENDINGS)]
    return images, len(names) - len(images)


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


def _places(path: Path, files: list[str], domain: str | None) -> tuple[list[Place], list[str]]:
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
                f"domains, choose it with domain={inner[0]!r}, else put images directly into the folder of their class."
            )
        places.append(Place(file, split, inner[0] if inner and inner[0].lower() not in UNLABELLED else None))
    notes = []
    if beside:
        notes.append(f"{len(beside):,} images lie beside the class folders ({_some(beside)}) and were left out; "
                     "images without a class go into a folder 'unlabelled'.")  # fmt: skip
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


def _without_corrupt(inputs: ImageFiles, strict: bool) -> tuple[list[int], list[str]]:
    """Rows whose image can be read, and a note on the others."""
    full = len(inputs) <= FULL_CHECK_FILES and sum(_sizes(inputs)) <= FULL_CHECK_BYTES
    names = inputs.names()
    bad: dict[int, str] = {}
    for row, problem in enumerate(in_threads(lambda row: _problem(inputs, row, full), len(inputs))):
        if problem is None:
            continue
        if strict:
            raise RequestError(
                f"{names[row]} in {inputs.root} cannot be read as an image ({problem}); replace or remove it, or "
                "leave strict out to skip such files."
            )
        bad[row] = problem
    if not bad:
        return list(range(len(inputs))), []
    shown = _some([f"{names[row]} ({problem})" for row, problem in bad.items()])
    what = f"{len(bad):,} of {len(inputs):,} images of {inputs.root} cannot be read: {shown}"
    if len(bad) > MOST_CORRUPT * len(inputs):
        raise RequestError(f"{what}; up to {MOST_CORRUPT:.0%} would be skipped, so replace or remove them.")
    note = f"{what}; skipped."
    warnings.warn(note, UserWarning, stacklevel=5)  # where load_domain was called
    return [row for row in range(len(inputs)) if row not in bad], [note]


def _sizes(inputs: ImageFiles) -> list[int]:
    try:
        return inputs.sizes()
    except OSError:  # a dangling link is found, and named, by the check itself
        return []


def _problem(inputs: ImageFiles, row: int, full: bool) -> str | None:
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


def _endings() -> str:
    return ", ".join(ENDINGS)
