"""The weights of two files, or of two runs, put together tensor by tensor: a file of any size takes little memory.

Only numpy is needed: importing torch takes more memory than the fusing itself.
"""

from __future__ import annotations

import math
import threading
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from sterna.errors import RequestError
from sterna.files import atomic, check_file
from sterna.networks.fusing import check_alike, check_share
from sterna.store.layout import BYTES, REAL, Layout, damaged, read_layout

Array = np.ndarray[Any, Any]
SLICE = 2**18
"""Numbers that are put together at once: 1 MB of float32, so that a slice stays in the processor's cache."""

THREADS = 2
"""Most of the time goes into the system's copying from and to files, which two threads do at once."""


@dataclass(frozen=True)
class Fused:
    """What came of it.

    Attributes
    ----------
    out
        The file or folder that was written.
    tensors
        How many tensors are in it.
    bytes
        Of its weights.
    notes
        What a user should know, one sentence each.
    """

    out: Path
    tensors: int
    bytes: int
    notes: tuple[str, ...]


def fuse_files(source: Path, target: Path, alpha: float, out: Path, *, overwrite: bool = False) -> Fused:
    r"""Write the weighted mean of two safetensors files, :math:`\alpha W_s + (1 - \alpha) W_t`, as a third.

    The result is what :func:`~sterna.networks.fusing.fuse_states` gives, in the number types and with the metadata of
    `target`. A few megabytes of the files are in memory at any time.

    Parameters
    ----------
    source, target
        Files with tensors of the same names and shapes.
    alpha
        Share of the source, from 0 to 1.
    out
        Where to; must end in ``.safetensors``. It is written whole or not at all.
    overwrite
        Replace a file that is there.

    Raises
    ------
    RequestError
        If a file is missing, damaged or may hold code, the tensors do not match, or `out` exists.
    RunError
        If the disk is full or cannot be written.
    """
    check_share(alpha)
    ours, theirs = read_layout(source), read_layout(target)
    check_layouts(ours, theirs)
    check_out(out, (source, target), overwrite)
    return write_fused(ours, theirs, alpha, out)


def check_out(out: Path, inputs: tuple[Path, Path], overwrite: bool) -> None:
    """Refuse to write a file over an input, a folder, or a file that the user has not given up."""
    check_file(out)
    for path in inputs:
        if out.resolve() == path.resolve() or (out.exists() and out.samefile(path)):
            raise RequestError(f"out={str(out)!r} is one of the files to fuse; name another.")
    if out.suffix != ".safetensors":
        raise RequestError(f"out={str(out)!r}; expected a name that ends in .safetensors, as what is fused does.")
    if out.exists() and not overwrite:
        raise RequestError(f"The file {str(out)!r} exists: replace it with overwrite=True, or name another out=.")


def check_layouts(source: Layout, target: Layout, part: str = "") -> None:
    """Refuse files whose tensors (those whose names begin with `part`) are not of one architecture."""
    seen = [
        {n: (p.shape, p.kind) for n, p in layout.places.items() if n.startswith(part)} for layout in (source, target)
    ]
    check_alike(seen[0], seen[1], REAL - {"C64"}, (repr(str(source.path)), repr(str(target.path))))


def write_fused(source: Layout, target: Layout, alpha: float, out: Path, part: str = "") -> Fused:
    """Write the mean of two files that were read and checked; what does not begin with `part` is the target's.

    The header is the target's, since every tensor keeps its place.
    """
    numbers = {name: math.prod(place.shape) for name, place in target.places.items()}
    pieces = [(name, start) for name, count in numbers.items() for start in range(0, count, SLICE)]
    stop = threading.Event()
    broken: set[str] = set()

    def work(some: list[tuple[str, int]]) -> None:
        """Fuse some of the pieces, and write each at its place."""
        with source.path.open("rb") as first, target.path.open("rb") as second, temporary.open("r+b") as file:
            a, b = _Reader(first, source), _Reader(second, target)
            for name, start in some:
                if stop.is_set():
                    return
                place = target.places[name]
                share = alpha if name.startswith(part) else 0
                values, raw = _fused(a, b, name, start, min(SLICE, numbers[name] - start), share)
                if place.kind in REAL and _has_nan(values):
                    broken.add(name)
                file.seek(len(target.header) + place.start + start * BYTES[place.kind])
                file.write(raw.data)

    with atomic(out, wait=False) as temporary:
        temporary.write_bytes(target.header)
        with ThreadPoolExecutor(THREADS) as pool:
            running = [pool.submit(work, pieces[i::THREADS]) for i in range(THREADS)]
            try:
                for done in as_completed(running):
                    done.result()
            except BaseException:
                stop.set()
                raise
    named = [name for name in target.places if name in broken]
    return Fused(out, len(target.places), out.stat().st_size - len(target.header), _nan_note(named))


