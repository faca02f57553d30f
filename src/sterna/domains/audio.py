"""Recordings as inputs: files in a folder or zip, arrays, any sequence; decoded when a row is asked for."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import IO, Any, NamedTuple, Self

import numpy as np

from sterna.domains.file_inputs import FileInputs, in_threads
from sterna.domains.inputs import Inputs, Rows, digest
from sterna.errors import RequestError, require
from sterna.untrusted import DECODED

Array = np.ndarray[Any, np.dtype[np.float32]]

ENDINGS = (".wav", ".flac", ".ogg", ".mp3")

LONGEST = 60
"""Seconds of a recording that are read; what comes after is left out."""

LOWEST, HIGHEST = 100, 1_000_000
"""Samples a second that a recording may have; a header that says otherwise is wrong."""

MOST_MEASURED = 5_000
"""Recordings of a set whose lengths are looked at."""

_A_SAMPLE = 16
"""Bytes that decoding and averaging takes, at most, for each sample of each channel."""


class Sound(NamedTuple):
    """One recording.

    Attributes
    ----------
    samples
        ``(t,)`` float32, from −1 to 1; several channels are averaged.
    rate
        Samples a second.
    """

    samples: Array
    rate: int


def decode(stream: IO[bytes]) -> Sound:
    """The first 60 seconds that the bytes of a file hold.

    Raises
    ------
    ValueError
        If it holds no samples, or some that are no numbers, or its rate cannot be right.
    """
    soundfile = require("soundfile", "audio")
    with soundfile.SoundFile(stream) as file:
        _check_rate(file.samplerate)
        frames = min(file.frames, LONGEST * file.samplerate)
        if frames * file.channels > DECODED.most // _A_SAMPLE:
            raise ValueError(f"its {file.channels:,} channels of {frames:,} samples are more than what is read")
        with DECODED.taken(frames * file.channels * _A_SAMPLE):
            samples = file.read(frames, dtype="float32", always_2d=True)
            return _sound(one_channel(samples), file.samplerate)


CANCELLED = 0.1
"""Share of the loudest channel's loudness below which the mean of channels says nothing of them."""


