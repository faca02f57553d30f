"""What was chosen, and by which labels."""

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
        Its name, such as ``"penalty"``.
    value
        What was taken.
    by
        How: ``"cross-validation"``, ``"validation"``, ``"leave-one-out"``, ...
    labels
        How many labelled examples chose.
    of
        Whose: ``"target"``, ``"source"`` or ``"source and target"``.
    """

    what: str
    value: Any
    by: str
    labels: int
    of: str = "target"

    @property
    def compared(self) -> bool:
        """Whether the labels could tell one value from another: one example cannot be held out from itself."""
        return self.labels > 1 or self.by == "validation"


def selected_by(choices: Iterable[Choice], target_labels: int = 1) -> str:
    """One line that says which labels chose the model.

    Parameters
    ----------
    choices
        What was chosen; where one example alone was asked (not by validation), nothing was.
    target_labels
        How many labels of the target could be seen.

    Examples
    --------
    >>> selected_by([Choice("penalty", 0.1, "cross-validation", 40), Choice("blocks", "last", "cross-validation", 40)])
    'cross-validation: 40 labelled target examples (penalty, blocks)'
    >>> selected_by([], target_labels=0)
    'without target labels'
    """
    words: dict[tuple[str, int, str], list[str]] = {}
    for choice in choices:
        if choice.compared:
            words.setdefault((choice.by, choice.labels, choice.of), []).append(choice.what)
    lines = [
        f"{by}: {labels} labelled {of} examples ({', '.join(dict.fromkeys(what))})"
        for (by, labels, of), what in words.items()
    ]
    if not target_labels:
        return "; ".join(["without target labels", *lines])
    return "; ".join(lines) or "nothing was selected: fixed settings"
