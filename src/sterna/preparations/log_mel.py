"""The log-mel spectrogram of a recording."""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[np.float32]]

WINDOW, HOP = 0.025, 0.010
"""Seconds of a frame, and from one frame to the next."""

RANGE = 8.0
"""Powers of ten below a recording's loudest place that still count (80 dB)."""


@functools.lru_cache(maxsize=16)
def mel_filters(mels: int, bins: int, rate: int) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Triangles that are evenly spaced on the mel scale, ``mel = 2595 log10(1 + f / 700)``, ``(mels, bins)``.

    Each rises from the centre of the one before it to 1 at its own and falls to the centre of the next; together they
    cover all from 0 to ``rate / 2``, where the last of the `bins` lies (Davis and Mermelstein, 1980).
    """
    edges = 700 * (10 ** (np.linspace(0, 2595 * math.log10(1 + rate / 1400), mels + 2) / 2595) - 1)
    frequencies = np.linspace(0, rate / 2, bins)
    low, centre, high = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    rising, falling = (frequencies - low) / (centre - low), (high - frequencies) / (high - centre)
    return np.clip(np.minimum(rising, falling), 0, None)


def log_mel(samples: Array, rate: int, mels: int) -> Array:
    """The log-mel spectrogram of a recording: Hann windows of 25 ms every 10 ms, power, mel bands, log10.

    Parameters
    ----------
    samples
        ``(t,)``.
    rate
        Samples a second.
    mels
        How many bands.

    Returns
    -------
    Array, shape (mels, 1 + t // hop)
        Powers of ten relative to the loudest place of the recording, from −8 to 0: how near the microphone was, and
        how far it was turned up, is not in it. The windows are centred; before and after is silence,
        which is −8 as well.
    """
    width, hop = round(WINDOW * rate), round(HOP * rate)
    size = 2 ** math.ceil(math.log2(width))
    left = width // 2
    around = np.pad(np.asarray(samples, dtype=np.float64), (left, width - left + hop))
    frames = np.lib.stride_tricks.sliding_window_view(around, width)[::hop][: 1 + len(samples) // hop]
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(width) / width)
    power = np.abs(np.fft.rfft(frames * window, size)) ** 2
    bands = mel_filters(mels, size // 2 + 1, rate) @ power.T
    found: Array = np.log10(np.maximum(bands / (bands.max() or 1.0), 10.0**-RANGE)).astype(np.float32)
    return found
