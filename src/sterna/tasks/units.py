"""The last layer of a network that answers a number: from the scale it is learnt on to the user's units."""

from __future__ import annotations

from torch import Tensor, nn


class Units(nn.Module):
    r"""Standardised numbers in the user's units, :math:`mean + scale\, z`.

    In float64: with a mean far from 0 (a year, a time stamp) float32 would round away what the network has learnt.
    Nothing of it is trained, and a network's state has no entry for it.

    Parameters
    ----------
    mean, scale
        Of the training targets.
    """

    def __init__(self, mean: float, scale: float) -> None:
        super().__init__()
        self.mean, self.scale = mean, scale

    def forward(self, standardised: Tensor) -> Tensor:
        """``(n, 1)`` to ``(n, 1)`` float64."""
        return standardised.double() * self.scale + self.mean

    def extra_repr(self) -> str:
        return f"mean={self.mean:g}, scale={self.scale:g}"


class NumberHead(nn.Linear):
    """A linear layer that answers a number in the user's units; its weights are those of standardised numbers.

    Parameters
    ----------
    width
        Of the features it reads.
    units
        The last layer.
    """

    def __init__(self, width: int, units: Units) -> None:
        super().__init__(width, 1)
        self.units = units

    def forward(self, features: Tensor) -> Tensor:
        """Features ``(n, width)`` to ``(n, 1)`` float64."""
        answer: Tensor = self.units(super().forward(features))
        return answer
