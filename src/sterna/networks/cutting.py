"""A module in two parts: so that what the frozen part gives is computed once."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any, Self

from torch import Tensor, nn

from sterna.networks.freezing import settle
from sterna.networks.pooling import tensor_of


class _Reached(Exception):
    """The block's output is known; what comes after it need not run."""


class Lower(nn.Module):
    """A module up to the output of one of its parts: gives that output as it is, not pooled.

    Parameters
    ----------
    module
        The whole.
    run
        Runs it on a batch.
    path
        Of the part.
    """

    def __init__(self, module: nn.Module, run: Callable[[Any], Any], path: str) -> None:
        super().__init__()
        self.module, self.run, self.path = module, run, path

    def forward(self, inputs: Any) -> Tensor:
        """The activation at the cut, ``(n, ...)``."""
        caught: list[Tensor] = []

        def hook(part: nn.Module, args: Any, output: Any) -> None:
            caught.append(tensor_of(output))
            raise _Reached

        handle = self.module.get_submodule(self.path).register_forward_hook(hook)
        try:
            self.run(inputs)
        except _Reached:
            return caught[0]
        finally:
            handle.remove()
        raise RuntimeError(f"the block's module {self.path!r} did not run")

    def train(self, mode: bool = True) -> Self:
        """Set the mode of all that is not frozen."""
        super().train(mode)
        settle(self)
        return self


class _Pass(nn.Module):
    """Stands where a part of the lower half was."""

    def forward(self, inputs: Tensor) -> Tensor:
        return inputs


def passing(module: nn.Module, gone: Sequence[str], prefix: str = "") -> nn.Module:
    """The module with pass-throughs at these paths; all else is shared."""
    shell = copy.copy(module)
    shell._modules = dict(module._modules)
    for name, child in module._modules.items():
        path = f"{prefix}{name}"
        if path in gone:
            shell._modules[name] = _Pass()
        elif child is not None and any(each.startswith(f"{path}.") for each in gone):
            shell._modules[name] = passing(child, gone, f"{path}.")
    return shell
