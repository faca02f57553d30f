"""What the files beside a Hugging Face model say of its inputs: tokenizer and image processor."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sterna.errors import RequestError
from sterna.sources import hub

if TYPE_CHECKING:
    from sterna.preparations.image import ImagePreparation
    from sterna.preparations.text import TextPreparation

_RESAMPLING = {0: "nearest", 1: "lanczos", 2: "bilinear", 3: "bicubic", 4: "box", 5: "hamming"}
_LONGEST = 512


def text_preparation(folder: Path, config: Any, max_length: int | None = None) -> TextPreparation:
    """The folder's tokenizer; texts are cut where tokenizer or positions end, at 512 tokens at most."""
    from sterna.preparations.text import TextPreparation

    with hub.quiet():
        preparation = TextPreparation(folder)
        positions = getattr(config, "max_position_embeddings", None)
        known = int(preparation.tokenizer.model_max_length)
        if max_length is None and known > 10**6 and isinstance(positions, int) and positions > 2:
            max_length = min(_LONGEST, positions - 2)  # RoBERTa and its kin start counting at 2
        return preparation if max_length is None else TextPreparation(preparation.tokenizer, max_length)


def image_preparation(folder: Path, config: Any) -> ImagePreparation:
    """What the folder's image processor does, read from its preprocessor_config.json."""
    from sterna.preparations.image import ImagePreparation

    path = folder / "preprocessor_config.json"
    try:
        about = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    except ValueError as error:
        raise RequestError(f"{str(path)!r} is damaged ({error}); get the model again.") from error
    channels = int(getattr(config, "num_channels", 3) or 3)
    own = getattr(config, "image_size", None) or 224
    own = own if isinstance(own, int) else own[0]
    size = about.get("size", own)
    squash = not isinstance(size, Mapping) or "height" in size
    resized = _side(size, own)
    cropped = about.get("do_center_crop", "crop_pct" in about)
    final = _side(about.get("crop_size", resized), resized) if cropped else resized
    part = about.get("crop_pct") if not squash and about.get("crop_pct") and resized < 384 else final / resized
    zero = not about.get("do_normalize", True)
    return ImagePreparation(
        size=final,
        mean=(0.0,) if zero else about.get("image_mean", (0.485, 0.456, 0.406)),
        std=(1.0,) if zero else about.get("image_std", (0.229, 0.224, 0.225)),
        interpolation=_RESAMPLING.get(about.get("resample", 3), "bicubic"),
        crop=min(1.0, float(part or 1.0)),
        channels=1 if channels == 1 else 3,
        mode="squash" if squash else "center",
    )


def _side(size: Any, usual: int) -> int:
    if isinstance(size, Mapping):
        return int(size.get("height") or size.get("shortest_edge") or usual)
    return int(size[0] if isinstance(size, (list, tuple)) else size)
