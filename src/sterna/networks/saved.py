"""A network on disk: ``network.json`` says how it is built, ``model.safetensors`` holds its weights; no code.

The weights of a large body that stays as it is lie in ``body.safetensors``, so that equal ones can be one file on disk.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from sterna.errors import RequestError
from sterna.files import atomic, whole_folder
from sterna.leftovers import sweep
from sterna.networks.bounds import no_larger_than
from sterna.networks.build import build_body
from sterna.networks.examples import on
from sterna.networks.network import Network
from sterna.networks.pair import describe_body, described_body, described_views
from sterna.networks.saved_parts import build_part, describe_part, in_users_units
from sterna.networks.trust import trusted
from sterna.preparations.pair import two_rows
from sterna.preparations.saved import preparation_from_state
from sterna.record.hashes import check_hashes, hashes_of_network
from sterna.record.reading import AGAIN, check_file, in_words, read_json, reading
from sterna.record.recognised import holds_network
from sterna.tasks import task_from_state

FORMAT = 3
"""Version of the folder's layout; raised when an older Sterna could no longer read it.

Since 3 there may be a ``body.safetensors``; a folder without one is written as 2. Since 2 a network that answers a
number does so in the user's units, and says how it sees a batch; in 1 its numbers are standardised, and its body's
recipe says whether it answers with mirror images.
"""

_JSON, _WEIGHTS, _ASSETS = "network.json", "model.safetensors", "preparation"

BODY, BODY_NAMES = "body.safetensors", "body."
"""The file of the body's weights, and how their names begin."""

LARGE = 2**20
"""Bytes from which on a frozen body has a file of its own."""


def save_network(network: Network, folder: str | Path) -> None:
    """Write a network into a folder, whole or not at all; a network that was there is replaced.

    Parameters
    ----------
    network
        Its head and map may be linear layers and activations, alone or in sequence, or a fitted scikit-learn
        estimator. A body that was a module from Python can be loaded again only while this program runs.
    folder
        Where to.

    Raises
    ------
    RequestError
        If a part of the network cannot be described without code, or `folder` holds something else.
    RunError
        If the disk is full or cannot be written.
    """
    folder = Path(folder)
    if folder.exists() and not (folder.is_dir() and (holds_network(folder) or not any(folder.iterdir()))):
        raise RequestError(f"{str(folder)!r} exists and holds no network, so it is left alone; name another folder.")
    with whole_folder(folder) as new:
        _write(network, new)


def _write(network: Network, folder: Path) -> None:
    from safetensors.torch import save_file

    weights, aliases = _distinct(network.state_dict())
    body = {name: weights.pop(name) for name in _apart(network, weights)}
    about = {
        "format": FORMAT if body else 2,
        "sterna": version("sterna"),
        **describe_body(network.body, "body", folder, network.views),
        "map": describe_part(network.map, "map", folder),
        "head": describe_part(network.head, "head", folder),
        "task": None if network.task is None else network.task.state(),
        "preparation": _keep_preparation(network, folder / _ASSETS),
        "aliases": aliases,
    }
    for name, some in ((_WEIGHTS, weights), (BODY, body)):
        if some or name == _WEIGHTS:
            with atomic(folder / name) as file:
                save_file(some, file, metadata={"format": "pt"})
    about["files"] = hashes_of_network(folder)
    with atomic(folder / _JSON) as file:
        file.write_text(json.dumps(about, indent=1, ensure_ascii=False), encoding="utf-8")


def _apart(network: Network, weights: Mapping[str, Tensor]) -> list[str]:
    """The names of a body that nothing has trained, where it is large: other networks may have the same."""
    if any(parameter.requires_grad for parameter in network.body.parameters()):
        return []
    names = [name for name in weights if name.startswith(BODY_NAMES)]
    return names if sum(weights[name].nbytes for name in names) >= LARGE else []


def _keep_preparation(network: Network, folder: Path) -> dict[str, Any]:
    """The preparation's state; the files it needs (a tokenizer's) are written into `folder`."""
    network.preparation.save_assets(folder)
    return network.preparation.state()


