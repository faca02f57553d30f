"""Arithmetic that the losses of all tasks share."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


def at_least_float32(outputs: Tensor) -> Tensor:
    """Outputs in float32 or wider: half precision is too coarse for a loss."""
    import torch

    return outputs.to(torch.promote_types(outputs.dtype, torch.float32))


def weighted_mean(losses: Tensor, weights: Tensor | None) -> Tensor:
    """Mean of the losses ``(n,)``, weighted where weights ``(n,)`` are given; 0 if no row has any weight."""
    if weights is None:
        return losses.mean()
    weights = weights.to(losses.dtype)
    return (weights * losses).sum() / weights.sum().clamp_min(1e-12)
