"""A ranking of sources: what it holds, and what it says."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from sterna.record.scores import Gain


@dataclass(frozen=True)
class Ranked:
    """One source, as it was ranked.

    Attributes
    ----------
    source
        Its name.
    named
        Its place in the order in which the sources were named, from 1 on.
    scores, ranks
        By the name of the score; a score that does not apply is missing. Rank 1 is the best; equals share a rank.
    seconds
        What each took; ``"features"`` are computed once for all.
    interval
        The 95 % interval of the probe's score.
    blocks
        The blocks whose features the probe reads.
    """

    source: str
    named: int
    scores: dict[str, float]
    ranks: dict[str, int]
    seconds: dict[str, float]
    interval: tuple[float, float] | None = None
    blocks: tuple[str, ...] = ()


@dataclass(frozen=True)
class Ranking:
    """Sources in the order of the reference, the best first.

    Attributes
    ----------
    target
        Its name.
    reference
        The score that decides the order: ``"probe"`` with labels, ``"proxy_a_distance"`` without.
    metric
        What the probe is scored by; ``None`` without labels.
    labels
        How many target labels were used, each held out once.
    rows
        How many rows of the target were looked at.
    sources
        Those that could be ranked.
    agreement
        Weighted Kendall's τ (Vigna, 2015) between each score, and the constant order, and the reference.
    gain
        Of the first source over the one that was named first; ``None`` where they are the same, or without labels.
    verdict
        ``"helps"`` where the first is clearly better than the one that was named first, else ``"unclear"``.
    left_out
        Sources that could not be ranked, and why.
    notes
        What else a user should know, one sentence each.
    """

    target: str
    reference: str
    metric: str | None
    labels: int
    rows: int
    seed: int
    sources: tuple[Ranked, ...]
    agreement: dict[str, float]
    gain: Gain | None
    verdict: str
    left_out: dict[str, str]
    notes: tuple[str, ...]

    @property
    def best(self) -> str:
        """The name of the first source."""
        return self.sources[0].source

    def record(self) -> dict[str, Any]:
        """All of it as plain values, as ``sterna rank --json`` prints it."""
        return {**asdict(self), "best": self.best, "sentence": self.sentence()}

    def sentence(self) -> str:
        """The reading, for people."""
        first = next(each for each in self.sources if each.named == 1)
        if self.reference != "probe":
            return (
                f"{self.verdict}: {self.best} lies nearest to {self.target}, but no label says that the nearest source "
                "is the best; a few labels would."
            )
        if self.gain is None:
            return f"{self.verdict}: {self.best}, which was named first, is first by the probe as well."
        ends = f"{self.gain.value:+.3f} [{self.gain.low:+.3f}, {self.gain.high:+.3f}] {self.metric}"
        if self.verdict == "helps":
            return f"helps: {self.best} is clearly better than {first.source}, which was named first ({ends})."
        return (
            f"unclear: {self.best} is first by the probe, but not clearly better than {first.source}, which was named "
            f"first ({ends})."
        )
