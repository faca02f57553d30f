"""What the readers of files share: images, recordings or texts in folders and zips, or named by a manifest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from sterna.domains.archives import Location, endings_of, left_out, names_below, with_endings
from sterna.domains.domain import Domain
from sterna.domains.file_inputs import FileInputs
from sterna.domains.folders import FileKind, load_files, problems_of
from sterna.domains.inputs import Inputs, JoinedInputs, Kind, Unread
from sterna.domains.manifest_files import names_files
from sterna.domains.manifests import files_named, load_manifest, manifest_of, wanted_as_table
from sterna.domains.reader import Options, Reader, readers
from sterna.errors import RequestError


class FileReader(Reader):
    """Files of one kind in ``[split/]class/file``, without a class in ``unlabelled/``, or as a manifest names them."""

    of: ClassVar[FileKind]
    instead_of: ClassVar[tuple[str, ...]] = ("tables",)

    def finds(self, place: Location) -> str:
        if place.holds_files:
            return place.found(self.of.many, self.of.endings)
        return f"a manifest of {self.of.many}" if names_files(place.path, self.of.endings) else ""

    def load(self, place: Location, options: Options) -> Domain:
        path, many = place.path, self.of.many
        if not place.holds_files:
            if wanted_as_table(path, self.of, options):
                return readers()["tables"].load(place, options)
            return load_manifest(path.parent, path.name, self.of, names_below(path.parent), options)
        manifest = manifest_of(path, place.names, self.of)
        if manifest is not None:
            options.refuse(path, f"a set of {many}", "text", "drop", "columns")
            return load_manifest(path, manifest, self.of, place.names, options)
        what = f"a set of {many} without a manifest.csv (columns file, label, ...)"
        tables = [name for name in place.names if options.label and names_files(path / name, self.of.endings)]
        if tables:
            what += f", but with {str(path / tables[0])!r}, which names {many} and can be given itself"
        options.refuse(path, what, "label", "text", "drop", "columns", "group", "weight", "domain_column", "time")
        return load_files(path, self.of, place.names, options)

    def inputs(self, paths: Sequence[Path], kind: Kind, reading: Mapping[str, Any]) -> tuple[Inputs, list[str]]:
        return inputs_below(paths, self.of, reading.get("levels"))


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
    notes: list[str] = []
    below = [_below(path, kind, notes) for path in paths]
    kind.ready([name for _, files in below for name in files])
    parts = [kind.inputs(root, files) for root, files in below]
    names = [name for part in parts for name in part.names()]
    if len(set(names)) < len(names):
        parts = [part.named_below(_prefix(path)) for part, path in zip(parts, paths, strict=True)]
    good = [_readable(part, kind) for part in parts]
    if not any(map(len, good)):
        why = "; ".join(f"{one.name}: {one.why}" for part in good for one in part.unread)
        raise RequestError(f"None of the {kind.many} can be read ({why}); replace them.")
    settled, more = kind.settled(good, given)
    return settled[0] if len(settled) == 1 else JoinedInputs(settled), [*notes, *more]


def _prefix(path: Path) -> str:
    """What tells the files of a path that was given from those of another: itself, or the folder of a file."""
    folder = path if path.is_dir() or path.suffix.lower() == ".zip" else path.parent
    return "" if folder == Path() else f"{folder.as_posix()}/"


def _readable(inputs: FileInputs, kind: FileKind) -> FileInputs:
    """Those that can be read, all of which is tried, with the others among `Inputs.unread`."""
    names, bad = inputs.names(), dict(problems_of(inputs, kind))
    good = inputs.take(np.array([row for row in range(len(inputs)) if row not in bad], dtype=np.int64))
    good.unread = tuple(Unread(row, names[row], why) for row, why in bad.items())
    return good


def _below(path: Path, kind: FileKind, notes: list[str]) -> tuple[Path, list[str]]:
    if path.is_dir() or path.suffix.lower() == ".zip":
        names = Location(path).names
        found = with_endings(names, kind.endings)
        if not found:
            beside = f", but files of {endings_of(names)}" if names else ""
            raise RequestError(f"{str(path)!r} holds no {kind.one.split()[-1]} ({', '.join(kind.endings)}){beside}.")
        notes += left_out(path.name, names, kind.endings, kind.many)
        return path, found
    if names_files(path, kind.endings):
        return path.parent, files_named(path, kind)
    if path.suffix.lower() not in kind.endings:
        raise RequestError(
            f"{str(path)!r} is not {kind.one}; expected one of {', '.join(kind.endings)}, a folder or a zip."
        )
    return path.parent, [path.name]
