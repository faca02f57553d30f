"""Which files a manifest means: its column of files, and what each of their names stands for."""

from __future__ import annotations

import csv
import io
import shutil
import tempfile
import zipfile
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from sterna.domains.archives import names_below, with_endings
from sterna.domains.table_names import ending, is_table
from sterna.errors import RequestError

if TYPE_CHECKING:
    import pandas as pd

FILE_COLUMNS = (
    "file", "path", "filename", "file_name", "filepath", "file_path", "image", "image_path", "image_id", "image_name",
    "img", "photo", "picture", "audio", "audio_path", "recording", "sound", "wav", "text_file",
)  # fmt: skip
"""What the column of files may be called; of several the first that names files which are there."""

SURE = 6
"""So many of them say by their name alone that they name files."""

_HEAD = 1 << 16


class Files:
    """The files of a place, found by what a manifest calls them.

    Manifests name files as the folder was when they were written, often without the folder they now lie in, without an
    ending, or in other case: of a name that is not there as it stands, the longest end that only one file has decides.

    Parameters
    ----------
    names
        Paths in the place, with ``/``.
    beside
        The folder of the manifest in it.
    """

    def __init__(self, names: Sequence[str], beside: PurePosixPath | None = None) -> None:
        self.names, self._beside = names, beside or PurePosixPath()
        self._paths = {PurePosixPath(name).as_posix(): name for name in names}
        self._ends: dict[str, str | None] = {}
        self._small: dict[str, str | None] = {}  # the same in small letters
        for path, name in self._paths.items():
            parts = PurePosixPath(path).parts
            for start in range(len(parts)):
                end = "/".join(parts[start:])
                for key in {end, end[: len(end) - len(PurePosixPath(end).suffix)]}:
                    for ends, written in ((self._ends, key), (self._small, key.casefold())):
                        ends[written] = None if ends.get(written, name) != name else name

    def found(self, asked: Sequence[str]) -> list[str | None]:
        """The file that each name means; ``None`` where none does, or two names would mean the same one."""
        exact = [self._exact(name) for name in asked]
        taken = {file: name.strip() for name, file in zip(asked, exact, strict=True) if file is not None}
        guessed = [self._near(name) if file is None else None for name, file in zip(asked, exact, strict=True)]
        meant: dict[str, set[str]] = {}
        for name, file in zip(asked, guessed, strict=True):
            if file is not None:
                meant.setdefault(file, set()).add(name.strip())
        sole = {file for file, names in meant.items() if file not in taken and len(names) == 1}
        return [file or (near if near in sole else None) for file, near in zip(exact, guessed, strict=True)]

    def _exact(self, name: str) -> str | None:
        meant = PurePosixPath(name.strip().replace("\\", "/"))
        return self._paths.get((self._beside / meant).as_posix()) or self._paths.get(meant.as_posix())

    def _near(self, name: str) -> str | None:
        parts = [part for part in PurePosixPath(name.strip().replace("\\", "/")).parts if part not in ("/", "..")]
        for start in range(len(parts)):
            end = "/".join(parts[start:])
            if end in self._ends:
                return self._ends[end]
            if end.casefold() in self._small:
                return self._small[end.casefold()]
        return None


def file_column(table: pd.DataFrame, files: Files, there: bool = False) -> str | None:
    """The column of a table that names files: by its cells, half of which are files, or else by its name.

    Parameters
    ----------
    there
        Only by its cells.
    """
    by_name = {str(c).strip().lower(): str(c) for c in table.columns}
    named = [by_name[name] for name in FILE_COLUMNS if name in by_name]
    others = [str(c) for c in table.columns if str(c) not in named]
    for column in (*named, *others):
        cells = [cell for cell in table[column].head(100) if isinstance(cell, str) and cell.strip()]
        if column not in named and not all(PurePosixPath(cell.strip()).suffix for cell in cells):
            continue  # numbers that happen to be called as files are, say
        known = [file for file in files.found(cells) if file is not None]
        if known and 2 * len(known) >= len(cells):
            return column
    return None if there else next((c for c in named if c.strip().lower() in FILE_COLUMNS[:SURE]), None)


def names_files(path: Path, endings: tuple[str, ...]) -> bool:
    """Whether a table file that was given itself is a manifest: a column of it names files beside or below it.

    Its first rows are looked at; the folder only where cells look like names of files.
    """
    if not is_table(path) or not path.is_file():
        return False
    head = _head(path)
    if head is None:
        return False
    likely = [
        c for c in head if str(c).strip().lower() in FILE_COLUMNS or any(_looks(cell, endings) for cell in head[c])
    ]
    if not likely:
        return False
    files = Files(with_endings(names_below(path.parent), endings))
    return bool(files.names) and any(
        any(file is not None for file in files.found([cell for cell in head[c] if isinstance(cell, str)]))
        for c in likely
        if any(_looks(cell, endings) for cell in head[c]) or str(c).strip().lower() in FILE_COLUMNS
    )


def _looks(cell: Any, endings: tuple[str, ...]) -> bool:
    return isinstance(cell, str) and cell.strip().lower().endswith(endings)


def _head(path: Path) -> pd.DataFrame | None:
    """The first rows of a table file as strings; ``None`` where they cannot be told, which its reader will say."""
    import pandas as pd

    from sterna.domains.table_files import open_bytes, read_table

    if ending(path) not in (".csv", ".tsv"):
        try:
            return read_table(path)[0].head(50)
        except RequestError:
            return None
    try:
        with open_bytes(path) as file:
            text = file.read(_HEAD).decode("utf-8-sig", "replace")
    except (OSError, EOFError):
        return None
    for separator in ",\t;|":
        rows = list(csv.reader(io.StringIO(text, newline=""), delimiter=separator))[:50]
        if len(rows) > 1 and len(rows[0]) > 1:  # of one line alone the end may be missing
            width = len(rows[0])
            return pd.DataFrame([row for row in rows[1:] if len(row) == width], columns=rows[0], dtype=object)
    return None


def read_manifest(path: Path, manifest: str) -> tuple[pd.DataFrame, list[str]]:
    """The manifest as a table of strings, and notes on how it was read."""
    from sterna.domains.table_files import read_table

    if path.is_dir():
        return read_table(path / manifest)
    with tempfile.TemporaryDirectory(prefix="sterna-") as folder, zipfile.ZipFile(path) as archive:
        copy = Path(folder) / PurePosixPath(manifest).name
        try:
            with archive.open(manifest) as packed, copy.open("wb") as file:
                shutil.copyfileobj(packed, file)
        except Exception as error:  # whatever a broken member raises
            raise RequestError(f"{manifest} in {path} cannot be read ({error}); pack it again.") from error
        return read_table(copy)
