"""A random start for a module that is there."""

from __future__ import annotations

import math

import torch
from torch import nn


def reset(module: nn.Module) -> None:
    """Give a module a random start in place, by the global random numbers."""
    covered: set[int] = set()
    for part in module.modules():
        method = getattr(part, "reset_parameters", None) or getattr(part, "_reset_parameters", None)
        if callable(method):
            method()
            covered |= {id(p) for p in part.parameters(recurse=False)}
    with torch.no_grad():
        for parameter in module.parameters():
            if id(parameter) not in covered and parameter.is_floating_point():
                deviation = float(parameter.std(correction=0)) if parameter.numel() > 1 else 0.0
                mean = float(parameter.mean())
                if math.isfinite(mean) and math.isfinite(deviation):
                    parameter.copy_(torch.randn(parameter.shape) * deviation + mean)
