"""What is frozen is computed once a row: features on disk, found by weights, preparation, tools, block and row."""

from __future__ import annotations

import json
import math
import os
import re
import time
import weakref
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

from sterna.domains.inputs import Rows
from sterna.errors import RequestError
from sterna.files import user_path
from sterna.training.feature_files import (
    CHUNK,
    HEADER,
    Array,
    NewFile,
    in_use,
    opened,
    read_at,
    rows_at,
    shape_of,
    writing,
)
from sterna.training.row_keys import Keys, digest

_NAME = re.compile(r"\.?[0-9a-f]+-[0-9a-f]+\.features")
"""How the names of the cache's own files begin; no other file in its folder is counted or thrown away."""

Compute = Callable[[Sequence[str], Rows, Callable[[Rows, dict[str, Array]], None]], None]


def default_folder() -> Path:
    """``$STERNA_CACHE``, else ``sterna`` in ``$XDG_CACHE_HOME``, else ``~/.cache/sterna``."""
    if chosen := os.environ.get("STERNA_CACHE"):
        return user_path(chosen)
    shared = Path(os.environ.get("XDG_CACHE_HOME") or "")
    return (shared if shared.is_absolute() else Path.home() / ".cache") / "sterna"  # a relative one counts as not set


def default_gigabytes() -> float:
    """``$STERNA_CACHE_GB``, or 10."""
    given = os.environ.get("STERNA_CACHE_GB") or "10"
    with suppress(ValueError):
        if 0 <= float(given) < math.inf:
            return float(given)
    raise RequestError(
        f"The environment variable STERNA_CACHE_GB is {given!r}; expected gigabytes, 0 or more, such as 10 or 0.5."
    )


@cache
def tools() -> list[str]:
    """The versions of what makes features: another may decode, prepare or compute otherwise."""
    names = ("sterna", "torch", "timm", "transformers", "tokenizers", "sentence-transformers", "pillow", "soundfile")
    found = []
    for name in names:
        with suppress(PackageNotFoundError):
            found.append(f"{name} {version(name)}")
    return found


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
            object.__setattr__(self, "_handles", [stack.enter_context(opened(path)) for path in self.files])
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
            for some, values in rows_at(handle, wanted, width):
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
        self.bytes = int((gigabytes or default_gigabytes()) * 2**30)

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
        about = [weights, preparation, tools()]
        kinds = [digest(json.dumps([*about, block]).encode()).hex() for block in blocks]
        paths = [self.folder / f"{kind}-{digest(keys.tobytes()).hex()}.features" for kind in kinds]
        with ExitStack() as held:  # what was computed is not thrown away before it is used
            while True:
                shapes = [shape_of(path) for path in paths]
                missing = {block: path for block, path, shape in zip(blocks, paths, shapes, strict=True) if not shape}
                if missing:
                    self._fill(missing, keys, compute, held)
                    continue
                with suppress(FileNotFoundError):  # another process has just made room
                    found = Features(tuple(paths), len(keys), tuple(shape[1] for shape in shapes if shape))
                    break
        for path in paths:
            with suppress(OSError):  # a cache that can only be read gives what it holds
                os.utime(path, ns=(time.time_ns(),) * 2)  # finer than the file system's own clock
        self._forget()
        return found

    def size(self) -> int:
        """Bytes in use."""
        return sum(size for _, size, _ in self._files())

    def clear(self) -> None:
        """Throw everything away."""
        for _, _, path in self._files():
            path.unlink(missing_ok=True)

    def _files(self) -> list[tuple[int, int, Path]]:
        """When each was last used, its bytes and its path, the oldest first; also what is written or was left so."""
        found = []
        for path in self.folder.glob("*.features*"):
            if _NAME.match(path.name):
                with suppress(FileNotFoundError):
                    found.append((path.stat().st_mtime_ns, path.stat().st_size, path))
        return sorted(found)

    def _forget(self) -> None:
        files = self._files()
        excess = sum(size for _, size, _ in files) - self.bytes
        for _, size, path in files:
            if excess > 0 and size and not in_use(path):
                with suppress(OSError):  # Windows deletes no open file, and nobody deletes from a read-only disk
                    path.unlink(missing_ok=True)
                    excess -= size

    def _fill(self, missing: dict[str, Path], keys: Keys, compute: Compute, held: ExitStack) -> None:
        """Write a file for each of these blocks: rows of other collections first, the last used before the others."""
        _, first, inverse = np.unique(keys, return_index=True, return_inverse=True)
        with ExitStack() as stack:
            new = {b: stack.enter_context(writing(path, keys, first[inverse], held)) for b, path in missing.items()}

            def write(rows: Rows, features: dict[str, Array]) -> None:
                for block, values in features.items():
                    new[block].write(rows, values)

            for other in dict.fromkeys(path.name.partition("-")[2] for _, _, path in reversed(self._files())):
                _borrow(new.values(), other, keys)
            lacking = np.stack([file.lacking for file in new.values()], axis=1)
            for which in np.unique(lacking[lacking.any(axis=1)], axis=0):  # most often one: all blocks of these rows
                blocks = [block for block, lacks in zip(new, which, strict=True) if lacks]
                compute(blocks, np.flatnonzero((lacking == which).all(axis=1)), write)


def _borrow(files: Collection[NewFile], other: str, keys: Keys) -> None:
    """Copy the rows that another collection holds; `other` is how the names of its files end."""
    rows, shared = _lacking(files), None
    for file in files if len(rows) else ():
        path = file.path.with_name(f"{file.path.name.partition('-')[0]}-{other}")
        with suppress(FileNotFoundError), opened(path) as handle:
            if (shape := shape_of(path)) is None:
                continue
            if shared is None:
                held = read_at(handle, np.empty(shape[0], keys.dtype), HEADER + shape[0] * shape[1] * 4)
                if digest(held.tobytes()).hex() != path.stem.partition("-")[2]:
                    continue  # damaged
                _, here, there = np.intersect1d(keys[rows], held, return_indices=True)
                shared = rows[here], there
            file.copy(handle, shape[1], *shared)


def _lacking(files: Collection[NewFile]) -> Rows:
    """The rows that one of these files lacks."""
    return np.flatnonzero(np.any([file.lacking for file in files], axis=0))
