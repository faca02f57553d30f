"""A partly frozen body: what its frozen part gives is computed once, and training starts from there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from sterna.domains.inputs import Inputs, Kind, Preparation, Rows
from sterna.networks.network import Network
from sterna.networks.views import Views
from sterna.training.cache import Features
from sterna.training.trainer import Trainer


class ActivationInputs(Inputs):
    """Activations at the cut, read from disk: a row is an array of their shape."""

    def __init__(self, kind: Kind, features: Features, shape: Sequence[int], rows: Rows | None = None) -> None:
        self.kind = kind  # type: ignore[misc]  # the kind of the data it stands for
        self.features, self.shape = features, tuple(shape)
        self.rows = np.arange(len(features)) if rows is None else rows

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, row: int) -> Any:
        return self.features.array(self.rows[row : row + 1]).reshape(self.shape)

    def take(self, rows: Rows) -> ActivationInputs:
        return ActivationInputs(self.kind, self.features, self.shape, self.rows[rows])

    def keys(self) -> list[str]:
        return [str(row) for row in self.rows]

    def fingerprint(self) -> str:
        return f"{[file.name for file in self.features.files]}{self.rows.tolist()}"


class ActivationPreparation(Preparation):
    """Rows of activations, stacked."""

    kind = "images"

    def items(self, inputs: Inputs) -> Any:
        return inputs

    def collate(self, items: Sequence[Any]) -> Tensor | Mapping[str, Tensor]:
        return torch.from_numpy(np.stack(items))

    def state(self) -> dict[str, Any]:
        return {"type": "activations"}


class _Lower(nn.Module):
    """The frozen part, as :meth:`Trainer.features` takes a body."""

    def __init__(self, lower: nn.Module, key: str) -> None:
        super().__init__()
        self.lower, self.key, self.shape = lower, key, ()

    def features(self, inputs: Any, names: Sequence[str]) -> dict[str, Tensor]:
        found = self.lower(inputs)
        return {names[0]: found.flatten(1)}

    def weights_fingerprint(self) -> str:
        return self.key


def from_the_cut(
    network: Network, inputs: Inputs, frozen_blocks: int, trainer: Trainer
) -> tuple[Network, Inputs] | None:
    """The part of a network behind its first blocks, and what they give for each row, computed once.

    Parameters
    ----------
    network
        Its first `frozen_blocks` blocks do not train; its other parts are shared with the network that is returned.
    inputs
        The rows, unchanged from epoch to epoch.

    Returns
    -------
    tuple of Network and Inputs, or None
        None where the body cannot be cut there (:meth:`sterna.networks.Body.cut`), or sees a batch in a mirror too.
    """
    block = network.body.blocks[frozen_blocks - 1].name
    halves = network.body.cut(block) if network.views is Views.ONE else None  # a flipped activation is another thing
    if halves is None or not len(inputs):
        return None
    lower, upper = halves
    items = network.preparation.items(inputs)
    with torch.inference_mode():
        example = network.preparation.collate([items[0]])
        shape = tuple(lower.eval().cpu()(example).shape[1:])
    piece = _Lower(lower, network.body.weights_fingerprint())
    features = trainer.features(piece, network.preparation, inputs, [f"activations of {block}"])
    shorter = Network(ActivationPreparation(), upper, network.head, map=network.map, task=network.task)
    return shorter, ActivationInputs(inputs.kind, features, shape)
