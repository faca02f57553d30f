"""What a search for the best candidate shares with those of the run's other draws."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass
class Search:
    """Whether Ctrl-C ends a search with the best so far, and what that was.

    Attributes
    ----------
    keeps_best
        Whether it does; otherwise the whole run stops, and can be resumed.
    found
        What was the best when the search was ended: the searches that follow take it, and try nothing.
    """

    keeps_best: bool = False
    found: dict[str, Any] | None = None
