"""A network's answers as features, alone or beside those they were made from."""

from __future__ import annotations

import math
from typing import Any

from torch import Tensor, nn

from sterna.networks.pooling import side_by_side

LEAST = math.log(1e-3)
"""Logarithm below which a class's probability says no more than that it is not this class."""


class Answers(nn.Module):
    """A head whose answers are features: what it says of a row, on a scale that suits a linear model.

    Class probabilities come as logarithms (no smaller than 0.001 counts), so that a linear head can repeat them as
    they are; several labels as their log-odds (at most ±6.9), numbers as they are.

    Parameters
    ----------
    head
        From features, or texts, to outputs ``(n, o)``.
    kind
        Id of the task it answers.
    """

    def __init__(self, head: nn.Module, kind: str) -> None:
        super().__init__()
        self.head, self.kind = head, kind

    def forward(self, features: Any) -> Tensor:
        """Features ``(n, d)``, or n texts, to ``(n, o)`` float32."""
        outputs: Tensor = self.head(features).float()
        if self.kind == "classification":
            return outputs.log_softmax(1).clamp_min(LEAST)
        return outputs.clamp(LEAST, -LEAST) if self.kind == "multilabel" else outputs


class Beside(nn.Module):
    """Features with what a part makes of them beside them: ``x`` to ``[x; part(x)]``."""

    def __init__(self, part: nn.Module) -> None:
        super().__init__()
        self.part = part

    def forward(self, features: Tensor) -> Tensor:
        """Features ``(n, d)`` to ``(n, d + e)``."""
        return side_by_side([features, self.part(features)])
