"""Rules as a head: what those that fire say together."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from sterna.rules.voting import Votes


class RuleVote(nn.Module):
    """The vote of the rules that fire; nothing of it is trained.

    For classes the outputs are the sums of the log-odds of the rules that fire, for numbers the mean of what they say,
    weighted by confidence; where none fires, what is said otherwise.

    Parameters
    ----------
    rules
        How many there are, r.
    outputs
        Numbers an answer has, o.
    mean
        Whether the outputs are means instead of sums.
    """

    values: Tensor
    weights: Tensor
    otherwise: Tensor

    def __init__(self, rules: int, outputs: int, mean: bool = False) -> None:
        super().__init__()
        self.mean = mean
        self.register_buffer("values", torch.zeros(rules, outputs))
        self.register_buffer("weights", torch.zeros(rules))
        self.register_buffer("otherwise", torch.zeros(outputs))

    @classmethod
    def of(cls, votes: Votes) -> RuleVote:
        """A head that votes so."""
        rules, outputs = votes.values.shape
        head = cls(rules, outputs, votes.mean)
        for name in ("values", "weights", "otherwise"):
            getattr(head, name).copy_(torch.from_numpy(getattr(votes, name)))
        return head

    def forward(self, fired: Tensor) -> Tensor:
        """Which rules fire ``(n, r)``, as 0 and 1, to outputs ``(n, o)``."""
        sums = (fired * self.weights) @ self.values
        if self.mean:
            sums = sums / (fired @ self.weights).clamp_min(1e-12).unsqueeze(1)
        return torch.where(fired.any(dim=1, keepdim=True), sums, self.otherwise)
