"""The files of the feature cache: rows side by side, their keys behind them; never changed once they are whole."""

from __future__ import annotations

import errno
import hashlib
import io
import json
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np

from sterna.domains.inputs import Rows
from sterna.files import atomic
from sterna.training.row_keys import KEY, Keys

try:
    import fcntl
except ImportError:  # Windows: it has no such locks, and deletes no file that is open
    fcntl = None  # type: ignore[assignment]

Array = np.ndarray[Any, np.dtype[np.float32]]
CHUNK = 1_000_000
"""Numbers that are read at once (4 MB): what is computed on them stays small, too."""

HEADER = 4096
"""Bytes before the first row: numbers of rows and columns and the hash of what follows, as JSON padded with spaces."""


class NewFile:
    """A file that is being written, its rows in any order.

    Attributes
    ----------
    same
        For each row the first one of its key, ``(n,)``.
    lacking
        The rows that have not come yet, ``(n,)`` bool; of those of one key, the first stands for all.
    """

    def __init__(self, path: Path, handle: int, same: Rows) -> None:
        self.path, self.handle, self.same, self.width = path, handle, same, 0
        self.lacking = same == np.arange(len(same))

    def write(self, rows: Rows, values: Array) -> None:
        """Put rows into their places."""
        values = np.asarray(values, dtype=np.float32)
        self.width = self.width or values.shape[1]
        assert values.shape[1] == self.width
        for low, high in runs(rows):
            write_at(self.handle, values[low:high], HEADER + int(rows[low]) * self.width * 4)
        self.lacking[rows] = False

    def copy(self, source: int, width: int, rows: Rows, places: Rows) -> None:
        """Put rows into their places that another file has elsewhere."""
        new = self.lacking[rows]
        rows, places = rows[new], places[new]
        for some, values in rows_at(source, places, width):
            self.write(rows[some], values)

    def finish(self, keys: Keys) -> None:
        """Write what is known when all rows have come."""
        if self.lacking.any():
            raise ValueError(f"Features of {self.lacking.sum()} rows were not given.")
        self.lacking = self.same != np.arange(len(keys))
        again = np.flatnonzero(self.lacking)
        self.copy(self.handle, self.width, again, self.same[again])
        write_at(self.handle, keys, HEADER + len(keys) * self.width * 4)
        about = [len(keys), self.width, _hash(self.handle, HEADER + len(keys) * (self.width * 4 + KEY))]
        write_at(self.handle, np.frombuffer(json.dumps(about).encode().ljust(HEADER), np.uint8), 0)


@contextmanager
def writing(path: Path, keys: Keys, same: Rows, held: ExitStack) -> Iterator[NewFile]:
    """A file that takes its place only when all its rows are there; it is in use until `held` is closed."""
    elsewhere = "set STERNA_CACHE to a folder that can take the features"
    with atomic(path, elsewhere=elsewhere) as temporary, ExitStack() as here:
        holder = here if fcntl is None else held  # Windows renames no open file
        new = NewFile(path, holder.enter_context(opened(temporary, os.O_RDWR)), same)
        yield new
        new.finish(keys)


@contextmanager
def opened(path: Path, flags: int = os.O_RDONLY) -> Iterator[int]:
    """A file in use: as long as it is open, no process throws it away to make room."""
    handle = os.open(path, flags | getattr(os, "O_BINARY", 0))
    try:
        with suppress(OSError):  # some file systems have no locks
            if fcntl is not None:
                fcntl.flock(handle, fcntl.LOCK_SH)
        yield handle
    finally:
        os.close(handle)


def in_use(path: Path) -> bool:
    """Whether some process has the file open; never where the system itself deletes no open file."""
    try:
        with path.open("r+b") as handle:
            if fcntl is not None:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:  # else it is gone already, or the file system has no locks
        return isinstance(error, BlockingIOError)
    return False


def shape_of(path: Path) -> tuple[int, int] | None:
    """Rows and width of a whole file, else ``None`` (it will be computed again).

    What is in it is checked against its hash once in a process: what is read first comes from the disk anyway.
    """
    try:
        with path.open("rb") as file:
            rows, width, kept = json.loads(file.read(HEADER))
            about = os.fstat(file.fileno())
            if about.st_size != HEADER + int(rows) * (int(width) * 4 + KEY):
                return None
            known = (about.st_dev, about.st_ino, about.st_size, str(kept))
            if known not in _WHOLE and _hash(file.fileno(), about.st_size) != kept:
                return None
            _WHOLE.add(known)
            return int(rows), int(width)
    except (OSError, ValueError, TypeError, RecursionError):
        return None


_WHOLE: set[tuple[int, int, int, str]] = set()
"""Files that were found whole, by what the system knows of them and their hash."""


def _hash(handle: int, size: int) -> str:
    """The SHA-256 of a file from its first row on."""
    digest, buffer = hashlib.sha256(), np.empty(2**20, dtype=np.uint8)
    for place in range(HEADER, size, len(buffer)):
        digest.update(read_at(handle, buffer[: size - place], place))
    return digest.hexdigest()


def rows_at(handle: int, places: Rows, width: int) -> Iterator[tuple[Rows, Array]]:
    """Rows of a file, some at a time: which of `places`, ``(b,)``, and what lies there, ``(b, width)``."""
    order, size = np.argsort(places, kind="stable"), max(1, CHUNK // max(1, width))
    for some in (order[start : start + size] for start in range(0, len(order), size)):
        values = np.empty((len(some), width), dtype=np.float32)
        for low, high in runs(places[some]):
            read_at(handle, values[low:high], HEADER + int(places[some[low]]) * width * 4)
        yield some, values


def runs(places: Rows) -> Iterator[tuple[int, int]]:
    """From where to where each place is followed by the next."""
    starts = np.flatnonzero(np.diff(places, prepend=-2) != 1).tolist()
    return zip(starts, [*starts[1:], len(places)], strict=False)


def read_at(handle: int, values: Any, place: int) -> Any:
    """Fill an array from a file."""
    if hasattr(os, "preadv"):
        done = os.preadv(handle, [values], place)
    else:
        done = _from_place(handle, place).readinto(values)
    if done != values.nbytes:
        raise OSError(errno.EIO, "a feature file has become shorter")
    return values


def write_at(handle: int, values: Any, place: int) -> None:
    """Write all of it: a disk that is nearly full takes a part without a word, and refuses only the rest."""
    left = np.ascontiguousarray(values).reshape(-1).view(np.uint8).data
    while len(left):
        done = os.pwrite(handle, left, place) if hasattr(os, "pwrite") else _from_place(handle, place).write(left)
        left, place = left[done:], place + done


def _from_place(handle: int, place: int) -> io.FileIO:
    """The file from a place on, for a system that cannot read or write at one (Windows).

    It moves the handle's position, so no two threads may do so at once; there, processes share no handle.
    """
    os.lseek(handle, place, os.SEEK_SET)
    return io.FileIO(handle, "r+b", closefd=False)
