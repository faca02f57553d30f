"""Recordings in folders and zips: ``class/file`` as for images, or a ``manifest.csv`` that names files and labels."""

from __future__ import annotations

import shutil
import tempfile
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from sterna.domains.archives import Location, names_below, with_endings
from sterna.domains.audio import ENDINGS, LONGEST, AudioFiles
from sterna.domains.domain import Domain
from sterna.domains.folders import (
    FULL_CHECK_FILES,
    MOST_CORRUPT,
    FileKind,
    inputs_below,
    load_files,
    without_corrupt,
)
from sterna.domains.inputs import Inputs, Kind
from sterna.domains.reader import Options, Reader
from sterna.errors import RequestError, closest, require

AUDIO = FileKind("a recording", "recordings", ENDINGS, "soundfile", "audio", AudioFiles, AudioFiles.problem)

MANIFEST = "manifest.csv"
FILE_COLUMNS = ("file", "path")


class Recordings(Reader):
    """Recordings in ``[split/]class/file``, or as a ``manifest.csv`` names them and their labels."""

    contents = "recordings"
    endings = ENDINGS
    kinds = ("audio",)
    instead_of = ("tables",)

    def finds(self, place: Location) -> str:
        if place.path.name == MANIFEST and place.path.is_file():
            return "recordings" if with_endings(names_below(place.path.parent), ENDINGS) else ""
        return place.found(self.contents, ENDINGS)

    def load(self, place: Location, options: Options) -> Domain:
        if not place.holds_files:  # the manifest of the recordings in its folder
            place = Location(place.path.parent)
        path = place.path
        if manifest_of(place.names):
            options.refuse(path, "a set of recordings", "text", "drop", "columns")
            return load_manifest(path, place.names, options)
        what = "a set of recordings without a manifest.csv"
        options.refuse(path, what, "label", "text", "drop", "columns", "group", "domain_column")
        return _with_long_ones_noted(load_files(path, AUDIO, place.names, options))

    def inputs(self, paths: Sequence[Path], kind: Kind, reading: Mapping[str, Any]) -> tuple[Inputs, list[str]]:
        return inputs_below(paths, AUDIO)


def manifest_of(names: Sequence[str]) -> str | None:
    """The manifest among the files of a folder or zip: the one that lies least deep."""
    found = [name for name in names if PurePosixPath(name).name.lower() == MANIFEST]
    return min(found, key=lambda name: (name.count("/"), name)) if found else None


def load_manifest(path: Path, names: Sequence[str], options: Options) -> Domain:
    """Read the recordings that a ``manifest.csv`` names, with its labels.

    Parameters
    ----------
    path
        The folder or zip.
    names
        Paths of all files in it.
    options
        Columns of the manifest and how they are read, as in `load_table`; where strict, one recording that is missing
        or cannot be read is an error.

    Raises
    ------
    RequestError
        If the manifest has no column of files, none that is the label, or names files that are not there.
    """
    require(AUDIO.package, AUDIO.extra)
    manifest = manifest_of(names)
    assert manifest is not None
    from sterna.domains.raw_table import listed

    table, notes = _read(path, manifest)
    where = f"{MANIFEST} in {path.name}"
    column = next((c for c in table.columns if c.strip().lower() in FILE_COLUMNS), None)
    if column is None:
        known = listed([str(c) for c in table.columns])
        raise RequestError(f"{where} has no column called {' or '.join(FILE_COLUMNS)}; it has {known}.")
    read = _labelled(table, column, where, options)
    recordings = with_endings(names, ENDINGS)
    beside = PurePosixPath(manifest).parent
    files = _found([read.inputs[i] for i in range(len(read))], recordings, beside)
    there = np.flatnonzero([file is not None for file in files])
    notes += _missing(read, files, recordings, where, options.strict)
    others = len(set(recordings) - set(_found([str(cell) for cell in table[column]], recordings, beside)))
    if others:
        notes.append(f"Left out, not named in {where}: {others:,} recordings.")
    inputs = AudioFiles(path, [file for file in files if file is not None])
    good, corrupt = without_corrupt(inputs, AUDIO, options.strict)
    name = path.stem if path.is_file() else path.resolve().name
    return _with_long_ones_noted(
        replace(
            read.take(there[good]),
            name=name if options.domain is None else f"{name} ({options.domain})",
            inputs=inputs.take(np.array(good, dtype=np.int64)),
            notes=(*notes, *read.notes, *corrupt),
        )
    )


