"""Images as inputs: files in a folder or zip, an array, any sequence; decoded when a row is asked for."""

from __future__ import annotations

import hashlib
import os
import zipfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, TypeVar

import numpy as np

from sterna.domains.inputs import Inputs, Rows
from sterna.domains.pixels import as_image, decode, reason, to_image
from sterna.errors import RequestError, require

if TYPE_CHECKING:
    from PIL.Image import Image

LARGEST_FILE = 2**30
"""Bytes one image file may have; a larger one is a mistake or an attack."""

THREADS = min(8, (os.cpu_count() or 1) + 2)
AT_ONCE = 1024
"""Files that wait for a thread: of a hundred thousand, the waiting alone would take hundreds of megabytes."""

T = TypeVar("T")


def in_threads(function: Callable[[int], T], count: int) -> Iterator[T]:
    """``function(row)`` of the rows from 0 to `count` in order, some at a time in threads."""
    with ThreadPoolExecutor(THREADS) as pool:
        for start in range(0, count, AT_ONCE):
            yield from pool.map(function, range(start, min(start + AT_ONCE, count)))


class ImageFiles(Inputs):
    """Image files below a folder or inside a zip, which is read in place and never unpacked to disk.

    Parameters
    ----------
    root
        A folder, or a ``.zip`` file.
    files
        Their paths inside `root`, with ``/``.
    """

    kind = "images"

    def __init__(self, root: Path | str, files: Sequence[str]) -> None:
        self.root = Path(root)
        self._files = tuple(files)
        self._zipped = self.root.is_file()
        self._archive: tuple[int, zipfile.ZipFile] | None = None
        self._keys: list[str] | None = None

    def __len__(self) -> int:
        return len(self._files)

    def __getitem__(self, row: int) -> Image:
        name = self._files[row]
        try:
            return decode(self.read(row))
        except Exception as error:  # Pillow raises nearly anything on broken files
            raise RequestError(
                f"{name} in {self.root} cannot be read as an image ({reason(error)}); replace or remove it."
            ) from error

    def stream(self, row: int) -> IO[bytes]:
        """One file, open for reading: of a large data set, a header is all that is wanted."""
        name = self._files[row]
        size = self._open().getinfo(name).file_size if self._zipped else (self.root / name).stat().st_size
        if size > LARGEST_FILE:
            raise RequestError(f"its {size:,} bytes are more than an image may have")
        return self._open().open(name) if self._zipped else (self.root / name).open("rb")

    def read(self, row: int) -> bytes:
        """The bytes of one file."""
        with self.stream(row) as stream:
            return stream.read()

    def sizes(self) -> list[int]:
        """Bytes of each file (unpacked)."""
        if self._zipped:
            return [self._open().getinfo(name).file_size for name in self._files]
        return [(self.root / name).stat().st_size for name in self._files]

    def take(self, rows: Rows) -> ImageFiles:
        taken = ImageFiles(self.root, [self._files[int(row)] for row in rows])
        if self._keys is not None:
            taken._keys = [self._keys[int(row)] for row in rows]
        return taken

    def keys(self) -> list[str]:
        if self._keys is None:
            if self._zipped:
                infos = [self._open().getinfo(name) for name in self._files]
                self._keys = [f"{info.CRC:08x}-{info.file_size}" for info in infos]
            else:
                self._keys = list(in_threads(lambda row: digest(self.read(row)), len(self)))
        return self._keys

    def fingerprint(self) -> str:
        # Folders: name, size and time of change stand for the content, as in make and rsync; reading it all is dear.
        if self._zipped:
            parts = self.keys()
        else:
            stats = ((name, (self.root / name).stat()) for name in self._files)
            parts = [f"{name}\0{stat.st_size}\0{stat.st_mtime_ns}" for name, stat in stats]
        return digest("\n".join(parts).encode("utf-8", "surrogateescape"))

    def names(self) -> list[str]:
        return list(self._files)

    def _open(self) -> zipfile.ZipFile:
        # A forked worker shares its parent's file position, so each process opens the archive for itself.
        if self._archive is None or self._archive[0] != os.getpid():
            self._archive = (os.getpid(), zipfile.ZipFile(self.root))
        return self._archive[1]

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_archive": None, "_keys": None}


