"""Small bodies for small data: convolutions for images and audio, a perceptron for tables, hashed n-grams for text."""

from __future__ import annotations

import torch

from sterna.domains.inputs import Inputs, Preparation
from sterna.kinds.kind import kind_of
from sterna.networks.architectures import build_module, usual_input
from sterna.networks.body import Body
from sterna.networks.module_body import ModuleBody


def small_body(inputs: Inputs, *, seed: int = 0) -> tuple[Body, Preparation]:
    """A small body with a random start that suits these (training) rows, and its preparation, fitted on them.

    Parameters
    ----------
    inputs
        Of any kind; see :meth:`sterna.kinds.Kind.small`.
    seed
        Of the random start.
    """
    preparation, recipe = kind_of(inputs.kind).small(inputs)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return ModuleBody(
            build_module(recipe), recipe if "input" in recipe else {**recipe, "input": usual_input(recipe)}
        ), preparation
