"""Small bodies for small data: convolutions for images and audio, a perceptron for tables, hashed n-grams for text."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from sterna.domains.inputs import Inputs, Preparation
from sterna.networks.body import Body
from sterna.networks.module_body import ModuleBody
from sterna.networks.small_modules import small_input, small_module

SMALLEST, LARGEST = 16, 96
"""Pixels a side that a small convolutional body works at, at least and at most."""


def small_body(inputs: Inputs, *, seed: int = 0) -> tuple[Body, Preparation]:
    """A small body with a random start that suits these (training) rows, and its preparation, fitted on them.

    Parameters
    ----------
    inputs
        Images, texts, table rows or recordings.
    seed
        Of the random start.
    """
    preparation, recipe = _SUITING[inputs.kind](inputs)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return ModuleBody(small_module(recipe), {**recipe, "input": small_input(recipe)}), preparation


def _for_images(inputs: Inputs) -> tuple[Preparation, dict[str, Any]]:
    from sterna.networks.preparation_image import ImagePreparation

    rows = np.unique(np.linspace(0, len(inputs) - 1, min(32, len(inputs))).astype(int))
    images = [inputs[int(row)] for row in rows]
    size = int(np.clip(np.median([min(image.size) for image in images]), SMALLEST, LARGEST))
    channels = 1 if all(image.mode == "L" for image in images) else 3
    preparation = ImagePreparation(size, (0.5,), (0.25,), "bilinear", crop=1.0, channels=channels)
    return preparation, {"loader": "small", "name": "cnn", "channels": channels, "size": size}


def _for_table(inputs: Inputs) -> tuple[Preparation, dict[str, Any]]:
    from sterna.domains.preparation_table import TablePreparation

    preparation = TablePreparation().fit(inputs)
    return preparation, {"loader": "small", "name": "mlp", "width_in": preparation.width}


def _for_text(inputs: Inputs) -> tuple[Preparation, dict[str, Any]]:
    from sterna.networks.preparation_text import HashedTextPreparation

    preparation = HashedTextPreparation()
    return preparation, {"loader": "small", "name": "hashed", "size": preparation.size}


def _for_audio(inputs: Inputs) -> tuple[Preparation, dict[str, Any]]:
    from sterna.networks.preparation_audio import LogMelPreparation

    found = LogMelPreparation().fit(inputs)
    size = int((found.mels * found.frames) ** 0.5)
    about = {"channels": 1, "size": size, "mels": found.mels, "frames": found.frames}
    return found, {"loader": "small", "name": "mel-cnn", **about}


_SUITING: dict[str, Callable[[Inputs], tuple[Preparation, dict[str, Any]]]] = {
    "images": _for_images,
    "table": _for_table,
    "text": _for_text,
    "audio": _for_audio,
}
