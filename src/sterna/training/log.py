"""What a run tells about itself."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass
class Log:
    """What happened in one fit of one method: kept with the result, shown in the report.

    Attributes
    ----------
    history
        A row for each epoch: stage, epoch, step, every loss term by name, validation, seconds.
    messages
        Sentences the user should know (a halved batch, truncated texts).
    choices
        Which labels chose what: ``("validation", 40, "target", "epoch")`` reads "validation: 40 labelled target
        examples (epoch)".
    chosen
        What was chosen, by name: ``{"blocks": [...], "penalty": 0.1}``.
    """

    history: list[dict[str, Any]] = field(default_factory=list)
    messages: list[str] = field(default_factory=list)
    choices: list[tuple[str, int, str, str]] = field(default_factory=list)
    chosen: dict[str, Any] = field(default_factory=dict)

    def choose(self, by: str, labels: int, what: str, value: Any, of: str = "target") -> None:
        """Note that so many labelled examples of the target (or the source, or both) chose the value of `what`.

        One example cannot be held out from itself: cross-validation and leave-one-out chose nothing by it.
        """
        if labels > 1 or by == "validation":
            self.choices.append((by, labels, of, what))
        self.chosen[what] = value

    def selected_by(self, target_labels: int = 1) -> str:
        """One line that says which labels chose the model; so many labels of the target could be seen."""
        words: dict[tuple[str, int, str], list[str]] = {}
        for by, labels, of, what in self.choices:
            words.setdefault((by, labels, of), []).append(what)
        lines = [
            f"{by}: {labels} labelled {of} examples ({', '.join(dict.fromkeys(what))})"
            for (by, labels, of), what in words.items()
        ]
        if not target_labels:
            return "; ".join(["without target labels", *lines])
        return "; ".join(lines) or "nothing was selected: fixed settings"
