"""From a recipe to a module with random weights; code in a file is never run."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable, Mapping
from typing import Any

from torch import nn

from sterna.errors import RequestError, require
from sterna.networks.small_modules import small_input, small_module
from sterna.networks.speech import WhisperSounds
from sterna.networks.wrappers import unwrapped

Recipe = Mapping[str, Any]


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


def _timm(recipe: Recipe) -> nn.Module:
    timm = require("timm", "image")
    options = {"num_classes": 0, **recipe.get("options", {})}
    module: nn.Module = timm.create_model(recipe["name"], pretrained=False, **options)
    return module


def _hf(recipe: Recipe) -> nn.Module:
    transformers = require("transformers", "text")
    config = dict(recipe["config"])
    built = transformers.AutoConfig.for_model(config.pop("model_type"), **config)
    module: nn.Module = transformers.AutoModel.from_config(built, trust_remote_code=False, **recipe.get("options", {}))
    if recipe.get("part") == "encoder":  # of Whisper; the decoder goes
        return WhisperSounds(module.get_submodule("encoder"))
    return module


def _python(recipe: Recipe) -> nn.Module:
    name, _, function = str(recipe["function"]).partition(":")
    if "" not in sys.path and os.getcwd() not in sys.path:
        sys.path.append(os.getcwd())
    try:
        module = getattr(importlib.import_module(name), function)(**recipe.get("options", {}))
    except (ImportError, AttributeError, TypeError) as error:
        raise RequestError(
            f"The architecture {recipe['function']!r} cannot be built here ({error}); start where its module lies."
        ) from error
    if not isinstance(module, nn.Module):
        raise RequestError(f"{recipe['function']!r} gave a {type(module).__name__}; an nn.Module was expected.")
    return unwrapped(module)


_BUILDERS: dict[str, Callable[[Recipe], nn.Module]] = {
    "timm": _timm,
    "hf": _hf,
    "small": small_module,
    "python": _python,
}


def usual_input(recipe: Recipe) -> Any:
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
        return small_input(recipe)
    return _pixels(3, 224)


def _pixels(channels: int, size: int) -> dict[str, Any]:
    return {"shape": [channels, size, size], "whole": False}


def without(module: nn.Module, path: str) -> None:
    """Put an identity in the place of a part, in place."""
    owner, _, last = path.rpartition(".")
    setattr(module.get_submodule(owner), last, nn.Identity())
