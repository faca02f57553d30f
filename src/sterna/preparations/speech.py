"""Recordings for a pretrained speech encoder, through its own feature extractor."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from sterna.domains.audio import LOWEST, resampled
from sterna.domains.audio_lengths import FEW, lengths_of, some_of
from sterna.domains.inputs import Inputs, Kind, Preparation
from sterna.errors import RequestError, require
from sterna.preparations.audio import Recordings, cut_note, rows_at_once
from sterna.preparations.log_mel import Array
from sterna.record.reading import in_words

LONGEST = 30.0
"""Seconds of a recording that a speech encoder reads, at most: so long is what Whisper was trained on."""

MOST_SAMPLES = 2**22
"""Of a recording: 30 seconds at 96 kHz are fewer."""

BOUNDS = {
    "sampling_rate": (LOWEST, 192_000), "feature_size": (1, 1024), "hop_length": (16, 2**14), "n_fft": (16, 2**14),
    "chunk_length": (1, 600),
}  # fmt: skip
"""Settings of a feature extractor that decide how much it computes."""

EXTRACTORS = ("WhisperFeatureExtractor", "Wav2Vec2FeatureExtractor")


class SpeechPreparation(Preparation):
    """Recordings at the encoder's rate, cut or followed by silence to one length, through its feature extractor.

    One length for all rows makes what the encoder gives for a row depend on that row alone, whatever else is in its
    batch. Which frames of the features are of the recording and which of the silence behind it goes along, so that
    only the former are averaged.

    Parameters
    ----------
    extractor
        Settings of a Whisper or wav2vec 2.0 feature extractor of ``transformers``, as its ``to_dict()`` gives them.
    layers
        Kernel and stride of each step from samples to frames of the features.
    seconds
        The one length.

    Raises
    ------
    RequestError
        If the feature extractor is of another kind.
    """

    kind: ClassVar[Kind] = "audio"

    def __init__(self, extractor: Mapping[str, Any], layers: Sequence[Sequence[int]], seconds: float = LONGEST) -> None:
        name = extractor.get("feature_extractor_type")
        if name not in EXTRACTORS:
            raise RequestError(f"The feature extractor {name!r} is not known; expected {' or '.join(EXTRACTORS)}.")
        self.about = dict(extractor)
        self.layers = [(int(kernel), int(stride)) for kernel, stride in layers]
        self.seconds = float(seconds)
        if not 0 < self.seconds <= 600 or not self.layers or min(map(min, self.layers)) < 1:
            raise RequestError(
                f"SpeechPreparation(layers={self.layers}, seconds={seconds}): expected kernels and strides from 1 on, "
                "and up to 600 seconds."
            )
        for what, (least, most) in BOUNDS.items():
            if not isinstance(found := extractor.get(what, most), int) or not least <= found <= most:
                raise RequestError(f"The feature extractor has the {what} {found!r}; expected {least:,} to {most:,}.")
        self.extractor = getattr(require("transformers", "text"), name).from_dict(dict(extractor))
        self.rate = int(self.extractor.sampling_rate)
        step = math.prod(stride for _, stride in self.layers)
        self.samples = step * math.ceil(self.seconds * self.rate / step)
        self._check_extractor()

    def _check_extractor(self) -> None:
        """Try a moment of silence: whatever else is wrong with the settings, the extractor tells in its own errors."""
        if self.samples > MOST_SAMPLES:
            raise RequestError(
                f"{self.samples:,} samples of each recording are more than the {MOST_SAMPLES:,} allowed."
            )
        try:
            self._extracted([np.zeros(max(1, min(self.samples // 2, self.rate)), np.float32)])
        except Exception as error:
            raise RequestError(f"The feature extractor's settings do not fit together ({in_words(error)}).") from error

    def _extracted(self, items: Sequence[Any]) -> Mapping[str, Tensor]:
        found: Mapping[str, Tensor] = self.extractor(
            items, sampling_rate=self.rate, padding="max_length", truncation=True, max_length=self.samples,
            return_tensors="pt",
        )  # fmt: skip
        return found

    def suited(self, inputs: Inputs, works: Callable[[Preparation], bool] | None = None) -> SpeechPreparation:
        """For recordings as long as these: a quarter more than the longest of up to 512, in half seconds, 30 s at most.

        Rows that are met later may be a little longer; what is longer than this is cut.
        """
        if not len(inputs):
            return self
        longest = float(lengths_of(inputs, some_of(inputs, FEW)).max())
        return SpeechPreparation(self.about, self.layers, min(LONGEST, math.ceil(2.5 * longest) / 2))

    def frames(self, samples: int) -> int:
        """Frames of the features of so many samples: at least one."""
        for kernel, stride in self.layers:
            samples = (samples - kernel) // stride + 1
        return max(1, samples)

    def items(self, inputs: Inputs) -> SpeechItems:
        """Rows as samples ``(t,)``, decoded when asked for."""
        return SpeechItems(inputs, self)

    def note(self, items: SpeechItems) -> str | None:
        return cut_note(items.inputs, self.seconds)

    def inference_rows(self, on_cpu: bool) -> int:
        return rows_at_once(self.seconds)

    def augmented(self, items: Any, row: int, random: np.random.Generator) -> Any:
        """One recording moved in time by up to a tenth, somewhat louder or softer, with a short piece silent."""
        samples = np.array(items[row])
        delay = int(random.integers(-(len(samples) // 10), len(samples) // 10 + 1))
        samples = samples[-delay:] if delay < 0 else np.concatenate([np.zeros(delay, np.float32), samples])
        samples = samples[: self.samples] * np.float32(10 ** random.uniform(-0.3, 0.3))
        width = int(random.integers(0, len(samples) // 8 + 1))
        first = int(random.integers(0, len(samples) - width + 1))
        samples[first : first + width] = 0
        return samples

    def collate(self, items: Sequence[Any]) -> dict[str, Tensor]:
        """Rows of samples ``(t,)`` to what the encoder takes, and ``frame_mask``, 1 for real frames ``(n, frames)``."""
        found = self._extracted([np.asarray(item) for item in items])
        batch = {name: found[name].float() for name in ("input_features", "input_values") if name in found}
        least = self._field()
        lengths = torch.tensor([min(max(len(item), least), self.samples) for item in items])
        if self.extractor.return_attention_mask and "input_values" in batch:
            batch["attention_mask"] = (torch.arange(self.samples) < lengths[:, None]).long()
        frames = torch.tensor([self.frames(int(length)) for length in lengths])
        batch["frame_mask"] = (torch.arange(self.frames(self.samples)) < frames[:, None]).long()
        return batch

    def _field(self) -> int:
        """Samples that one frame of the features looks at: a shorter recording is as long as that, too."""
        field = 1
        for kernel, stride in reversed(self.layers):
            field = (field - 1) * stride + kernel
        return field

    def example(self, rows: int = 2) -> dict[str, Tensor]:
        """A second of noise, as the encoder takes it."""
        noise = np.random.default_rng(0).normal(size=(rows, self.rate)).astype(np.float32)
        return SpeechPreparation(self.about, self.layers, 1.0).collate(list(noise))

    def state(self) -> dict[str, Any]:
        layers = [list(layer) for layer in self.layers]
        return {"type": "speech", "extractor": self.about, "layers": layers, "seconds": self.seconds}


class SpeechItems(Recordings[SpeechPreparation]):
    """Recordings at the encoder's rate, one when asked for."""

    def __getitem__(self, row: int) -> Array:
        return resampled(self.inputs[row], self.preparation.rate)[: self.preparation.samples]
