"""Examples of what a body takes: only their shapes are kept, the numbers are made again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn


def shape_of(example: Any) -> Any:
    """The shapes and kinds of a batch, without its first dimension, as JSON; see :func:`example_of`."""
    if isinstance(example, Tensor):
        return {"shape": list(example.shape[1:]), "whole": not example.is_floating_point()}
    if isinstance(example, Mapping):
        return {name: shape_of(value) for name, value in example.items()}
    return "texts"


def example_of(shapes: Any, rows: int = 2) -> Any:
    """A batch of these shapes: noise where numbers are floating-point, ones where they are whole."""
    if shapes == "texts":
        return ["a tern", "an arctic tern"][:rows]
    if "shape" in shapes:
        size = (rows, *shapes["shape"])
        if shapes["whole"]:
            return torch.ones(size, dtype=torch.int64)
        return torch.randn(size, generator=torch.Generator().manual_seed(0))
    return {name: example_of(value, rows) for name, value in shapes.items()}


def shapes_in_words(shapes: Any) -> str:
    """Shapes for a message: ``(n, 3, 224, 224)``."""
    if isinstance(shapes, Mapping) and "shape" not in shapes:
        return ", ".join(f"{name} {shapes_in_words(value)}" for name, value in shapes.items())
    return str(shapes) if isinstance(shapes, str) else f"(n, {', '.join(map(str, shapes['shape']))})"


def on(example: Any, module: nn.Module) -> Any:
    """An example on the device of a module's weights, in their precision."""
    parameter = next(module.parameters(), None)
    if parameter is None:
        return example
    if isinstance(example, Mapping):
        return {name: on(value, module) for name, value in example.items()}
    if not isinstance(example, Tensor):
        return example
    # Half-precision weights take half-precision inputs.
    return example.to(parameter.device, parameter.dtype if example.is_floating_point() else None)
