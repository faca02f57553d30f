"""What the validation rows say of a network, and whether they are enough to choose by."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from sterna.domains.weights import relative
from sterna.record.choice import Choice
from sterna.tasks.task import Task

Array = np.ndarray[Any, Any]

FEW = 100
"""With fewer validation rows an accident would choose the epoch."""


@dataclass(frozen=True, eq=False)
class Validator:
    """Scores answers for the target's validation rows by their labels.

    Attributes
    ----------
    task
        What is asked.
    targets
        The encoded labels of the validation rows, ``(n,)`` or ``(n, k)``.
    weights
        How much each row counts, ``(n,)``; alike if not given.
    """

    task: Task
    targets: Array
    weights: Array | None = None

    def __len__(self) -> int:
        return len(self.targets)

    @property
    def few(self) -> bool:
        """Whether the rows are too few to stop training by."""
        return len(self) < FEW

    def score(self, outputs: Array) -> tuple[float, float]:
        """The task's primary metric, larger is better, and minus the loss, which breaks ties.

        Parameters
        ----------
        outputs
            Of a network for the validation rows, ``(n, o)``.
        """
        task = self.task
        weights = None if self.weights is None else relative(self.weights)[None]
        found = task.metrics(task.statistics(outputs, self.targets), weights)
        value = float(found[task.metric][0])
        return (value if task.higher_is_better(task.metric) else -value, -float(found[task.tie_metric][0]))

    def rank(self, outputs: Array) -> tuple[float, ...]:
        """What networks are compared by: few rows by the loss alone, which says more than how many are right."""
        return self.score(outputs)[int(self.few) :]

    def chose(self, what: str, value: Any) -> Choice:
        """The choice of a value by these rows."""
        return Choice(what, value, "validation", len(self))
