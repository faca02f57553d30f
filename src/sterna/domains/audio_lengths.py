"""How long recordings are, of which a few are enough to look at."""

from __future__ import annotations

from typing import Any

import numpy as np

from sterna.domains.audio import LONGEST, AudioFiles
from sterna.domains.inputs import Inputs, Rows

FEW = 512
"""Recordings whose length is looked at where a few are enough."""


def some_of(inputs: Inputs, most: int) -> Rows:
    """Up to `most` row numbers, spread evenly."""
    return np.unique(np.linspace(0, len(inputs) - 1, min(most, len(inputs))).astype(np.int64))


def lengths_of(inputs: Inputs, rows: Rows) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Seconds of some recordings, ``(len(rows),)``; only headers are read where they lie in files."""
    if isinstance(inputs, AudioFiles):
        return np.asarray(np.minimum(inputs.lengths(rows), LONGEST))
    sounds = (inputs[int(row)] for row in rows)
    return np.array([len(sound.samples) / sound.rate for sound in sounds], dtype=np.float64)
