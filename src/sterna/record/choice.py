"""Which labels chose what."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Choice:
    """One thing that was chosen.

    Attributes
    ----------
    what
        Such as ``"penalty"`` or ``"epoch"``.
    value
        What was chosen.
    by
        ``"validation"``, ``"cross-validation"``, ``"leave-one-out"``, ...
    labels
        How many labelled examples chose.
    of
        Whose they are: ``"target"``, ``"source"`` or ``"source and target"``.
    """

    what: str
    value: Any
    by: str
    labels: int
    of: str = "target"


def selected_by(choices: Iterable[Choice], target_labels: int = 1) -> str:
    """One line that says which labels chose the model; so many labels of the target could be seen."""
    words: dict[tuple[str, int, str], list[str]] = {}
    for choice in choices:
        if choice.labels > 1 or choice.by == "validation":
            words.setdefault((choice.by, choice.labels, choice.of), []).append(choice.what)
    lines = [
        f"{by}: {labels} labelled {of} examples ({', '.join(dict.fromkeys(what))})"
        for (by, labels, of), what in words.items()
    ]
    if not target_labels:
        return "; ".join(["without target labels", *lines])
    return "; ".join(lines) or "nothing was selected: fixed settings"
