"""Which rows of two data sets are the same in another form: by what they hold, and pictures by how they look."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from PIL.Image import Image

    from sterna.domains.inputs import Inputs

Array = np.ndarray[Any, Any]

SIDE = 16
"""Pixels of a side of a sketch."""

ALIKE = 0.99
"""Two sketches of one picture correlate at least so well."""

CLOSER = 4
"""Two sketches of one picture are so many times closer to each other than to all others of either data set."""

_MOST = 200_000_000  # pairs: some seconds
_AT_ONCE = 20_000_000


def same_contents(ours: Inputs, theirs: Inputs) -> Array:
    """Which of our rows have the content of one of theirs, ``(n,)`` bool; only those of one outline are read."""
    mine, other = np.array(ours.outlines()), np.array(theirs.outlines())
    rows, others = np.flatnonzero(np.isin(mine, other)), np.flatnonzero(np.isin(other, mine))
    found = np.zeros(len(ours), dtype=bool)
    found[rows] = np.isin(ours.take(rows).contents(), theirs.take(others).contents())
    return found


def sketch(image: Image) -> Array:
    """What is left of an image that is resized, compressed, brighter or grey: ``(256,)`` float32, mean 0, length 1.

    Of an image of one colour nothing is left: zeros.
    """
    from PIL import Image as pil

    pixels = np.asarray(image.convert("F").resize((SIDE, SIDE), pil.Resampling.BICUBIC), dtype=np.float32).ravel()
    pixels = pixels - pixels.mean()
    length = float(np.linalg.norm(pixels))
    return np.asarray(pixels / length if length > SIDE else np.zeros_like(pixels))  # a grey level of deviation


def same_pictures(ours: Inputs, theirs: Inputs) -> Array:
    """Which of our pictures are one of theirs, resized, compressed, brighter or grey, ``(n,)`` bool.

    Thin digits and X-rays of one view are alike without being one picture. So two sketches must also be far closer to
    each other than to the nearest other one of either data set. Where a picture is several times in each, it is not
    found, nor where there are more pairs than can be looked at in seconds.
    """
    found = np.zeros(len(ours), dtype=bool)
    if len(ours) * len(theirs) > _MOST:
        return found
    mine, other = (np.reshape(each.sketches(), (-1, SIDE * SIDE)) for each in (ours, theirs))
    if not len(mine) or not len(other):
        return found
    nearest, alike = _nearest(mine, other)
    rows = np.flatnonzero(alike >= ALIKE)
    if len(rows):
        others = nearest[rows]
        next_one = np.maximum(_nearest(mine[rows], mine, rows)[1], _nearest(other[others], other, others)[1])
        found[rows] = CLOSER * _distance(alike[rows]) <= _distance(next_one)
    return found


def _nearest(some: Array, all_of_them: Array, itself: Array | None = None) -> tuple[Array, Array]:
    """Of each sketch the most alike one but `itself`, and how well they correlate; −1 where there is no other."""
    parts = []
    step = max(1, _AT_ONCE // len(all_of_them))
    for start in range(0, len(some), step):
        alike = some[start : start + step] @ all_of_them.T
        if itself is not None:
            alike[np.arange(len(alike)), itself[start : start + step]] = -1
        best = alike.argmax(axis=1)
        parts.append((best, alike[np.arange(len(alike)), best]))
    best, alike = (np.concatenate(each) for each in zip(*parts, strict=True))
    return best, alike


def _distance(correlation: Array) -> Array:
    return np.asarray(np.sqrt(np.maximum(0.0, 2 - 2 * correlation)))
