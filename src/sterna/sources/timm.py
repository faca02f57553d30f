"""`timm/<name>`: a model of the timm library with its pretrained weights."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sterna.errors import RequestError, closest, require
from sterna.sources import hub
from sterna.sources.catalogue import Form, offline_hint
from sterna.sources.source import Source, parameters
from sterna.sources.weights import read_weights

if TYPE_CHECKING:
    from torch import nn

    from sterna.preparations.image import ImagePreparation

_TRIAL = 96


def load(name: str, spec: str, image_size: int | None = None) -> Source:
    """Load a model with its pretrained weights, from the cache or the Hugging Face Hub.

    Parameters
    ----------
    name
        As timm names it, with or without the tag of its weights: ``resnet50.a1_in1k``, ``resnet50``.
    spec
        What the user typed.
    image_size
        Input size for models with a fixed one, whose positions are then resampled.

    Raises
    ------
    RequestError
        If timm has no such model or no weights for it, or they are not on this machine and cannot be fetched; close
        matches and the packaged sources are named.
    """
    timm = _library()
    _check(timm, name, spec, timm.list_models(pretrained=True))
    about = timm.get_pretrained_cfg(name)
    overlay: dict[str, Any] = {}
    if about.hf_hub_id:
        folder = hub.fetch(about.hf_hub_id, spec, offline_hint())
        overlay = {"state_dict": read_weights(_weights_in(folder, about.hf_hub_filename, spec))}
    options = {"img_size": image_size} if image_size and about.fixed_input_size else {}
    with hub.quiet():
        try:
            network = timm.create_model(name, pretrained=True, num_classes=0, pretrained_cfg_overlay=overlay, **options)
        except Exception as error:  # weights that are elsewhere and not reached, or not what timm expects: many types
            first = " ".join(str(error).split())[:100]
            raise RequestError(f"The weights of {spec!r} could not be loaded ({first}). {offline_hint()}") from error
    network.pretrained_cfg.pop("state_dict", None)  # or the weights would stay in memory twice
    source = wrap(network, name, spec, options)
    return source.carded(licence=about.license or "not stated", origin=f"timm {name}, {about.hf_hub_id or about.url}")


def _weights_in(folder: Path, filename: str | None, spec: str) -> Path:
    """The one file of weights in a model's folder."""
    for name in (filename, "model.safetensors", "pytorch_model.bin"):
        if name and (folder / name).is_file():
            return folder / name
    raise RequestError(
        f"The weights of {spec!r} were expected as model.safetensors, which {str(folder)!r} has not. {offline_hint()}"
    )


def create(name: str) -> nn.Module:
    """A known model with random weights and its classifier."""
    timm = _library()
    with hub.quiet():
        network: nn.Module = timm.create_model(name, pretrained=False)
    return network


def build(name: str, spec: str, **options: Any) -> nn.Module:
    """A model with random weights and no classifier; options as timm's ``create_model`` takes them."""
    timm = _library()
    _check(timm, name, spec, timm.list_models())
    with hub.quiet():
        network: nn.Module = timm.create_model(name, pretrained=False, num_classes=0, **options)
    return network


def wrap(network: nn.Module, name: str, spec: str, options: Mapping[str, Any] | None = None) -> Source:
    """A timm model as a source, without its classifier, with the preparation that its configuration asks for."""
    from sterna.networks.module_body import ModuleBody

    if getattr(network, "num_classes", 0):
        network.reset_classifier(0)  # type: ignore[operator]
    network.eval()
    options = options or {}
    preparation = preparation_of(network, options.get("img_size"), options.get("in_chans"))
    recipe = {"loader": "timm", "name": name, **({"options": dict(options)} if options else {})}
    example = preparation.example()
    fixed = getattr(network, "pretrained_cfg", {}).get("fixed_input_size", False)
    try:
        # The body is run once, to find its blocks: small images show them as well, five times as fast.
        body = ModuleBody(network, recipe, example=example if fixed else example[:, :, :_TRIAL, :_TRIAL])
    except RequestError:
        body = ModuleBody(network, recipe, example=example)
    return Source(spec, body, preparation, card={"parameters": parameters(network)})


def preparation_of(network: nn.Module, size: int | None = None, channels: int | None = None) -> ImagePreparation:
    """What timm itself does with an image at evaluation, at another input size and in grey where that is asked."""
    timm_data = require("timm.data", "image")
    from sterna.preparations.image import ImagePreparation

    config = timm_data.resolve_model_data_config(network)
    if channels == 1:
        grey = {name: (sum(config[name]) / len(config[name]),) for name in ("mean", "std")}
        config = {**config, **grey, "input_size": (1, *config["input_size"][1:])}
    return ImagePreparation.from_timm(config, size)


def _library() -> Any:
    with hub.quiet():
        return require("timm", "image")


def _check(timm: Any, name: str, spec: str, known: list[str]) -> None:
    """Refuse a name timm does not have; with a tag (``.a1_in1k``) the tag must exist, too."""
    if name in known or (timm.is_model(name) and "." not in name and any(k.startswith(name + ".") for k in known)):
        return
    architecture = name.partition(".")[0]
    tags = [k for k in known if k.startswith(architecture + ".")]
    near = closest(name, tags or known) or closest(architecture, {k.partition(".")[0] for k in known})
    what = "has no pretrained weights for" if timm.is_model(name) and not tags else "has no model"
    raise RequestError(f"timm {what} {name!r} ({spec!r}).{near} {offline_hint()}")


FORM = Form(
    "timm/<name>", "images", "pretrained weights of the timm library, such as timm/resnet50.a1_in1k",
    lambda asked: load(asked.name, asked.spec, asked.image_size),
)  # fmt: skip
