"""Manifests: a table that names files (images, recordings, texts), with their labels, groups and splits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import numpy as np

from sterna.domains.archives import Location, names_below, with_endings
from sterna.domains.domain import Domain
from sterna.domains.folders import MOST_CORRUPT, FileKind, learnt_of, without_corrupt
from sterna.domains.layout import places_of
from sterna.domains.manifest_files import Files, file_column, read_manifest
from sterna.domains.reader import Options
from sterna.domains.table_names import SUFFIXES, ending
from sterna.domains.weights import weight_hint, weights_in
from sterna.errors import RequestError, closest, listed, quoted

if TYPE_CHECKING:
    import pandas as pd

STEMS = ("manifest", "metadata", "labels")
"""What the manifest of a folder or zip is called, without its ending; any table may be given itself."""


def manifest_of(path: Path, names: Sequence[str], kind: FileKind) -> str | None:
    """The manifest among the files of a folder or zip: the one that lies least deep.

    A ``manifest.csv`` is one in any case; ``metadata`` and ``labels`` are where a column names files that are there.
    """
    found = [name for name in names if _stem(name) in STEMS]
    order = {name: (name.count("/"), STEMS.index(_stem(name)), name) for name in found}
    files = with_endings(names, kind.endings)
    for name in sorted(found, key=lambda name: order[name]):
        if _stem(name) == STEMS[0]:
            return name
        try:
            table, _ = read_manifest(path, name)
        except RequestError:  # no table that anybody could read is beside the files
            continue
        if file_column(table, Files(files, PurePosixPath(name).parent), there=True) is not None:
            return name
    return None


def is_labelled_by_folders(spec: Any) -> bool:
    """Whether something is a folder or zip without a manifest: the label column of other data means nothing there."""
    if not isinstance(spec, (str, Path)) or not Path(spec).exists() or not Location(Path(spec)).holds_files:
        return False
    return not any(_stem(name) in STEMS for name in names_below(Path(spec)))


def wanted_as_table(path: Path, kind: FileKind, options: Options) -> bool:
    """Whether a table that names files was given for its other columns: texts, or without that of the files."""
    if options.text or not options.drop:
        return bool(options.text)
    table, _ = read_manifest(path.parent, path.name)
    return file_column(table, Files(with_endings(names_below(path.parent), kind.endings))) in options.drop


def _stem(name: str) -> str:
    last = PurePosixPath(name).name.lower()
    return Path(last.removesuffix(".gz")).stem if ending(Path(last)) in SUFFIXES else ""


def load_manifest(path: Path, manifest: str, kind: FileKind, names: Sequence[str], options: Options) -> Domain:
    """Read the files that a manifest names, with its labels, groups, splits and domains.

    Without a column of labels, the folders of classes give them; without one of splits, folders called ``train``,
    ``val`` and ``test`` do.

    Parameters
    ----------
    path
        The folder or zip.
    manifest
        Path of the manifest in it.
    kind
        What the files are.
    names
        Paths of all files in it.
    options
        Columns of the manifest and how they are read, as in `load_table`; where strict, one file that is missing or
        cannot be read is an error.

    Raises
    ------
    RequestError
        If the manifest has no column of files, none that is the label, or names files that are not there.
    """
    kind.ready(with_endings(names, kind.endings))
    table, notes = read_manifest(path, manifest)
    where = f"{PurePosixPath(manifest).name} in {path.name}"
    files = Files(with_endings(names, kind.endings), PurePosixPath(manifest).parent)
    column = file_column(table, files)
    if column is None:
        known = quoted([str(c) for c in table.columns], 30)
        raise RequestError(f"{where} has no column called file or path; it has {known}.")
    cells = [cell if isinstance(cell, str) else "" for cell in table[column]]
    found = files.found(cells)
    read = _labelled(table, column, found, where, kind, options)
    rows = [int(name) for name in read.inputs.names()]  # of the manifest
    there = np.flatnonzero([found[row] is not None for row in rows])
    notes += _missing({row: cells[row] for row in rows if found[row] is None}, len(rows), files, where, kind, options)
    beside = weights_in([str(c) for c in table.columns if str(c) not in (column, options.label, options.weight)])
    if beside:
        notes.append(f"columns of {where} not used: {quoted(beside, 30)}; {weight_hint(beside)}")
    others = len(set(files.names) - set(found))
    if others:
        notes.append(f"Left out, not named in {where}: {others:,} {kind.many}.")
    inputs = kind.inputs(path, [file for i in there if (file := found[rows[int(i)]]) is not None])
    good, corrupt = without_corrupt(inputs, kind, options)
    rest = read.take(there[good])
    settled, more = inputs.take(np.array(good, dtype=np.int64)).settled(
        options.levels, learnt_of(rest.splits, len(rest))
    )
    name = path.stem if path.is_file() else path.resolve().name
    return replace(
        rest,
        name=name if options.domain is None else f"{name} ({options.domain})",
        inputs=settled,
        notes=(*notes, *read.notes, *corrupt, *more),
    )


def files_named(manifest: Path, kind: FileKind) -> list[str]:
    """The files that a manifest beside or above them names, below its folder; a name without a file as it stands."""
    table, _ = read_manifest(manifest.parent, manifest.name)
    files = Files(with_endings(names_below(manifest.parent), kind.endings))
    column = file_column(table, files)
    if column is None:
        raise RequestError(f"{str(manifest)!r} names no {kind.many} in a column called file or path.")
    cells = [str(cell).strip() for cell in table[column]]
    return [file or cell for file, cell in zip(files.found(cells), cells, strict=True)]


def _labelled(
    table: pd.DataFrame, column: str, found: Sequence[str | None], where: str, kind: FileKind, options: Options
) -> Domain:
    """The rows of a manifest as a Domain whose inputs are the names of the files."""
    from sterna.domains.raw_table import RawTable
    from sterna.domains.table_domains import table_domain
    from sterna.domains.table_labels import LABEL_NAMES, find_label, label_names
    from sterna.domains.table_rows import SPLIT_NAMES

    beside = {name: getattr(options, name) for name in ("group", "weight", "domain_column", "time")}
    others = [c for c in table.columns if c not in (column, *beside.values())]
    classes, splits = _by_folder(found, kind)
    label = options.label
    if label is None and classes and not any(c.strip().lower() in LABEL_NAMES for c in others):
        label = "class folder"
        table = table.assign(**{label: np.array(classes, dtype=object)})
    label = label or find_label(others, where)
    if splits and not any(c.strip().lower() in SPLIT_NAMES for c in table.columns):
        table = table.assign(split=np.array(splits, dtype=object))
    named = [label] if label in table.columns else label_names(label, list(table.columns), options.partial_labels)
    raw = RawTable(table, where)
    for argument, asked in [*(("label", name) for name in named), *beside.items()]:
        if asked is not None:
            raw.need(asked, argument)
        if asked == column:
            raise RequestError(f"{argument}={asked!r}: this column of {where} names the {kind.many}; name another one.")
    wanted = {column, *named, *beside.values()}
    kept = [c for c in table.columns if c in wanted or c.strip().lower() in SPLIT_NAMES]
    of_names = replace(options, label=label, text=column, drop=(), columns=None, schema=None)
    return table_domain(table[kept], of_names, where)


def _by_folder(found: Sequence[str | None], kind: FileKind) -> tuple[list[str | None], list[str | None]]:
    """The class and the split that the folder of each file says; empty where folders say nothing of the kind."""
    try:
        known = [file for file in found if file is not None]
        places, _ = places_of(Path(), known, None, kind.many) if known else ([], [])
    except RequestError:  # deeper than class/file
        return [], []
    by_file = {place.file: place for place in places}
    each = [by_file.get(file) if file is not None else None for file in found]
    classes = [place.label if place else None for place in each]
    splits = [place.split if place else None for place in each]
    return (classes if len({c for c in classes if c}) > 1 else [], splits if any(splits) else [])


def _missing(lost: dict[int, str], rows: int, files: Files, where: str, kind: FileKind, options: Options) -> list[str]:
    """A note on the names without a file, by their rows in the manifest, where they are few."""
    if not lost:
        return []
    shown = listed([f"{name!r} (row {row})" for row, name in lost.items()], 5)
    what = f"{where} names {len(lost):,} of {rows:,} {kind.many} that are not there, or more than once, such as {shown}"
    if options.strict or len(lost) > MOST_CORRUPT * rows:
        known = [PurePosixPath(name).name for name in files.names]
        first = next(iter(lost.values()))
        raise RequestError(f"{what}; correct the names.{closest(PurePosixPath(first).name, known)}")
    return [f"{what}; left out."]
