"""Weights of a file in a model of timm, at the image size and with the channels that they were saved with."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from sterna.errors import RequestError, require
from sterna.sources import hub, timm
from sterna.sources.fitting import Fitted, few, fit
from sterna.sources.source import POSITIONS, Source
from sterna.sources.weights import Weights, first_line

if TYPE_CHECKING:
    from torch import nn


def load(
    name: str, entries: Mapping[str, Weights], spec: str, image_size: int | None = None, *, assumed: bool = True
) -> Source:
    """A model of timm with the weights of a file.

    Parameters
    ----------
    name
        As timm names the architecture.
    entries
        The state dicts of the file, by their paths.
    spec
        What the user typed.
    image_size
        To which a table of positions is resized; by default that of the file.
    assumed
        Whether images are prepared as timm does for this architecture, since nothing else is known: the card says so.

    Raises
    ------
    RequestError
        If the architecture is not known, or the weights do not fit it.
    """
    network = timm.build(name, spec)
    found = fit(network, entries, spec, f"timm:{name}", other_shapes=True, hint=other_sizes("timm:" + name))
    channels = _channels(network, found, spec, name)
    size = _size(network, found, spec, image_size)
    options: dict[str, Any] = {"img_size": size} if size else {}
    options |= {"in_chans": channels} if channels else {}
    try:
        network = _filled(network, name, spec, found, options)
    except Exception as error:  # timm raises many types for weights that are not what it expects
        raise RequestError(
            f"The weights of {spec!r} do not fit the architecture 'timm:{name}' at {options} ({first_line(error)})."
        ) from error
    source = timm.wrap(network, name, spec, options).carded(**found.notes)
    return source.carded(**_said(network, found, source, channels, assumed))


def _channels(network: nn.Module, found: Fitted, spec: str, name: str) -> int | None:
    """The channels of the file's first layer, where they are not the architecture's."""
    goal = network.state_dict()
    first = network.pretrained_cfg.get("first_conv")  # type: ignore[union-attr, operator]
    layer = f"{first[0] if isinstance(first, (list, tuple)) else first}.weight"
    wrong = [each for each in found.shapes if not POSITIONS.search(each)]
    if wrong == [layer]:
        theirs, ours = found.weights[layer].shape, goal[layer].shape
        if theirs[0] == ours[0] and theirs[2:] == ours[2:]:
            if theirs[1] in (1, 3):
                return int(theirs[1])
            raise RequestError(
                f"The first layer of {spec!r} ({layer}) takes {theirs[1]} channels, that of 'timm:{name}' {ours[1]}; "
                "images have 1 (grey) or 3 (colours)."
            )
    if wrong:
        shown = [f"{n} {tuple(found.weights[n].shape)} instead of {tuple(goal[n].shape)}" for n in wrong]
        raise RequestError(
            f"The weights of {spec!r} do not fit the architecture 'timm:{name}': {len(wrong)} have another shape "
            f"({few(shown)}).{other_sizes('timm:' + name)}"
        )
    return None


def _size(network: nn.Module, found: Fitted, spec: str, asked: int | None) -> int | None:
    """The image size to build the model at, where it is not its own."""
    about: Mapping[str, Any] = network.pretrained_cfg  # type: ignore[assignment]
    positions = [name for name in found.shapes if POSITIONS.search(name)]
    oblong = [n for n in positions if _patch(network) and found.weights[n].ndim == 3 and not _seen(network, found, n)]
    if oblong:
        raise RequestError(
            f"The positions of {spec!r} ({oblong[0]}, {found.weights[oblong[0]].shape[1]} of them) are those of images "
            "that are not square, which no preparation gives; bring them to a square in Python, with the model of timm "
            "at its own size: model.load_state_dict(...), model.set_input_size(224), and save its state_dict()."
        )
    if asked is not None:
        other = asked != about["input_size"][-1] and about.get("fixed_input_size", False)
        return asked if other or positions else None
    if not positions:
        return None
    sizes = {_seen(network, found, name) for name in positions}
    if len(sizes) == 1 and None not in sizes:
        return sizes.pop()
    raise RequestError(
        f"The positions of {spec!r} ({positions[0]}, say) are those of another image size than "
        f"{about['input_size'][-1]} px; give the size it was saved at, or the one you want, as image_size=."
    )


def _patch(network: nn.Module) -> int | None:
    """The side in pixels of what one position stands for."""
    patch = getattr(getattr(network, "patch_embed", None), "patch_size", None)
    return None if patch is None else int(patch[0])


def _seen(network: nn.Module, found: Fitted, name: str) -> int | None:
    """The side in pixels of square images with as many positions as a table of a file, ``(1, n, c)``, has."""
    patch, shape = _patch(network), found.weights[name].shape
    if patch is None or len(shape) != 3:
        return None
    before = 0 if getattr(network, "no_embed_class", False) else int(getattr(network, "num_prefix_tokens", 0))
    side = math.isqrt(max(0, shape[1] - before))
    return side * patch if side and side**2 == shape[1] - before else None


def _filled(network: nn.Module, name: str, spec: str, found: Fitted, options: Mapping[str, Any]) -> nn.Module:
    """The model with the weights; timm itself resizes what depends on the image size."""
    weights = dict(found.weights)
    if not options:
        network.load_state_dict(weights, strict=False)
        return network
    library = require("timm", "image")
    shape = network.pretrained_cfg["input_size"]  # type: ignore[index]
    overlay = {"state_dict": weights, "input_size": (options.get("in_chans", shape[0]), *shape[1:])}
    with hub.quiet():
        made: nn.Module = library.create_model(
            name, pretrained=True, num_classes=0, pretrained_cfg_overlay=overlay, **options
        )
    made.pretrained_cfg.pop("state_dict", None)  # type: ignore[union-attr, operator]
    state = made.state_dict()
    same = [n for n, t in weights.items() if n in state and state[n].shape == t.shape]
    lost = [n for n in same if not state[n].equal(weights[n].to(state[n]))]
    if lost:
        raise RuntimeError(f"{lost[0]} was not taken")
    return made


def _said(network: nn.Module, found: Fitted, source: Source, channels: int | None, assumed: bool) -> dict[str, str]:
    """What was made to fit, and what was assumed, for the card."""
    about, state, preparation = {}, network.state_dict(), source.preparation
    tables = [name for name in found.weights if POSITIONS.search(name) and name in state]
    resized = [name for name in tables if state[name].shape != found.weights[name].shape]
    size = getattr(preparation, "size", None)
    if resized:
        before = _seen(network, found, resized[0])
        about["positions"] = f"resized {f'from {before} px ' * (before is not None)}to {size} px"
    elif any(name in found.shapes for name in tables):
        about["positions"] = f"for {size} px, as in the file"
    if channels:
        about["channels"] = f"{channels}, as in the file"
    if assumed:
        about["preparation"] = f"assumed: {size} px, normalised as timm does for this architecture"
    return about


def other_sizes(architecture: str) -> str:
    """The models of the same family as a ``timm:<name>``, in words; nothing for other architectures."""
    if not architecture.startswith("timm:"):
        return ""
    name, library = architecture.removeprefix("timm:"), require("timm", "image")
    family = re.sub(r"(?<!\d)\d+[a-z]?$", "", name)
    near = [other for other in library.list_models(f"{family}*") if re.fullmatch(re.escape(family) + r"\d*", other)]
    near = sorted((other for other in near if other != name), key=lambda other: (len(other), other))[:6]
    return f" The same family has {', '.join(near)}." if near else ""
