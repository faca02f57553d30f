"""What a search for the best candidate shares with those of other draws, on the same test split."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

ENDED = "the trying was ended"
"""Why a candidate was left when somebody ended the search."""


@dataclass
class Search:
    """Whether Ctrl-C ends a search with the best so far, and what that was.

    Attributes
    ----------
    keeps_best
        Whether it does; otherwise the whole run stops, and can be resumed.
    storage
        Where searches for settings keep what did best; the journal in Sterna's cache if ``None``.
    found
        What was the best when the search was ended, by its `method`, `settings` and `source`: the searches that follow
        take it, and try nothing.
    """

    keeps_best: bool = False
    storage: str | None = None
    found: dict[str, Any] | None = None

    def goes_on_from(self, candidates: Sequence[dict[str, Any]]) -> None:
        """Take what a search chose that was ended, also in a process that was stopped since."""
        if any(each["left"] == ENDED for each in candidates):
            chosen = next(each for each in candidates if each["chosen"])
            self.found = {name: chosen[name] for name in ("method", "settings", "source")}
