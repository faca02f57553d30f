"""A gate between two halves of features: how much of each, for every row and every feature."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Scaled(nn.Module):
    """The first columns of features brought to a mean and a scale, the others as they are."""

    mean: Tensor
    scale: Tensor

    def __init__(self, width: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(width))
        self.register_buffer("scale", torch.ones(width))

    def forward(self, features: Tensor) -> Tensor:
        """Features ``(n, d)``: of the first columns ``(x - mean) / scale``."""
        width = len(self.mean)
        return torch.cat([(features[:, :width] - self.mean) / self.scale, features[:, width:]], dim=1)


class Gate(nn.Module):
    r"""Two halves of features brought to one width and mixed.

    .. math:: z = g \odot P_s s + (1 - g) \odot P_t t, \qquad g = \sigma(A [s; t] + a)

    Parameters
    ----------
    source, target
        Widths of the halves s and t.
    width
        Of the mixture z. The gate starts at one half everywhere.
    """

    def __init__(self, source: int, target: int, width: int) -> None:
        super().__init__()
        self.sizes = (source, target)
        self.source, self.target = nn.Linear(source, width), nn.Linear(target, width)
        self.gate = nn.Linear(source + target, width)
        nn.init.zeros_(self.gate.weight)
        nn.init.zeros_(self.gate.bias)

    def forward(self, features: Tensor) -> Tensor:
        """Features ``(n, source + target)``, side by side, to ``(n, width)``."""
        weight, width = self.weight(features), self.sizes[0]
        mixed: Tensor = weight * self.source(features[:, :width]) + (1 - weight) * self.target(features[:, width:])
        return mixed

    def weight(self, features: Tensor) -> Tensor:
        """The source's weight g, ``(n, width)``, each in (0, 1)."""
        opened: Tensor = self.gate(features)
        return opened.sigmoid()


class GateWeight(nn.Module):
    """The source's mean weight in each row, ``(n, 1)``."""

    def __init__(self, gate: Gate) -> None:
        super().__init__()
        self.gate = gate

    def forward(self, features: Tensor) -> Tensor:
        """Features ``(n, source + target)`` to ``(n, 1)``."""
        return self.gate.weight(features).mean(1, keepdim=True)
