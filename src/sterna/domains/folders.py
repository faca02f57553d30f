"""Folders and zips of files in ``[split/]class/file``: a Domain of those that can be read."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from sterna.domains.archives import left_out, with_endings
from sterna.domains.domain import SPLITS, Domain
from sterna.domains.file_inputs import FileInputs, in_threads
from sterna.domains.inputs import Inputs, Rows
from sterna.domains.layout import places_of
from sterna.domains.reader import Options
from sterna.errors import RequestError, listed, require

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
        What it takes to read them, and which extra brings it; empty where nothing more is needed.
    inputs
        Makes inputs of a root and paths.
    problem
        Why the file of a row cannot be read, or ``None``; all of it is tried.
    settled
        `FileInputs.settled` for the files of several places at once.
    formats
        Endings that take another package, and the extra that brings it.
    """

    one: str
    many: str
    endings: tuple[str, ...]
    package: str
    extra: str
    inputs: Callable[[Path, Sequence[str]], FileInputs]
    problem: Callable[[Any, int], str | None]
    settled: Callable[[Any, Any], tuple[Sequence[Inputs], list[str]]] = lambda parts, given: (parts, [])

    formats: Mapping[str, tuple[str, str]] = field(default_factory=dict)

    def ready(self, files: Sequence[str]) -> None:
        """Say which extra is missing for these files, if one is."""
        if self.package:
            require(self.package, self.extra)
        for end, (package, extra) in self.formats.items():
            if with_endings(files, (end,)):
                require(package, extra)


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
    files = with_endings(names, kind.endings)
    kind.ready(files)
    places, notes = places_of(path, files, options.domain, kind.many)
    notes += left_out(path.name, names, kind.endings, kind.many)
    inputs = kind.inputs(path, [place.file for place in places])
    good, corrupt_notes = without_corrupt(inputs, kind, options)
    places = [places[i] for i in good]
    labels = np.array([place.label for place in places] + [None], dtype=object)[:-1]
    splits = {split: np.flatnonzero([place.split == split for place in places]).astype(np.int64) for split in SPLITS}
    settled, more = inputs.take(np.array(good, dtype=np.int64)).settled(options.levels, learnt_of(splits, len(good)))
    classes = tuple(sorted({place.label for place in places if place.label is not None}))
    return Domain(
        name=path.stem if path.is_file() else path.resolve().name,
        inputs=settled,
        labels=labels if classes else None,
        splits=splits,
        classes=classes or None,
        notes=(*notes, *corrupt_notes, *more),
    )


def learnt_of(splits: Mapping[str, Rows], rows: int) -> Rows:
    """The rows that are not in a given test split."""
    return np.setdiff1d(np.arange(rows), splits.get("test", np.array([], dtype=np.int64)))


def without_corrupt(inputs: FileInputs, kind: FileKind, options: Options) -> tuple[list[int], list[str]]:
    """Rows whose file can be read, and a note on the others; a few that are unlike the rest are among these.

    However many there are, each is decoded once, for damage found in training would end a run. It costs less than the
    first epoch does.
    """
    names = inputs.names()
    bad: dict[int, str] = {}
    for row, problem in _problems(inputs, kind, options):
        if options.strict:
            raise RequestError(
                f"{names[row]} in {inputs.root} cannot be read as {kind.one} ({problem}); replace or remove it, or "
                "leave strict out to skip such files."
            )
        bad[row] = problem
    if not bad:
        return list(range(len(inputs))), []
    shown = listed([f"{names[row]} ({problem})" for row, problem in bad.items()], 5)
    what = f"{len(bad):,} of {len(inputs):,} {kind.many} of {inputs.root} cannot be read: {shown}"
    if len(bad) > MOST_CORRUPT * len(inputs):
        raise RequestError(f"{what}; up to {MOST_CORRUPT:.0%} would be skipped, so replace or remove them.")
    note = f"{what}; skipped."
    warnings.warn(note, UserWarning, stacklevel=6)  # where load_domain was called
    return [row for row in range(len(inputs)) if row not in bad], [note]


def _problems(inputs: FileInputs, kind: FileKind, options: Options) -> Iterator[tuple[int, str]]:
    yield from problems_of(inputs, kind)
    odd = inputs.odd_ones() if options.levels is None else {}
    if len(odd) <= MOST_CORRUPT * len(inputs):  # more are how the set is
        yield from odd.items()


def problems_of(inputs: FileInputs, kind: FileKind) -> Iterator[tuple[int, str]]:
    """The rows whose file cannot be read, and why."""
    found = in_threads(lambda row: kind.problem(inputs, row), len(inputs))
    return ((row, problem) for row, problem in enumerate(found) if problem is not None)
