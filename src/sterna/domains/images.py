"""Images as inputs: files in a folder or zip, an array, any sequence; decoded when a row is asked for."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from sterna.domains.alike import SIDE
from sterna.domains.decoding import decode, numbers_in, opened
from sterna.domains.file_inputs import FileInputs, in_threads
from sterna.domains.inputs import Rows, digest
from sterna.domains.levels import Extent, Levels, checked, levels_of, told
from sterna.domains.pixel_inputs import PixelInputs, outline_of
from sterna.domains.pixels import (
    FORMATS,
    as_image,
    from_numbers,
    has_deep_colours,
    is_deep,
    numbers_of,
    reason,
    to_image,
)
from sterna.errors import RequestError, require

if TYPE_CHECKING:
    from PIL.Image import Image

ENDINGS = (".jpg", ".jpeg", ".jpe", ".png", ".webp", ".bmp", ".tif", ".tiff", *FORMATS)


class ImageFiles(PixelInputs, FileInputs):
    """Image files below a folder or inside a zip.

    Parameters
    ----------
    root, files
        As of all `FileInputs`.
    levels
        What is black and white in images deeper than 8 bits; those of 16 bits, or of each image, where not given.
    """

    kind = "images"
    one = "an image"

    def __init__(self, root: Path | str, files: Sequence[str], levels: Levels | None = None) -> None:
        super().__init__(root, files)
        self.levels = levels
        self._deep: dict[int, Extent] = {}
        self._paged: set[int] = set()

    def outlines(self) -> list[str]:
        return list(in_threads(lambda row: outline_of(self.stream(row)), len(self)))

    def __getitem__(self, row: int) -> Image:
        return self.small(row, None)

    def small(self, row: int, least: int | None = 4 * SIDE) -> Image:
        try:
            return decode(self.read(row), self.levels, least)
        except Exception as error:  # Pillow raises nearly anything on broken files
            raise self.lost(row, reason(error)) from error

    def problem(self, row: int) -> str | None:
        """Why a file cannot be read; all of it is decoded and converted.

        Which files are deeper than 8 bits, and how far their values go, is remembered for `settled`.
        """
        try:
            with self.stream(row) as stream, opened(stream) as image:
                if image.format != "MPO" and getattr(image, "n_frames", 1) > 1:  # telephones keep one picture so
                    self._paged.add(row)
                if is_deep(image) or has_deep_colours(image):
                    self._deep[row] = Extent.of(numbers_in(image, self.read(row)))
                else:
                    # JPEG only: all data is read and broken data found, at an eighth of the pixels.
                    image.draft(image.mode, (1, 1))
                    image.load()
                    to_image(image)
            return None
        except Exception as error:  # Pillow raises nearly anything on broken files
            return reason(error)

    def extents(self, learnt: Rows | None = None) -> list[Extent]:
        """How far the values of deep images go, of those that were looked at.

        Parameters
        ----------
        learnt
            Only those among these rows.
        """
        rows = sorted(self._deep if learnt is None else set(self._deep) & set(learnt.tolist()))
        return [self._deep[row] for row in rows]

    def odd_ones(self) -> dict[int, str]:
        """Deep images that go below zero, where most do not: they are of another scale, or broken."""
        others = [extent for extent in self._deep.values() if extent.low >= 0]
        if len(others) <= len(self._deep) / 2:
            return {}
        grey = levels_of(others)[1] / 255  # less than one level below zero is rounding, and is cut off
        return {
            row: f"it has values from {extent.low:,.6g} to {extent.high:,.6g}, and the others none below zero"
            for row, extent in self._deep.items()
            if extent.low < -grey
        }

    def take(self, rows: Rows) -> ImageFiles:
        taken = super().take(rows)
        taken._deep = {i: self._deep[int(row)] for i, row in enumerate(rows) if int(row) in self._deep}
        taken._paged = {i for i, row in enumerate(rows) if int(row) in self._paged}
        return taken

    def at(self, levels: Levels | None) -> ImageFiles:
        """The same, read with these levels."""
        changed = copy.copy(self)
        changed.levels = levels
        return changed

    def settled(self, given: Levels | None, learnt: Rows | None) -> tuple[ImageFiles, list[str]]:
        (settled,), notes = settled_levels([self], given, learnt)
        return settled, notes

    def row_keys(self) -> list[str]:
        return [with_levels(key, self.levels) for key in self.keys()]

    def fingerprint(self) -> str:
        return with_levels(super().fingerprint(), self.levels)


MEASURED = 512
"""Images of a sequence whose values are looked at: something else holds or decodes them."""


def settled_levels(
    parts: Sequence[ImageFiles], given: Sequence[float] | None, learnt: Rows | None = None
) -> tuple[list[ImageFiles], list[str]]:
    """Image files with one pair of levels for all that are deeper than 8 bits, and notes.

    Parameters
    ----------
    given
        The levels, where they are known.
    learnt
        Rows (of a single part) that may decide; all otherwise.
    """
    given = None if given is None else checked(given)
    extents = [extent for part in parts for extent in part.extents()]
    images, paged = sum(map(len, parts)), sum(len(part._paged) for part in parts)
    notes = (
        [f"{paged:,} of {images:,} images have several pages or frames, of which the first is read"] if paged else []
    )
    if not extents:
        return [part if given is None else part.at(given) for part in parts], notes
    deciding = parts[0].extents(learnt) if learnt is not None else extents
    levels = given or levels_of(deciding or extents)
    return [part.at(levels) for part in parts], notes + told(extents, levels, images)


def with_levels(key: str, levels: Levels | None) -> str:
    """A hash of what is read, of a hash of what is there: other levels make other pixels."""
    return key if levels is None else digest(f"{key} {levels[0]!r} {levels[1]!r}".encode())


class ImageArray(PixelInputs):
    """Images of one size in memory.

    Parameters
    ----------
    images
        ``(n, height, width)`` or ``(n, height, width, channels)`` with 1, 3 or 4 (alpha) channels; uint8, or numbers
        of any range.
    levels
        What is black and white in numbers that are not uint8; as `levels_of` finds it where not given.

    Raises
    ------
    RequestError
        If the array has another type or shape, or holds values that are no numbers.
    """

    kind = "images"

    def __init__(self, images: np.ndarray, levels: Levels | None = None) -> None:
        if images.ndim == 4 and images.shape[3] not in (1, 3, 4):
            hint = "; put the channels last: images.transpose(0, 2, 3, 1)" if images.shape[1] in (1, 3, 4) else ""
            raise RequestError(
                f"Images have the shape {images.shape}; (n, height, width, 1, 3 or 4) was expected{hint}."
            )
        if images.ndim not in (3, 4) or 0 in images.shape[1:]:
            raise RequestError(f"Images have the shape {images.shape}; (n, height, width[, channels]) was expected.")
        if images.dtype.kind not in "biuf":
            raise RequestError(f"Images are {images.dtype}; numbers, such as uint8 or float32, were expected.")
        self.images = images[..., 0] if images.ndim == 4 and images.shape[3] == 1 else images
        self.levels = None if images.dtype == np.uint8 or not len(images) else levels or levels_of(self.extents())

    def extents(self) -> list[Extent]:
        """How far the values of each image go; of uint8 nothing."""
        if self.images.dtype == np.uint8:
            return []
        try:
            return [Extent.of(image) for image in self.images]
        except RequestError as error:
            raise RequestError(f"One of the images cannot be read: {error}.") from error

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, row: int) -> Image:
        require("PIL", "image")
        return from_numbers(self.images[row], self.levels or (0.0, 255.0))

    def take(self, rows: Rows) -> ImageArray:
        return ImageArray(self.images[np.asarray(rows, dtype=np.int64)], self.levels)

    def keys(self) -> list[str]:
        shape = str(self.images.shape[1:]).encode()
        return [digest(shape + np.ascontiguousarray(image).tobytes()) for image in self.images]

    def row_keys(self) -> list[str]:
        return [with_levels(key, self.levels) for key in self.keys()]

    def fingerprint(self) -> str:
        whole = digest(str(self.images.shape).encode() + np.ascontiguousarray(self.images).tobytes())
        return with_levels(whole, self.levels)


class ImageSequence(PixelInputs):
    """Images that something else holds or decodes: a list of PIL images, a column of a data set.

    Parameters
    ----------
    images
        Gives, by row, a PIL image, or an array or tensor as `as_image` takes it.
    rows
        The rows of `images` that belong to it; all when not given.
    levels
        What is black and white in images deeper than 8 bits; those of 16 bits, or 0 to 1, where not given.
    """

    kind = "images"

    def __init__(self, images: Any, rows: Rows | None = None, levels: Levels | None = None) -> None:
        self._images = images
        self._rows = np.arange(len(images), dtype=np.int64) if rows is None else np.asarray(rows, dtype=np.int64)
        self._keys: list[str] | None = None
        self.levels = levels

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, row: int) -> Image:
        return as_image(self._images[int(self._rows[row])], self.levels)

    def extents(self) -> list[Extent]:
        """How far the values of deep images go, among up to 512; among four where images are decoded and none is."""
        found = [] if isinstance(self._images, list) else self._extents(4)
        return self._extents(MEASURED) if found or isinstance(self._images, list) else []

    def _extents(self, most: int) -> list[Extent]:
        rows = self._rows[np.unique(np.linspace(0, len(self) - 1, min(most, len(self))).astype(int))]
        found = (numbers_of(self._images[int(row)]) for row in rows)
        return [Extent.of(numbers) for numbers in found if numbers is not None]

    def take(self, rows: Rows) -> ImageSequence:
        wanted = self._rows[np.asarray(rows, dtype=np.int64)]
        if isinstance(self._images, list):
            return ImageSequence([self._images[int(row)] for row in wanted], None, self.levels)
        return ImageSequence(self._images, wanted, self.levels)

    def keys(self) -> list[str]:
        if self._keys is None:
            self._keys = [_pixel_key(self[row]) for row in range(len(self))]
        return self._keys

    def row_keys(self) -> list[str]:
        return self.keys()

    def fingerprint(self) -> str:
        return digest("\n".join(self.keys()).encode())


def levelled(images: ImageSequence, given: Levels | None = None) -> tuple[ImageSequence, list[str]]:
    """A sequence with one pair of levels for its deep images, and notes."""
    extents = images.extents()
    if not extents:
        images.levels = given
        return images, []
    images.levels = given or levels_of(extents)
    return images, told(extents, images.levels, len(images))


def _pixel_key(image: Image) -> str:
    return digest(f"{image.mode}{image.size}".encode() + image.tobytes())
