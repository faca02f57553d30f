"""`sentence-transformers/<id or folder>`: sentence encoders, with the pooling they were trained with."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from sterna.errors import RequestError
from sterna.files import user_path
from sterna.sources import hub, huggingface
from sterna.sources.catalogue import Form
from sterna.sources.preparations import text_preparation
from sterna.sources.source import Source

_LEGACY = {"pooling_mode_cls_token": "cls", "pooling_mode_mean_tokens": "mean"}
"""How older versions wrote the pooling: one switch for each way."""


def load(name: str, spec: str) -> Source:
    """Load a sentence encoder from a folder or the Hub.

    Raises
    ------
    RequestError
        If it is not found, or has parts after its pooling other than normalisation.
    """
    if not user_path(name).is_dir() and "/" not in name:
        name = f"sentence-transformers/{name}"  # the organisation that the library itself assumes
    return load_folder(huggingface.locate(name, spec), spec)


def load_folder(folder: Path, spec: str) -> Source:
    """Load a folder that sentence-transformers wrote; the library itself is not needed for it."""
    pooling, normalize = _after_the_encoder(folder, spec)
    source = huggingface.load_folder(folder, spec, pooling=pooling, normalize=normalize)
    settings = _json(folder / "sentence_bert_config.json", {})
    longest = settings.get("max_seq_length")
    if longest is not None:
        source = replace(source, preparation=text_preparation(folder, None, int(longest)))
    if settings.get("do_lower_case"):
        _lower(source.preparation.tokenizer)  # type: ignore[union-attr]
    card = {"pooling": pooling + (", length 1" if normalize else "")}
    prompt = _prompt(folder)
    if prompt:
        card["prompt"] = f"left out: {prompt!r}"
    return source.carded(**card)


def _after_the_encoder(folder: Path, spec: str) -> tuple[str, bool]:
    """Pooling and whether vectors are brought to length 1, as modules.json says."""
    pooling, normalize = "mean", False
    for module in _json(folder / "modules.json", []):
        kind = str(module["type"]).rpartition(".")[2]
        if kind == "Pooling":
            pooling = _pooling(_json(folder / module["path"] / "config.json", {}), spec)
        elif kind == "Normalize":
            normalize = True
        elif kind != "Transformer":
            raise _not_simple(f"a {kind} layer after its pooling", spec)
    return pooling, normalize


def _pooling(config: dict[str, Any], spec: str) -> str:
    mode = config.get("pooling_mode")
    if mode is None:
        switched = [name for name, on in config.items() if name.startswith("pooling_mode_") and on is True]
        mode = [_LEGACY.get(name, name.removeprefix("pooling_mode_")) for name in switched] or "mean"
    if isinstance(mode, list):
        mode = mode[0] if len(mode) == 1 else " and ".join(mode)
    if mode not in ("mean", "cls"):
        raise _not_simple(f"the pooling {mode!r}", spec)
    return str(mode)


def _not_simple(what: str, spec: str) -> RequestError:
    encoder = spec.replace("sentence-transformers/", "hf/", 1)
    return RequestError(
        f"{spec!r} has {what}; a mean or class-token pooling, with or without normalisation, was expected: "
        f"{encoder!r} takes its encoder with mean pooling."
    )


def _json(path: Path, default: Any) -> Any:
    if not path.is_file():
        return default
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise RequestError(f"{str(path)!r} is damaged ({error}); get the model again.") from error


def _prompt(folder: Path) -> str:
    """What the library puts before each text by itself, if anything."""
    settings = _json(folder / "config_sentence_transformers.json", {})
    return str((settings.get("prompts") or {}).get(settings.get("default_prompt_name"), ""))


def _lower(tokenizer: Any) -> None:
    """Make a tokenizer read texts in small letters."""
    with hub.quiet():
        from tokenizers import normalizers

        backend = tokenizer.backend_tokenizer
        before = [normalizers.Lowercase()]
        backend.normalizer = normalizers.Sequence(
            before if backend.normalizer is None else [*before, backend.normalizer]
        )


FORM = Form(
    "sentence-transformers/<id or folder>", "text", "sentence encoder with its own pooling",
    lambda asked: load(asked.name, asked.spec),
)  # fmt: skip
