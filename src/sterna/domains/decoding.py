"""Image files opened: how many pixels are decoded at once, in all threads together, and which formats are not read."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from sterna.domains.levels import Levels
from sterna.domains.pixels import deep_colours, from_numbers, has_deep_colours, pillow, to_image
from sterna.errors import RequestError
from sterna.untrusted import DECODED, LARGEST_RATIO

if TYPE_CHECKING:
    from PIL.Image import Image

A_PIXEL, A_DEEP_PIXEL = 10, 32
"""Bytes that decoding and converting takes, at most, for each pixel of an image: usual ones, and colours of 16 bits."""

LARGE = 50_000_000
"""Pixels of an image that are believed whatever the size of its file."""

BLOCK = 2**26
"""Bytes that Pillow asks for at a time. Of its usual 16 MB the C library keeps all that a thread ever held; of more it
gives back what is not used."""

_POSTSCRIPT = (b"%!PS", b"\xc5\xd0\xd3\xc6")
"""How programs begin for which Pillow starts an interpreter."""


@contextmanager
def opened(stream: IO[bytes]) -> Iterator[Image]:
    """An image file of which the header is read; memory for its pixels is held while the block runs.

    Raises
    ------
    RequestError
        If it has too many pixels, or is a program; whatever else Pillow raises on broken files.
    """
    pil = pillow()
    core: Any = vars(pil)["core"]  # which its types leave out
    if core.get_block_size() < BLOCK:
        core.set_block_size(BLOCK)
    if stream.read(4) in _POSTSCRIPT:
        raise RequestError("it is a PostScript program, which is not run; save it as PNG")
    stream.seek(0)
    with pil.open(stream) as image:
        width, height = image.size
        a_pixel = A_DEEP_PIXEL if has_deep_colours(image) else A_PIXEL
        if width * height > DECODED.most // a_pixel:
            raise RequestError(
                f"its {width:,} x {height:,} pixels are more than the {DECODED.most // a_pixel:,} that are read; make "
                "it smaller"
            )
        if width * height > LARGE and width * height > LARGEST_RATIO * _size(stream):
            raise RequestError(
                f"its {_size(stream):,} bytes stand for {width:,} x {height:,} pixels, as only a bomb does; make it "
                "smaller"
            )
        with DECODED.taken(width * height * a_pixel):
            yield image


def decode(data: bytes, levels: Levels | None = None, least: int | None = None) -> Image:
    """The image that these bytes of a file hold, through `to_image`; of a JPEG so many pixels a side, where enough."""
    with opened(io.BytesIO(data)) as image:
        colours = deep_colours(image, data)
        if colours is not None:
            return from_numbers(colours, levels or (0.0, 65535.0))
        if least is not None:
            image.draft(image.mode, (least, least))
        image.load()
        return to_image(image, levels)


def numbers_in(image: Image, data: bytes) -> np.ndarray:
    """The numbers ``(h, w[, c])`` of an opened image that is deeper than 8 bits."""
    colours = deep_colours(image, data)
    return np.asarray(image) if colours is None else colours


def _size(stream: IO[bytes]) -> int:
    place = stream.tell()
    size = stream.seek(0, 2)
    stream.seek(place)
    return size
