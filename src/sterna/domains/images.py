"""Images as inputs: files in a folder or zip, an array, any sequence; decoded when a row is asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from sterna.domains.file_inputs import FileInputs
from sterna.domains.inputs import Inputs, Rows, digest
from sterna.domains.pixels import as_image, decode, reason, to_image
from sterna.errors import RequestError, require

if TYPE_CHECKING:
    from PIL.Image import Image

ENDINGS = (".jpg", ".jpeg", ".jpe", ".png", ".webp", ".bmp", ".tif", ".tiff")


class ImageFiles(FileInputs):
    """Image files below a folder or inside a zip, which is read in place and never unpacked to disk.

    Parameters
    ----------
    root
        A folder, or a ``.zip`` file.
    files
        Their paths inside `root`, with ``/``.
    """

    kind = "images"
    one = "an image"

    def __getitem__(self, row: int) -> Image:
        try:
            return decode(self.read(row))
        except Exception as error:  # Pillow raises nearly anything on broken files
            raise RequestError(
                f"{self._files[row]} in {self.root} cannot be read as an image ({reason(error)}); replace or remove it."
            ) from error


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

    def row_keys(self) -> list[str]:
        return self.keys()

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

    def row_keys(self) -> list[str]:
        return self.keys()

    def fingerprint(self) -> str:
        return digest("\n".join(self.keys()).encode())


def _pixel_key(image: Image) -> str:
    return digest(f"{image.mode}{image.size}".encode() + image.tobytes())
