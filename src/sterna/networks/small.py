"""Small bodies for small data: convolutions for images and audio, a perceptron for tables, hashed n-grams for text."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from sterna.domains.inputs import Inputs, Preparation
from sterna.networks.body import Body

SMALLEST, LARGEST = 16, 96
"""Pixels a side that a small convolutional body works at, at least and at most."""


class SmallCNN(nn.Module):
    """Four stages of 3 × 3 convolutions with batch norm, then the mean over places: features ``(n, 128)``.

    Good from 16 px digits to 96 px photos: from 48 px on, the first convolution goes two pixels at a time. A
    spectrogram is an image with one channel.

    Parameters
    ----------
    channels
        Of the images.
    size
        Their side in pixels.
    """

    def __init__(self, channels: int = 3, size: int = 32) -> None:
        super().__init__()
        self.stem = _convolution(channels, 32, 2 if size >= 48 else 1)
        self.stage1 = nn.Sequential(_convolution(32, 48, 1), nn.MaxPool2d(2))
        self.stage2 = nn.Sequential(_convolution(48, 64, 1), _convolution(64, 64, 1), nn.MaxPool2d(2))
        self.stage3 = nn.Sequential(_convolution(64, 128, 1), _convolution(128, 128, 1))
        self.pool = nn.AdaptiveAvgPool2d(1)

    def forward(self, images: Tensor) -> Tensor:
        """Images ``(n, channels, h, w)`` to features ``(n, 128)``."""
        features: Tensor = self.pool(self.stage3(self.stage2(self.stage1(self.stem(images)))))
        return features.flatten(1)


def _convolution(channels: int, width: int, stride: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(channels, width, 3, stride=stride, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU()
    )


class TableMLP(nn.Module):
    """Two layers with layer norm, GELU and dropout: features ``(n, 128)``.

    Parameters
    ----------
    width_in
        Columns of the prepared table.
    """

    def __init__(self, width_in: int) -> None:
        super().__init__()
        self.layer1 = nn.Sequential(nn.Linear(width_in, 256), nn.LayerNorm(256), nn.GELU(), nn.Dropout(0.1))
        self.layer2 = nn.Sequential(nn.Linear(256, 128), nn.LayerNorm(128), nn.GELU(), nn.Dropout(0.1))

    def forward(self, rows: Tensor) -> Tensor:
        """Rows ``(n, width_in)`` to features ``(n, 128)``."""
        features: Tensor = self.layer2(self.layer1(rows))
        return features


class HashedText(nn.Module):
    """The mean of the vectors of a text's n-grams, and one layer: features ``(n, 128)``.

    Parameters
    ----------
    size
        Rows of the table of vectors; row 0 is padding.
    """

    def __init__(self, size: int) -> None:
        super().__init__()
        self.embedding = nn.EmbeddingBag(size, 64, mode="mean", padding_idx=0)
        self.layer = nn.Sequential(nn.LayerNorm(64), nn.Linear(64, 128), nn.GELU(), nn.Dropout(0.1))
        nn.init.normal_(self.embedding.weight, std=0.1)
        with torch.no_grad():
            self.embedding.weight[0].zero_()

    def forward(self, numbers: Tensor) -> Tensor:
        """Numbers of n-grams ``(n, longest)``, 0 for none, to features ``(n, 128)``."""
        features: Tensor = self.layer(self.embedding(numbers))
        return features


class Flat(nn.Module):
    """The inputs as they are: rows of numbers flattened, texts untouched."""

    def forward(self, inputs: Any) -> Any:
        """``(n, ...)`` to ``(n, d)``; a list stays one."""
        return inputs.flatten(1) if isinstance(inputs, Tensor) else inputs


class _Identity(Body):
    """A body that gives its inputs; the head is all that learns."""

    def __init__(self, width: int | None) -> None:
        nn.Module.__init__(self)
        self.module = Flat()
        self.recipe = {"loader": "small", "name": "identity", "width": width}
        self._two_d, self._one_d, self._accepted = False, False, None
        self.blocks, self.unused, self.outputs = (), (), ("last",)
        self.widths = {"last": width or 0}

    def _last(self, result: Any, inputs: Any) -> Any:
        return result


_MODULES: dict[str, Callable[..., nn.Module]] = {
    "cnn": SmallCNN, "mel-cnn": SmallCNN, "mlp": TableMLP, "hashed": HashedText,
}  # fmt: skip


def identity_body(width: int | None) -> Body:
    """A body that gives its inputs as features.

    Parameters
    ----------
    width
        Numbers in a row; ``None`` where the inputs are texts, which reach the head as they are.
    """
    return _Identity(width)


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
        return Body(small_module(recipe), {**recipe, "input": small_input(recipe)}), preparation


def small_module(recipe: Mapping[str, Any]) -> nn.Module:
    """The bare module of a recipe of a small body."""
    if recipe["name"] == "identity":
        return Flat()
    arguments = {k: v for k, v in recipe.items() if k in ("channels", "size", "width_in")}
    return _MODULES[recipe["name"]](**arguments)


def small_input(recipe: Mapping[str, Any]) -> dict[str, Any]:
    """The shapes of an example for a recipe of a small body."""
    if recipe["name"] == "cnn":
        return {"shape": [recipe["channels"], recipe["size"], recipe["size"]], "whole": False}
    if recipe["name"] == "mel-cnn":
        return {"shape": [1, recipe["mels"], recipe["frames"]], "whole": False}
    if recipe["name"] == "hashed":
        return {"shape": [4], "whole": True}
    return {"shape": [recipe.get("width_in", 1)], "whole": False}


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
