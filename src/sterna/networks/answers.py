"""A network's answers as features, alone or beside those they were made from."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from sterna.networks.pooling import side_by_side
from sterna.tasks.losses import at_least_float32
from sterna.tasks.task import Task


class Answers(nn.Module):
    """A head whose answers are features: what it says of a row, on a scale that suits a linear model.

    Class probabilities come as logarithms (no smaller than 0.001 counts), so that a linear head can repeat them as
    they are; several labels as their log-odds (at most ±6.9), numbers standardised.

    Parameters
    ----------
    head
        From features, or texts, to outputs ``(n, o)``.
    task
        What it answers.
    """

    def __init__(self, head: nn.Module, task: Task) -> None:
        super().__init__()
        self.head, self.task = head, task

    def forward(self, features: Any) -> Tensor:
        """Features ``(n, d)``, or n texts, to ``(n, o)`` float32."""
        return self.task.as_features(at_least_float32(self.head(features))).float()


class Mean(nn.Module):
    """The weighted mean of several networks' answers: of their probabilities where they say how likely something is.

    Parameters
    ----------
    weights
        Of each network, ``(c,)``, with the sum 1.
    task
        What they answer.
    """

    weights: Tensor

    def __init__(self, weights: Tensor, task: Task) -> None:
        super().__init__()
        self.register_buffer("weights", weights)
        self.task = task

    def forward(self, features: Tensor) -> Tensor:
        """Answers as `Answers` gives them, side by side, ``(n, c · o)``, to outputs ``(n, o)``."""
        answers = features.reshape(len(features), len(self.weights), -1)
        return self.task.mean_of(answers, self.weights[:, None])


class Beside(nn.Module):
    """Features with what a part makes of them beside them: ``x`` to ``[x; part(x)]``."""

    def __init__(self, part: nn.Module) -> None:
        super().__init__()
        self.part = part

    def forward(self, features: Tensor) -> Tensor:
        """Features ``(n, d)`` to ``(n, d + e)``."""
        return side_by_side([features, self.part(features)])
