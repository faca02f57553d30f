"""What a folder's place says: which split and which class the files below it belong to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from sterna.errors import RequestError, closest, listed

SPLIT_NAMES = {
    "train": "train",
    "training": "train",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "dev": "validation",
    "test": "test",
    "testing": "test",
}
"""What a folder, an array or a split of a data set is called, and which split it is."""

UNLABELLED = ("unlabelled", "unlabeled")


@dataclass(frozen=True)
class Place:
    """Where a file stands in the layout ``[split/]class/file``."""

    file: str
    split: str | None
    label: str | None


def places_of(path: Path, files: Sequence[str], domain: str | None, many: str) -> tuple[list[Place], list[str]]:
    """Where each file stands, and notes on those that stand nowhere.

    Parameters
    ----------
    path
        The folder or zip.
    files
        Paths in it.
    domain
        Of ``domain/[split/]class/file``, the folder to take.
    many
        What the files are called: ``"images"``.

    Raises
    ------
    RequestError
        If there is no such domain, or a file lies too deep.
    """
    parts = [PurePosixPath(file.replace("\\", "/")).parts for file in files]
    depth = _enclosing(parts)
    if domain is not None:
        known = sorted({part[depth] for part in parts if len(part) > depth + 1})
        if domain not in known:
            raise RequestError(f"{path} has no folder {domain!r}; it has {listed(known, 5)}.{closest(domain, known)}")
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
        check_utf8("/".join(inner), "The folder")
        if len(inner) > 1 and inner[0].lower() not in UNLABELLED:
            raise RequestError(
                f"{file} in {path} lies deeper than class/file or split/class/file; if {inner[0]!r} is one of several "
                f"domains, choose it with domain={inner[0]!r}, else put {many} directly into the folder of their "
                "class."
            )
        places.append(Place(file, split, inner[0] if inner and inner[0].lower() not in UNLABELLED else None))
    notes = []
    if beside:
        notes.append(f"{len(beside):,} {many} lie beside the class folders ({listed(beside, 5)}) and were left out; "
                     f"{many} without a class go into a folder 'unlabelled'.")  # fmt: skip
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


def check_utf8(name: str, what: str) -> None:
    """Refuse a name that could be neither saved nor shown: Linux takes any bytes as one."""
    try:
        name.encode()
    except UnicodeEncodeError as error:
        raise RequestError(f"{what} {name!a} has a name that is not UTF-8; rename it.") from error
