"""What a transfer was worth: scores with intervals, the gain over a control, the verdict.

The function `gain` is imported from its module (``from sterna.evaluation.gain import gain``), whose name it shares.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sterna.lazy import lazily

if TYPE_CHECKING:
    from sterna.evaluation.bootstrap import bootstrap_weights as bootstrap_weights
    from sterna.evaluation.gain import Gain as Gain
    from sterna.evaluation.scores import Score as Score
    from sterna.evaluation.scores import confusion as confusion
    from sterna.evaluation.scores import score as score

_HOMES = {
    "Gain": "gain",
    "Score": "scores",
    "bootstrap_weights": "bootstrap",
    "confusion": "scores",
    "score": "scores",
}

__all__ = ["Gain", "Score", "bootstrap_weights", "confusion", "score"]

__getattr__, __dir__ = lazily(__name__, _HOMES)
