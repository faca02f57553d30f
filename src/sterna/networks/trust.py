"""What a saved network may ask for: its recipes are data, and what a file says runs no code.

A recipe may name an architecture of timm or transformers with plain options, one of Sterna's small bodies, or a
function. A function is imported only where the user names that very function, or where it is of an installed package
that extends Sterna: whoever installs a package runs its code anyway.
"""

from __future__ import annotations

import importlib
import re
import sys
from collections.abc import Callable, Collection, Iterator, Mapping
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sterna.errors import RequestError

if TYPE_CHECKING:
    from sterna.networks.body import Body, Description

_TIMM = frozenset(
    {
        "depths", "depth", "dims", "drop_path_rate", "drop_rate", "embed_dim", "global_pool", "img_size", "in_chans",
        "num_classes", "num_heads", "output_stride", "patch_size", "window_size",
    }
)  # fmt: skip
"""Options of ``timm.create_model`` that are numbers and words; others name files, weights and configurations."""

_HF = frozenset({"add_pooling_layer"})
"""Options of ``AutoModel.from_config``; ``trust_remote_code`` and what belongs to it are not among them."""

_ATTENTION = ("eager", "sdpa")
"""What transformers and torch compute attention with by themselves; other names are kernels that are fetched."""

_CODE = frozenset(
    {
        "auto_map", "trust_remote_code", "code_revision", "custom_pipelines", "quantization_config",
        "use_timm_backbone", "backbone_kwargs",
    }
)  # fmt: skip
"""Parts of a transformers configuration that bring code, or ask for it or for a file of the Hub; an architecture needs
none of them."""


def trusted(about: Description, trust: Collection[str], whose: str) -> dict[str, Any]:
    """The description of a saved network, without what could run code.

    Parameters
    ----------
    about
        What ``network.json`` holds.
    trust
        Functions that the user named, as ``module:function``.
    whose
        The folder, for errors.

    Raises
    ------
    RequestError
        If a recipe asks for a function that is not trusted, or for an option that is not on the list.
    """
    cleaned: dict[str, Any] = _cleaned(about, trust, whose)
    return cleaned


def functions_named(names: str | Collection[str]) -> tuple[str, ...]:
    """The functions that a user trusts."""
    found = (names,) if isinstance(names, str) else tuple(names)
    for name in found:
        if not isinstance(name, str) or not re.fullmatch(r"[\w.]+:\w+", name):
            raise RequestError(f"trust is {name!r}; expected module:function, such as my_models:make_network.")
    return found


def functions_of(body: Body | None) -> tuple[str, ...]:
    """The functions that a body of this program, and the bodies in it, were built by: the user has named them."""
    parts = body.modules() if body is not None else ()
    recipes = [getattr(part, "recipe", {}) for part in parts]
    return tuple(str(recipe["function"]) for recipe in recipes if recipe.get("loader") == "python")


def trust_note(body: Body | None) -> tuple[str, ...]:
    """A sentence that says what whoever loads a network of this body has to name, if anything."""
    names = [name for name in dict.fromkeys(functions_of(body)) if not _of_an_extension(name)]
    if not names:
        return ()
    return (
        f"The network is built by a function of yours: whatever loads it (predict, score, ...) needs trust={names}.",
    )


def _cleaned(value: Any, trust: Collection[str], whose: str) -> Any:
    if isinstance(value, list):
        return [_cleaned(each, trust, whose) for each in value]
    if not isinstance(value, Mapping):
        return value
    check = _CHECKS.get(str(value.get("loader")))
    about = {key: _cleaned(each, trust, whose) for key, each in value.items()}
    return about if check is None else check(about, trust, whose)


def _check_timm(recipe: dict[str, Any], trust: Collection[str], whose: str) -> dict[str, Any]:
    _check_options(recipe, _TIMM, whose)
    if any(mark in str(recipe.get("name")) for mark in ":/\\"):  # timm would look for it on the Hub, or in a folder
        raise RequestError(
            f"{whose}: {recipe.get('name')!r} is no name of an architecture of timm, so it is not built."
        )
    return recipe


