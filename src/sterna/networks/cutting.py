"""A body in two parts: so that what the frozen part gives is computed once."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from sterna.networks.blocks import Block, as_for_inference
from sterna.networks.examples import example_of, on
from sterna.networks.pooling import mask_of, tensor_of

if TYPE_CHECKING:
    from sterna.networks.body import Body


class _Reached(Exception):
    """The block's output is known; what comes after it need not run."""


class Lower(nn.Module):
    """A body up to the output of one block: gives that output as it is, not pooled."""

    def __init__(self, body: Body, block: Block) -> None:
        super().__init__()
        self.body = body
        self.path = block.output

    def forward(self, inputs: Any) -> Tensor:
        """The activation at the cut, ``(n, ...)``."""
        caught: list[Tensor] = []

        def hook(part: nn.Module, args: Any, output: Any) -> None:
            caught.append(tensor_of(output))
            raise _Reached

        handle = self.body.module.get_submodule(self.path).register_forward_hook(hook)
        try:
            self.body._run(inputs)
        except _Reached:
            return caught[0]
        finally:
            handle.remove()
        raise RuntimeError(f"the block's module {self.path!r} did not run")


class _Pass(nn.Module):
    """Stands where a part of the lower half was."""

    def forward(self, inputs: Tensor) -> Tensor:
        return inputs


def cut(body: Body, block: Block) -> tuple[nn.Module, Body] | None:
    """See :meth:`sterna.networks.Body.cut`."""
    from sterna.networks.body import LAST

    place = [b.name for b in body.blocks].index(block.name) + 1
    below, above = body.blocks[:place], body.blocks[place:]
    if not above or not all(name == LAST or name in [b.name for b in above] for name in body.outputs):
        return None
    gone = [path for each in below for path in each.modules]
    upper = body._alias()
    upper.module = _without(body.module, gone)
    upper.blocks = above
    upper.widths = {n: w for n, w in body.widths.items() if n == LAST or n in [b.name for b in above]}
    lower = Lower(body, block)
    example = on(example_of(body.recipe["input"]), body.module)
    if mask_of(example) is not None:  # what comes later also looks at the mask
        return None
    try:
        with as_for_inference(body), as_for_inference(upper), torch.no_grad():
            whole, halves = body(example), upper(lower(example))
    except Exception:  # whatever a module raises on an input it was not made for: it cannot be cut here
        return None
    same = whole.shape == halves.shape and torch.allclose(whole, halves, rtol=1e-4, atol=1e-5)
    return (lower, upper) if same else None


def _without(module: nn.Module, gone: Sequence[str], prefix: str = "") -> nn.Module:
    """The module with pass-throughs at these paths; all else is shared."""
    shell = copy.copy(module)
    shell._modules = dict(module._modules)
    for name, child in module._modules.items():
        path = f"{prefix}{name}"
        if path in gone:
            shell._modules[name] = _Pass()
        elif child is not None and any(each.startswith(f"{path}.") for each in gone):
            shell._modules[name] = _without(child, gone, f"{path}.")
    return shell
