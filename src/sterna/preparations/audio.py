"""Recordings for a body: log-mel spectrograms, and what is left of them when time is averaged out."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Sequence
from itertools import pairwise
from typing import Any, ClassVar, Generic, TypeVar

import numpy as np
import torch
from torch import Tensor

from sterna.domains.audio import HIGHEST, LOWEST, Sound, resampled
from sterna.domains.audio_lengths import FEW, lengths_of, some_of
from sterna.domains.inputs import INFERENCE_ROWS, Inputs, Kind, Preparation
from sterna.errors import RequestError
from sterna.preparations.log_mel import HOP, RANGE, Array, log_mel

LOWEST_RATE, HIGHEST_RATE = 8_000, 16_000
"""Samples a second that recordings are brought to, at least and at most: speech has little above 8 kHz."""

FEWEST_FRAMES, MOST_FRAMES = 32, 1_000
"""Frames of a spectrogram for a small network, at least and at most (10 s)."""

USUAL = 0.95
"""Share of the training rows that a spectrogram holds whole; the longest few are cut, not the others padded."""

AT_ONCE = 60.0
"""Seconds of recordings that are run at once: a speech encoder's first convolutions keep megabytes for each."""

_LOOKED_AT = 128

P = TypeVar("P", bound=Preparation)


def usual_rate(inputs: Inputs) -> int:
    """The rate these recordings are brought to: the lowest of them, from 8 to 16 kHz; more would be made up."""
    rates = [inputs[int(row)].rate for row in some_of(inputs, _LOOKED_AT)]
    return int(np.clip(min(rates), LOWEST_RATE, HIGHEST_RATE))


def usual_mels(rate: int) -> int:
    """As many bands as are apart from each other at this rate."""
    return 40 if rate < HIGHEST_RATE else 64


class _Mel(Preparation):
    """What the two preparations by log-mel share: a rate and a number of bands, found from the rows if not given."""

    kind: ClassVar[Kind] = "audio"

    def __init__(self, rate: int, mels: int) -> None:
        self.rate, self.mels = int(rate), int(mels)
        if not (LOWEST <= self.rate <= HIGHEST and 1 <= self.mels <= 1024):
            raise RequestError(
                f"{type(self).__name__}(rate={rate}, mels={mels}): expected a rate of {LOWEST} to {HIGHEST:,} samples "
                "a second and 1 to 1,024 bands."
            )

    @property
    def seconds(self) -> float:
        """How much of a recording is read: all of it."""
        return math.inf

    @abstractmethod
    def prepared(self, spectrogram: Array) -> Array:
        """What the body takes, of the spectrogram ``(mels, frames)`` of a whole recording."""

    def spectrogram(self, sound: Sound) -> Array:
        """The spectrogram of a recording, ``(mels, frames)``."""
        return log_mel(resampled(sound, self.rate), self.rate, self.mels)

    def items(self, inputs: Inputs) -> SoundItems:
        """Rows as float32 arrays, decoded when asked for."""
        return SoundItems(inputs, self)

    def note(self, items: SoundItems) -> str | None:
        return cut_note(items.inputs, self.seconds)

    def collate(self, items: Sequence[Any]) -> Tensor:
        """Rows to a tensor ``(n, ...)``."""
        return torch.from_numpy(np.stack([np.asarray(item) for item in items]))


class Recordings(Generic[P]):
    """Rows of recordings, and what makes them what a body takes."""

    def __init__(self, inputs: Inputs, preparation: P) -> None:
        if inputs.kind != "audio":
            raise RequestError(f"An audio preparation takes recordings, but came upon {inputs.kind}.")
        self.inputs, self.preparation = inputs, preparation

    def __len__(self) -> int:
        return len(self.inputs)


class SoundItems(Recordings[_Mel]):
    """Prepared recordings, one when asked for; the spectrograms of the first many are kept."""

    KEPT = 200_000_000  # bytes of spectrograms: all of some hours

    def __init__(self, inputs: Inputs, preparation: _Mel) -> None:
        super().__init__(inputs, preparation)
        self._kept: dict[int, Array] = {}
        self._bytes = 0

    def __getitem__(self, row: int) -> Array:
        return self.preparation.prepared(self.spectrogram(row))

    def spectrogram(self, row: int) -> Array:
        """The spectrogram of a row, ``(mels, frames)``."""
        if row in self._kept:
            return self._kept[row]
        found = self.preparation.spectrogram(self.inputs[row])
        if self._bytes + found.nbytes <= self.KEPT:
            self._kept[row] = found
            self._bytes += found.nbytes
        return found


def rows_at_once(seconds: float) -> int:
    """Recordings of this length that are run at once where nothing is learnt."""
    return int(np.clip(AT_ONCE / seconds, 1, INFERENCE_ROWS))


def cut_note(inputs: Inputs, seconds: float) -> str | None:
    """One sentence where some of these recordings (up to 128 are looked at) are longer than what is read of them."""
    if math.isinf(seconds) or not (lengths_of(inputs, some_of(inputs, _LOOKED_AT)) > seconds + HOP).any():
        return None
    return f"Recordings are read up to {seconds:.3g} s; what comes after is cut off."


