"""Recordings: log-mel statistics, learnt from by boosting or a linear model; log-mel spectrograms for a network."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sterna.domains.inputs import Inputs
from sterna.kinds.kind import Kind, Vectors

if TYPE_CHECKING:
    from sterna.preparations.audio import LogMelPreparation


class Audio(Kind):
    """Recordings of speech or other sounds."""

    noun, whole = "recordings", "recordings"
    files = boosting = dear = True

    def small(self, inputs: Inputs) -> tuple[LogMelPreparation, dict[str, Any]]:
        from sterna.preparations.audio import LogMelPreparation

        found = LogMelPreparation().fit(inputs)
        size = int((found.mels * found.frames) ** 0.5)
        about = {"channels": 1, "size": size, "mels": found.mels, "frames": found.frames}
        return found, {"loader": "small", "name": "mel-cnn", **about}

    def vectors(self, inputs: Inputs) -> Vectors:
        """What the log-mel bands are like over time, at a rate that suits these rows."""
        from sterna.preparations.audio import LogMelStatistics

        statistics = LogMelStatistics().fit(inputs)
        return Vectors(statistics, statistics.width, "log-mel statistics")
