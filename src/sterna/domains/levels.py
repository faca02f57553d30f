"""Levels: which values of images deeper than 8 bits are black and white, one pair for a whole set."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from sterna.errors import RequestError

Array = np.ndarray[Any, Any]
Levels = tuple[float, float]
"""The values that become 0 and 255."""

FEW_LEVELS = 32
"""Of the 256 grey levels: a set whose images keep fewer of them is told of it."""

_LOOKED_AT = 20_000
_AT_ONCE = 2**20


class Extent(NamedTuple):
    """The values of one deep image.

    Attributes
    ----------
    low, high
        The least and the greatest.
    spread
        How far apart the values are, without the outermost half per cent on either side.
    whole
        Whether all are whole numbers.
    """

    low: float
    high: float
    spread: float
    whole: bool

    @classmethod
    def of(cls, pixels: Array) -> Extent:
        """Measure an image of any shape.

        Raises
        ------
        RequestError
            If a value is no number, or infinite.
        """
        low, high = float(pixels.min()), float(pixels.max())
        if not np.isfinite([low, high]).all():
            raise RequestError("it has values that are no finite numbers; convert it")
        some = pixels.ravel()[:: max(1, pixels.size // _LOOKED_AT)]
        below, above = np.quantile(some.astype(np.float64), [0.005, 0.995])
        whole = pixels.dtype.kind in "biu" or bool((some == np.floor(some)).all())
        return cls(low, high, float(above - below), whole)


def levels_of(extents: Sequence[Extent]) -> Levels:
    """One pair of levels for all images of a set.

    Values from 0 to 1 keep that range. Others are taken as whole bits, 8 at least, as instruments write them: a set
    that reaches 3,071 has 12 bits, from 0 to 4,095. Below zero likewise: −1,000 is taken as −1,024. Numbers with
    fractions that stay below 128 keep the range that they have.
    """
    low, high = min(e.low for e in extents), max(e.high for e in extents)
    whole = all(e.whole for e in extents)
    if low >= 0 and high <= 1:
        return 0.0, 1.0
    if not whole and low > -128 and high < 128:
        return min(low, 0.0), max(high, 0.0)
    return (-float(2 ** _bits(-low)) if low < 0 else 0.0), float(2 ** _bits(high + 1) - 1)


def _bits(value: float) -> int:
    """The least power of two that reaches a value; 8 at least."""
    return max(8, int(np.ceil(np.log2(value)))) if value > 1 else 8


def eight_bits(pixels: Array, levels: Levels) -> Array:
    """Values as uint8: the lower level and all below it 0, the upper one and all above it 255.

    Raises
    ------
    RequestError
        If a value is no number, or infinite.
    """
    found = np.empty(pixels.shape, np.uint8)
    rows = max(1, _AT_ONCE // max(1, pixels[0].size))  # the whole as float64 would take gigabytes of a large image
    for top in range(0, len(pixels), rows):
        found[top : top + rows] = _scaled(pixels[top : top + rows], levels)
    return found


def _scaled(pixels: Array, levels: Levels) -> Array:
    low, high = levels
    # float64 and this order: whole numbers of 16 bits on the levels 0 and 65535 come out as they always did.
    scaled = (pixels.astype(np.float64) - low) * (255 / (high - low)) if high > low else np.zeros(pixels.shape)
    if not np.isfinite(scaled).all():
        raise RequestError("it has values that are no finite numbers; convert it")
    return np.rint(np.clip(scaled, 0, 255)).astype(np.uint8)


def usual_levels(pixels: Array) -> Levels:
    """The levels of one image of which no set is known: 16 bits for whole numbers; 0 to 1, 8 bits or 16 for others."""
    low, high = float(pixels.min()), float(pixels.max())
    if not (low >= 0 and high <= 65535):
        raise RequestError(
            f"it has values from {low:g} to {high:g}; 16-bit (0 to 65535), 8-bit or 0 to 1 was expected; convert it"
        )
    # Whole numbers are 16-bit whatever their range: one factor for all images keeps dark ones dark.
    if pixels.dtype.kind in "iu" or high > 255:
        return 0.0, 65535.0
    return (0.0, 255.0) if high > 1 else (0.0, 1.0)


def checked(levels: Any) -> Levels:
    """Levels that a user names.

    Raises
    ------
    RequestError
        If they are no two finite numbers, the lower one first.
    """
    try:
        low, high = (float(level) for level in levels)
        if low < high and high - low < np.inf:
            return low, high
    except (TypeError, ValueError):
        pass
    raise RequestError(f"levels={levels!r}: two numbers were expected, those of black and of white: (0, 4095).")


def told(extents: Sequence[Extent], levels: Levels, images: int) -> list[str]:
    """Notes on how deep images are read.

    Parameters
    ----------
    extents
        Of the deep images.
    levels
        What they are read with.
    images
        How many images there are in all.
    """
    low, high = min(e.low for e in extents), max(e.high for e in extents)
    black, white = (f"{level:,.6g}" for level in levels)
    some = f"{len(extents):,} of {images:,} images have" if len(extents) < images else f"{images:,} images have"
    plain = levels == (0.0, 1.0) and len(extents) == images  # as libraries give images: nothing to tell
    notes = [] if plain else [
        f"{some} values from {low:,.6g} to {high:,.6g}: in all of them {black} is read as black and {white} as white"
        + (f" ({images - len(extents):,} others have 8 bits and stay as they are)" if len(extents) < images else "")
    ]  # fmt: skip
    beyond = sum(e.low < levels[0] or e.high > levels[1] for e in extents)
    if beyond:
        notes.append(f"{beyond:,} of these images go beyond {black} to {white} and are cut off there")
    kept = float(np.median([e.spread for e in extents])) * 255 / (levels[1] - levels[0])
    if kept < FEW_LEVELS:
        notes.append(
            f"half of these images keep fewer than {max(2, int(np.ceil(kept)) + 1)} of the 256 grey levels; "
            "load_domain(..., levels=(LOW, HIGH)) sets the values of black and white"
        )
    return notes
