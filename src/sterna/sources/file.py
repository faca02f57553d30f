"""`file:<path>`: weights from a file, in an architecture the user names; no code in a file is ever run."""

from __future__ import annotations

import importlib
import re
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from sterna.errors import RequestError, closest, require
from sterna.sources import module as modules
from sterna.sources import timm
from sterna.sources.catalogue import Form
from sterna.sources.source import Source
from sterna.sources.weights import Weights, check_file, first_line, read_weights

if TYPE_CHECKING:
    from torch import nn

    from sterna.domains.inputs import Preparation

_HEADS = frozenset(
    {
        "head",
        "heads",
        "fc",
        "classifier",
        "classif",
        "logits",
        "linear",
        "last_linear",
        "output",
        "output_layer",
        "_fc",
        "aux_classifier",
        "projection_head",
        "projector",
        "predictor",
        "mlp_head",
        "cls",
        "pooler",
        "head_dist",
        "head_drop",
        "score",
        "lm_head",
        "AuxLogits",
        "aux1",
        "aux2",
    }
)
_SHOWN = 3


def load(path: str, spec: str, architecture: str | None, preparation: Preparation | None) -> Source:
    """Load the weights of `path` into `architecture`.

    Parameters
    ----------
    path
        A ``.safetensors``, ``.pt`` or ``.pth`` file.
    spec
        What the user typed.
    architecture
        ``timm:<name>``, or ``<module>:<function>``: a function without arguments that gives the ``nn.Module``.
    preparation
        How raw inputs become tensors; where it is not given, the architecture's own.

    Raises
    ------
    RequestError
        If the file is missing, damaged, or holds code, the architecture is not known, or the two do not fit.
    """
    file = Path(path).expanduser()
    if architecture is None:
        check_file(file)
        raise RequestError(
            f"{spec!r} holds weights only, so say what they belong to: architecture='timm:<name>' (--architecture), "
            "such as 'timm:resnet50', or 'module:function' for a function that gives the nn.Module."
        )
    weights = read_weights(file)
    if architecture.startswith("timm:"):
        name = architecture.removeprefix("timm:")
        network = timm.build(name, spec)
        notes = fill(network, weights, spec, architecture)
        source = timm.wrap(network, name, spec)
    else:
        network = call_architecture(architecture)
        notes = fill(network, weights, spec, architecture)
        recipe = {"loader": "python", "function": architecture}
        source = modules.wrap(network, spec, preparation=preparation, recipe=recipe)
    if preparation is not None:
        source = replace(source, preparation=preparation)
    return source.carded(origin=f"{file.name}, architecture {architecture}", **notes)


def call_architecture(architecture: str) -> nn.Module:
    """The module that the user's function gives; the current folder is searched as Python does for a script.

    Raises
    ------
    RequestError
        If the name has another form, cannot be imported, or gives something else.
    """
    from torch import nn

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
    return network


def fill(network: nn.Module, weights: Weights, spec: str, architecture: str) -> dict[str, str]:
    """Load weights into a network in place; a classifier of another size stays as it is, all else must fit.

    Returns
    -------
    dict of str to str
        What was done on the way, for the source's card.

    Raises
    ------
    RequestError
        Names how many weights do not fit, and the first of them.
    """
    goal = network.state_dict()
    prefix = _prefix(weights, goal, spec)
    found = {name.removeprefix(prefix): tensor for name, tensor in weights.items() if name.startswith(prefix)}
    missing = [n for n in goal if n not in found and not n.endswith("num_batches_tracked") and not _is_head(n)]
    extra = [n for n in found if n not in goal and not _is_head(n) and not n.endswith("num_batches_tracked")]
    shapes = [n for n, t in goal.items() if n in found and found[n].shape != t.shape]
    wrong = [n for n in shapes if not _is_head(n)]
    problems = []
    if missing:
        problems.append(f"{len(missing)} of its {len(goal)} weights are not in the file ({_few(missing)})")
    if wrong:
        few = [f"{n} {tuple(found[n].shape)} instead of {tuple(goal[n].shape)}" for n in wrong[:_SHOWN]]
        problems.append(f"{len(wrong)} have another shape ({_few(few, len(wrong))})")
    if extra:
        problems.append(f"the file has {len(extra)} weights that it lacks ({_few(extra)})")
    if problems:
        raise RequestError(
            f"The weights of {spec!r} do not fit the architecture {architecture!r}: {'; '.join(problems)}."
            f"{_other_size(architecture)}"
        )
    fitting = {n: found[n] for n in goal if n in found and n not in shapes}
    network.load_state_dict(fitting, strict=False)
    return {"prefix": f"{prefix!r} taken off the weights' names"} if prefix else {}


def _prefix(weights: Weights, goal: Weights, spec: str) -> str:
    """What stands before the architecture's own names: ``module.``, ``model.``, ``backbone.``, or nothing."""
    counts: Counter[str] = Counter()
    for name in weights:
        parts = name.split(".")
        for cut in range(len(parts)):
            if ".".join(parts[cut:]) in goal:
                counts[".".join(parts[:cut]) + "." if cut else ""] += 1
    if not counts:
        return ""
    most = max(counts.values())
    best = [prefix for prefix, count in counts.items() if count == most]
    if len(best) > 1 and "" not in best and most > 1:
        raise RequestError(
            f"{spec!r} holds the network {len(best)} times (under {_few([repr(b) for b in best])}), and which one is "
            "meant cannot be told; save the one you mean with safetensors.torch.save_file."
        )
    return "" if "" in best else best[0]


def _is_head(name: str) -> bool:
    return name.split(".")[0] in _HEADS


def _few(names: list[str], total: int | None = None) -> str:
    total = len(names) if total is None else total
    return "first: " * (total > 1) + ", ".join(names[:_SHOWN]) + ", ..." * (total > _SHOWN)


def _other_size(architecture: str) -> str:
    if not architecture.startswith("timm:"):
        return ""
    name = architecture.removeprefix("timm:")
    timm = require("timm", "image")
    family = re.sub(r"(?<!\d)\d+[a-z]?$", "", name)
    near = [other for other in timm.list_models(f"{family}*") if re.fullmatch(re.escape(family) + r"\d*", other)]
    near = sorted((other for other in near if other != name), key=lambda other: (len(other), other))[:6]
    return f" The same family has {', '.join(near)}." if near else ""


FORM = Form(
    "file:<path>", "any", ".safetensors, .pt or .pth, with --architecture timm:<name> or module:function",
    lambda asked: load(asked.name, asked.spec, asked.architecture, asked.preparation), bare=True,
)  # fmt: skip