class LogMelPreparation(_Mel):
    """Log-mel spectrograms of one length, each band standardised: ``(1, mels, frames)``.

    Shorter recordings are followed by silence, longer ones are cut.

    Parameters
    ----------
    rate
        Samples a second that recordings are brought to.
    mels, frames
        Bands, and frames of 10 ms.
    mean, std
        Of each band, or one for all.
    """

    def __init__(
        self,
        rate: int = HIGHEST_RATE,
        mels: int = 64,
        frames: int = 100,
        mean: Sequence[float] = (0.0,),
        std: Sequence[float] = (1.0,),
    ) -> None:
        super().__init__(rate, mels)
        self.frames = int(frames)
        self.mean, self.std = tuple(map(float, mean)), tuple(map(float, std))
        if not 1 <= self.frames <= 10**6 or not {len(self.mean), len(self.std)} <= {1, self.mels}:
            raise RequestError(
                f"LogMelPreparation(frames={frames}) with {len(self.mean)} means and {len(self.std)} deviations: "
                "expected 1 to 1,000,000 frames, and one mean and one deviation, or one for each band."
            )
        self._mean, self._std = (np.array(v, dtype=np.float32)[:, None] for v in (self.mean, self.std))

    @property
    def seconds(self) -> float:
        """How much of a recording is read."""
        return self.frames * HOP

    def fit(self, inputs: Inputs) -> LogMelPreparation:
        """Rate, length and statistics that suit these (training) rows, up to 512 of them."""
        rows = some_of(inputs, FEW)
        rate = usual_rate(inputs)
        mels = usual_mels(rate)
        spectrograms = [log_mel(resampled(inputs[int(row)], rate), rate, mels) for row in rows]
        usual = np.quantile([part.shape[1] for part in spectrograms], USUAL)
        frames = int(np.clip(8 * math.ceil(usual / 8), FEWEST_FRAMES, MOST_FRAMES))
        every = np.concatenate([part[:, :frames] for part in spectrograms], axis=1)
        return LogMelPreparation(rate, mels, frames, every.mean(1).tolist(), np.maximum(every.std(1), 0.1).tolist())

    def inference_rows(self, on_cpu: bool) -> int:
        return rows_at_once(self.seconds)

    def prepared(self, spectrogram: Array) -> Array:
        return self._placed(spectrogram, 0)

    def _placed(self, spectrogram: Array, start: int) -> Array:
        """The spectrogram from frame `start` on (before 0 is silence), standardised, in the length of the body."""
        whole = np.full((self.mels, self.frames), -RANGE, dtype=np.float32)
        part = spectrogram[:, max(start, 0) : start + self.frames]
        offset = max(-start, 0)
        whole[:, offset : offset + part.shape[1]] = part[:, : self.frames - offset]
        placed: Array = (whole - self._mean) / self._std
        return placed[None]

    def augmented(self, items: Any, row: int, random: np.random.Generator) -> Any:
        """One recording moved in time by up to a tenth, with some bands and some frames at their mean.

        Masks as in SpecAugment (Park et al., 2019): one of up to an eighth of the bands, one of up to an eighth of the
        frames. How loud it is need not be changed: the spectrogram does not hold it.
        """
        if not isinstance(items, SoundItems):
            return items[row]
        spectrogram = items.spectrogram(row)
        start = int(random.integers(-(self.frames // 10), spectrogram.shape[1] // 10 + 1))
        changed = self._placed(spectrogram, start)
        for axis in (1, 2):
            width = int(random.integers(0, changed.shape[axis] // 8 + 1))
            first = int(random.integers(0, changed.shape[axis] - width + 1))
            np.moveaxis(changed, axis, 0)[first : first + width] = 0.0
        return changed

    def state(self) -> dict[str, Any]:
        return {
            "type": "log-mel",
            "rate": self.rate,
            "mels": self.mels,
            "frames": self.frames,
            "mean": list(self.mean),
            "std": list(self.std),
        }


class LogMelStatistics(_Mel):
    """A recording as a few numbers: what its log-mel bands are like, and how that changes from start to end.

    Mean and standard deviation of each band over time, and its mean in each third of the recording: ``(5 · mels,)``.

    Parameters
    ----------
    rate
        Samples a second that recordings are brought to.
    mels
        Bands.
    """

    def __init__(self, rate: int = HIGHEST_RATE, mels: int = 64) -> None:
        super().__init__(rate, mels)

    @property
    def width(self) -> int:
        """How many numbers."""
        return 5 * self.mels

    def fit(self, inputs: Inputs) -> LogMelStatistics:
        """A rate that suits these (training) rows."""
        rate = usual_rate(inputs)
        return LogMelStatistics(rate, usual_mels(rate))

    def prepared(self, spectrogram: Array) -> Array:
        edges = np.linspace(0, spectrogram.shape[1], 4).astype(int)
        thirds = [spectrogram[:, low : max(high, low + 1)].mean(1) for low, high in pairwise(edges)]
        return np.concatenate([spectrogram.mean(1), spectrogram.std(1), *thirds])

    def state(self) -> dict[str, Any]:
        return {"type": "log-mel-statistics", "rate": self.rate, "mels": self.mels}
