"""What a run tells about itself."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from sterna.record.choice import Choice, selected_by


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
        What was chosen, and by which labels.
    candidates
        Of a method that tries others: one for each, with how it did and why it was left.
    """

    history: list[dict[str, Any]] = field(default_factory=list)
    messages: list[str] = field(default_factory=list)
    choices: list[Choice] = field(default_factory=list)
    candidates: list[dict[str, Any]] = field(default_factory=list)

    @property
    def chosen(self) -> dict[str, Any]:
        """What was chosen, by name: ``{"blocks": [...], "penalty": 0.1}``."""
        return {choice.what: choice.value for choice in self.choices}

    def selected_by(self, target_labels: int = 1) -> str:
        """One line that says which labels chose the model; so many labels of the target could be seen."""
        return selected_by(self.choices, target_labels)