class ImageArray(Inputs):
    """Images of one size in memory.

    Parameters
    ----------
    images
        uint8, ``(n, height, width)`` or ``(n, height, width, channels)`` with 1, 3 or 4 (alpha) channels.

    Raises
    ------
    RequestError
        If the array has another type or shape.
    """

    kind = "images"

    def __init__(self, images: np.ndarray) -> None:
        if images.ndim == 4 and images.shape[3] not in (1, 3, 4):
            hint = "; put the channels last: images.transpose(0, 2, 3, 1)" if images.shape[1] in (1, 3, 4) else ""
            raise RequestError(
                f"Images have the shape {images.shape}; (n, height, width, 1, 3 or 4) was expected{hint}."
            )
        if images.ndim not in (3, 4) or 0 in images.shape[1:]:
            raise RequestError(f"Images have the shape {images.shape}; (n, height, width[, channels]) was expected.")
        if images.dtype != np.uint8:
            hint = "multiply by 255 and convert" if images.dtype.kind == "f" else "bring them to 0..255 and convert"
            raise RequestError(f"Images are {images.dtype}; uint8 was expected: {hint} with .astype('uint8').")
        self.images = images[..., 0] if images.ndim == 4 and images.shape[3] == 1 else images

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, row: int) -> Image:
        require("PIL", "image")
        from PIL import Image as pil

        return to_image(pil.fromarray(self.images[row]))

    def take(self, rows: Rows) -> ImageArray:
        return ImageArray(self.images[np.asarray(rows, dtype=np.int64)])

    def keys(self) -> list[str]:
        shape = str(self.images.shape[1:]).encode()
        return [digest(shape + np.ascontiguousarray(image).tobytes()) for image in self.images]

    def fingerprint(self) -> str:
        return digest(str(self.images.shape).encode() + np.ascontiguousarray(self.images).tobytes())


class ImageSequence(Inputs):
    """Images that something else holds or decodes: a list of PIL images, a column of a data set.

    Parameters
    ----------
    images
        Gives, by row, a PIL image, or an array or tensor as `as_image` takes it.
    rows
        The rows of `images` that belong to it; all when not given.
    """

    kind = "images"

    def __init__(self, images: Any, rows: Rows | None = None) -> None:
        self._images = images
        self._rows = np.arange(len(images), dtype=np.int64) if rows is None else np.asarray(rows, dtype=np.int64)
        self._keys: list[str] | None = None

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, row: int) -> Image:
        return as_image(self._images[int(self._rows[row])])

    def take(self, rows: Rows) -> ImageSequence:
        wanted = self._rows[np.asarray(rows, dtype=np.int64)]
        if isinstance(self._images, list):
            return ImageSequence([self._images[int(row)] for row in wanted])
        return ImageSequence(self._images, wanted)

    def keys(self) -> list[str]:
        if self._keys is None:
            self._keys = [_pixel_key(self[row]) for row in range(len(self))]
        return self._keys

    def fingerprint(self) -> str:
        return digest("\n".join(self.keys()).encode())


class JoinedImages(Inputs):
    """Images of several places one after the other: a data set and its separate test set.

    Parameters
    ----------
    parts
        The places; of each, all rows.
    """

    kind = "images"

    def __init__(self, parts: Sequence[Inputs]) -> None:
        self._parts = list(parts)
        self._part = np.repeat(np.arange(len(parts)), [len(part) for part in parts])
        self._row = np.concatenate([np.arange(len(part), dtype=np.int64) for part in parts])

    def __len__(self) -> int:
        return len(self._part)

    def __getitem__(self, row: int) -> Any:
        return self._parts[self._part[row]][int(self._row[row])]

    def take(self, rows: Rows) -> JoinedImages:
        part, row = self._part[rows], self._row[rows]
        taken = JoinedImages([p.take(row[part == i]) for i, p in enumerate(self._parts)])
        # Each part now holds its rows in the order asked for; the k-th of a part stands where that part is met again.
        taken._part = part
        taken._row = np.empty(len(part), dtype=np.int64)
        for i in range(len(self._parts)):
            taken._row[part == i] = np.arange(int((part == i).sum()))
        return taken

    def keys(self) -> list[str]:
        by_part = [part.keys() for part in self._parts]
        return [by_part[part][row] for part, row in zip(self._part, self._row, strict=True)]

    def fingerprint(self) -> str:
        order = self._part.astype(np.int64).tobytes() + self._row.tobytes()
        return digest(order + "\n".join(part.fingerprint() for part in self._parts).encode())

    def names(self) -> list[str]:
        by_part = [part.names() for part in self._parts]
        return [by_part[part][row] for part, row in zip(self._part, self._row, strict=True)]


def digest(data: bytes) -> str:
    """A 128-bit content hash."""
    return hashlib.blake2b(data, digest_size=16).hexdigest()


def _pixel_key(image: Image) -> str:
    return digest(f"{image.mode}{image.size}".encode() + image.tobytes())
