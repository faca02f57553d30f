"""`file:<path>`: weights from a file, in an architecture the user names; no code in a file is ever run."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sterna.errors import RequestError, closest
from sterna.files import user_path
from sterna.sources import module as modules
from sterna.sources import timm_files
from sterna.sources.adapters import refuse_adapter_weights
from sterna.sources.catalogue import Form
from sterna.sources.fitting import entry_of, fit
from sterna.sources.source import Source
from sterna.sources.weights import Weights, check_file, first_line, read_entries

if TYPE_CHECKING:
    from torch import nn

    from sterna.domains.inputs import Preparation


def load(
    path: str, spec: str, architecture: str | None, preparation: Preparation | None, image_size: int | None = None
) -> Source:
    """Load the weights of `path` into `architecture`.

    Parameters
    ----------
    path
        A ``.safetensors``, ``.pt``, ``.pth`` or ``.ckpt`` file; after a ``#`` the entry of it that is meant, such as
        ``model.pt#state_dict_ema``.
    spec
        What the user typed.
    architecture
        ``timm:<name>``, or ``<module>:<function>``: a function without arguments that gives the ``nn.Module``.
    preparation
        How raw inputs become tensors; where it is not given, the architecture's own.
    image_size
        To which a model of timm with positions is brought, and images for a module whose size is not known.

    Raises
    ------
    RequestError
        If the file is missing, damaged, or holds code or an adapter, the architecture is not known, or the two do not
        fit.
    """
    file, entry = _parted(path)
    if architecture is None:
        check_file(file)
        raise RequestError(
            f"{spec!r} holds weights only, so say what they belong to: architecture='timm:<name>', such as "
            "'timm:resnet50', or 'module:function' for a function that gives the nn.Module."
        )
    entries = read_entries(file)
    entries = entries if entry is None else entry_of(entries, entry, spec)
    refuse_adapter_weights((name for weights in entries.values() for name in weights), file, spec)
    if architecture.startswith("timm:"):
        name = architecture.removeprefix("timm:")
        source = timm_files.load(name, entries, spec, image_size, assumed=preparation is None)
    else:
        from sterna.networks.last_layer import last_linear

        network = call_architecture(architecture)
        prepared = modules.usual_preparation(network, spec, image_size) if preparation is None else preparation
        notes = fill(network, entries, spec, architecture, head=last_linear(network, modules.example(prepared, spec)))
        recipe = {"loader": "python", "function": architecture}
        source = modules.wrap(network, spec, preparation=preparation, recipe=recipe, image_size=image_size).carded(
            **notes
        )
    if preparation is not None:
        source = replace(source, preparation=preparation)
    return source.carded(origin=f"{file.name}, architecture {architecture}")


def _parted(path: str) -> tuple[Path, str | None]:
    """The file, and the entry of it that is meant, if one is named after a ``#``."""
    whole = user_path(path)
    name, mark, entry = path.rpartition("#")
    return (whole, None) if whole.is_file() or not mark else (user_path(name), entry or None)


def call_architecture(architecture: str) -> nn.Module:
    """The module that the user's function gives; the current folder is searched as Python does for a script.

    Raises
    ------
    RequestError
        If the name has another form, cannot be imported, or gives something else.
    """
    from torch import nn

    from sterna.networks.wrappers import unwrapped

    name, colon, function = architecture.partition(":")
    if not colon or not name or not function:
        raise RequestError(
            f"architecture is {architecture!r}, but 'timm:<name>' or '<module>:<function>' was expected, such as "
            "'timm:resnet50' or 'my_models:make_network'."
        )
    if "" not in sys.path and str(Path.cwd()) not in sys.path:
        sys.path.append(str(Path.cwd()))
    try:
        found = importlib.import_module(name)
    except ImportError as error:
        raise RequestError(
            f"architecture {architecture!r}: the module {name!r} cannot be imported ({first_line(error)}); start in "
            "the folder it lies in, or install it."
        ) from error
    if not hasattr(found, function):
        raise RequestError(f"architecture {architecture!r}: {name} has no {function!r}.{closest(function, dir(found))}")
    try:
        network = getattr(found, function)()
    except TypeError as error:
        raise RequestError(
            f"architecture {architecture!r} must be callable without arguments ({first_line(error)})."
        ) from error
    if not isinstance(network, nn.Module):
        raise RequestError(f"architecture {architecture!r} gave a {type(network).__name__}; an nn.Module was expected.")
    return unwrapped(network)


def fill(
    network: nn.Module, entries: Mapping[str, Weights] | Weights, spec: str, architecture: str, head: str | None = None
) -> dict[str, str]:
    """Load weights into a network in place; all must fit, but for a head that is taken off afterwards.

    Returns
    -------
    dict of str to str
        What was done on the way, for the source's card.

    Raises
    ------
    RequestError
        As :func:`~sterna.sources.fitting.fit` says.
    """
    flat = not all(isinstance(each, Mapping) for each in entries.values())
    places: Any = {"": entries} if flat else entries
    found = fit(network, places, spec, architecture, head=head, hint=timm_files.other_sizes(architecture))
    network.load_state_dict(dict(found.weights), strict=False)
    return dict(found.notes)


FORM = Form(
    "file:<path>", "any", ".safetensors, .pt, .pth or .ckpt, with architecture='timm:<name>' or 'module:function'",
    lambda asked: load(asked.name, asked.spec, asked.architecture, asked.preparation, asked.image_size), bare=True,
)  # fmt: skip
