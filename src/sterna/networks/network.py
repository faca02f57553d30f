"""Preparation → body → map → head: the common part, an optional feature map, the private part."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from sterna.domains.inputs import Preparation
from sterna.networks.body import Body
from sterna.networks.freezing import is_frozen, settle
from sterna.tasks.task import Task


class Network(nn.Module):
    """What every method ends in.

    Parameters
    ----------
    preparation
        How raw inputs become what the body takes.
    body
        From a batch to features ``(n, d)``.
    head
        From mapped features to outputs ``(n, o)``: a torch module, or an :class:`~sterna.networks.EstimatorHead`.
    map
        From features to features; as they are by default.
    task
        What the outputs mean.
    """

    def __init__(
        self,
        preparation: Preparation,
        body: Body,
        head: nn.Module,
        map: nn.Module | None = None,
        task: Task | None = None,
    ) -> None:
        super().__init__()
        self.preparation = preparation
        self.body = body
        self.map = nn.Identity() if map is None else map
        self.head = head
        self.task = task

    def features(self, inputs: Any) -> Tensor:
        """Mapped features of a batch, ``(n, d)``."""
        mapped: Tensor = self.map(self.body(inputs))
        return mapped

    def forward(self, inputs: Any) -> Tensor:
        """Outputs of a batch, ``(n, o)``."""
        outputs: Tensor = self.head(self.features(inputs))
        return outputs

    def body_is_frozen(self) -> bool:
        """Whether nothing of the body can change."""
        fixed = not any(p.requires_grad for p in self.body.parameters())
        return fixed and all(is_frozen(self.body.view(block)) for block in self.body.blocks)

    def depth_modules(self) -> list[tuple[str, list[nn.Module]]]:
        """From the input to the head: the name and the modules of each block, then of map and head together.

        Every parameter the features depend on is in exactly one; a block's loose parameters (class token, positions)
        come in a module of their own that shares them, so freezing and parameter groups reach them too.
        """
        blocks: list[tuple[str, list[nn.Module]]] = [(b.name, [self.body.view(b)]) for b in self.body.blocks]
        return [*blocks, ("head", [self.map, self.head])]

    def depth_groups(self) -> list[tuple[str, list[nn.Parameter]]]:
        """The same as names and parameters."""
        return [(name, [p for m in modules for p in m.parameters()]) for name, modules in self.depth_modules()]

    def train(self, mode: bool = True) -> Network:
        """Set the mode of all that is not frozen."""
        super().train(mode)
        settle(self)
        return self
