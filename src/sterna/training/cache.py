"""What is frozen is computed once a row: features on disk, found by weights, preparation, block and row."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import json
import os
import shutil
import weakref
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pandas.util import hash_pandas_object

from sterna.domains.audio import AudioSequence
from sterna.domains.file_inputs import FileInputs, JoinedInputs
from sterna.domains.images import ImageArray, ImageSequence
from sterna.domains.inputs import Inputs, Rows
from sterna.domains.tables import TableInputs
from sterna.domains.text import TextInputs
from sterna.files import atomic

Array = np.ndarray[Any, np.dtype[np.float32]]
Keys = np.ndarray[Any, np.dtype[np.bytes_]]
Compute = Callable[[Sequence[str], Rows, Callable[[Rows, dict[str, Array]], None]], None]
CHUNK = 1_000_000
"""Numbers that are read at once (4 MB): what is computed on them stays small, too."""

HEADER = 4096  # bytes before the first row: numbers of rows and of columns as JSON, padded with spaces
KEY = 16  # bytes of a row's key; the keys come after the last row


def default_folder() -> Path:
    """``$STERNA_CACHE``, or ``~/.cache/sterna``."""
    return Path(os.environ.get("STERNA_CACHE") or Path.home() / ".cache" / "sterna")


def row_keys(inputs: Inputs) -> Keys:
    """16 bytes for each row, ``(n,)``: rows of one key are prepared alike, whatever other rows they come with.

    In a table all cells count, while :meth:`Inputs.keys` leaves identifiers aside. Where that method says less than
    all that a row holds (of inputs that are not named here), rows are the same only among the same other rows.
    """
    if isinstance(inputs, TableInputs):
        about, cells = [*inputs.frame.columns, inputs.kinds], hash_pandas_object(inputs.frame, index=False).tolist()
        columns = _hash(repr(about).encode()).hex()
        keys = [f"{columns}{key}{more}" for key, more in zip(inputs.keys(), cells, strict=True)]
    elif isinstance(inputs, (FileInputs, JoinedInputs, ImageArray, ImageSequence, AudioSequence, TextInputs)):
        keys = inputs.keys()
    else:
        whole = inputs.fingerprint()
        keys = [f"{whole} {row}" for row in range(len(inputs))]
    return np.frombuffer(b"".join(_hash(key.encode()) for key in keys), dtype=f"S{KEY}")


@dataclass(frozen=True)
class Features:
    """Rows of features that lie side by side in one file a block.

    Reading is by chunks and never maps a whole file, so memory stays flat however many rows there are. The files are
    open as long as this lives: they are not thrown away to make room, and can be read even if somebody does.

    Attributes
    ----------
    files
        One file a block; the features of a row are their rows put together.
    rows
        Number of rows n.
    widths
        Width of each block; a row has ``sum(widths)`` float32 numbers.
    """

    files: tuple[Path, ...]
    rows: int
    widths: tuple[int, ...]

    def __post_init__(self) -> None:
        with ExitStack() as stack:
            object.__setattr__(self, "_handles", [stack.enter_context(_opened(path)) for path in self.files])
            weakref.finalize(self, stack.pop_all().close)

    def __reduce__(self) -> tuple[Any, ...]:
        return Features, (self.files, self.rows, self.widths)  # another process opens them for itself

    @property
    def width(self) -> int:
        return sum(self.widths)

    def __len__(self) -> int:
        return self.rows

    def chunks(self, numbers: int = CHUNK) -> Iterator[tuple[int, Array]]:
        """Row ranges in order: the number of the first row, and an array ``(b, width)`` of about so many numbers."""
        size = max(1, numbers // max(1, self.width))
        for start in range(0, self.rows, size):
            yield start, self.array(np.arange(start, min(start + size, self.rows)))

    def array(self, rows: np.ndarray[Any, Any] | None = None) -> Array:
        """These rows, or all, in memory: ``(n, width)``."""
        wanted = np.arange(self.rows) if rows is None else np.asarray(rows)
        found = np.empty((len(wanted), self.width), dtype=np.float32)
        handles: list[int] = self._handles  # type: ignore[attr-defined]
        for handle, width, end in zip(handles, self.widths, np.cumsum(self.widths), strict=True):
            for some, values in _rows(handle, wanted, width):
                found[some, end - width : end] = values
        return found


class FeatureCache:
    """A folder of feature files; the least recently used go when it grows over its bound.

    A file holds one block of one collection of rows, with their keys, and is never changed. Rows that other
    collections hold are copied from their files, and only the others are computed: nothing that another process does
    meanwhile, and nothing that kills this one, can spoil what is there.

    A row's features stay as they were first computed. Beside other rows they may come out different in the last bits
    (by less than 1e-5 in float32), so two runs are equal bit for bit only if the cache held the same before them.

    Parameters
    ----------
    folder
        Where; :func:`default_folder` by default.
    gigabytes
        Bound on its size; ``$STERNA_CACHE_GB`` or 10 by default.
    """

    def __init__(self, folder: Path | None = None, gigabytes: float | None = None) -> None:
        self.folder = (folder or default_folder()) / "features"
        self.bytes = int((gigabytes or float(os.environ.get("STERNA_CACHE_GB", "10"))) * 2**30)

    def get(self, weights: str, preparation: str, keys: Keys, blocks: Sequence[str], compute: Compute) -> Features:
        """Features of `blocks`, computed only where no file holds them.

        Parameters
        ----------
        weights, preparation
            Fingerprints.
        keys
            Of each row, ``(n,)``; see :func:`row_keys`.
        blocks
            Names of the blocks wanted.
        compute
            Called with the blocks that some rows lack, the numbers of these rows in order, and a function that takes
            row numbers ``(b,)`` and the features of each of these blocks ``(b, width)``; it must be given all of them.
        """
        kinds = [_hash(json.dumps([weights, preparation, block]).encode()).hex() for block in blocks]
        paths = [self.folder / f"{kind}-{_hash(keys.tobytes()).hex()}.features" for kind in kinds]
        while True:
            shapes = [_shape(path) for path in paths]
            missing = {block: path for block, path, shape in zip(blocks, paths, shapes, strict=True) if not shape}
            if missing:
                self._fill(missing, keys, compute)
                continue
            with suppress(FileNotFoundError):  # another process has just made room
                for path in paths:
                    os.utime(path)
                found = Features(tuple(paths), len(keys), tuple(shape[1] for shape in shapes if shape))
                self._forget()
                return found

    def size(self) -> int:
        """Bytes in use."""
        return sum(size for _, size, _ in self._files())

    def clear(self) -> None:
        """Throw everything away."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _files(self) -> list[tuple[int, int, Path]]:
        """When each was last used, its bytes and its path, the oldest first; also what is written or was left so."""
        found = []
        for path in self.folder.glob("*.features*"):
            with suppress(FileNotFoundError):
                found.append((path.stat().st_mtime_ns, path.stat().st_size, path))
        return sorted(found)

    def _forget(self) -> None:
        files = self._files()
        excess = sum(size for _, size, _ in files) - self.bytes
        for _, size, path in files:
            if excess > 0 and size and not _in_use(path):
                path.unlink(missing_ok=True)
                excess -= size

    def _fill(self, missing: dict[str, Path], keys: Keys, compute: Compute) -> None:
        """Write a file for each of these blocks: rows of other collections first, the last used before the others."""
        _, first, inverse = np.unique(keys, return_index=True, return_inverse=True)
        with ExitStack() as stack:
            new = {b: stack.enter_context(_writing(path, keys, first[inverse])) for b, path in missing.items()}

            def write(rows: Rows, features: dict[str, Array]) -> None:
                for block, values in features.items():
                    new[block].write(rows, values)

            for other in dict.fromkeys(path.name.partition("-")[2] for _, _, path in reversed(self._files())):
                _borrow(new.values(), other, keys)
            lacking = np.stack([file.lacking for file in new.values()], axis=1)
            for which in np.unique(lacking[lacking.any(axis=1)], axis=0):  # most often one: all blocks of these rows
                blocks = [block for block, lacks in zip(new, which, strict=True) if lacks]
                compute(blocks, np.flatnonzero((lacking == which).all(axis=1)), write)


