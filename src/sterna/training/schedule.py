"""How long to train, and how large a step to take when."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Budget:
    """Epochs, steps or seconds, whichever ends first; ``None`` sets no bound.

    Attributes
    ----------
    epochs
        Passes over the labelled training rows; the method's default where ``None``.
    steps
        Optimiser steps of a stage.
    seconds
        Wall-clock seconds of a stage.
    """

    epochs: int | None = None
    steps: int | None = None
    seconds: float | None = None

    def done(self, epoch_steps: int, default_epochs: int) -> int:
        """Steps this budget allows, given the steps in an epoch."""
        allowed = epoch_steps * (self.epochs or default_epochs)
        return min(allowed, self.steps) if self.steps else allowed


def warmup_cosine(progress: float, warmup: float = 0.1) -> float:
    """Factor on the learning rate at this share of the training, in [0, 1].

    Rises linearly over the first `warmup`, then falls along half a cosine to zero (Loshchilov and Hutter, 2017).

    Examples
    --------
    >>> [round(warmup_cosine(p), 2) for p in (0.05, 0.1, 0.55, 1.0)]
    [0.5, 1.0, 0.5, 0.0]
    """
    if progress < warmup:
        return progress / warmup
    return 0.5 * (1 + math.cos(math.pi * min(1.0, (progress - warmup) / (1 - warmup))))
