"""The common part of a network: any module that turns a batch into features, and its blocks."""

from __future__ import annotations

import copy
import hashlib
import inspect
import json
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from sterna.errors import RequestError, closest
from sterna.networks import pooling
from sterna.networks.blocks import Block, View, find_blocks
from sterna.networks.examples import example_of, on, shape_of, shapes_in_words
from sterna.networks.freezing import settle, thaw
from sterna.networks.mirror import MIRROR, mirror_image

LAST = "last"
"""Name of the module's own pooled features, beside the names of the blocks."""


class Body(nn.Module):
    """A module up to its features.

    Parameters
    ----------
    module
        Gives, for a batch, features in any of these forms: ``(n, c)``; ``(n, c, h, w)``; ``(n, t, c)``; a transformers
        output. It should end before its classifier.
    recipe
        How to build the same architecture again without weights, as JSON: ``{"loader": "timm" | "hf" | "small" |
        "python" | "module", ...}``; see :func:`~sterna.networks.build_body`. Further keys: ``pooling`` (``"mean"``,
        ``"cls"`` or ``"pooler"``: how token features become one vector), ``normalize`` (to length 1), ``input``
        (shapes of an example; found from `example`).
    example
        A small batch of what the module takes: it is run once, to find the blocks, their order and their widths. Made
        from ``recipe["input"]`` when not given.
    outputs
        Whose pooled outputs `forward` gives, side by side.

    Attributes
    ----------
    blocks : tuple of Block
        In the order they run.
    widths : dict of str to int
        Width of each block's pooled output, and of ``"last"``.
    unused : tuple of str
        Names of parameters that the features do not depend on.

    Raises
    ------
    RequestError
        If the module does not run on the example, or gives no features.
    """

    def __init__(
        self,
        module: nn.Module,
        recipe: Mapping[str, Any],
        *,
        example: Any | None = None,
        outputs: Sequence[str] = (LAST,),
    ) -> None:
        super().__init__()
        self.module = module
        self.recipe: dict[str, Any] = dict(recipe)
        if example is not None:
            self.recipe["input"] = shape_of(example)
        elif "input" not in self.recipe:
            raise RequestError("A body needs example=: a small batch of what its module takes, to find its blocks.")
        else:
            example = example_of(self.recipe["input"])
        self._two_d = any(isinstance(part, nn.Conv2d) for part in module.modules())
        if self._two_d:
            module.to(memory_format=torch.channels_last)
        self._one_d = pooling.is_one_d([module])
        self._accepted = _accepted(module)
        self.blocks, self.widths = self._explored(on(example, module))
        inside = {id(p) for block in self.blocks for p in View(module, block).parameters()}
        self.unused = tuple(name for name, p in module.named_parameters() if id(p) not in inside)
        self._rest()
        self.outputs: tuple[str, ...] = (LAST,)
        self.outputs = self._known(outputs)

    def _rest(self) -> None:
        """Let the unused parameters ask for no gradient: they get none, and several processes would wait for it."""
        for name in self.unused:
            self.module.get_parameter(name).requires_grad_(False)

    @property
    def width(self) -> int:
        """Width of what `forward` gives."""
        return sum(self.widths[name] for name in self.outputs)

    def __repr__(self) -> str:
        about = f"{len(self.blocks)} blocks, outputs {', '.join(self.outputs)}, width {self.width}"
        return f"Body({self.recipe.get('loader')}, {about})"

    # -- running ---------------------------------------------------------------------------------------

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
        return pooling.side_by_side([found[name] for name in self.outputs])

    def features(self, inputs: Any, names: Sequence[str | int]) -> dict[str, Tensor]:
        """Pooled outputs of some blocks, in one pass.

        With ``recipe["mirror"]``, and not in training, the mean of those of each image and of its mirror image, in two.

        Parameters
        ----------
        inputs
            As for `forward`.
        names
            Names of blocks (or their places from 0 on), and ``"last"`` for the module's own features.

        Returns
        -------
        dict of str to Tensor
            For each name ``(n, w)``.

        Raises
        ------
        RequestError
            If there is no such block; close matches are named.
        """
        if self.recipe.get(MIRROR) and not self.training:
            found, turned = self._features(inputs, names), self._features(mirror_image(inputs), names)
            return {name: (found[name] + turned[name]) / 2 for name in found}
        return self._features(inputs, names)

    def _features(self, inputs: Any, names: Sequence[str | int]) -> dict[str, Tensor]:
        wanted = self._known(names)
        caught: dict[str, Any] = {}

        def catch(path: str) -> Any:
            def hook(part: nn.Module, args: Any, output: Any) -> None:
                caught[path] = output

            return hook

        blocks = [self.block(name) for name in dict.fromkeys(wanted) if name != LAST]
        handles = [self.module.get_submodule(b.output).register_forward_hook(catch(b.output)) for b in blocks]
        try:
            result = self._run(inputs)
        finally:
            for handle in handles:
                handle.remove()
        mask, at_end = pooling.mask_of(inputs), self._channels_at_end()
        found = {b.name: pooling.pooled(caught[b.output], mask, at_end, b.one_d) for b in blocks}
        if LAST in wanted:
            found[LAST] = self._last(result, inputs)
        return {str(asked): found[name] for asked, name in zip(names, wanted, strict=True)}

    def _run(self, inputs: Any) -> Any:
        if isinstance(inputs, Mapping):
            known = self._accepted
            return self.module(**{k: v for k, v in inputs.items() if known is None or k in known})
        if self._two_d and isinstance(inputs, Tensor) and inputs.ndim == 4:
            inputs = inputs.contiguous(memory_format=torch.channels_last)
        return self.module(inputs)

    def _last(self, result: Any, inputs: Any) -> Tensor:
        how = str(self.recipe.get("pooling", "mean"))
        features = pooling.last(result, pooling.mask_of(inputs), how, self._channels_at_end(), self._one_d)
        return nn.functional.normalize(features, dim=1) if self.recipe.get("normalize") else features

    def _channels_at_end(self) -> bool:
        return getattr(self.module, "output_fmt", "NCHW") == "NHWC"

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

    def view(self, block: Block) -> nn.Module:
        """All of a block as one module that shares its parts: for parameter groups and to freeze it."""
        return View(self.module, block)

    def _known(self, names: Sequence[str | int]) -> tuple[str, ...]:
        return tuple(LAST if name == LAST else self.block(name).name for name in names)

    def _explored(self, example: Any) -> tuple[tuple[Block, ...], dict[str, int]]:
        widths: dict[str, int] = {}

        def run() -> Tensor:
            try:
                last = self._last(self._run(example), example)
            except Exception as error:  # a module raises anything on an input it was not made for
                what = str(error).strip().splitlines()[0][:200] if str(error).strip() else type(error).__name__
                raise RequestError(
                    f"The {type(self.module).__name__} does not run on an example of the shape "
                    f"{shapes_in_words(shape_of(example))} ({what}); give an input size that fits it."
                ) from error
            widths[LAST] = int(last.shape[1])
            return last

        def width(output: Any, one_d: bool) -> int:
            return int(pooling.pooled(output, pooling.mask_of(example), self._channels_at_end(), one_d).shape[1])

        mask = example.get("frame_mask") if isinstance(example, Mapping) else None
        blocks = find_blocks(self.module, run, width, None if mask is None else int(mask.shape[1]))
        return blocks, {**{block.name: block.width for block in blocks}, **widths}

    def cut(self, block: str | int) -> tuple[nn.Module, Body] | None:
        """The body up to the output of `block`, and from there on; both share its weights.

        Returns
        -------
        tuple of Module and Body, or None
            ``upper(lower(x))`` equals ``body(x)``, which was checked on an example. None where the body cannot be cut
            there: what comes later also looks at the input, or `outputs` names an earlier block.
        """
        from sterna.networks.cutting import cut

        return cut(self, self.block(block))

    # -- other bodies ----------------------------------------------------------------------------------

    def selecting(self, names: Sequence[str | int]) -> Body:
        """The same body (it shares the module) that gives the pooled outputs of these blocks.

        Raises
        ------
        RequestError
            If there is no such block, or none is named.
        """
        if not names:
            raise RequestError("No block is named; name some, or 'last' for the body's own features.")
        chosen = self._alias()
        chosen.outputs = self._known(names)
        return chosen

    def _alias(self) -> Body:
        """Another Body around the same module."""
        other: Body = copy.copy(self)
        other._modules = dict(self._modules)
        other.recipe = copy.deepcopy(self.recipe)
        return other

    def copied(self) -> Body:
        """A copy with weights of its own, nothing of it frozen."""
        other = copy.deepcopy(self)
        thaw(other)
        other._rest()
        return other

    def scratch(self, seed: int) -> Body:
        """The same architecture from a random start, which depends on the seed alone; nothing of it is frozen.

        The library's own initialisation, where the recipe says how to build it; for other modules every part's
        ``reset_parameters()``, and parameters that no part resets are drawn from a normal distribution with the mean
        and deviation they have.
        """
        from sterna.networks.build import restarted

        return restarted(self, seed)

    # -- identity --------------------------------------------------------------------------------------

    def weights_fingerprint(self) -> str:
        """A hash of the recipe and all weights and statistics."""
        digest = hashlib.blake2b(json.dumps(self.recipe, sort_keys=True, default=str).encode(), digest_size=16)
        for name, tensor in self.module.state_dict().items():
            digest.update(f"{name}{tensor.dtype}{tuple(tensor.shape)}".encode())
            digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
        return digest.hexdigest()

    def fingerprint(self) -> str:
        """A hash of the recipe, the weights and the outputs: equal where the features are equal."""
        return hashlib.blake2b(f"{self.weights_fingerprint()}{self.outputs}".encode(), digest_size=16).hexdigest()

    def train(self, mode: bool = True) -> Body:
        """Set the mode of all that is not frozen."""
        super().train(mode)
        settle(self)
        return self


def _accepted(module: nn.Module) -> frozenset[str] | None:
    """Names a module takes as keywords; ``None`` where it takes any."""
    known = inspect.signature(module.forward).parameters
    if any(p.kind is inspect.Parameter.VAR_KEYWORD for p in known.values()) and "input_ids" not in known:
        return None
    return frozenset(known)
