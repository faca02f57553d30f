"""What a transfer was worth: scores with intervals, the gain over a control, the verdict."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sterna.lazy import lazily

if TYPE_CHECKING:
    from sterna.evaluation.gain import Gain as Gain
    from sterna.evaluation.gain import gains as gains
    from sterna.evaluation.scores import Score as Score
    from sterna.evaluation.scores import confusion as confusion
    from sterna.evaluation.scores import score as score

_HOMES = {
    "Gain": "gain",
    "Score": "scores",
    "confusion": "scores",
    "gains": "gain",
    "score": "scores",
}

__all__ = ["Gain", "Score", "confusion", "gains", "score"]

__getattr__, __dir__ = lazily(__name__, _HOMES)
