"""Source and target rows as points of one space: features of a body that stays as it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import nn

from sterna.domains.inputs import Inputs, Preparation
from sterna.domains.joined import joined_inputs
from sterna.domains.preparation_table import TablePreparation
from sterna.errors import RequestError
from sterna.methods.problem import Array, Problem
from sterna.networks.body import Body
from sterna.networks.freezing import freeze
from sterna.networks.network import Network
from sterna.networks.preparation_audio import LogMelStatistics
from sterna.networks.preparation_image import ImagePreparation
from sterna.networks.small import identity_body
from sterna.tasks.task import Task
from sterna.training.trainer import Trainer

PIXELS = 32
"""Without a source model images are this many pixels a side, flattened."""


@dataclass(frozen=True, eq=False)
class Space:
    """A fixed way from raw inputs to vectors.

    Attributes
    ----------
    preparation, body
        What a network in this space begins with.
    """

    preparation: Preparation
    body: Body
    _trainer: Trainer

    def of(self, inputs: Inputs) -> Array:
        """The rows as vectors, ``(n, width)`` float64."""
        if not len(inputs):
            return np.zeros((0, self.body.width))
        if any(True for _ in self.body.parameters()):
            found = self._trainer.features(self.body, self.preparation, inputs, self.body.outputs).array()
            return np.asarray(found, dtype=np.float64)
        items = self.preparation.items(inputs)
        return np.stack([np.asarray(items[i], dtype=np.float64).ravel() for i in range(len(items))])

    def network(self, head: nn.Module, task: Task, map: nn.Module | None = None) -> Network:
        """A network with this head on (mapped) vectors of the space; nothing of it is trained any more."""
        network = Network(self.preparation, self.body, head, map=map, task=task)
        freeze(network)
        return network


def space_of(problem: Problem, trainer: Trainer) -> Space:
    """The space a problem's rows are compared in.

    With a source model, its body's last features. Without one, a table's columns (prepared by the source's rows where
    there are any, else by the target's training rows), an image's pixels, and a recording's log-mel statistics.

    Raises
    ------
    RequestError
        For texts without a source model.
    """
    if problem.source is not None and problem.source.body is not None:
        inputs: Any = problem.inputs if len(problem.inputs) else problem.target_inputs()
        body = problem.source.body.copied()
        freeze(body)
        return Space(problem.source.prepared(inputs), body, trainer)
    if problem.target.kind == "table":
        fit_on = problem.known.inputs if problem.known is not None else problem.inputs.take(problem.train)
        table = TablePreparation().fit(fit_on)
        return Space(table, identity_body(table.width), trainer)
    if problem.target.kind == "images":
        image = ImagePreparation(size=PIXELS, mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5), crop=1.0)
        return Space(image, identity_body(3 * PIXELS * PIXELS), trainer)
    if problem.target.kind == "audio":
        rows = problem.inputs if len(problem.inputs) else problem.target_inputs()
        statistics = LogMelStatistics().fit(joined_inputs(rows, problem.known.inputs) if problem.known else rows)
        return Space(statistics, identity_body(statistics.width), trainer)
    raise RequestError(
        "Texts are compared by the features of a model, and no source model is given; add one, such as "
        "packaged/minilm-l6 (for --method target-only none is needed)."
    )
