"""The weights of a Hugging Face folder in the model that its configuration describes."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from sterna.errors import RequestError
from sterna.sources import hub
from sterna.sources.fitting import WRAPPERS, few
from sterna.sources.weights import first_line

if TYPE_CHECKING:
    from torch import nn


class Loaded(NamedTuple):
    """A model, and what did not fit.

    Attributes
    ----------
    module
        The model.
    missing
        Names of its weights that the folder does not have, or has in another shape.
    left
        Names of the folder's weights that it has no place for.
    options
        What it was built with, beside its configuration.
    """

    module: nn.Module
    missing: list[str]
    left: list[str]
    options: dict[str, Any]

    def said(self) -> dict[str, str]:
        """What of the folder was not taken, for the card."""
        return {"left out": f"{len(self.left)} weights of the folder ({few(self.left)})"} if self.left else {}


def encoder(transformers: Any, folder: Path, config: Any, spec: str, *, pooler: bool) -> Loaded:
    """The bare encoder, of whose weights the folder lacks none but a pooler's."""
    options: dict[str, Any] = {} if pooler else {"add_pooling_layer": False}
    try:
        found = pretrained(transformers.AutoModel, folder, config, spec, options)
    except TypeError:  # not every encoder has a pooler to leave out
        options = {}
        found = pretrained(transformers.AutoModel, folder, config, spec, options)
    lacking = [name for name in found.missing if "pooler" not in name]
    if lacking:
        raise RequestError(
            f"The weights of {spec!r} lack {len(lacking)} that a {type(found.module).__name__} of its config.json needs"
            f", or have them in another shape ({few(lacking)}); get the model again, with the config.json that belongs "
            "to the weights."
        )
    if found.missing and "add_pooling_layer" not in options:
        # A pooler that nobody trained would differ from load to load, and features with it.
        with contextlib.suppress(TypeError):
            found = pretrained(transformers.AutoModel, folder, config, spec, {"add_pooling_layer": False})
    return found


def pretrained(auto: Any, folder: Path, config: Any, spec: str, options: Mapping[str, Any]) -> Loaded:
    """A model with the weights of a folder, whatever was wrapped around it when they were saved.

    Raises
    ------
    RequestError
        If they are quantised or cannot be read.
    TypeError
        If the model does not know the options.
    """
    _check_stored(folder, config, spec)
    found = _load(auto, folder, config, spec, options, {})
    if any(part in WRAPPERS for name in found.left for part in name.split(".")):
        found = _load(auto, folder, config, spec, options, _WITHOUT_WRAPPERS)
    return found


_DEEP = 4
_ANYWHERE = rf"(?:^|(?<=\.))(?:(?:{'|'.join(sorted(WRAPPERS - {'module'}))})\.)+"
_WITHOUT_WRAPPERS = {**{rf"{_ANYWHERE}(?#{place})": "" for place in range(_DEEP)}, r"^(?:module\.)+": ""}
"""What becomes of parts of names; transformers replaces each pattern once, so it stands here for four places."""


def _load(
    auto: Any, folder: Path, config: Any, spec: str, options: Mapping[str, Any], renamed: Mapping[str, str]
) -> Loaded:
    import torch

    try:
        with hub.quiet():
            module, info = auto.from_pretrained(
                str(folder), config=config, local_files_only=True, trust_remote_code=False, dtype=torch.float32,
                output_loading_info=True, ignore_mismatched_sizes=True, key_mapping=dict(renamed) or None, **options,
            )  # fmt: skip
    except Exception as error:  # transformers raises nearly anything for files that are not what it expects
        if options and isinstance(error, TypeError):
            raise
        raise RequestError(
            f"The model of {spec!r} cannot be loaded ({first_line(error)}); get it again, with all its files."
        ) from error
    other = [name for name, *_ in info["mismatched_keys"]]
    return Loaded(module, sorted([*info["missing_keys"], *other]), sorted(info["unexpected_keys"]), dict(options))


def _check_stored(folder: Path, config: Any, spec: str) -> None:
    """Refuse weights that are whole numbers: without their scales they are no weights."""
    about = getattr(config, "quantization_config", None)
    how = about.get("quant_method", "") if isinstance(about, Mapping) else getattr(about, "quant_method", "")
    whole = [] if about else _whole_numbers(folder)
    if about or whole:
        what = f"({how})" if about else f"to whole numbers ({few(whole)})"
        raise RequestError(
            f"The weights of {spec!r} are quantised {what}, and are neither read nor trained here; give the model in "
            "float32, float16 or bfloat16."
        )


def _whole_numbers(folder: Path) -> Sequence[str]:
    """Names of the weights in a folder's safetensors that are whole numbers; only headers are read."""
    from safetensors import SafetensorError, safe_open

    found = []
    with contextlib.suppress(SafetensorError, OSError, ValueError):  # whoever loads them says so
        for path in sorted(folder.glob("*.safetensors")):
            with safe_open(path, "pt") as file:
                names = [name for name in file.keys() if name.endswith((".weight", ".bias"))]  # noqa: SIM118
                found += [name for name in names if file.get_slice(name).get_dtype().startswith(("I", "U", "BOOL"))]
    return found


def image_pooling(loaded: Loaded) -> str:
    """How an image encoder's places become one vector: class token, its own pooler, or the mean."""
    if any(name.endswith("cls_token") for name, _ in loaded.module.named_parameters()):
        return "cls"
    return "pooler" if getattr(loaded.module, "pooler", None) is not None and not loaded.missing else "mean"
