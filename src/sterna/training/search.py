"""What a search for the best candidate shares with those of other draws, on the same test split."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

ENDED = "the trying was ended"
"""Why a candidate was left when somebody ended the search."""

LONG = "its training takes longer than the budget"
"""Why a candidate was left whose first steps told that it would not end in time."""


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
    too_long
        Candidates, in the same way, whose training does not end in the budget: others need not find that out again.
    """

    keeps_best: bool = False
    storage: str | None = None
    found: dict[str, Any] | None = None
    too_long: list[dict[str, Any]] = field(default_factory=list)

    def goes_on_from(self, candidates: Sequence[dict[str, Any]]) -> None:
        """Take what a search chose that was ended, and what took too long, also of a process that was stopped since."""
        self.too_long += [_about(each) for each in candidates if each["left"] == LONG]
        if any(each["left"] == ENDED for each in candidates):
            self.found = _about(next(each for each in candidates if each["chosen"]))


def _about(line: dict[str, Any]) -> dict[str, Any]:
    return {name: line[name] for name in ("method", "settings", "source")}
