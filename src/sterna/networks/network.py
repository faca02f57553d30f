"""Preparation → body → map → head: the common part, an optional feature map, the private part."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from sterna.domains.inputs import Inputs, Preparation
from sterna.networks.body import Body
from sterna.networks.freezing import is_frozen, settle
from sterna.networks.pair import see_once
from sterna.networks.views import Views, mirrored
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
    views
        How it sees a batch when it answers, outside training.
    """

    def __init__(
        self,
        preparation: Preparation,
        body: Body,
        head: nn.Module,
        map: nn.Module | None = None,
        task: Task | None = None,
        views: Views = Views.ONE,
    ) -> None:
        super().__init__()
        self.preparation = preparation
        self.body = body
        self.map = nn.Identity() if map is None else map
        self.head = head
        self.task = task
        self.views = views

    def features(self, inputs: Any) -> Tensor:
        """Mapped features of a batch, ``(n, d)``; outside training, of the mean of its views."""
        views = Views.ONE if self.body.training else self.views
        mapped: Tensor = self.map(views.mean([self.body(each) for each in views.of(inputs)]))
        return mapped

    def forward(self, inputs: Any) -> Tensor:
        """Outputs of a batch, ``(n, o)``."""
        outputs: Tensor = self.head(self.features(inputs))
        return outputs

    def see_as_trained(self, inputs: Inputs, augment: bool = True) -> None:
        """Answer with the mirror images too where training with `augment` on these inputs prepares for it, in place.

        Where a mirror image is no kin of the image, it has no part in the answers, whatever the body was trained on
        before.
        """
        if not mirrored(inputs):
            self.views = Views.ONE
            see_once(self.body)
        elif augment:
            self.views = Views.MIRRORED

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

    def train(self, mode: bool = True) -> Network:
        """Set the mode of all that is not frozen."""
        super().train(mode)
        settle(self)
        return self
