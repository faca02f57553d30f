"""Rules as a head: what those that fire say together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from sterna.rules.voting import Votes


class RuleVote(nn.Module):
    """The vote of the rules that fire; nothing of it is trained.

    For classes the outputs are the logarithms of the share of each, to which the weights of the rules that fire are
    added; for numbers the mean of what they say, weighted by confidence; where none fires, what is said otherwise.

    Parameters
    ----------
    rules
        How many there are, r.
    outputs
        Numbers an answer has, o.
    mean
        Whether the outputs are means instead of sums.
    prior
        What the sums are added to, o numbers; nothing where not given, as in runs before it was known.
    overlap
        How far rules that fire together repeat each other, from 0 to 1.
    """

    prior: Tensor
    values: Tensor
    weights: Tensor
    otherwise: Tensor

    def __init__(
        self, rules: int, outputs: int, mean: bool = False, prior: Sequence[float] | None = None, overlap: float = 0.0
    ) -> None:
        super().__init__()
        self.mean, self.overlap = mean, float(overlap)
        # Kept in the description: a buffer more would make the weights of older runs incomplete.
        about = torch.zeros(outputs) if prior is None else torch.tensor([float(each) for each in prior])
        self.register_buffer("prior", about, persistent=False)
        self.register_buffer("values", torch.zeros(rules, outputs))
        self.register_buffer("weights", torch.zeros(rules))
        self.register_buffer("otherwise", torch.zeros(outputs))

    @classmethod
    def of(cls, votes: Votes) -> RuleVote:
        """A head that votes so."""
        rules, outputs = votes.values.shape
        head = cls(rules, outputs, votes.mean, votes.prior.tolist(), votes.overlap)
        for name in ("values", "weights", "otherwise"):
            getattr(head, name).copy_(torch.from_numpy(getattr(votes, name)))
        return head

    def forward(self, fired: Tensor) -> Tensor:
        """Which rules fire ``(n, r)``, as 0 and 1, to outputs ``(n, o)``."""
        sums = (fired * self.weights) @ self.values
        if self.mean:
            sums = sums / (fired @ self.weights).clamp_min(1e-12).unsqueeze(1)
        else:
            sums = self.prior + sums / (1 + self.overlap * (fired.sum(dim=1, keepdim=True) - 1).clamp_min(0))
        return torch.where(fired.any(dim=1, keepdim=True), sums, self.otherwise)
