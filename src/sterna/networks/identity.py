"""A body that gives its inputs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from sterna.networks.body import LAST, Body, Build, Description, weights_hash


class Flat(nn.Module):
    """The inputs as they are: rows of numbers flattened, texts untouched."""

    def forward(self, inputs: Any) -> Any:
        """``(n, ...)`` to ``(n, d)``; a list stays one."""
        return inputs.flatten(1) if isinstance(inputs, Tensor) else inputs


class IdentityBody(Body):
    """A body that gives its inputs; the head is all that learns.

    Parameters
    ----------
    width
        Numbers in a row; ``None`` where the inputs are texts, which reach the head as they are.
    """

    def __init__(self, width: int | None) -> None:
        super().__init__(Flat(), {"loader": "small", "name": "identity", "width": width})
        self.widths = {LAST: width or 0}

    def features(self, inputs: Any, names: Sequence[str | int]) -> dict[str, Tensor]:
        return {name: self.module(inputs) for name in self.resolved(names)}

    def cut(self, block: str | int) -> None:
        """Never: there is no block."""
        self.block(block)

    def scratch(self, seed: int) -> IdentityBody:
        """Another one: nothing is learnt."""
        return IdentityBody(self.recipe["width"])

    def weights_fingerprint(self) -> str:
        return weights_hash(self.recipe, self.module)

    def described(self, name: str, folder: Path) -> Description:
        return dict(self.recipe)

    @classmethod
    def rebuilt(cls, about: Description, folder: Path | None, build: Build) -> IdentityBody:
        return cls(about["width"])


def identity_body(width: int | None) -> IdentityBody:
    """A body that gives its inputs as features.

    Parameters
    ----------
    width
        Numbers in a row; ``None`` where the inputs are texts, which reach the head as they are.
    """
    return IdentityBody(width)
