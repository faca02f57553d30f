"""From a recipe to a body with random weights; code in a file is never run."""

from __future__ import annotations

import copy
import importlib
import math
import os
import sys
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import nn

from sterna.errors import RequestError, require
from sterna.networks.body import Body
from sterna.networks.freezing import thaw

Recipe = Mapping[str, Any]


def build_body(recipe: Recipe) -> Body:
    """Build the architecture of a recipe, with random weights.

    Parameters
    ----------
    recipe
        ``loader`` and what it needs:

        - ``timm``: ``name``, and ``options`` for ``timm.create_model`` (``num_classes`` is 0);
        - ``hf``: ``config``, the dict of a transformers configuration, and ``options`` for ``AutoModel.from_config``,
          and ``"part": "encoder"`` for that of Whisper;
        - ``small``: ``name`` and the arguments of one of Sterna's small bodies;
        - ``python``: ``function``, as ``module:function``, which gives the module.

    Raises
    ------
    RequestError
        If the recipe cannot be followed here.
    """
    if recipe.get("loader") == "small" and recipe.get("name") == "identity":
        from sterna.networks.small import identity_body

        return identity_body(recipe["width"])
    module = build_module(recipe)
    return Body(module, {"input": _usual_input(recipe), **recipe} if "input" not in recipe else recipe)


def build_module(recipe: Recipe) -> nn.Module:
    """The bare module of a recipe, with random weights."""
    loader = recipe.get("loader")
    if loader == "module":
        raise RequestError(
            "This body was a module handed over from Python, and its code was not kept; give it by name instead: "
            "load_source('file:weights.safetensors', architecture='your_module:your_function')."
        )
    if loader not in _BUILDERS:
        raise RequestError(f"A body by the loader {loader!r} is not known to this Sterna; upgrade it.")
    return _BUILDERS[loader](recipe)


def restarted(body: Body, seed: int) -> Body:
    """See :meth:`sterna.networks.Body.scratch`."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        module = build_module(body.recipe) if body.recipe["loader"] in ("timm", "hf", "small") else None
        if module is not None and _sizes(module) == _sizes(body.module):
            other = body._alias()
            other.module = module.to(_device(body.module))
            if body._two_d:
                other.module.to(memory_format=torch.channels_last)
        else:  # nobody says how to build it, or it was changed since
            other = copy.deepcopy(body)
            reset(other.module)
    thaw(other)
    other._rest()
    other.train()
    return other


def reset(module: nn.Module) -> None:
    """Give a module a random start in place, by the global random numbers."""
    covered: set[int] = set()
    for part in module.modules():
        method = getattr(part, "reset_parameters", None) or getattr(part, "_reset_parameters", None)
        if callable(method):
            method()
            covered |= {id(p) for p in part.parameters(recurse=False)}
    with torch.no_grad():
        for parameter in module.parameters():
            if id(parameter) not in covered and parameter.is_floating_point():
                deviation = float(parameter.std(correction=0)) if parameter.numel() > 1 else 0.0
                mean = float(parameter.mean())
                if math.isfinite(mean) and math.isfinite(deviation):
                    parameter.copy_(torch.randn(parameter.shape) * deviation + mean)


def _sizes(module: nn.Module) -> dict[str, torch.Size]:
    return {name: tensor.shape for name, tensor in module.state_dict().items()}


def _device(module: nn.Module) -> torch.device:
    parameter = next(module.parameters(), None)
    return torch.device("cpu") if parameter is None else parameter.device


def _timm(recipe: Recipe) -> nn.Module:
    timm = require("timm", "image")
    options = {"num_classes": 0, **recipe.get("options", {})}
    module: nn.Module = timm.create_model(recipe["name"], pretrained=False, **options)
    return module


def _hf(recipe: Recipe) -> nn.Module:
    transformers = require("transformers", "text")
    config = dict(recipe["config"])
    built = transformers.AutoConfig.for_model(config.pop("model_type"), **config)
    module: nn.Module = transformers.AutoModel.from_config(built, **recipe.get("options", {}))
    if recipe.get("part") == "encoder":  # of Whisper; the decoder goes
        from sterna.networks.speech import WhisperSounds

        return WhisperSounds(module.get_submodule("encoder"))
    return module


def _small(recipe: Recipe) -> nn.Module:
    from sterna.networks.small import small_module

    return small_module(recipe)


def _python(recipe: Recipe) -> nn.Module:
    name, _, function = str(recipe["function"]).partition(":")
    if "" not in sys.path and os.getcwd() not in sys.path:
        sys.path.append(os.getcwd())
    try:
        module = getattr(importlib.import_module(name), function)()
    except (ImportError, AttributeError, TypeError) as error:
        raise RequestError(
            f"The architecture {recipe['function']!r} cannot be built here ({error}); start where its module lies."
        ) from error
    if not isinstance(module, nn.Module):
        raise RequestError(f"{recipe['function']!r} gave a {type(module).__name__}; an nn.Module was expected.")
    return module


_BUILDERS: dict[str, Callable[[Recipe], nn.Module]] = {"timm": _timm, "hf": _hf, "small": _small, "python": _python}


def _usual_input(recipe: Recipe) -> Any:
    """An example's shapes where the recipe names none."""
    if recipe.get("loader") == "hf":
        config = recipe["config"]
        if "vocab_size" in config:
            tokens = {"shape": [8], "whole": True}
            return {"input_ids": tokens, "attention_mask": tokens}
        size = config.get("image_size") or 224
        return _pixels(int(config.get("num_channels") or 3), size if isinstance(size, int) else size[0])
    if recipe.get("loader") == "timm":
        timm = require("timm", "image")
        options = recipe.get("options", {})
        config = timm.get_pretrained_cfg(recipe["name"])
        usual = tuple(config.input_size) if config is not None else (3, 224, 224)
        size = options.get("img_size") or usual[1]
        return _pixels(options.get("in_chans") or usual[0], size if isinstance(size, int) else size[0])
    if recipe.get("loader") == "small":
        from sterna.networks.small import small_input

        return small_input(recipe)
    return _pixels(3, 224)


def _pixels(channels: int, size: int) -> dict[str, Any]:
    return {"shape": [channels, size, size], "whole": False}
