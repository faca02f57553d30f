"""Adapters (LoRA and its kin): small changes to a model, which are told from models and refused with the way out."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from pathlib import Path

from sterna.errors import RequestError

CONFIG = "adapter_config.json"

_LAYERS = re.compile(
    r"(^|[._])(lora|dora|loha|lokr|hada|ia3|oft|boft|vera|randlora|fourierft|prefix|prompt)_"
    r"|(^|\.)(adapters?|lora|prompt_encoder|prompt_embeddings?)\.|adapter_(down|up)|\.base_layer\."
)


def refuse_adapter_folder(folder: Path, spec: str) -> None:
    """Refuse a folder that holds an adapter."""
    if (folder / CONFIG).is_file():
        raise _refusal(f"{spec!r} holds", folder, f"hf/{_merged(folder)}")


def refuse_adapter_weights(names: Iterable[str], file: Path, spec: str) -> None:
    """Refuse weights among which there are those of an adapter."""
    found = [name for name in names if _LAYERS.search(name)]
    if found:
        raise _refusal(f"{spec!r} holds (in {found[0]}, say)", file.parent, "the merged weights")


def _refusal(what: str, folder: Path, then: str) -> RequestError:
    about = _config(folder)
    kind, base = about.get("peft_type"), about.get("base_model_name_or_path")
    of, model = (f" of {base!r}", f"{base!r} as it was trained") if base else ("", "that model")
    return RequestError(
        f"{what} an adapter{f' ({kind})' if kind else ''}{of}, which is a change to a model and no model itself; merge "
        f"it first, with the library peft: PeftModel.from_pretrained(model, {str(folder)!r}).merge_and_unload()"
        f".save_pretrained({_merged(folder)!r}), where model is {model}, and give {then}."
    )


def _merged(folder: Path) -> str:
    return f"{folder}-merged"


def _config(folder: Path) -> dict[str, str]:
    try:
        found = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
