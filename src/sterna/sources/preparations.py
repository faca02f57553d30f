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

PROCESSOR = "preprocessor_config.json"


def text_preparation(folder: Path, config: Any, max_length: int | None = None) -> TextPreparation:
    """The folder's tokenizer; texts are cut where tokenizer or positions end, at 512 tokens at most.

    Raises
    ------
    RequestError
        If the folder has no vocabulary, or one of more tokens than the model has.
    """
    from sterna.preparations.text import TextPreparation

    with hub.quiet():
        preparation = TextPreparation(folder)
        _check_vocabulary(folder, preparation.tokenizer, getattr(config, "vocab_size", None))
        positions = getattr(config, "max_position_embeddings", None)
        known = int(preparation.tokenizer.model_max_length)
        if max_length is None and known > 10**6 and isinstance(positions, int) and positions > 2:
            max_length = min(_LONGEST, positions - 2)  # RoBERTa and its kin start counting at 2
        return preparation if max_length is None else TextPreparation(preparation.tokenizer, max_length)


def _check_vocabulary(folder: Path, tokenizer: Any, rows: int | None) -> None:
    """Refuse a tokenizer that knows no words, or tokens for which the model's embedding has no row."""
    numbers = tokenizer.get_vocab()
    if len(set(numbers) - set(tokenizer.all_special_tokens)) < 2:  # an empty one may have the mark of a space
        raise RequestError(
            f"{str(folder)!r} has no vocabulary: its tokenizer knows {len(numbers)} special tokens and no word"
            f"{f', its embedding {rows}' if rows else ''}; put the tokenizer's files (tokenizer.json, or vocab.txt) of "
            "the model beside its weights, with tokenizer.save_pretrained."
        )
    if rows and max(numbers.values()) >= rows:
        raise RequestError(
            f"The tokenizer in {str(folder)!r} has {max(numbers.values()) + 1} tokens, but the model's embedding only "
            f"{rows}; put the model's own tokenizer there, or enlarge the embedding and train it."
        )


def image_preparation(folder: Path, config: Any) -> ImagePreparation:
    """What the folder's image processor does, read from its preprocessor_config.json.

    Raises
    ------
    RequestError
        If it cannot be read or used, or the model takes images that are not square, or neither grey nor in colour.
    """
    about = _processor(folder)
    channels = getattr(config, "num_channels", None) or 3
    if channels not in (1, 3):
        raise RequestError(f"The model in {str(folder)!r} takes {channels} channels; images have 1 (grey) or 3.")
    own = getattr(config, "image_size", None) or 224
    asked = about.get("size")
    asked = [asked.get("height"), asked.get("width")] if isinstance(asked, Mapping) else own
    for sides in (own, asked):
        if isinstance(sides, (list, tuple)) and len({*sides}) > 1:
            raise RequestError(
                f"The model in {str(folder)!r} takes images of {' × '.join(map(str, sides))} px, but images are "
                "prepared as squares; choose a model of square images."
            )
    own = own if isinstance(own, int) else own[0]
    try:
        return _as_processed(about, own, channels)
    except (TypeError, ValueError, ArithmeticError, AttributeError, RequestError) as error:
        raise RequestError(
            f"{str(folder / PROCESSOR)!r} cannot be used ({str(error).rstrip('.')}); get the model again."
        ) from error


def _as_processed(about: Mapping[str, Any], own: int, channels: int) -> ImagePreparation:
    from sterna.preparations.image import ImagePreparation

    size = about.get("size") or own
    squash = not isinstance(size, Mapping) or "height" in size
    resized = _side(size, own)
    cropped = about.get("do_center_crop", "crop_pct" in about)
    final = _side(about.get("crop_size", resized), resized) if cropped else resized
    part = about.get("crop_pct") if not squash and about.get("crop_pct") and resized < 384 else final / resized
    zero = not about.get("do_normalize", True)
    mean = (0.0,) if zero else about.get("image_mean", (0.485, 0.456, 0.406))
    std = (1.0,) if zero else about.get("image_std", (0.229, 0.224, 0.225))
    # Pixels become pixel * factor − offset before mean and deviation; here they are on a scale from 0 to 1.
    scale = 255 * float(about.get("rescale_factor", 1 / 255)) if about.get("do_rescale", True) else 255.0
    offset = 1.0 if about.get("rescale_offset", False) else 0.0
    return ImagePreparation(
        size=final,
        mean=[(float(each) + offset) / scale for each in _numbers(mean)],
        std=[float(each) / scale for each in _numbers(std)],
        interpolation=_RESAMPLING.get(about.get("resample", 3), "bicubic"),
        crop=min(1.0, float(part or 1.0)),
        channels=1 if channels == 1 else 3,
        mode="squash" if squash else "center",
        colours="bgr" if about.get("do_flip_channel_order", False) else "rgb",
    )


def _numbers(value: Any) -> list[Any]:
    return list(value) if isinstance(value, (list, tuple)) else [value]


def assumed(folder: Path, preparation: ImagePreparation) -> dict[str, str]:
    """What the folder's image processor leaves open, for the card."""
    about = _processor(folder)
    if not about:
        why = "the folder has no preprocessor_config.json"
        return {"preparation": f"assumed: {preparation.size} px, normalised as for ImageNet; {why}"}
    if about.get("do_normalize", True) and not ("image_mean" in about and "image_std" in about):
        return {"preparation": "assumed: normalised as for ImageNet; preprocessor_config.json does not say how"}
    return {}


def _processor(folder: Path) -> dict[str, Any]:
    """What the folder's preprocessor_config.json says; nothing where there is none."""
    path = folder / PROCESSOR
    try:
        found = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    except ValueError as error:
        raise RequestError(f"{str(path)!r} is damaged ({error}); get the model again.") from error
    return found if isinstance(found, dict) else {}


def _side(size: Any, usual: int) -> int:
    if isinstance(size, Mapping):
        return int(size.get("height") or size.get("shortest_edge") or usual)
    return int(size[0] if isinstance(size, (list, tuple)) else size)
