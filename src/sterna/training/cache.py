"""What is frozen is computed once: features on disk, keyed by weights, preparation and data."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from sterna.files import atomic

Array = np.ndarray[Any, np.dtype[np.float32]]
CHUNK = 1_000_000
"""Numbers that are read at once (4 MB): what is computed on them stays small, too."""

HEADER = 4096  # bytes before the first row: a JSON object, padded with spaces


def default_folder() -> Path:
    """``$STERNA_CACHE``, or ``~/.cache/sterna``."""
    return Path(os.environ.get("STERNA_CACHE") or Path.home() / ".cache" / "sterna")


@dataclass(frozen=True)
class Features:
    """Rows of features that lie side by side in one file a block.

    Reading is by chunks and never maps a whole file, so memory stays flat however many rows there are.

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

    @property
    def width(self) -> int:
        return sum(self.widths)

    def __len__(self) -> int:
        return self.rows

    def chunks(self, numbers: int = CHUNK) -> Iterator[tuple[int, Array]]:
        """Row ranges in order: the number of the first row, and an array ``(b, width)`` of about so many numbers."""
        size = max(1, numbers // max(1, self.width))
        handles = [path.open("rb", buffering=0) for path in self.files]
        try:
            for start in range(0, self.rows, size):
                stop = min(start + size, self.rows)
                parts = [_read(h, start, stop, w) for h, w in zip(handles, self.widths, strict=True)]
                yield start, parts[0] if len(parts) == 1 else np.concatenate(parts, axis=1)
        finally:
            for handle in handles:
                handle.close()

    def array(self, rows: np.ndarray[Any, Any] | None = None) -> Array:
        """These rows, or all, in memory: ``(n, width)``."""
        if rows is None:
            return np.concatenate([part for _, part in self.chunks()]) if self.rows else np.zeros((0, self.width), "f4")
        wanted = np.asarray(rows)
        order = np.argsort(wanted, kind="stable")
        found = np.empty((len(wanted), self.width), dtype=np.float32)
        ranked = wanted[order]
        for start, part in self.chunks():
            low, high = np.searchsorted(ranked, [start, start + len(part)])
            found[order[low:high]] = part[ranked[low:high] - start]
        return found


def _read(handle: BinaryIO, start: int, stop: int, width: int) -> Array:
    handle.seek(HEADER + start * width * 4)
    return np.fromfile(handle, dtype=np.float32, count=(stop - start) * width).reshape(stop - start, width)


class FeatureCache:
    """A folder of feature files; the least recently used go when it grows over its bound.

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

    def path(self, *key: str) -> Path:
        """The file of a key."""
        return self.folder / f"{hashlib.blake2b(json.dumps(key).encode(), digest_size=16).hexdigest()}.features"

    def get(
        self,
        weights: str,
        preparation: str,
        data: str,
        blocks: Sequence[str],
        rows: int,
        compute: Callable[[Sequence[str], Callable[[np.ndarray[Any, Any], dict[str, Array]], None]], None],
    ) -> Features:
        """Features of `blocks`, computed only where a file is missing.

        Parameters
        ----------
        weights, preparation, data
            Fingerprints.
        blocks
            Names of the blocks wanted.
        rows
            How many rows there are.
        compute
            Called with the missing blocks and a function that takes row numbers ``(b,)`` and the features of
            each missing block ``(b, width)``; it must be given every row once.
        """
        paths = [self.path(weights, preparation, data, block) for block in blocks]
        widths = [_width(path, rows) for path in paths]
        missing = [i for i, width in enumerate(widths) if width is None]
        if missing:
            with _writers([paths[i] for i in missing], [blocks[i] for i in missing], rows) as write:
                compute([blocks[i] for i in missing], write)
            self._forget(keep=set(paths))
            widths = [_width(path, rows) for path in paths]
        for path in paths:
            os.utime(path)
        return Features(tuple(paths), rows, tuple(w for w in widths if w is not None))

    def size(self) -> int:
        """Bytes in use."""
        return sum(file.stat().st_size for file in self.folder.glob("*.features"))

    def clear(self) -> None:
        """Throw everything away."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _forget(self, keep: set[Path]) -> None:
        files = sorted((f for f in self.folder.glob("*.features")), key=lambda f: f.stat().st_mtime)
        excess = sum(f.stat().st_size for f in files) - self.bytes
        for file in files:
            if excess <= 0:
                return
            if file not in keep:
                excess -= file.stat().st_size
                file.unlink(missing_ok=True)


def _width(path: Path, rows: int) -> int | None:
    """Width of a whole, fitting file, else ``None`` (it will be computed again)."""
    try:
        with path.open("rb") as handle:
            header = json.loads(handle.read(HEADER))
        width = int(header["width"])
        fits = header["rows"] == rows and path.stat().st_size == HEADER + rows * width * 4
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return width if fits else None


def _write_at(handle: BinaryIO, values: Array, place: int) -> None:
    """Write all of it: a disk that is nearly full takes a part without a word, and refuses only the rest."""
    left = values.data.cast("B")
    while len(left):
        done = os.pwrite(handle.fileno(), left, place)
        left, place = left[done:], place + done


class _writers:
    """One file a block, filled in any order, in their places only when all rows are there."""

    def __init__(self, paths: Sequence[Path], blocks: Sequence[str], rows: int) -> None:
        self.paths, self.blocks, self.rows = paths, blocks, rows
        self.contexts = [atomic(path) for path in paths]
        self.handles: dict[str, BinaryIO] = {}

    def __enter__(self) -> Callable[[np.ndarray[Any, Any], dict[str, Array]], None]:
        for block, context in zip(self.blocks, self.contexts, strict=True):
            self.handles[block] = context.__enter__().open("wb", buffering=0)
        return self._write

    def _write(self, rows: np.ndarray[Any, Any], features: dict[str, Array]) -> None:
        sequential = len(rows) > 0 and bool((np.diff(rows) == 1).all())
        for block, values in features.items():
            handle = self.handles[block]
            values = np.ascontiguousarray(values, dtype=np.float32)
            step = values.shape[1] * 4
            if handle.tell() == 0:
                head = json.dumps({"block": block, "rows": self.rows, "width": values.shape[1]}).encode()
                handle.write(head.ljust(HEADER))
            if sequential:
                _write_at(handle, values, HEADER + int(rows[0]) * step)
                continue
            for row, value in zip(rows, values, strict=True):
                _write_at(handle, value, HEADER + int(row) * step)

    def __exit__(self, *error: Any) -> None:
        for handle in self.handles.values():
            handle.close()
        for context in self.contexts:
            context.__exit__(*error)
