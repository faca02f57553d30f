"""What the parts of a module do when it runs on an example; nothing of the module is changed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn


@dataclass
class Trace:
    """What ran when a module was tried on an example.

    Attributes
    ----------
    first, count
        For each unit: place of its first call, and number of calls.
    last
        Place of its last call.
    outputs
        Its last output.
    used
        Ids of the parameters that the features depend on; empty where that cannot be seen.
    """

    first: dict[str, int] = field(default_factory=dict)
    last: dict[str, int] = field(default_factory=dict)
    count: dict[str, int] = field(default_factory=dict)
    outputs: dict[str, Any] = field(default_factory=dict)
    used: set[int] = field(default_factory=set)


def traced(module: nn.Module, units: Sequence[str], run: Callable[[], Tensor]) -> Trace:
    """Run a module on an example in evaluation mode, and note what its units do; nothing of it is changed."""
    trace = Trace()
    clock = iter(range(10**9))

    def note(path: str) -> Callable[[nn.Module, Any, Any], None]:
        def hook(part: nn.Module, inputs: Any, output: Any) -> None:
            now = next(clock)
            trace.first.setdefault(path, now)
            trace.last[path] = now
            trace.count[path] = trace.count.get(path, 0) + 1
            trace.outputs[path] = output

        return hook

    handles = [module.get_submodule(path).register_forward_hook(note(path)) for path in units]
    try:
        with as_for_inference(module), torch.inference_mode(False), torch.enable_grad(), _with_gradients(module):
            trace.used = _leaves(run())
    finally:
        for handle in handles:
            handle.remove()
        for part in module.modules():  # a module that holds on to the graph of a pass could not be copied
            for name, value in part.__dict__.items():
                if isinstance(value, Tensor) and value.grad_fn is not None:
                    part.__dict__[name] = value.detach()
    return trace


@contextmanager
def as_for_inference(module: nn.Module) -> Iterator[None]:
    """In evaluation mode, every part's mode put back afterwards."""
    modes = {part: part.training for part in module.modules()}
    for part in modes:
        part.training = False
    try:
        yield
    finally:
        for part, mode in modes.items():
            part.training = mode


@contextmanager
def _with_gradients(module: nn.Module) -> Iterator[None]:
    before = [(p, p.requires_grad) for p in module.parameters() if p.is_floating_point()]
    for parameter, _ in before:
        parameter.requires_grad_(True)
    try:
        yield
    finally:
        for parameter, required in before:
            parameter.requires_grad_(required)


def _leaves(features: Tensor) -> set[int]:
    """Ids of the parameters that a result was computed from."""
    found: set[int] = set()
    seen: set[Any] = set()
    todo: list[Any] = [features.grad_fn]
    while todo:
        node = todo.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        if hasattr(node, "variable"):
            found.add(id(node.variable))
        todo.extend(parent for parent, _ in node.next_functions)
    return found
