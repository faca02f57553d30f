"""Weights in a file, read without running any code that may be in it."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sterna.errors import RequestError, closest

if TYPE_CHECKING:
    from torch import Tensor

Weights = dict[str, "Tensor"]

_NESTED = ("state_dict", "model_state_dict", "model_state", "model", "weights", "net", "module", "params")


def check_file(file: Path) -> None:
    """Refuse a file that is not there; close matches are named."""
    if not file.is_file():
        near = closest(file.name, [p.name for p in file.parent.iterdir()]) if file.parent.is_dir() else ""
        raise RequestError(f"There is no file {str(file)!r}.{near}")


def read_weights(file: Path) -> Weights:
    """Read the tensors of a file by name; whatever else it holds is left.

    Raises
    ------
    RequestError
        If the file is missing, damaged, of an unknown format, or would run code when unpickled (nothing of it is run).
    """
    check_file(file)
    if file.suffix == ".safetensors":
        return _read_safetensors(file)
    if file.suffix not in (".pt", ".pth", ".bin", ".ckpt"):
        raise RequestError(
            f"{str(file)!r} ends in {file.suffix!r}, but .safetensors, .pt or .pth was expected; save the weights with "
            "safetensors.torch.save_file(model.state_dict(), 'model.safetensors')."
        )
    weights = _tensors(_read_pickled(file))
    if not weights:
        raise RequestError(f"{str(file)!r} holds no tensors by name; a state dict was expected (model.state_dict()).")
    return weights


def _read_safetensors(file: Path) -> Weights:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return dict(load_file(file))
    except (SafetensorError, OSError, ValueError) as error:
        raise RequestError(
            f"{str(file)!r} is not a whole safetensors file ({first_line(error)}); copy or download it again."
        ) from error


def _read_pickled(file: Path) -> Any:
    import pickle

    import torch

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about formats of which nothing is kept here
            return torch.load(file, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise RequestError(
            f"{str(file)!r} holds code or objects besides tensors, so it was refused and nothing of it was run; where "
            "you trust it, convert it once with safetensors.torch.save_file(torch.load(FILE, weights_only=False)"
            ".state_dict(), 'model.safetensors') (without .state_dict() if it holds a state dict) and give that file."
        ) from error
    except Exception as error:  # a cut zip, an empty file, TorchScript: torch raises many types for a bad file
        if "TorchScript" in str(error):
            raise RequestError(
                f"{str(file)!r} is a TorchScript program, which is code, so it was refused; save its state_dict() with "
                "safetensors.torch.save_file and give that file."
            ) from error
        raise RequestError(
            f"{str(file)!r} is damaged or no torch file ({first_line(error)}); copy or download it again."
        ) from error


def first_line(error: BaseException) -> str:
    """What went wrong, in one line."""
    return (str(error).strip() or type(error).__name__).splitlines()[0][:120]


def _tensors(kept: Any) -> Weights:
    """The named tensors of what a checkpoint holds: itself, or the entry that training scripts put them under."""
    import torch

    while isinstance(kept, dict):
        tensors = {str(key): value for key, value in kept.items() if isinstance(value, torch.Tensor)}
        if tensors:
            return tensors
        inner = next((kept[name] for name in _NESTED if isinstance(kept.get(name), dict)), None)
        if inner is None:
            dicts = [value for value in kept.values() if isinstance(value, dict)]
            inner = dicts[0] if len(dicts) == 1 else None
        kept = inner
    return {}
