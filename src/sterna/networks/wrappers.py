"""What is put around a module to compile, spread or average it, and computes nothing: it is taken off."""

from __future__ import annotations

from torch import nn
from torch.jit import ScriptModule
from torch.nn.parallel import DistributedDataParallel
from torch.optim.swa_utils import AveragedModel

from sterna.errors import RequestError

_INSIDE = ("_orig_mod", "_checkpoint_wrapped_module")
"""Where torch.compile and activation checkpointing keep the module itself; importing their types would take seconds."""


def unwrapped(module: nn.Module) -> nn.Module:
    """The module without wrappers around it or around its parts, which are taken off in place.

    A body's blocks are found, cut and frozen by hooks on its parts, which a compiled program runs past or is compiled
    anew for.

    Raises
    ------
    RequestError
        If it, or a part of it, is a TorchScript program: what such a program is made of cannot be seen.
    """
    while (inner := _inside(module)) is not None:
        module = inner
    if isinstance(module, ScriptModule):
        raise RequestError(
            f"{getattr(module, 'original_name', 'The module')} is a TorchScript program (torch.jit), of which no part "
            "can be taken; give the nn.Module that it was made from."
        )
    module._compiled_call_impl = None  # of module.compile()
    for name, part in module._modules.items():
        if part is not None:
            module._modules[name] = unwrapped(part)
    return module


def _inside(module: nn.Module) -> nn.Module | None:
    if isinstance(module, (nn.DataParallel, DistributedDataParallel, AveragedModel)):
        return module.module
    return next((module._modules[name] for name in _INSIDE if name in module._modules), None)