def _check_hf(recipe: dict[str, Any], trust: Collection[str], whose: str) -> dict[str, Any]:
    _check_options(recipe, _HF, whose)
    return {**recipe, "config": _without_code(recipe.get("config"), whose)}


def _without_code(config: Any, whose: str) -> Any:
    """A transformers configuration that names no code, no kernel and no other model to fetch."""
    if isinstance(config, list):
        return [_without_code(each, whose) for each in config]
    if not isinstance(config, Mapping):
        return config
    found = {}
    for key, value in config.items():
        name = str(key)  # in memory, numbers of classes are keys too
        if name in _CODE or (name.endswith("_implementation") and value not in _ATTENTION) or "kernels" in name:
            continue
        elsewhere = any(mark in str(value) for mark in ":/\\")
        if name == "backbone" and value is not None and config.get("model_type") != "timm_backbone":
            elsewhere = True  # transformers asks the Hub for a model of that name
        if name in ("backbone", "architecture") and elsewhere:
            raise RequestError(f"{whose}: its configuration asks for the model {value!r} from elsewhere; refused.")
        if name == "model_args":  # of timm.create_model
            _check_options({"options": value or {}}, _TIMM, whose)
        found[key] = False if name == "use_pretrained_backbone" else _without_code(value, whose)
    return found


def _check_python(recipe: dict[str, Any], trust: Collection[str], whose: str) -> dict[str, Any]:
    name = str(recipe.get("function"))
    if name in trust or _of_an_extension(name):
        return recipe
    module = name.partition(":")[0]
    raise RequestError(
        f"{whose} asks for the function {name!r}, so {_what_it_is(module)} would be imported and the function called; "
        f"no run folder runs code by itself, so name the function if you trust it: trust={[name]}."
    )


def _what_it_is(module: str) -> str:
    """Which module that would be, by its file where it lies in the current folder; nothing is imported to say so."""
    path = Path(*module.split("."))
    for file in (path.with_suffix(".py"), path / "__init__.py") if module.isidentifier() and len(module) < 200 else ():
        if module not in sys.modules and file.is_file():
            return f"the module {module!r} ({str(file.resolve())!r})"
    return f"the module {module!r}"


def _check_options(recipe: Mapping[str, Any], known: Collection[str], whose: str) -> None:
    options = recipe.get("options", {})
    other = sorted(map(str, set(options) - set(known))) if isinstance(options, dict) else [repr(options)]
    if other:
        raise RequestError(
            f"{whose} asks for its network to be built with the option {other[0]!r}, which a saved network may not "
            f"give; known: {', '.join(sorted(known))}."
        )


_CHECKS: dict[str, Callable[[dict[str, Any], Collection[str], str], dict[str, Any]]] = {
    "timm": _check_timm,
    "hf": _check_hf,
    "python": _check_python,
}
"""By the recipe's loader. The others build only what Sterna itself, or an installed package, defines."""


# -- installed packages ------------------------------------------------------------------------------------


def _of_an_extension(name: str) -> bool:
    """Whether a function is defined by an installed package that names things of its own in Sterna's entry points."""
    module, _, function = name.partition(":")
    package = module.partition(".")[0]
    if package not in set(_extensions()):
        return False
    try:
        found = getattr(importlib.import_module(module), function, None)
    except ImportError:
        return True  # nothing can be called; building it says what is missing
    # What the package itself has imported is not its own.
    return callable(found) and str(getattr(found, "__module__", "")).partition(".")[0] == package


def _extensions() -> Iterator[str]:
    """Top-level packages of everything that installed packages add."""
    found = metadata.entry_points()
    for group in found.groups:
        for entry in found.select(group=group) if group.startswith("sterna.") else ():
            if not entry.module.startswith("sterna."):
                yield entry.module.partition(".")[0]