def one_channel(samples: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """The mean of channels ``(t, channels)``; the loudest where they cancel out, as one of two wires swapped does."""
    mean: np.ndarray[Any, Any] = samples.mean(axis=1)
    if samples.shape[1] == 1 or not len(samples):
        return mean
    loudness = np.sqrt(np.mean(np.square(samples, dtype=np.float64), axis=0))
    kept = np.sqrt(np.mean(np.square(mean, dtype=np.float64)))
    loudest: np.ndarray[Any, Any] = samples[:, int(np.argmax(loudness))]
    return mean if kept >= CANCELLED * loudness.max() else loudest


def as_sound(value: Any, rate: int | None = None) -> Sound:
    """A recording of whatever holds one.

    Parameters
    ----------
    value
        A `Sound`; a pair of samples and rate; samples ``(t,)``, ``(t, channels)`` or ``(channels, t)``, floats from −1
        to 1 or signed whole numbers of 8 to 32 bits; a mapping of ``array`` and ``sampling_rate``, or of ``bytes`` or
        ``path``, as Hugging Face's data sets have them.
    rate
        Samples a second, where `value` does not say.

    Raises
    ------
    RequestError
        If it is none of these, cannot be read, or the rate is not known.
    """
    if isinstance(value, Mapping):
        if value.get("bytes") is not None or (value.get("path") is not None and "array" not in value):
            return _encoded(value.get("bytes"), value.get("path"))
        value = (value.get("array"), value.get("sampling_rate"))
    if isinstance(value, tuple) and len(value) == 2:
        value, rate = value[0], value[1]
    samples = np.asarray(value.detach().cpu() if hasattr(value, "detach") else value)
    if samples.ndim == 2 and samples.size:
        channels = samples if samples.shape[0] >= samples.shape[1] else samples.T
        samples = one_channel(channels.astype(np.float64)).astype(
            np.float32 if samples.dtype.kind == "f" else samples.dtype
        )
    # The loudest of 64 bits is louder than anything anybody recorded: nobody knows what they are relative to.
    if samples.ndim != 1 or samples.dtype.kind not in "fi" or samples.dtype == np.int64:
        raise RequestError(
            f"A recording is {samples.dtype} of the shape {samples.shape}; samples (t,), (t, channels) or (channels, "
            "t), floats from −1 to 1 or signed whole numbers of 8 to 32 bits, were expected."
        )
    if rate is None:
        raise RequestError("The rate of a recording is not known; say how many samples a second it has, such as 16000.")
    if samples.dtype.kind == "i":
        samples = samples / -float(np.iinfo(samples.dtype).min)
    try:
        return _sound(samples[: LONGEST * int(rate)], int(rate))
    except ValueError as error:
        raise RequestError(f"A recording cannot be used: {error}.") from error


def _encoded(data: bytes | None, path: str | None) -> Sound:
    """The recording in the bytes of a file, or in a file."""
    require("soundfile", "audio")
    try:
        with open(str(path), "rb") if data is None else io.BytesIO(data) as stream:
            return decode(stream)
    except Exception as error:  # whatever a decoder raises on broken files
        raise RequestError(f"The recording {path or 'in memory'} cannot be read ({reason(error)}).") from error


def _check_rate(rate: int) -> None:
    if not LOWEST <= rate <= HIGHEST:
        raise ValueError(f"its rate is {rate:,} samples a second, where {LOWEST} to {HIGHEST:,} are expected")


def _sound(samples: np.ndarray[Any, Any], rate: int) -> Sound:
    _check_rate(rate)
    if not len(samples):
        raise ValueError("it holds no sound (0 samples)")
    if not np.isfinite(samples).all():
        raise ValueError("it holds samples that are no numbers")
    return Sound(np.ascontiguousarray(samples, dtype=np.float32), rate)


def resampled(sound: Sound, rate: int) -> Array:
    """The samples at another rate, ``(t · rate / sound.rate,)``."""
    if sound.rate == rate:
        return sound.samples
    from scipy.signal import resample_poly

    # Between rates with no common divisor the filter would be long; of the usual ones the ratio is exact.
    ratio = Fraction(rate, sound.rate).limit_denominator(50_000)
    return np.asarray(resample_poly(sound.samples, ratio.numerator, ratio.denominator), dtype=np.float32)


def sound_content(sound: Sound) -> str:
    """A hash of a recording's samples in 16 bits."""
    return digest(str(sound.rate).encode() + np.round(sound.samples * 32767).astype(np.int16).tobytes())


_ENDS_EARLY = re.compile(r"^data : (\d+) \(should be \d+\)", re.MULTILINE)
_OPEN_END = 0x7FFF0000
"""Bytes of sound that programs write into a header before they know how many there will be."""


class AudioFiles(FileInputs):
    """Recordings below a folder or inside a zip."""

    kind = "audio"
    one = "a recording"

    def __init__(self, root: Path | str, files: Sequence[str]) -> None:
        super().__init__(root, files)
        self._short: set[int] = set()

    def __getitem__(self, row: int) -> Sound:
        require("soundfile", "audio")
        try:
            with self.opened(row) as stream:
                return decode(stream)
        except Exception as error:  # whatever a decoder raises on broken files
            raise self.lost(row, reason(error)) from error

    def contents(self) -> list[str]:
        """A hash of each recording's samples."""
        return list(in_threads(lambda row: sound_content(self[row]), len(self)))

    def opened(self, row: int) -> IO[bytes]:
        """One file to decode; a decoder goes back and forth, which is slow inside a zip."""
        return io.BytesIO(self.read(row)) if self._zipped else self.stream(row)

    def problem(self, row: int) -> str | None:
        """Why a file cannot be read; what is read of it is decoded.

        Which are cut off is remembered for `settled`.
        """
        try:
            with self.opened(row) as stream:
                decode(stream)
                stream.seek(0)
                cut = _ENDS_EARLY.search(require("soundfile", "audio").SoundFile(stream).extra_info)
            if cut is not None and int(cut[1]) < _OPEN_END:
                self._short.add(row)
            return None
        except Exception as error:
            return reason(error)

    def settled(self, given: Any, learnt: Rows | None) -> tuple[Inputs, list[str]]:
        """Itself, and notes where recordings are longer than what is read of them, or cut off."""
        lengths = self.lengths(np.arange(len(self) if len(self) <= MOST_MEASURED else 0))
        what: dict[str, list[int]] = {
            f"are longer than {LONGEST} s, of which so much is read": np.flatnonzero(lengths > LONGEST).tolist(),
            "end before their header says, and are read as far as they go": sorted(self._short),
        }
        names = self.names()
        found = [(why, rows) for why, rows in what.items() if len(rows)]
        return self, [f"{len(rows):,} recordings {why} (such as {names[rows[0]]})." for why, rows in found]

    def take(self, rows: Rows) -> Self:
        taken = super().take(rows)
        taken._short = {i for i, row in enumerate(rows) if int(row) in self._short}
        return taken

    def lengths(self, rows: Rows) -> np.ndarray[Any, np.dtype[np.float64]]:
        """Seconds of some recordings, from their headers, ``(len(rows),)``."""
        return np.array(list(in_threads(lambda i: self._length(int(rows[i])), len(rows))), dtype=np.float64)

    def _length(self, row: int) -> float:
        with self.opened(row) as stream:
            return float(require("soundfile", "audio").info(stream).duration)


class AudioSequence(Inputs):
    """Recordings that something else holds: a list of arrays, a column of a data set.

    Parameters
    ----------
    sounds
        Gives, by row, what `as_sound` takes.
    rate
        Samples a second, where the rows do not say.
    rows
        The rows of `sounds` that belong to it; all when not given.
    """

    kind = "audio"

    def __init__(self, sounds: Sequence[Any] | Any, rate: int | None = None, rows: Rows | None = None) -> None:
        self._sounds, self._rate = sounds, rate
        self._rows = np.arange(len(sounds), dtype=np.int64) if rows is None else np.asarray(rows, dtype=np.int64)
        self._keys: list[str] | None = None

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, row: int) -> Sound:
        return as_sound(self._sounds[int(self._rows[row])], self._rate)

    def take(self, rows: Rows) -> Self:
        wanted = self._rows[np.asarray(rows, dtype=np.int64)]
        if isinstance(self._sounds, list):
            return type(self)([self._sounds[int(row)] for row in wanted], self._rate)
        return type(self)(self._sounds, self._rate, wanted)

    def keys(self) -> list[str]:
        if self._keys is None:
            sounds = (self[row] for row in range(len(self)))
            self._keys = [digest(str(sound.rate).encode() + sound.samples.tobytes()) for sound in sounds]
        return self._keys

    def contents(self) -> list[str]:
        return [sound_content(self[row]) for row in range(len(self))]

    def row_keys(self) -> list[str]:
        return self.keys()

    def fingerprint(self) -> str:
        return digest("\n".join(self.keys()).encode())


def reason(error: Exception) -> str:
    """Why a recording could not be read, short, without the addresses of objects."""
    said = getattr(error, "error_string", None) or getattr(error, "strerror", None) or error
    text = str(said).strip() or type(error).__name__
    return text.removeprefix("Error : ").rstrip(".")