class _New:
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
        for low, high in _runs(rows):
            _write_at(self.handle, values[low:high], HEADER + int(rows[low]) * self.width * 4)
        self.lacking[rows] = False

    def copy(self, source: int, width: int, rows: Rows, places: Rows) -> None:
        """Put rows into their places that another file has elsewhere."""
        new = self.lacking[rows]
        rows, places = rows[new], places[new]
        for some, values in _rows(source, places, width):
            self.write(rows[some], values)

    def finish(self, keys: Keys) -> None:
        """Write what is known when all rows have come."""
        if self.lacking.any():
            raise ValueError(f"Features of {self.lacking.sum()} rows were not given.")
        self.lacking = self.same != np.arange(len(keys))
        again = np.flatnonzero(self.lacking)
        self.copy(self.handle, self.width, again, self.same[again])
        _write_at(self.handle, keys, HEADER + len(keys) * self.width * 4)
        _write_at(self.handle, np.frombuffer(json.dumps([len(keys), self.width]).encode().ljust(HEADER), np.uint8), 0)


@contextmanager
def _writing(path: Path, keys: Keys, same: Rows) -> Iterator[_New]:
    """A file that takes its place only when all its rows are there."""
    with atomic(path) as temporary, _opened(temporary, os.O_RDWR) as handle:
        new = _New(path, handle, same)
        yield new
        new.finish(keys)


