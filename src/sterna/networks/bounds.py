"""No network is built that is larger than its weights: a number in a file must not fill the memory."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn
from torch.nn.modules.module import (
    register_module_buffer_registration_hook,
    register_module_module_registration_hook,
    register_module_parameter_registration_hook,
)

from sterna.errors import RequestError

_SPARE_BYTES, _SPARE_PARTS = 2**26, 5000
"""For buffers that no file holds, and parts without weights."""


@contextmanager
def no_larger_than(weights: Mapping[str, Tensor]) -> Iterator[None]:
    """End the building of modules that are far larger than the weights that will be put into them.

    A tensor is counted when it becomes part of a module: it is reserved then, but nothing was written into it yet. Four
    times the bytes leave room for weights kept in half precision, and for those that share one tensor.
    """
    most = 4 * sum(tensor.nbytes for tensor in weights.values()) + _SPARE_BYTES
    parts = 20 * len(weights) + _SPARE_PARTS
    count = {"bytes": 0, "parts": 0}

    def add(module: nn.Module, name: str, part: Any) -> None:
        count["parts"] += 1
        if isinstance(part, Tensor):
            count["bytes"] += part.nbytes
        if count["bytes"] > most or count["parts"] > parts:
            raise RequestError(
                f"The saved description asks for a network of more than {count['bytes'] // 2**20:,} MB and "
                f"{count['parts']:,} parts, but the weights beside it are far fewer: one of the files was changed."
            )

    handles = [
        register_module_parameter_registration_hook(add),
        register_module_buffer_registration_hook(add),
        register_module_module_registration_hook(add),
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