def _distinct(state: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Each tensor once: shared ones (tied weights) are written under their first name, the other names refer to it."""
    weights: dict[str, Tensor] = {}
    aliases: dict[str, str] = {}
    first: dict[tuple[Any, ...], str] = {}
    for name, tensor in state.items():
        key = (tensor.device, tensor.data_ptr(), tensor.dtype, tuple(tensor.shape), tensor.stride())
        if tensor.numel() and key in first:
            aliases[name] = first[key]
        else:
            first[key] = name
            weights[name] = tensor.detach().cpu().clone(memory_format=torch.contiguous_format)
    return weights, aliases


def load_network(folder: str | Path, trust: Collection[str] = ()) -> Network:
    """Read a network back, in evaluation mode, with exactly the weights it was saved with.

    Nothing in the folder runs code: a recipe that asks for a function of a module is refused unless the function is of
    an installed package that extends Sterna, or is named in `trust`.

    Parameters
    ----------
    folder
        Where it was saved.
    trust
        Functions that it may import and call, as ``"module:function"``.

    Raises
    ------
    RequestError
        If the folder, or a file in it, is missing, damaged, or from a newer Sterna, or asks for a function that is not
        trusted.
    """
    folder = Path(folder)
    sweep(folder.absolute().parent)
    about = trusted(_read_json(folder), trust, f"The network in {str(folder)!r}")
    weights = _read_weights(folder / _WEIGHTS)
    if about["format"] >= 3:
        weights |= _read_weights(folder / BODY)
    check_hashes(folder, about.get("files", {}), _JSON)
    with reading(folder / _JSON), no_larger_than(weights):
        network = _built(folder, about)
    with reading(folder / _JSON):
        _fill(network, weights, dict(about.get("aliases", {})), folder / _WEIGHTS)
        if about["format"] < 2 and network.task is not None:
            network.head = in_users_units(network.head, network.task)
        _try(network.eval())
    return network


def _read_json(folder: Path) -> dict[str, Any]:
    path = folder / _JSON
    if not path.exists():
        raise RequestError(f"{str(folder)!r} holds no saved network: there is no {_JSON} to read in it.")
    about = read_json(path)
    if not isinstance(about, dict) or not isinstance(about.get("format"), int):
        raise RequestError(f"{str(path)!r} does not describe a network; run the transfer again.")
    if about["format"] > FORMAT:
        raise RequestError(
            f"{str(path)!r} was written by Sterna {about.get('sterna')} (format {about['format']}), this one reads up "
            f"to format {FORMAT}: pip install --upgrade sterna."
        )
    return about


def _built(folder: Path, about: dict[str, Any]) -> Network:
    body, views = described_body(about, folder, build_body), described_views(about)
    preparation = preparation_from_state(about["preparation"], folder / _ASSETS)
    task = None if about["task"] is None else task_from_state(about["task"])
    head, mapped = build_part(about["head"], folder), build_part(about["map"], folder)
    return Network(preparation, body, head, map=mapped, task=task, views=views)


def _try(network: Network) -> None:
    """Answer an example: parts that do not fit each other are found now, and not by whoever asks for an answer.

    Rows of numbers and texts go through the whole network; for others, which may be large, only the head is tried.
    """
    network.preparation.example()
    if len({p.dtype for p in network.parameters() if p.is_floating_point()}) > 1:
        return
    rows = two_rows(network.preparation)
    with torch.no_grad():
        if not network.body.width:
            outputs = network(["a tern", "an arctic tern"])
        elif rows is not None:
            outputs = network(on(rows, network))
        else:
            outputs = network.head(network.map(on(torch.zeros(2, network.body.width), network)))
    if network.task is not None and outputs.shape != (2, network.task.outputs):
        raise ValueError(f"outputs {tuple(outputs.shape)}, expected {(2, network.task.outputs)}")


def _read_weights(path: Path) -> dict[str, Tensor]:
    from safetensors.torch import load_file

    try:
        check_file(path)
        return dict(load_file(path))
    except Exception as error:  # a type of its own for each thing that may be wrong
        raise RequestError(f"{str(path)!r} is missing or damaged ({in_words(error)}); {AGAIN}.") from error


def _fill(network: nn.Module, weights: dict[str, Tensor], aliases: Mapping[str, str], path: Path) -> None:
    """Put saved weights into a network built anew, in the number type they were saved in."""
    weights |= {name: weights[other] for name, other in aliases.items() if other in weights}
    goal = network.state_dict()
    missing, extra = sorted(goal.keys() - weights.keys()), sorted(weights.keys() - goal.keys())
    shapes = [name for name in goal.keys() & weights.keys() if goal[name].shape != weights[name].shape]
    if missing or extra or shapes:
        first = (missing + extra + sorted(shapes))[0]
        raise RequestError(
            f"{str(path)!r} does not fit the network that its {_JSON} describes: {len(missing)} weights are missing, "
            f"{len(extra)} are too many, {len(shapes)} have another shape (first: {first}); the file was changed, or "
            "the library that builds the body has: install the versions in the run's manifest."
        )
    _retype(network, weights)
    network.load_state_dict(weights)


def _retype(network: nn.Module, weights: Mapping[str, Tensor]) -> None:
    """Give parameters and buffers the number types that they were saved in."""
    for name, parameter in network.named_parameters(remove_duplicate=False):
        if name in weights and parameter.dtype != weights[name].dtype:
            parameter.data = parameter.data.to(weights[name].dtype)
    for name, buffer in list(network.named_buffers(remove_duplicate=False)):
        if name in weights and buffer.dtype != weights[name].dtype:
            owner, _, last = name.rpartition(".")
            setattr(network.get_submodule(owner), last, buffer.to(weights[name].dtype))
