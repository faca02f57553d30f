"""What is the same of an image in whatever file it lies."""

from __future__ import annotations

from collections.abc import Sequence
from typing import IO, TYPE_CHECKING, Any, ClassVar

import numpy as np

from sterna.domains.alike import sketch
from sterna.domains.file_inputs import in_threads
from sterna.domains.inputs import Inputs, Kind, digest
from sterna.domains.levels import Levels
from sterna.domains.pixels import pillow

if TYPE_CHECKING:
    from PIL.Image import Image


class PixelInputs(Inputs):
    """What all inputs that hold images share.

    Attributes
    ----------
    levels
        What is black and white in images deeper than 8 bits, where that was decided.
    """

    kind: ClassVar[Kind] = "images"
    levels: Levels | None

    def reading(self) -> dict[str, Any]:
        return {} if self.levels is None else {"levels": list(self.levels)}

    def outlines(self) -> list[str]:
        return [outline(self[row].size) for row in range(len(self))]

    def sketches(self) -> list[np.ndarray]:
        return list(in_threads(lambda row: sketch(self.small(row)), len(self)))

    def small(self, row: int) -> Image:
        """An image from which a sketch can be made; where that is cheaper, not all of its pixels."""
        image: Image = self[row]
        return image

    def contents(self) -> list[str]:
        return list(in_threads(lambda row: pixel_content(self[row]), len(self)))


def pixel_content(image: Image) -> str:
    """A hash of an image's pixels, the same for grey ones in one channel and in three."""
    return digest(str(image.size).encode() + image.convert("RGB").tobytes())


def outline(size: Sequence[int]) -> str:
    """The sides of an image, the shorter first: it may be stored turned."""
    return str(sorted(size))


def outline_of(stream: IO[bytes]) -> str:
    """The outline of an image file, from its header; nothing of one that cannot be read."""
    with stream:
        try:
            return outline(pillow().open(stream).size)
        except Exception:  # Pillow raises nearly anything on broken files
            return ""
