"""Pixels: any image as people see it, 8 bits, grey or RGB."""

from __future__ import annotations

import io
import sys
from functools import cache
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import numpy as np

from sterna.domains.levels import Levels, eight_bits, usual_levels
from sterna.errors import RequestError, require

if TYPE_CHECKING:
    from PIL.Image import Image

_AT_ONCE = 2**20
"""Pixels with an alpha that are laid on white at a time."""


FORMATS = {".dcm": ("pydicom", "dicom"), ".dicom": ("pydicom", "dicom"), ".heic": ("pillow_heif", "heic"),
           ".heif": ("pillow_heif", "heic")}  # fmt: skip
"""Endings of images that take a package beside Pillow, and the extra that brings it."""


@cache
def pillow() -> Any:
    """``PIL.Image``, which opens DICOM and HEIC as well where their packages are installed."""
    found = require("PIL.Image", "image")
    if find_spec("pydicom") is not None:
        from sterna.domains import dicom

        dicom.register()
    if find_spec("pillow_heif") is not None:
        require("pillow_heif", "heic").register_heif_opener()
    return found


def to_image(image: Image, levels: Levels | None = None) -> Image:
    """Any PIL image as people see it: turned upright, alpha on white, 8 bits, mode ``L`` or ``RGB``.

    Parameters
    ----------
    levels
        What is black and white where it is deeper than 8 bits; see `usual_levels` where not given.

    Raises
    ------
    RequestError
        If numbers of a 32-bit image have no known range.
    """
    require("PIL", "image")
    from PIL import Image as pil
    from PIL import ImageOps

    if _is_turned(image):
        image = ImageOps.exif_transpose(image)
    if image.mode in ("L", "RGB") and "transparency" not in image.info:
        return image
    if is_deep(image):
        pixels = np.asarray(image)
        return pil.fromarray(eight_bits(pixels, usual_levels(pixels) if levels is None else levels))
    grey = image.mode in ("1", "L", "LA", "La")
    if image.mode in ("LA", "La", "PA", "RGBA", "RGBa") or "transparency" in image.info:
        return _on_white(image, "L" if grey else "RGB")
    return image.convert("L" if grey else "RGB")


