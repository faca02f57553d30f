"""Images: compared as pixels, learnt from by a small convolutional network."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from sterna.domains.inputs import Inputs
from sterna.kinds.kind import Kind, Vectors

if TYPE_CHECKING:
    from sterna.preparations.image import ImagePreparation

SMALLEST, LARGEST = 16, 96
"""Pixels a side that a small convolutional body works at, at least and at most."""

PIXELS = 32
"""Pixels a side of images that are compared, or learnt from by a linear model, as they are."""


class Images(Kind):
    """Pictures, grey or in colour."""

    noun, whole = "images", "images"
    files = decoded = pictured = learnt = dear = True

    def small(self, inputs: Inputs) -> tuple[ImagePreparation, dict[str, Any]]:
        """At the median of their shorter sides, from 16 to 96 px; one channel where a sample of them is grey."""
        from sterna.preparations.image import ImagePreparation

        rows = np.unique(np.linspace(0, len(inputs) - 1, min(32, len(inputs))).astype(int))
        images = [inputs[int(row)] for row in rows]
        size = int(np.clip(np.median([min(image.size) for image in images]), SMALLEST, LARGEST))
        channels = 1 if all(image.mode == "L" for image in images) else 3
        preparation = ImagePreparation(size, (0.5,), (0.25,), "bilinear", crop=1.0, channels=channels)
        return preparation, {"loader": "small", "name": "cnn", "channels": channels, "size": size}

    def vectors(self, inputs: Inputs) -> Vectors:
        """Pixels in three channels, so that rows in colour may follow grey ones."""
        return _pixels(3)

    def compared(self, inputs: Inputs) -> Vectors:
        """Pixels; one channel where all are grey."""
        channels = 1 if all(inputs[row].mode == "L" for row in range(len(inputs))) else 3
        return _pixels(channels, "bilinear")

    def mirrored(self, inputs: Inputs) -> bool:
        """Colour photographs do, which training mirrors, too; digits and X-rays have a left and a right."""
        return len(inputs) > 0 and inputs[0].mode == "RGB"


def _pixels(channels: int, interpolation: str = "bicubic") -> Vectors:
    from sterna.preparations.image import ImagePreparation

    preparation = ImagePreparation(PIXELS, (0.5,), (0.5,), interpolation, crop=1.0, channels=channels)
    return Vectors(preparation, channels * PIXELS**2, f"pixels at {PIXELS} × {PIXELS}")
