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
        Which labels chose what: ``("validation", 40, "epoch")`` reads "validation: 40 labelled target examples".
    chosen
        What was chosen, by name: ``{"blocks": [...], "penalty": 0.1}``.
    """

    history: list[dict[str, Any]] = field(default_factory=list)
    messages: list[str] = field(default_factory=list)
    choices: list[tuple[str, int, str]] = field(default_factory=list)
    chosen: dict[str, Any] = field(default_factory=dict)

    def choose(self, by: str, labels: int, what: str, value: Any) -> None:
        """Note that `labels` labelled target examples chose the value of `what`."""
        self.choices.append((by, labels, what))
        self.chosen[what] = value

    def selected_by(self) -> str:
        """One line that says which labels chose the model."""
        words: dict[tuple[str, int], list[str]] = {}
        for by, labels, what in self.choices:
            words.setdefault((by, labels), []).append(what)
        return (
            "; ".join(
                f"{by}: {labels} labelled target examples ({', '.join(dict.fromkeys(what))})"
                for (by, labels), what in words.items()
            )
            or "nothing was selected: fixed settings"
        )
