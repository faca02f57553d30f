"""Pixels: any image as people see it, 8 bits, grey or RGB."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import numpy as np

from sterna.errors import RequestError, require

if TYPE_CHECKING:
    from PIL.Image import Image


def to_image(image: Image) -> Image:
    """Any PIL image as people see it: turned upright, alpha on white, 8 bits, mode ``L`` or ``RGB``.

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
    if image.mode.startswith("I") or image.mode == "F":
        return pil.fromarray(_eight_bits(np.asarray(image)))
    grey = image.mode in ("1", "L", "LA", "La")
    if image.mode in ("LA", "La", "PA", "RGBA", "RGBa") or "transparency" in image.info:
        rgba = image.convert("RGBA")
        page = pil.new("RGBA", rgba.size, "white")
        image = pil.alpha_composite(page, rgba)
    return image.convert("L" if grey else "RGB")


def _is_turned(image: Image) -> bool:
    try:
        return bool(image.getexif().get(0x0112, 1) != 1)
    except Exception:  # broken metadata of a good picture
        return False


def _eight_bits(pixels: np.ndarray) -> np.ndarray:
    low, high = float(pixels.min()), float(pixels.max())
    whole = pixels.dtype.kind in "iu"
    if low < 0 or high > 65535 or not np.isfinite(high):
        raise RequestError(
            f"it has values from {low:g} to {high:g}; 16-bit (0 to 65535), 8-bit or 0 to 1 was expected; convert it"
        )
    # Whole numbers are 16-bit whatever their range: one factor for all images keeps dark ones dark.
    scale = 255 / 65535 if whole or high > 255 else (1.0 if high > 1 else 255.0)
    return np.rint(pixels * scale).astype(np.uint8)


def decode(data: bytes) -> Image:
    """The image that these bytes of a file hold, through `to_image`."""
    require("PIL", "image")
    from PIL import Image as pil

    with pil.open(io.BytesIO(data)) as image:
        image.load()
        return to_image(image)


def as_image(value: Any) -> Image:
    """A PIL image of a PIL image, an array ``(h, w[, c])`` or a tensor ``(c, h, w)``; uint8 or 0 to 1."""
    require("PIL", "image")
    from PIL import Image as pil

    if isinstance(value, pil.Image):
        return to_image(value)
    tensor = hasattr(value, "detach")
    array = np.asarray(value.detach().cpu() if tensor else value)
    if array.ndim == 3 and tensor and array.shape[0] in (1, 3, 4):  # torchvision's order
        array = array.transpose(1, 2, 0)
    if array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] not in (1, 3, 4)):
        raise RequestError(f"An image has the shape {array.shape}; (height, width[, 1, 3 or 4]) was expected.")
    if array.dtype.kind == "f":
        if array.min() < 0 or array.max() > 1:
            raise RequestError(
                f"An image has values from {array.min():g} to {array.max():g}; uint8 or 0 to 1 was expected: give the "
                "images without normalisation, the body brings its own."
            )
        array = np.rint(array * 255).astype(np.uint8)
    if array.dtype != np.uint8:
        raise RequestError(f"An image is {array.dtype}; uint8, or numbers from 0 to 1, were expected.")
    return to_image(pil.fromarray(array[..., 0] if array.ndim == 3 and array.shape[2] == 1 else array))


def reason(error: Exception) -> str:
    """Why an image could not be read, short, without Pillow's object addresses."""
    text = str(error).split(" <_io.")[0].strip() or type(error).__name__
    return "no image format is recognised" if type(error).__name__ == "UnidentifiedImageError" else text.rstrip(".")
