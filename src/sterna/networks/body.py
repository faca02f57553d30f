"""The common part of a network: what turns a batch into features, and its blocks."""

from __future__ import annotations

import copy
import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import torch
from torch import Tensor, nn

from sterna.errors import RequestError, closest
from sterna.networks.blocks import Block, View
from sterna.networks.freezing import settle, thaw
from sterna.networks.pooling import side_by_side

LAST = "last"
"""Name of the body's own features, beside the names of the blocks."""

Description = Mapping[str, Any]
"""How a body is built again, as JSON."""

Build = Callable[[Description, Path | None], "Body"]
"""Builds any body from its description, and the folder it was described into."""


class Body(nn.Module, ABC):
    """What turns a batch into features.

    An implementation gives `features`, `cut`, `scratch`, `weights_fingerprint`, `described` and `rebuilt`, and sets
    `blocks`, `widths` and `unused` when it is made.

    Parameters
    ----------
    module
        Holds all weights.
    recipe
        How to build the same architecture again without weights, as JSON: ``{"loader": ..., ...}``; see
        :func:`~sterna.networks.build_body`.

    Attributes
    ----------
    blocks : tuple of Block
        In the order they run.
    widths : dict of str to int
        Width of each block's pooled output, and of ``"last"``.
    unused : tuple of str
        Names of parameters that the features do not depend on.
    outputs : tuple of str
        Whose pooled outputs `forward` gives, side by side.
    """

    def __init__(self, module: nn.Module, recipe: Description) -> None:
        super().__init__()
        self.module = module
        self.recipe: dict[str, Any] = dict(recipe)
        self.blocks: tuple[Block, ...] = ()
        self.widths: dict[str, int] = {}
        self.unused: tuple[str, ...] = ()
        self.outputs: tuple[str, ...] = (LAST,)

    @property
    def width(self) -> int:
        """Width of what `forward` gives."""
        return sum(self.widths[name] for name in self.outputs)

    def __repr__(self) -> str:
        about = f"{len(self.blocks)} blocks, outputs {', '.join(self.outputs)}, width {self.width}"
        return f"Body({self.recipe.get('loader')}, {about})"

    # -- running ---------------------------------------------------------------------------------------

    @abstractmethod
    def features(self, inputs: Any, names: Sequence[str | int]) -> dict[str, Tensor]:
        """Pooled outputs of some blocks, in one pass.

        Parameters
        ----------
        inputs
            As for `forward`.
        names
            Names of blocks (or their places from 0 on), and ``"last"`` for the body's own features.

        Returns
        -------
        dict of str to Tensor
            For each name ``(n, w)``.

        Raises
        ------
        RequestError
            If there is no such block; close matches are named.
        """

    def forward(self, inputs: Any) -> Tensor:
        """Features of a batch.

        Parameters
        ----------
        inputs
            What the preparation's `collate` gives: a tensor, a mapping of tensors, or a list.

        Returns
        -------
        Tensor, shape (n, width)
            The pooled outputs named in `outputs`, side by side.
        """
        found = self.features(inputs, self.outputs)
        return side_by_side([found[name] for name in self.outputs])

    def train(self, mode: bool = True) -> Self:
        """Set the mode of all that is not frozen."""
        super().train(mode)
        settle(self)
        return self

    # -- blocks ----------------------------------------------------------------------------------------

    def block(self, name: str | int) -> Block:
        """The block of this name, or with this place from 0 on, or that a module of this path belongs to.

        Raises
        ------
        RequestError
            If there is none; close matches are named.
        """
        names = [block.name for block in self.blocks]
        if name in names:
            return self.blocks[names.index(str(name))]
        if str(name).isdecimal() and int(name) < len(names):
            return self.blocks[int(name)]
        for block in self.blocks:
            if name in block.modules:
                return block
        raise RequestError(
            f"The body has no block {name!r}.{closest(str(name), names)} "
            f"Its blocks, in depth order: {', '.join(names)}."
        )

    def resolved(self, names: Sequence[str | int]) -> tuple[str, ...]:
        """The names of the blocks that are meant, ``"last"`` among them; see `block`."""
        return tuple(LAST if name == LAST else self.block(name).name for name in names)

    def view(self, block: Block) -> nn.Module:
        """All of a block as one module that shares its parts: for parameter groups and to freeze it."""
        return View(self.module, block)

    @abstractmethod
    def cut(self, block: str | int) -> tuple[nn.Module, Body] | None:
        """The body up to the output of `block`, and from there on; both share its weights.

        Returns
        -------
        tuple of Module and Body, or None
            ``upper(lower(x))`` equals ``body(x)``, which was checked on an example. None where the body cannot be cut
            there: what comes later also looks at the input, or `outputs` names an earlier block.
        """

    # -- other bodies ----------------------------------------------------------------------------------

    def selecting(self, names: Sequence[str | int]) -> Self:
        """The same body (it shares the module) that gives the pooled outputs of these blocks.

        Raises
        ------
        RequestError
            If there is no such block, or none is named.
        """
        if not names:
            raise RequestError("No block is named; name some, or 'last' for the body's own features.")
        chosen = self.around(self.module)
        chosen.outputs = self.resolved(names)
        return chosen

    def around(self, module: nn.Module) -> Self:
        """The same body with another module of the same parts in its place."""
        other = copy.copy(self)
        other._modules = dict(self._modules)
        other.recipe = copy.deepcopy(self.recipe)
        other.module = module
        return other

    def copied(self) -> Self:
        """A copy with weights of its own, nothing of it frozen."""
        other = copy.deepcopy(self)
        thaw(other)
        other.rest()
        return other

    def rest(self) -> None:
        """Let the unused parameters ask for no gradient: they get none, and several processes would wait for it."""
        for name in self.unused:
            self.module.get_parameter(name).requires_grad_(False)

    @abstractmethod
    def scratch(self, seed: int) -> Body:
        """The same architecture from a random start, which depends on the seed alone; nothing of it is frozen.

        The library's own initialisation, where the recipe says how to build it; for other modules every part's
        ``reset_parameters()``, and parameters that no part resets are drawn from a normal distribution with the mean
        and deviation they have.
        """

    # -- identity --------------------------------------------------------------------------------------

    @abstractmethod
    def weights_fingerprint(self) -> str:
        """A hash of the recipe and all weights and statistics."""

    def fingerprint(self) -> str:
        """A hash of the recipe, the weights and the outputs: equal where the features are equal."""
        return hashlib.blake2b(f"{self.weights_fingerprint()}{self.outputs}".encode(), digest_size=16).hexdigest()

    @abstractmethod
    def described(self, name: str, folder: Path) -> Description:
        """How it is built again; what is not JSON is written into `folder`, under `name`."""

    @classmethod
    @abstractmethod
    def rebuilt(cls, about: Description, folder: Path | None, build: Build) -> Body:
        """The body that `described` tells of, with random weights; `build` builds those in it."""


def weights_hash(recipe: Description, module: nn.Module) -> str:
    """A hash of a recipe and a module's weights and statistics."""
    digest = hashlib.blake2b(json.dumps(recipe, sort_keys=True, default=str).encode(), digest_size=16)
    for name, tensor in module.state_dict().items():
        digest.update(f"{name}{tensor.dtype}{tuple(tensor.shape)}".encode())
        digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()
