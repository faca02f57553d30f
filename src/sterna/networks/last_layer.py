"""Which layer of a module is its last: found by running it, not by its name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from sterna.networks.examples import on
from sterna.networks.module_body import accepted
from sterna.networks.tracing import as_for_inference


def last_linear(module: nn.Module, example: Any) -> str | None:
    """Path of the linear layer whose output is the module's output, whatever it is called.

    Parameters
    ----------
    module
        Stays as it is.
    example
        A small batch that it is run on.

    Returns
    -------
    str or None
        ``None`` where something comes after the last linear layer, where that runs more than once or under two
        names, where nothing that learns would be left without it, or where the module does not run on the example.
    """
    ended: dict[str, Tensor] = {}
    versions: dict[str, int] = {}
    runs: dict[str, int] = {}

    def note(path: str) -> Any:
        def hook(part: nn.Module, inputs: Any, output: Any) -> None:
            ended[path], versions[path] = output, output._version
            runs[path] = runs.get(path, 0) + 1

        return hook

    named = list(module.named_modules(remove_duplicate=False))
    linear = {path: part for path, part in named if isinstance(part, nn.Linear) and path}
    handles = [part.register_forward_hook(note(path)) for path, part in linear.items()]
    try:
        with as_for_inference(module), torch.no_grad():
            result = _run(module, on(example, module))
    except Exception:  # a module raises anything on an input it was not made for; whoever uses it says so
        return None
    finally:
        for handle in handles:
            handle.remove()
    last = [path for path in ended if _is(result, ended[path]) and versions[path] == ended[path]._version]
    if len(last) != 1 or runs[last[0]] > 1:
        return None
    others = [part for _, part in named if part is not linear[last[0]]]
    return last[0] if any(True for part in others for _ in part.parameters(recurse=False)) else None


def _run(module: nn.Module, inputs: Any) -> Any:
    if isinstance(inputs, Mapping):
        known = accepted(module)
        return module(**{name: value for name, value in inputs.items() if known is None or name in known})
    return module(inputs)


def _is(result: Any, output: Tensor) -> bool:
    """Whether these are the same numbers in the same memory: a view of them (squeezed, flattened) counts."""
    if not isinstance(result, Tensor) or result.numel() != output.numel():
        return False
    return result.untyped_storage().data_ptr() == output.untyped_storage().data_ptr()
