"""`hf/<id or folder>`: encoders of texts, images and speech in the Hugging Face format, classifiers with heads."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sterna.errors import RequestError, closest, require
from sterna.files import user_path
from sterna.sources import hub, speech
from sterna.sources.adapters import refuse_adapter_folder
from sterna.sources.catalogue import Form, offline_hint
from sterna.sources.preparations import PROCESSOR, assumed, image_preparation, text_preparation
from sterna.sources.pretrained import encoder, image_pooling, pretrained
from sterna.sources.source import Source, parameters
from sterna.sources.weights import first_line

if TYPE_CHECKING:
    from torch import nn

    from sterna.preparations.image import ImagePreparation
    from sterna.preparations.text import TextPreparation


def load(name: str, spec: str) -> Source:
    """Load an encoder of texts, images or speech, or a classifier of texts or images with its head and classes.

    Parameters
    ----------
    name
        A folder here, or an id of the Hugging Face Hub.
    spec
        What the user typed.

    Raises
    ------
    RequestError
        If it is neither, cannot be reached, is damaged, needs code of its own, or is no encoder.
    """
    return load_folder(locate(name, spec), spec)


def locate(name: str, spec: str) -> Path:
    """The folder that a name means: one here, or one from the Hub."""
    folder = user_path(name)
    if folder.is_dir():
        refuse_adapter_folder(folder, spec)
        if not (folder / "config.json").is_file():
            raise RequestError(f"{str(folder)!r} is no folder of a Hugging Face model: it has no config.json.")
        return folder
    if name.startswith((".", "/", "~")) or name.count("/") > 1:
        near = closest(folder.name, [p.name for p in folder.parent.iterdir()]) if folder.parent.is_dir() else ""
        raise RequestError(f"There is no folder {name!r} ({spec!r}).{near}")
    folder = hub.fetch(name, spec, f"{closest(name, cached())} {offline_hint()}")
    refuse_adapter_folder(folder, spec)
    return folder


def cached() -> list[str]:
    """Ids of the models that were downloaded before."""
    from huggingface_hub.constants import HF_HUB_CACHE

    folder = Path(HF_HUB_CACHE)
    found = folder.glob("models--*") if folder.is_dir() else []
    return sorted(path.name.removeprefix("models--").replace("--", "/") for path in found)


def load_folder(folder: Path, spec: str, *, pooling: str | None = None, normalize: bool = False) -> Source:
    """Load a folder in the Hugging Face format; `pooling` and `normalize` as in the recipe of a `Body`."""
    from sterna.networks.module_body import ModuleBody

    transformers = _library()
    config = _config(transformers, folder, spec)
    if speech.takes_sounds(config):
        return _speech(transformers, folder, speech.settle(config), spec)
    texts = _reads_texts(folder, config)
    about = {"licence": _licence(folder), "origin": f"{folder.name} ({config.model_type})"}
    preparation: TextPreparation | ImagePreparation
    if texts:
        preparation = text_preparation(folder, config)
    else:
        preparation = image_preparation(folder, config)
        about |= assumed(folder, preparation)
    classifier = _classifier(transformers, folder, config, texts, spec) if pooling is None else None
    if classifier is not None:
        whole = _with_head(classifier, preparation, spec)
        if whole is not None:
            return whole.carded(**about)
    found = encoder(transformers, folder, config, spec, pooler=not texts)
    how = pooling or ("mean" if texts else image_pooling(found))
    recipe = _recipe(found.module, found.options, how, normalize)
    body = ModuleBody(found.module.eval(), recipe, example=preparation.example())
    card = {**about, **found.said(), "parameters": parameters(found.module)}
    if classifier is not None:
        card["head"] = "left out: it reads more than the pooled features"
    return Source(spec, body, preparation, card=card)


def _speech(transformers: Any, folder: Path, config: Any, spec: str) -> Source:
    """A speech encoder, whose features are averaged over the frames of a recording."""
    from sterna.networks.module_body import ModuleBody

    preparation = speech.speech_preparation(transformers, folder, config, spec)
    loaded = encoder(transformers, folder, config, spec, pooler=True)
    module, recipe = speech.encoder_of(loaded.module), _recipe(loaded.module, loaded.options, "mean", False)
    if module is not loaded.module:
        recipe["part"] = "encoder"
    body = ModuleBody(module.eval(), recipe, example=preparation.example())
    card = {
        "licence": _licence(folder),
        "origin": f"{folder.name} ({config.model_type})",
        "parameters": parameters(module),
    }
    return Source(spec, body, preparation, card=card)


def _library() -> Any:
    with hub.quiet():
        return require("transformers", "text")


def _config(transformers: Any, folder: Path, spec: str) -> Any:
    try:
        with hub.quiet():
            config = transformers.AutoConfig.from_pretrained(
                str(folder), local_files_only=True, trust_remote_code=False
            )
    except Exception as error:  # transformers raises nearly anything for a file that is not what it expects
        if "trust_remote_code" in str(error):
            raise RequestError(
                f"{spec!r} brings code of its own, which is not run; choose a model of transformers itself."
            ) from error
        raise RequestError(
            f"The config.json of {spec!r} cannot be read ({first_line(error)}); get the model again."
        ) from error
    if (config.is_encoder_decoder and not speech.takes_sounds(config)) or hasattr(config, "vision_config"):
        what = "an encoder with a decoder" if config.is_encoder_decoder else "two encoders in one"
        raise RequestError(
            f"{spec!r} ({config.model_type}) is {what}; an encoder of texts, images or speech was expected."
        )
    return config


def _reads_texts(folder: Path, config: Any) -> bool:
    return hasattr(config, "vocab_size") and not (folder / PROCESSOR).is_file()


def _recipe(module: Any, options: Mapping[str, Any], pooling: str, normalize: bool) -> dict[str, Any]:
    about = module.config.to_dict()
    # Where the folder lay, and who wrote it, is not part of the architecture.
    config = {
        k: v for k, v in about.items() if k not in ("_name_or_path", "transformers_version", "dtype", "architectures")
    }
    config = json.loads(json.dumps({**config, "model_type": module.config.model_type}, default=str))
    recipe: dict[str, Any] = {"loader": "hf", "config": config, "pooling": pooling}
    if options:
        recipe["options"] = dict(options)
    if normalize:
        recipe["normalize"] = True
    return recipe


# -- classifiers ---------------------------------------------------------------------------------------


def _classifier(transformers: Any, folder: Path, config: Any, texts: bool, spec: str) -> nn.Module | None:
    """The whole classifier, where the folder holds one whose head was trained."""
    endings = "ForSequenceClassification" if texts else "ForImageClassification"
    if not any(str(name).endswith(endings) for name in config.architectures or []):
        return None
    auto = transformers.AutoModelForSequenceClassification if texts else transformers.AutoModelForImageClassification
    found = pretrained(auto, folder, config, spec, {})
    return None if found.missing else found.module.eval()


def _with_head(classifier: Any, preparation: TextPreparation | ImagePreparation, spec: str) -> Source | None:
    """A classifier as body, head and task, if pooled features and plain layers give exactly its answers."""
    import torch

    from sterna.networks.module_body import ModuleBody
    from sterna.networks.tracing import as_for_inference
    from sterna.sources.heads import candidates, task_of

    task = task_of(classifier.config)
    if task is None:
        return None
    base, example = classifier.base_model, preparation.example()
    with torch.inference_mode(), as_for_inference(classifier):
        inputs = example if isinstance(example, Mapping) else {"pixel_values": example}
        expected = classifier(**inputs).logits
    for pooling, head in candidates(classifier):
        options = {} if getattr(base, "pooler", None) is not None else {"add_pooling_layer": False}
        if "add_pooling_layer" in options and not _takes(type(base), "add_pooling_layer"):
            options = {}
        body = ModuleBody(base.eval(), _recipe(base, options, pooling, False), example=example)
        with torch.inference_mode(), as_for_inference(body):
            try:
                outputs = head.eval()(body(example))
            except RuntimeError:  # features of another width
                continue
        if outputs.shape == expected.shape and torch.allclose(outputs, expected, rtol=1e-4, atol=1e-4):
            return Source(spec, body, preparation, head, task, card={"parameters": parameters(base)})
    return None


def _takes(cls: Any, name: str) -> bool:
    import inspect

    return name in inspect.signature(cls.__init__).parameters


def _licence(folder: Path) -> str:
    """The licence that the folder's model card names."""
    try:
        lines = (folder / "README.md").read_text(encoding="utf-8").splitlines()[:60]
    except (OSError, ValueError):
        return "not stated"
    for line in lines:
        if line.startswith("license:"):
            return line.removeprefix("license:").strip(" \"'") or "not stated"
    return "not stated"


FORM = Form(
    "hf/<id or folder>", "any", "encoder of texts, images or speech, or classifier, in the Hugging Face format",
    lambda asked: load(asked.name, asked.spec),
)  # fmt: skip