class _Reader:
    """Reads slices of the tensors of a file into one buffer."""

    def __init__(self, file: BinaryIO, layout: Layout) -> None:
        self.file, self.layout = file, layout
        self.buffer = np.empty(8 * SLICE, dtype=np.uint8)

    def read(self, name: str, start: int, count: int) -> Array:
        """Numbers `start` to `start + count` of a tensor, as bytes that may be changed."""
        place = self.layout.places[name]
        width = BYTES[place.kind]
        part = self.buffer[: count * width]
        self.file.seek(len(self.layout.header) + place.start + start * width)
        if self.file.readinto(part.data) != len(part):  # type: ignore[attr-defined]
            raise damaged(self.layout.path, "it was cut short while it was read")
        return part


def _fused(a: _Reader, b: _Reader, name: str, start: int, count: int, alpha: float) -> tuple[Array, Array]:
    """One slice of the result: as numbers, and as the bytes to write."""
    kind = b.layout.places[name].kind
    theirs = a.layout.places[name].kind if alpha else kind  # what is the target's alone need not be in the source
    if kind not in REAL or alpha == 0 or (alpha == 1 and theirs == kind):
        raw = (a if alpha == 1 else b).read(name, start, count)
        return (widened(raw, kind) if kind in REAL else raw), raw
    x = widened(a.read(name, start, count), theirs)
    with np.errstate(all="ignore"):  # infinities may meet, and float16 may overflow, as in torch
        if alpha < 1:
            y = widened(b.read(name, start, count), kind)
            wide = np.result_type(x, y)
            x, y = x.astype(wide, copy=False), y.astype(wide, copy=False)
            x *= alpha
            y *= 1 - alpha
            x += y
        return x, narrowed(x, kind).view(np.uint8)


def widened(raw: Array, kind: str) -> Array:
    """Bytes as numbers, in float32 or wider; where no wider type is needed they are the same memory.

    Examples
    --------
    >>> widened(np.array([0x80, 0x3F], dtype=np.uint8), "BF16")
    array([1.], dtype=float32)
    """
    if kind == "BF16":
        return np.asarray((raw.view(np.uint16).astype(np.uint32) << 16).view(np.float32))
    if kind == "F16":
        return raw.view(np.float16).astype(np.float32)
    return raw.view({"F32": np.float32, "F64": np.float64, "C64": np.complex64}[kind])


def narrowed(values: Array, kind: str) -> Array:
    """Numbers in the type they are kept in, rounded to the nearest (to the even one of two)."""
    if kind != "BF16":
        of = {"F16": np.float16, "F32": np.float32, "F64": np.float64, "C64": np.complex64}
        return values.astype(of[kind], copy=False)
    values = values.astype(np.float32, copy=False)
    bits = values.view(np.uint32)
    rounded = (bits + 0x7FFF + ((bits >> 16) & 1)) >> 16
    rounded[np.isnan(values)] = 0x7FC0  # rounding up may have made an infinity of it
    return rounded.astype(np.uint16)


def _has_nan(values: Array) -> bool:
    """Whether NaN is among them; a product of the values with themselves says so fastest."""
    with np.errstate(all="ignore"):
        return bool(np.isnan(np.dot(values, values))) and bool(np.isnan(values).any())


def _nan_note(broken: list[str]) -> tuple[str, ...]:
    if not broken:
        return ()
    return (f"NaN is among the weights of {len(broken)} of the tensors (first: {broken[0]}); it was passed on.",)
