"""Any module as a body: it is run once on an example, to find its blocks, their order and their widths."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from sterna.errors import RequestError
from sterna.networks import pooling
from sterna.networks.architectures import build_module, usual_input, without
from sterna.networks.blocks import Block, View, find_blocks
from sterna.networks.body import LAST, Body, Build, Description, weights_hash
from sterna.networks.cutting import Lower, passing
from sterna.networks.examples import example_of, on, shape_of, shapes_in_words
from sterna.networks.freezing import thaw
from sterna.networks.kept import keep, kept
from sterna.networks.random_start import reset
from sterna.networks.tracing import as_for_inference


class ModuleBody(Body):
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

    Raises
    ------
    RequestError
        If the module does not run on the example, or gives no features.
    """

    def __init__(
        self,
        module: nn.Module,
        recipe: Description,
        *,
        example: Any | None = None,
        outputs: Sequence[str] = (LAST,),
    ) -> None:
        super().__init__(module, recipe)
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
        self._accepted = accepted(module)
        self.blocks, self.widths = self._explored(on(example, module))
        inside = {id(p) for block in self.blocks for p in View(module, block).parameters()}
        self.unused = tuple(name for name, p in module.named_parameters() if id(p) not in inside)
        self.rest()
        self.outputs = self.resolved(outputs)

    # -- running ---------------------------------------------------------------------------------------

    def features(self, inputs: Any, names: Sequence[str | int]) -> dict[str, Tensor]:
        wanted = self.resolved(names)
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

    def _explored(self, example: Any) -> tuple[tuple[Block, ...], dict[str, int]]:
        widths: dict[str, int] = {}

        def run() -> Tensor:
            try:
                last = self._last(self._run(example), example)
            except Exception as error:  # a module raises anything on an input it was not made for
                what = str(error).strip().splitlines()[0][:200] if str(error).strip() else type(error).__name__
                raise RequestError(
                    f"The {type(self.module).__name__} does not run on an example of the shape "
                    f"{shapes_in_words(shape_of(example))} ({what}); give a preparation= that fits it."
                ) from error
            widths[LAST] = int(last.shape[1])
            return last

        def width(output: Any, one_d: bool) -> int:
            return int(pooling.pooled(output, pooling.mask_of(example), self._channels_at_end(), one_d).shape[1])

        mask = example.get("frame_mask") if isinstance(example, Mapping) else None
        blocks = find_blocks(self.module, run, width, None if mask is None else int(mask.shape[1]))
        return blocks, {**{block.name: block.width for block in blocks}, **widths}

    # -- other bodies ----------------------------------------------------------------------------------

    def cut(self, block: str | int) -> tuple[nn.Module, ModuleBody] | None:
        at = self.block(block)
        place = self.blocks.index(at) + 1
        below, above = self.blocks[:place], self.blocks[place:]
        names = [each.name for each in above]
        if not above or not all(name == LAST or name in names for name in self.outputs):
            return None
        upper = self.around(passing(self.module, [path for each in below for path in each.modules]))
        upper.blocks = above
        upper.widths = {n: w for n, w in self.widths.items() if n == LAST or n in names}
        lower = Lower(self.module, self._run, at.output)
        example = on(example_of(self.recipe["input"]), self.module)
        if pooling.mask_of(example) is not None:  # what comes later also looks at the mask
            return None
        try:
            with as_for_inference(self), as_for_inference(upper), torch.no_grad():
                whole, halves = self(example), upper(lower(example))
        except Exception:  # whatever a module raises on an input it was not made for: it cannot be cut here
            return None
        same = whole.shape == halves.shape and torch.allclose(whole, halves, rtol=1e-4, atol=1e-5)
        return (lower, upper) if same else None

    def scratch(self, seed: int) -> ModuleBody:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            module = build_module(self.recipe) if self.recipe["loader"] in ("timm", "hf", "small") else None
            if module is not None and _sizes(module) == _sizes(self.module):
                other = self.around(module.to(_device(self.module)))
                if self._two_d:
                    other.module.to(memory_format=torch.channels_last)
            else:  # nobody says how to build it, or it was changed since
                other = copy.deepcopy(self)
                reset(other.module)
        thaw(other)
        other.rest()
        other.train()
        return other

    # -- identity --------------------------------------------------------------------------------------

    def weights_fingerprint(self) -> str:
        return weights_hash(self.recipe, self.module)

    def described(self, name: str, folder: Path) -> Description:
        """The recipe; the code of a module from Python is not kept, but its shape is, while the program runs."""
        key = keep(self.module) if self.recipe.get("loader") == "module" else None
        return {**self.recipe, **({} if key is None else {"kept": key})}

    @classmethod
    def rebuilt(cls, about: Description, folder: Path | None, build: Build) -> ModuleBody:
        module = kept(about.get("kept"))
        if module is None:
            module = build_module(about)
            if "without" in about:
                without(module, about["without"])
        return cls(module, about if "input" in about else {"input": usual_input(about), **about})


def _sizes(module: nn.Module) -> dict[str, torch.Size]:
    return {name: tensor.shape for name, tensor in module.state_dict().items()}


def _device(module: nn.Module) -> torch.device:
    parameter = next(module.parameters(), None)
    return torch.device("cpu") if parameter is None else parameter.device


def accepted(module: nn.Module) -> frozenset[str] | None:
    """Names a module takes as keywords; ``None`` where it takes any."""
    known = inspect.signature(module.forward).parameters
    if any(p.kind is inspect.Parameter.VAR_KEYWORD for p in known.values()) and "input_ids" not in known:
        return None
    return frozenset(known)
