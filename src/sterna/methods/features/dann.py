"""dann: a network is trained so that a classifier cannot tell its features of one domain from the other's."""

from __future__ import annotations

import math
from typing import Any

import torch
from pydantic import Field
from torch import Tensor, nn

from sterna.bench.adapting import DomainTerm
from sterna.methods.adapting import Adapting


class DomainClassifier(DomainTerm):
    """Learns to tell the domains apart, while the features below learn to prevent it."""

    def __init__(self, width: int) -> None:
        super().__init__(width)
        self.layers = nn.Sequential(nn.Linear(width, 256), nn.ReLU(), nn.Linear(256, 256), nn.ReLU(), nn.Linear(256, 1))

    def forward(self, source: Tensor, target: Tensor, progress: float) -> Tensor:
        outputs = self.layers(reverse(torch.cat([source, target]), strength(progress)))[:, 0]
        answers = torch.cat([outputs.new_ones(len(source)), outputs.new_zeros(len(target))])
        return nn.functional.binary_cross_entropy_with_logits(outputs, answers)


class Dann(Adapting):
    """A network is trained on the source's labels, and against a classifier that tells its features' domains apart.

    What moves: the source's labels, and the source's body where there is one. A classifier D learns whether a row's
    features f(x) are of the source or of the target; the gradient that flows from it into f is multiplied by −λ, so
    that f learns what D cannot use: loss(head(f(x_s)), y_s) + w · cross-entropy(D(f(x)), domain), with
    λ = 2 / (1 + exp(−10 p)) − 1 at the share p of the training. Labelled target rows, where there are some, count as
    much as the source's. Nothing is chosen by labels: fixed settings, the last epoch. Batch normalisation takes the
    domains one after the other and keeps the target's statistics.

    When to use it: many rows of both domains, and a shift that simpler methods leave. When it hurts: few rows (D
    learns them by heart), or classes in other shares than in the source; as two networks work against each other,
    seeds may differ more than those of ``deep-coral`` and ``dan``: use several.

    References
    ----------
    Ganin, Ustinova, Ajakan, Germain, Larochelle, Laviolette, Marchand and Lempitsky, "Domain-adversarial training of
    neural networks", JMLR 2016.
    """

    term = DomainClassifier

    weight: float = Field(1.0, ge=0, description="factor on the domain classifier's loss")


def strength(progress: float) -> float:
    """How strongly gradients are reversed: 2 / (1 + exp(−10 p)) − 1, from 0 to nearly 1.

    Examples
    --------
    >>> [round(strength(p), 3) for p in (0.0, 0.1, 0.5, 1.0)]
    [0.0, 0.462, 0.987, 1.0]
    """
    return 2 / (1 + math.exp(-10 * progress)) - 1


def reverse(x: Tensor, strength: float) -> Tensor:
    """`x` as it is, but a gradient that comes back through it is multiplied by ``-strength``."""
    reversed_: Tensor = _Reversed.apply(x, strength)
    return reversed_


class _Reversed(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, strength: float) -> Tensor:
        ctx.strength = strength
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return -ctx.strength * gradients[0], None
