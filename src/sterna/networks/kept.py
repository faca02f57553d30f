"""Modules from Python, without their weights: this program can build them again, another cannot."""

from __future__ import annotations

import copy
import uuid

import torch
from torch import Tensor, nn

_SHAPES: dict[str, tuple[nn.Module, dict[str, Tensor]]] = {}


def keep(module: nn.Module) -> str | None:
    """Keep a copy of a module without weights (no memory is taken for them), and the buffers no state dict holds.

    Returns
    -------
    str or None
        Its key for :func:`kept`; None where it cannot be copied.
    """
    saved = module.state_dict().keys()
    buffers = {name: buffer.clone() for name, buffer in module.named_buffers() if name not in saved}
    memo = {id(p): nn.Parameter(p.detach().to("meta"), p.requires_grad) for p in module.parameters()}
    try:
        shape = copy.deepcopy(module, memo), buffers
    except Exception:  # modules may hold anything, also what cannot be copied
        return None
    key = uuid.uuid4().hex
    _SHAPES[key] = shape
    return key


def kept(key: str | None) -> nn.Module | None:
    """The module of this key, its weights zero; None where this program has not kept it."""
    if key not in _SHAPES:
        return None
    shape, buffers = _SHAPES[key]
    module = copy.deepcopy(shape).to_empty(device="cpu")
    for name, buffer in buffers.items():
        owner, _, last = name.rpartition(".")
        setattr(module.get_submodule(owner), last, buffer.clone())
    with torch.no_grad():
        for tensor in module.state_dict().values():
            tensor.zero_()  # not what lay in memory: the body is tried on an example before its weights are there
    return module