def _on_white(image: Image, mode: str) -> Image:
    """Some rows of pixels at a time: the whole four times over would take gigabytes of a large image."""
    from PIL import Image as pil

    whole, (width, height) = pil.new(mode, image.size), image.size
    rows = max(1, _AT_ONCE // width)
    for top in range(0, height, rows):
        strip = image.crop((0, top, width, min(top + rows, height))).convert("RGBA")
        page = pil.new("RGBA", strip.size, "white")
        whole.paste(pil.alpha_composite(page, strip).convert(mode), (0, top))
    return whole


def is_deep(image: Image) -> bool:
    """Whether a PIL image holds numbers of more than 8 bits."""
    return image.mode.startswith("I") or image.mode == "F"


def _is_turned(image: Image) -> bool:
    try:
        return bool(image.getexif().get(0x0112, 1) != 1)
    except Exception:  # broken metadata of a good picture
        return False


def from_numbers(pixels: np.ndarray, levels: Levels) -> Image:
    """Numbers ``(h, w)`` or ``(h, w, 1, 3 or 4)`` as an image; of uint8 as they are."""
    from PIL import Image as pil

    flat = pixels[..., 0] if pixels.ndim == 3 and pixels.shape[2] == 1 else pixels
    return to_image(pil.fromarray(flat if flat.dtype == np.uint8 else eight_bits(flat, levels)))


def deep_colours(image: Image, data: bytes) -> np.ndarray | None:
    """The numbers ``(h, w, c)`` of an opened image with 16 bits a colour, of which Pillow keeps 8; else ``None``.

    Pillow's decoders give either byte of each number, by the order that they take the two to be in.

    Raises
    ------
    RequestError
        If its colours are stored plane by plane, which Pillow does not read.
    """
    if not has_deep_colours(image):
        return None
    if getattr(image, "tag_v2", {}).get(_PLANAR) == 2:
        raise RequestError("its 16-bit colours are stored plane by plane, which is not read; save them pixel by pixel")
    stored = _stored(image)
    if stored.startswith("LA"):
        return np.asarray(np.ascontiguousarray(_decoded(data, "RGBA")).view(">u2").astype(np.uint16))
    mode, order = stored[:-1].replace("RGBa", "RGBA"), stored[-1]
    low = {"L": "B", "B": "L", "N": "B" if sys.byteorder == "little" else "L"}[order]
    found = _decoded(data, mode + order).astype(np.uint16) << 8 | _decoded(data, mode + low)
    if stored.startswith("RGBa"):  # multiplied by alpha
        whole = np.minimum(found[..., :3] * (65535 / np.maximum(found[..., 3:], 1)), 65535)
        found[..., :3] = np.rint(whole)
    if stored.startswith("CMYK"):  # as Pillow has it
        light = 65535.0 - found
        found = np.rint(light[..., :3] * light[..., 3:] / 65535).astype(np.uint16)
    return np.asarray(found)


def has_deep_colours(image: Image) -> bool:
    """Whether it is an opened PNG or TIFF with 16 bits a channel, in colour or with transparency."""
    planes = getattr(image, "tag_v2", {})
    deep = ";16" in _stored(image) or (planes.get(_PLANAR) == 2 and max(planes.get(_BITS, (8,))) == 16)
    return deep and image.format in ("PNG", "TIFF") and not is_deep(image)


_BITS, _PLANAR = 258, 284
"""Tags of a TIFF: the bits of each channel, and how these lie."""


def _stored(image: Image) -> str:
    """How Pillow would decode the pixels of an opened image: ``"RGB;16B"``."""
    tiles = getattr(image, "tile", None)
    mode = tiles[0][3] if tiles else ""
    mode = mode[0] if isinstance(mode, tuple) and mode else mode
    return mode if isinstance(mode, str) else ""


def _decoded(data: bytes, mode: str) -> np.ndarray:
    """The pixels of an image, upright, with its bytes taken in this way."""
    from PIL import ImageOps

    with pillow().open(io.BytesIO(data)) as image:
        image.tile = [tile._replace(args=(mode, *tile.args[1:]) if isinstance(tile.args, tuple) else mode)
                      for tile in image.tile]  # fmt: skip
        image.load()
        return np.asarray(ImageOps.exif_transpose(image) if _is_turned(image) else image)


def numbers_of(value: Any) -> np.ndarray | None:
    """The numbers of an image in memory that is deeper than 8 bits: ``(h, w[, c])``; ``None`` for others."""
    if hasattr(value, "getbands"):
        return np.asarray(value) if is_deep(value) else None
    array = _channels_last(value)
    return None if array.dtype == np.uint8 else array


def _channels_last(value: Any) -> np.ndarray:
    tensor = hasattr(value, "detach")
    array = np.asarray(value.detach().cpu() if tensor else value)
    if array.ndim == 3 and tensor and array.shape[0] in (1, 3, 4):  # torchvision's order
        array = array.transpose(1, 2, 0)
    if array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] not in (1, 3, 4)):
        raise RequestError(f"An image has the shape {array.shape}; (height, width[, 1, 3 or 4]) was expected.")
    if array.dtype.kind not in "biuf":
        raise RequestError(f"An image is {array.dtype}; numbers, such as uint8 or float32, were expected.")
    return array


def as_image(value: Any, levels: Levels | None = None) -> Image:
    """A PIL image of a PIL image, an array ``(h, w[, c])`` or a tensor ``(c, h, w)``.

    Parameters
    ----------
    levels
        What is black and white in numbers that are not uint8; without them floats go from 0 to 1, and others are none.
    """
    require("PIL", "image")
    if hasattr(value, "getbands"):
        return to_image(value, levels)
    array = _channels_last(value)
    if array.dtype != np.uint8 and levels is None:
        if array.dtype.kind != "f":
            raise RequestError(f"An image is {array.dtype}; uint8, or numbers from 0 to 1, were expected.")
        if array.min() < 0 or array.max() > 1:
            raise RequestError(
                f"An image has values from {array.min():g} to {array.max():g}; uint8 or 0 to 1 was expected: give the "
                "images without normalisation, the body brings its own."
            )
    return from_numbers(array, levels or (0.0, 1.0))


def reason(error: Exception) -> str:
    """Why an image could not be read, short, without Pillow's object addresses."""
    said = str(getattr(error, "strerror", None) or error)
    text = " ".join(said.split(" <_io.")[0].split())[:300] or type(error).__name__
    return "no image format is recognised" if type(error).__name__ == "UnidentifiedImageError" else text.rstrip(".")
