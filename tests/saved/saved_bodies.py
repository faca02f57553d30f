"""Architectures of saved networks that name this file (``saved_bodies:grey``)."""

from torch import nn


def _body(channels):
    module = nn.Sequential()
    for i, (before, after) in enumerate([(channels, 8), (8, 16)]):
        block = nn.Sequential(nn.Conv2d(before, after, 3, padding=1, bias=False), nn.BatchNorm2d(after), nn.ReLU())
        module.add_module(f"block{i}", block)
    module.add_module("pool", nn.AdaptiveAvgPool2d(1))
    module.add_module("flat", nn.Flatten())
    return module


def grey():
    """For images of one channel."""
    return _body(1)


def colour():
    """For images of three channels."""
    return _body(3)
