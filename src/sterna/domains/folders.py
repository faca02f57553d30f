"""Folders and zips of files in ``[split/]class/file``: a Domain of those that can be read."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from sterna.domains.archives import names_below, with_endings
from sterna.domains.domain import SPLITS, Domain
from sterna.domains.file_inputs import FileInputs, in_threads
from sterna.domains.inputs import Inputs, JoinedInputs, Unread
from sterna.domains.layout import places_of, some
from sterna.domains.reader import Options
from sterna.errors import RequestError, require

FULL_CHECK_FILES = 5_000
FULL_CHECK_BYTES = 500_000_000
"""Up to here every file is decoded at load, in seconds; beyond, only the headers are read."""

MOST_CORRUPT = 0.05


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
    settled
        `FileInputs.settled` for the files of several places at once.
    """

    one: str
    many: str
    endings: tuple[str, ...]
    package: str
    extra: str
    inputs: Callable[[Path, Sequence[str]], FileInputs]
    problem: Callable[[Any, int, bool], str | None]
    settled: Callable[[Any, Any], tuple[Sequence[FileInputs], list[str]]] = lambda parts, given: (parts, [])


def load_files(path: Path, kind: FileKind, names: Sequence[str], options: Options) -> Domain:
    """Read a folder or ``.zip`` of ``[split/]class/file``.

    Parameters
    ----------
    path
        The folder or zip.
    kind
        What its files are.
    names
        Paths of all files in it, as `names_below` gives them.
    options
        ``domain``: of ``domain/[split/]class/file``, the folder to take; ``strict``; ``levels``.

    Raises
    ------
    RequestError
        A layout that is not understood, too many broken files.
    """
    require(kind.package, kind.extra)
    files = with_endings(names, kind.endings)
    places, notes = places_of(path, files, options.domain, kind.many)
    if len(files) < len(names):
        notes.append(f"Left out, no {kind.many} by their ending: {len(names) - len(files):,} of the files in "
                     f"{path.name}.")  # fmt: skip
    inputs = kind.inputs(path, [place.file for place in places])
    good, corrupt_notes = without_corrupt(inputs, kind, options.strict)
    places = [places[i] for i in good]
    labels = np.array([place.label for place in places] + [None], dtype=object)[:-1]
    splits = {split: np.flatnonzero([place.split == split for place in places]).astype(np.int64) for split in SPLITS}
    learnt = np.array([i for i, place in enumerate(places) if place.split != "test"], dtype=np.int64)
    settled, more = inputs.take(np.array(good, dtype=np.int64)).settled(options.levels, learnt)
    classes = tuple(sorted({place.label for place in places if place.label is not None}))
    return Domain(
        name=path.stem if path.is_file() else path.resolve().name,
        inputs=settled,
        labels=labels if classes else None,
        splits=splits,
        classes=classes or None,
        notes=(*notes, *corrupt_notes, *more),
    )


def without_corrupt(inputs: FileInputs, kind: FileKind, strict: bool) -> tuple[list[int], list[str]]:
    """Rows whose file can be read, and a note on the others."""
    full = len(inputs) <= FULL_CHECK_FILES and sum(_sizes(inputs)) <= FULL_CHECK_BYTES
    names = inputs.names()
    bad: dict[int, str] = {}
    for row, problem in _problems(inputs, kind, full):
        if strict:
            raise RequestError(
                f"{names[row]} in {inputs.root} cannot be read as {kind.one} ({problem}); replace or remove it, or "
                "leave strict out to skip such files."
            )
        bad[row] = problem
    if not bad:
        return list(range(len(inputs))), []
    shown = some([f"{names[row]} ({problem})" for row, problem in bad.items()])
    what = f"{len(bad):,} of {len(inputs):,} {kind.many} of {inputs.root} cannot be read: {shown}"
    if len(bad) > MOST_CORRUPT * len(inputs):
        raise RequestError(f"{what}; up to {MOST_CORRUPT:.0%} would be skipped, so replace or remove them.")
    note = f"{what}; skipped."
    warnings.warn(note, UserWarning, stacklevel=6)  # where load_domain was called
    return [row for row in range(len(inputs)) if row not in bad], [note]


def _problems(inputs: FileInputs, kind: FileKind, full: bool) -> Iterator[tuple[int, str]]:
    """The rows whose file cannot be read, and why."""
    found = in_threads(lambda row: kind.problem(inputs, row, full), len(inputs))
    return ((row, problem) for row, problem in enumerate(found) if problem is not None)


def _sizes(inputs: FileInputs) -> list[int]:
    try:
        return inputs.sizes()
    except OSError:  # a dangling link is found, and named, by the check itself
        return []


def inputs_below(paths: Sequence[Path], kind: FileKind, given: Any = None) -> tuple[Inputs, list[str]]:
    """The inputs of files that a person names to have them answered, and of all in folders and zips; and notes.

    Files that cannot be read are among `Inputs.unread`. Where names coincide, the path that was given stands before
    all of them.

    Parameters
    ----------
    given
        See `FileInputs.settled`.

    Raises
    ------
    RequestError
        If a path is none of these, or holds none, or no file can be read.
    """
    require(kind.package, kind.extra)
    parts = [kind.inputs(*_below(path, kind)) for path in paths]
    names = [name for part in parts for name in part.names()]
    if len(set(names)) < len(names):
        parts = [part.named_below(_prefix(path)) for part, path in zip(parts, paths, strict=True)]
    good = [_readable(part, kind) for part in parts]
    if not any(map(len, good)):
        why = "; ".join(f"{one.name}: {one.why}" for part in good for one in part.unread)
        raise RequestError(f"None of the {kind.many} can be read ({why}); replace them.")
    settled, notes = kind.settled(good, given)
    return settled[0] if len(settled) == 1 else JoinedInputs(settled), notes


def _prefix(path: Path) -> str:
    """What tells the files of a path that was given from those of another: itself, or the folder of a file."""
    folder = path if path.is_dir() or path.suffix.lower() == ".zip" else path.parent
    return "" if folder == Path() else f"{folder.as_posix()}/"


def _readable(inputs: FileInputs, kind: FileKind) -> FileInputs:
    """Those that can be read, all of which is tried, with the others among `Inputs.unread`."""
    names, bad = inputs.names(), dict(_problems(inputs, kind, full=True))
    good = inputs.take(np.array([row for row in range(len(inputs)) if row not in bad], dtype=np.int64))
    good.unread = tuple(Unread(row, names[row], why) for row, why in bad.items())
    return good


def _below(path: Path, kind: FileKind) -> tuple[Path, list[str]]:
    if path.is_dir() or path.suffix.lower() == ".zip":
        found = with_endings(names_below(path), kind.endings)
        if not found:
            raise RequestError(f"{str(path)!r} holds no {kind.one.split()[-1]}.")
        return path, found
    if path.suffix.lower() not in kind.endings:
        raise RequestError(
            f"{str(path)!r} is not {kind.one}; expected one of {', '.join(kind.endings)}, a folder or a zip."
        )
    return path.parent, [path.name]
