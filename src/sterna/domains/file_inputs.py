"""Inputs that lie in files, below a folder or inside a zip."""

from __future__ import annotations

import copy
import os
import zipfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO, Any, ClassVar, Self, TypeVar

import numpy as np

from sterna.domains.inputs import Inputs, Rows, digest
from sterna.errors import RequestError, RunError
from sterna.record.reading import in_words

LARGEST_FILE = 2**30
"""Bytes one file may have; a larger one is a mistake or an attack."""

THREADS = min(8, (os.cpu_count() or 1) + 2)
AT_ONCE = 1024
"""Files that wait for a thread: of a hundred thousand, the waiting alone would take hundreds of megabytes."""

T = TypeVar("T")


def in_threads(function: Callable[[int], T], count: int) -> Iterator[T]:
    """``function(row)`` of the rows from 0 to `count` in order, some at a time in threads."""
    with ThreadPoolExecutor(THREADS) as pool:
        for start in range(0, count, AT_ONCE):
            yield from pool.map(function, range(start, min(start + AT_ONCE, count)))


class FileInputs(Inputs):
    """Files below a folder or inside a zip, which is read in place and never unpacked to disk.

    What a row is, says the kind of data that derives from it.

    Parameters
    ----------
    root
        A folder, or a ``.zip`` file.
    files
        Their paths inside `root`, with ``/``.
    """

    one: ClassVar[str]
    """One of them, in a sentence: ``"an image"``."""

    def __init__(self, root: Path | str, files: Sequence[str]) -> None:
        self.root = Path(root)
        self._files = tuple(files)
        self._zipped = self.root.is_file()
        self._archive: tuple[int, zipfile.ZipFile] | None = None
        self._keys: list[str] | None = None
        self._stamps = np.full((len(self._files), 2), -1, dtype=np.int64)
        self._before = ""

    def __len__(self) -> int:
        return len(self._files)

    def stream(self, row: int) -> IO[bytes]:
        """One file, open for reading: of a large data set, a header is all that is wanted."""
        name, size = self._files[row], int(self._stamp(row)[0])
        if self._zipped:
            size = self._open().getinfo(name).file_size
        if size > LARGEST_FILE:
            raise RequestError(f"its {size:,} bytes are more than {self.one} may have")
        return self._open().open(name) if self._zipped else (self.root / name).open("rb")

    def _stamp(self, row: int) -> Rows:
        """Size and time of change of a file (or of the zip), which must stay what they were when it was first read."""
        stat = (self.root if self._zipped else self.root / self._files[row]).stat()
        now = np.array([stat.st_size, stat.st_mtime_ns])
        if self._stamps[row, 0] < 0:
            self._stamps[row] = now
        elif (self._stamps[row] != now).any():
            raise RequestError("it was changed since it was first read")
        return now

    def read(self, row: int) -> bytes:
        """The bytes of one file."""
        with self.stream(row) as stream:
            return stream.read()

    def lost(self, row: int, why: str) -> RunError:
        """What is said of a file that could be read when the set was: the request is right, and work is kept."""
        return RunError(
            f"{self._files[row]} in {self.root} cannot be read as {self.one} any more ({why}), as it could before: put "
            "it back as it was and repeat the command, with resume=True where a run was begun, or load the data again."
        )

    def sizes(self) -> list[int]:
        """Bytes of each file (unpacked)."""
        if self._zipped:
            return [self._open().getinfo(name).file_size for name in self._files]
        return [self._known_stamp(row)[0] for row in range(len(self))]

    def take(self, rows: Rows) -> Self:
        taken = copy.copy(self)
        taken.unread = ()
        taken._archive, taken._files = None, tuple(self._files[int(row)] for row in rows)
        taken._keys = None if self._keys is None else [self._keys[int(row)] for row in rows]
        taken._stamps = self._stamps[np.asarray(rows, dtype=np.int64)]
        return taken

    def odd_ones(self) -> dict[int, str]:
        """Rows that can be read by themselves, but not as the others are, and why; of those that were all decoded."""
        return {}

    def settled(self, given: Any, learnt: Rows | None) -> tuple[Inputs, list[str]]:
        """The same once all of them are known, and notes; see the kinds of data where rows bear on each other.

        Parameters
        ----------
        given
            What was settled before, of the data that a run learnt from.
        learnt
            Rows that may decide; all where not given.
        """
        return self, []

    def keys(self) -> list[str]:
        if self._keys is None:
            self._keys = list(in_threads(self._key, len(self)))
        return self._keys

    def _key(self, row: int) -> str:
        try:
            return digest(self.read(row))
        except Exception as error:  # of the system, or of what unpacks
            raise self.lost(row, in_words(error)) from error

    def row_keys(self) -> list[str]:
        return self.keys()

    def fingerprint(self) -> str:
        # Reading it all is dear: the checksum in a zip stands for the content, and in a folder name, size and time of
        # change do, as in make and rsync.
        if self._zipped:
            infos = (self._open().getinfo(name) for name in self._files)
            parts = [f"{info.CRC:08x}-{info.file_size}" for info in infos]
        else:
            stamps = (self._known_stamp(row) for row in range(len(self)))
            parts = [f"{name}\0{size}\0{time}" for name, (size, time) in zip(self._files, stamps, strict=True)]
        return digest("\n".join(parts).encode("utf-8", "surrogateescape"))

    def _known_stamp(self, row: int) -> list[int]:
        try:
            return self._stamp(row).tolist()  # type: ignore[no-any-return]
        except (OSError, RequestError) as error:
            raise self.lost(row, in_words(error)) from error

    def names(self) -> list[str]:
        # Linux takes any bytes as a name; those that are no UTF-8 could be neither printed nor saved.
        return [f"{self._before}{name}".encode("utf-8", "replace").decode("utf-8") for name in self._files]

    def named_below(self, before: str) -> Self:
        """The same with something before each name, such as the folder that tells them from other files."""
        named = copy.copy(self)
        named._before = before
        return named

    def _open(self) -> zipfile.ZipFile:
        # A forked worker shares its parent's file position, so each process opens the archive for itself.
        if self._archive is None or self._archive[0] != os.getpid():
            self._archive = (os.getpid(), zipfile.ZipFile(self.root))
        return self._archive[1]

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_archive": None, "_keys": None}