def _read(path: Path, manifest: str) -> tuple[Any, list[str]]:
    """The manifest as a table of strings, and notes on how it was read."""
    from sterna.domains.table_files import read_table

    if path.is_dir():
        return read_table(path / manifest)
    with tempfile.TemporaryDirectory(prefix="sterna-") as folder, zipfile.ZipFile(path) as archive:
        copy = Path(folder) / MANIFEST
        with archive.open(manifest) as packed, copy.open("wb") as file:
            shutil.copyfileobj(packed, file)
        return read_table(copy)


def _labelled(table: Any, column: str, where: str, options: Options) -> Domain:
    """The rows of a manifest as a Domain whose inputs are the names of the files."""
    from sterna.domains.raw_table import RawTable
    from sterna.domains.table_domains import table_domain
    from sterna.domains.table_labels import find_label
    from sterna.domains.table_rows import SPLIT_NAMES

    others = [c for c in table.columns if c not in (column, options.group, options.domain_column)]
    label = options.label or find_label(others, where)
    named = [label] if label in table.columns else [part.strip() for part in label.split(",")]
    raw = RawTable(table, where)
    beside = [("group", options.group), ("domain_column", options.domain_column)]
    checked = [*(("label", name) for name in named), *beside]
    for argument, asked in checked:
        if asked is not None:
            raw.need(asked, argument)
        if asked == column:
            raise RequestError(f"{argument}={asked!r}: this column of {where} names the recordings; name another one.")
    wanted = {column, *named, options.group, options.domain_column}
    kept = [c for c in table.columns if c in wanted or c.strip().lower() in SPLIT_NAMES]
    return table_domain(
        table[kept],
        label=label,
        text=column,
        group=options.group,
        domain_column=options.domain_column,
        domain=options.domain,
        task=options.task,
        name=where,
    )


def _found(asked: Sequence[str], recordings: Sequence[str], beside: PurePosixPath) -> list[str | None]:
    """The file that each name of a manifest means: one beside the manifest, one of this path, or the only one so named.

    Manifests name files as the folder was when they were written, often without the folder they now lie in.
    """
    paths = {PurePosixPath(name).as_posix(): name for name in recordings}
    short: dict[str, str | None] = {}
    for path, name in paths.items():
        last = PurePosixPath(path).name
        short[last] = None if last in short else name
    found = []
    for name in asked:
        meant = PurePosixPath(name.strip().replace("\\", "/"))
        found.append(paths.get((beside / meant).as_posix()) or paths.get(meant.as_posix()) or short.get(meant.name))
    return found


def _missing(
    read: Domain, files: Sequence[str | None], recordings: Sequence[str], where: str, strict: bool
) -> list[str]:
    """A note on the names without a file, where they are few."""
    lost = [read.inputs[row] for row, file in enumerate(files) if file is None]
    if not lost:
        return []
    what = (
        f"{where} names {len(lost):,} of {len(files):,} recordings that are not there, or more than once, such as "
        f"{lost[0]!r}"
    )
    if strict or len(lost) > MOST_CORRUPT * len(files):
        known = [PurePosixPath(name).name for name in recordings]
        raise RequestError(f"{what}; correct the names.{closest(PurePosixPath(lost[0]).name, known)}")
    return [f"{what}; left out."]


def _with_long_ones_noted(domain: Domain) -> Domain:
    """The Domain with a note where recordings are longer than what is read of them."""
    assert isinstance(domain.inputs, AudioFiles)
    if len(domain) > FULL_CHECK_FILES:
        return domain
    long = np.flatnonzero(domain.inputs.lengths(np.arange(len(domain))) > LONGEST)
    if not len(long):
        return domain
    name = domain.inputs.names()[long[0]]
    note = f"{len(long):,} recordings are longer than {LONGEST} s, of which so much is read (such as {name})."
    return replace(domain, notes=(*domain.notes, note))
