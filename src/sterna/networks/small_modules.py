"""The modules of small bodies, and how a recipe names them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn


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


_MODULES: dict[str, Callable[..., nn.Module]] = {
    "cnn": SmallCNN, "mel-cnn": SmallCNN, "mlp": TableMLP, "hashed": HashedText,
}  # fmt: skip


def small_module(recipe: Mapping[str, Any]) -> nn.Module:
    """The bare module of a recipe of a small body."""
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