@contextmanager
def _opened(path: Path, flags: int = os.O_RDONLY) -> Iterator[int]:
    """A file in use: as long as it is open, no process throws it away to make room."""
    handle = os.open(path, flags)
    try:
        with suppress(OSError):  # some file systems have no locks
            fcntl.flock(handle, fcntl.LOCK_SH)
        yield handle
    finally:
        os.close(handle)


def _in_use(path: Path) -> bool:
    try:
        with path.open("r+b") as handle:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:  # else it is gone already, or the file system has no locks
        return isinstance(error, BlockingIOError)
    return False


def _borrow(files: Collection[_New], other: str, keys: Keys) -> None:
    """Copy the rows that another collection holds; `other` is how the names of its files end."""
    rows, shared = _lacking(files), None
    for file in files if len(rows) else ():
        path = file.path.with_name(f"{file.path.name.partition('-')[0]}-{other}")
        with suppress(FileNotFoundError), _opened(path) as handle:
            if (shape := _shape(path)) is None:
                continue
            if shared is None:
                held = _read_at(handle, np.empty(shape[0], keys.dtype), HEADER + shape[0] * shape[1] * 4)
                if _hash(held.tobytes()).hex() != path.stem.partition("-")[2]:
                    continue  # damaged
                _, here, there = np.intersect1d(keys[rows], held, return_indices=True)
                shared = rows[here], there
            file.copy(handle, shape[1], *shared)


def _lacking(files: Collection[_New]) -> Rows:
    """The rows that one of these files lacks."""
    return np.flatnonzero(np.any([file.lacking for file in files], axis=0))


def _shape(path: Path) -> tuple[int, int] | None:
    """Rows and width of a whole file, else ``None`` (it will be computed again)."""
    try:
        with path.open("rb") as handle:
            rows, width = map(int, json.loads(handle.read(HEADER)))
        return (rows, width) if path.stat().st_size == HEADER + rows * (width * 4 + KEY) else None
    except (OSError, ValueError, TypeError):
        return None


def _rows(handle: int, places: Rows, width: int) -> Iterator[tuple[Rows, Array]]:
    """Rows of a file, some at a time: which of `places`, ``(b,)``, and what lies there, ``(b, width)``."""
    order, size = np.argsort(places, kind="stable"), max(1, CHUNK // max(1, width))
    for some in (order[start : start + size] for start in range(0, len(order), size)):
        values = np.empty((len(some), width), dtype=np.float32)
        for low, high in _runs(places[some]):
            _read_at(handle, values[low:high], HEADER + int(places[some[low]]) * width * 4)
        yield some, values


def _runs(places: Rows) -> Iterator[tuple[int, int]]:
    """From where to where each place is followed by the next."""
    starts = np.flatnonzero(np.diff(places, prepend=-2) != 1).tolist()
    return zip(starts, [*starts[1:], len(places)], strict=False)


def _read_at(handle: int, values: Any, place: int) -> Any:
    """Fill an array from a file."""
    if os.preadv(handle, [values], place) != values.nbytes:
        raise OSError(errno.EIO, "a feature file has become shorter")
    return values


def _write_at(handle: int, values: Any, place: int) -> None:
    """Write all of it: a disk that is nearly full takes a part without a word, and refuses only the rest."""
    left = np.ascontiguousarray(values).reshape(-1).view(np.uint8).data
    while len(left):
        done = os.pwrite(handle, left, place)
        left, place = left[done:], place + done


def _hash(data: bytes) -> bytes:
    return hashlib.blake2b(data, digest_size=KEY).digest()
