"""Weights in a file, read without running any code that may be in it."""

from __future__ import annotations

import pickletools
import re
import warnings
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sterna.errors import RequestError, closest

if TYPE_CHECKING:
    from torch import Tensor

Weights = dict[str, "Tensor"]

USUAL = ("state_dict", "model_state_dict", "model_state", "model", "weights", "net", "module", "params")
"""Where training scripts put a model's own weights, the commonest first."""

_DEPTH = 6


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
    entries = read_entries(file)
    return entries[min(entries, key=lambda path: (usual(path), -len(entries[path])))]


def read_entries(file: Path) -> dict[str, Weights]:
    """Read all state dicts of a file.

    Returns
    -------
    dict of str to dict
        Of each its path in the file, such as ``"model_ema.state_dict"`` (``""`` where the file is one itself), and its
        tensors by name.

    Raises
    ------
    RequestError
        As for :func:`read_weights`.
    """
    check_file(file)
    if file.suffix == ".safetensors":
        return {"": _read_safetensors(file)}
    if file.suffix not in (".pt", ".pth", ".bin", ".ckpt"):
        raise RequestError(
            f"{str(file)!r} ends in {file.suffix!r}, but .safetensors, .pt or .pth was expected; save the weights with "
            "safetensors.torch.save_file(model.state_dict(), 'model.safetensors')."
        )
    entries = dict(_entries(_read_pickled(file), ""))
    if not entries:
        raise RequestError(f"{str(file)!r} holds no tensors by name; a state dict was expected (model.state_dict()).")
    return entries


def usual(path: str) -> tuple[int, ...]:
    """How usual a place in a file is for a model's own weights, as something to sort by: lower is more usual."""
    return tuple(USUAL.index(part) if part in USUAL else len(USUAL) for part in path.split(".") if part)


def plain(tensor: Tensor, goal: Tensor) -> bool:
    """Whether a tensor of a file can be what an architecture has."""
    dense = str(tensor.layout) == "torch.strided" and not tensor.is_meta and not tensor.is_quantized
    return dense and tensor.is_floating_point() >= goal.is_floating_point()


def sort_of(tensor: Tensor) -> str:
    """What a tensor is that is not plain, in a word."""
    if tensor.is_meta:
        return "without values (on the device 'meta')"
    if str(tensor.layout) != "torch.strided":
        return "sparse"
    return str(tensor.dtype).removeprefix("torch.")


def _read_safetensors(file: Path) -> Weights:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(file, "pt") as opened:
            weights = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118 - it is no mapping
            about = opened.metadata() or {}
    except (SafetensorError, OSError, ValueError) as error:
        raise RequestError(
            f"{str(file)!r} is not a whole safetensors file ({first_line(error)}); copy or download it again."
        ) from error
    # safetensors.torch.save_model keeps one name of tensors that share memory, and says which stands for the others.
    return {**weights, **{name: weights[kept] for name, kept in about.items() if kept in weights}} | weights


def _read_pickled(file: Path) -> Any:
    import pickle

    import torch

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about formats of which nothing is kept here
            return torch.load(file, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise RequestError(
            f"{str(file)!r} holds code or objects besides tensors ({_unsupported(error)}), so it was refused and "
            f"nothing of it was run; where you trust it, convert it once in Python: {_recipe(file)} and give that file."
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
    lines = (str(error).strip() or type(error).__name__).splitlines()
    return " ".join(line.strip() for line in lines[: 1 + lines[0].endswith(":")])[:120]


def _entries(kept: Any, path: str) -> Iterator[tuple[str, Weights]]:
    """Every dictionary with tensors in it, by its path; what an optimiser keeps has numbers for names."""
    import torch

    if path.count(".") >= _DEPTH or path.rpartition(".")[2].startswith(("optim", "lr_sched", "sched", "scaler")):
        return
    if isinstance(kept, (list, tuple)):
        kept = {str(place): each for place, each in enumerate(kept) if isinstance(each, Mapping)}
    if not isinstance(kept, Mapping):
        return
    tensors = {str(name): value for name, value in kept.items() if isinstance(value, torch.Tensor)}
    if tensors:
        yield path, tensors
    for name, value in kept.items():
        if isinstance(name, str):
            yield from _entries(value, f"{path}.{name}" if path else name)


def _unsupported(error: BaseException) -> str:
    """What torch would not load, in a few words."""
    found = re.search(r"GLOBAL ([\w.]+)|type ([\w.]+)", str(error))
    return (found[1] or found[2]) if found else "which torch.load(weights_only=True) does not load"


def _recipe(file: Path) -> str:
    """Python that keeps the tensors of a checkpoint alone; a person who trusts the file runs it, Sterna never does."""
    loaded = f"torch.load({str(file)!r}, map_location='cpu', weights_only=False)"
    whole, names = _outline(file)
    first = next((name for name in USUAL[:3] if name in names), None)
    if whole or first:
        kept = f"{loaded}.state_dict()" if whole else f"{loaded}[{first!r}]"
        tensors = f"{{k: v.contiguous().clone() for k, v in {kept}.items()}}"
        before = ""
    else:  # whatever is in it, by names with dots
        before = (
            "flat = lambda v, p='': {p[1:]: torch.as_tensor(v).contiguous().clone()} if hasattr(v, 'ndim') else "
            "{k: t for n, x in "
            "(v.state_dict() if isinstance(v, torch.nn.Module) else v if isinstance(v, dict) else {}).items() for k, t "
            "in flat(x, f'{p}.{n}').items()}; "
        )
        tensors = f"flat({loaded})"
    goal = str(file.with_name(f"{file.stem}-weights.safetensors"))
    return f"import torch, safetensors.torch; {before}safetensors.torch.save_file({tensors}, {goal!r})"


def _outline(file: Path) -> tuple[bool, set[str]]:
    """Whether a checkpoint is one object of a class, and else the names in it; its opcodes are read, none is run."""
    names: set[str] = set()
    first, depth = "", 0
    try:
        with zipfile.ZipFile(file) as archive:
            inner = next(name for name in archive.namelist() if name.endswith("data.pkl"))
            for opcode, value, _ in pickletools.genops(archive.read(inner)):
                first = first or (f"{opcode.name} {value}" if opcode.name != "PROTO" else "")
                depth += (opcode.name == "MARK") - (opcode.name in ("SETITEMS", "TUPLE", "APPENDS", "LIST", "DICT"))
                if depth <= 1 and opcode.name.endswith("BINUNICODE"):
                    names.add(str(value))
    except (zipfile.BadZipFile, StopIteration, ValueError, OSError):  # an older format, or damaged
        return False, set()
    return first.startswith("GLOBAL") and "OrderedDict" not in first, names
