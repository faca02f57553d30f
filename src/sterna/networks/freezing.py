"""Frozen means frozen: no gradient, no weight decay, no running statistics, no dropout, also after ``.train()``."""

from __future__ import annotations

from torch import nn

_MARK = "_sterna_frozen"


def freeze(module: nn.Module) -> None:
    """Freeze a module and all below it, in place.

    Its parameters get no gradient, and it stays in ``eval()``: :class:`~sterna.networks.Body` and
    :class:`~sterna.networks.Network` keep it there when they are put into training mode.
    """
    for part in module.modules():
        setattr(part, _MARK, True)
        part.training = False
    for parameter in module.parameters():
        parameter.requires_grad_(False)
        parameter.grad = None


def thaw(module: nn.Module) -> None:
    """Undo :func:`freeze`, in place; the next ``.train()`` puts it into training mode."""
    for part in module.modules():
        part.__dict__.pop(_MARK, None)
    for parameter in module.parameters():
        if parameter.is_floating_point() or parameter.is_complex():
            parameter.requires_grad_(True)


def is_frozen(module: nn.Module) -> bool:
    """Whether nothing of a module can change: no parameter asks for a gradient, all that has statistics is frozen."""
    return not any(p.requires_grad for p in module.parameters()) and all(
        _marked(part) for part in module.modules() if part._buffers
    )


def frozen_names(module: nn.Module) -> list[str]:
    """Names of the parameters that get no gradient."""
    return [name for name, parameter in module.named_parameters() if not parameter.requires_grad]


def settle(module: nn.Module) -> None:
    """Put what is frozen back into evaluation mode, after ``.train()`` has reached every part.

    A container that lies around frozen parts only (so that its own forward may drop or update nothing that is
    trained) goes with them.
    """
    marked = {id(part) for part in module.modules() if _marked(part)}
    if marked:
        _settle(module, marked)


def _settle(module: nn.Module, marked: set[int]) -> tuple[bool, bool]:
    """Whether something below has state that may train, and whether something below is frozen."""
    own = id(module) in marked
    trains = any(p.requires_grad for p in module._parameters.values() if p is not None) or (
        not own and bool(module._buffers) and not module._modules
    )
    freezes = own
    for child in module.children():
        below = _settle(child, marked)
        trains, freezes = trains or below[0], freezes or below[1]
    if own or (freezes and not trains):
        module.training = False
    return trains, freezes


def _marked(module: nn.Module) -> bool:
    return bool(module.__dict__.get(_MARK, False))
