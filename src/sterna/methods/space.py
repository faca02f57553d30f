"""Source and target rows as points of one space: features of a body that stays as it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import nn

from sterna.domains.inputs import Inputs, Preparation
from sterna.domains.joined import joined_inputs
from sterna.domains.preparation_table import TablePreparation
from sterna.domains.tables import TableInputs
from sterna.errors import RequestError
from sterna.methods.parameters.feature_extraction import by_block, deepest
from sterna.methods.problem import Array, Problem
from sterna.methods.simple import learn
from sterna.networks.body import LAST, Body
from sterna.networks.freezing import freeze
from sterna.networks.identity import identity_body
from sterna.networks.network import Network
from sterna.networks.preparation_audio import LogMelStatistics
from sterna.networks.preparation_image import ImagePreparation
from sterna.networks.views import Views
from sterna.tasks.task import Task
from sterna.training.trainer import Trainer

SOME = 4
"""Rows that show which block of a body gives its last features under another name."""

PIXELS = 32
"""Without a source images are this many pixels a side, flattened."""


@dataclass(frozen=True, eq=False)
class Space:
    """A fixed way from raw inputs to vectors.

    Attributes
    ----------
    preparation, body
        What a network in this space begins with.
    views
        How the body sees a batch.
    """

    preparation: Preparation
    body: Body
    _trainer: Trainer
    views: Views = Views.ONE

    def scales(self, x: Array) -> Array:
        """What to divide each feature of the rows ``(n, width)`` by so that all blocks weigh alike, ``(width,)``.

        Of every feature of a block the mean of their standard deviations; 1 where nothing varies.
        """
        means = [part.std(0).mean() for part in np.split(x, self._ends(), axis=1)]
        widths = np.diff([0, *self._ends(), x.shape[1]])
        return np.repeat([mean if mean > 1e-7 else 1.0 for mean in means], widths)

    def _ends(self) -> Array:
        """Where each block but the last ends."""
        return np.cumsum([self.body.widths[name] for name in self.body.outputs])[:-1]

    def of(self, inputs: Inputs) -> Array:
        """The rows as vectors, ``(n, width)`` float64."""
        if not len(inputs):
            return np.zeros((0, self.body.width))
        if any(True for _ in self.body.parameters()):
            found = self._trainer.features(self.body, self.preparation, inputs, self.body.outputs, self.views).array()
            return np.asarray(found, dtype=np.float64)
        items = self.preparation.items(inputs)
        return np.stack([np.asarray(items[i], dtype=np.float64).ravel() for i in range(len(items))])

    def network(self, head: nn.Module, task: Task, map: nn.Module | None = None) -> Network:
        """A network with this head on (mapped) vectors of the space."""
        return Network(self.preparation, self.body, head, map=map, task=task, views=self.views)


def space_of(problem: Problem, trainer: Trainer) -> Space:
    """The space a problem's rows are compared in.

    With a source model, the pooled outputs of its body's deepest quarter of blocks and its last features, the set that
    ``feature-extraction`` prefers. Without one, a table's columns (prepared by the source's rows where there are any,
    else by the target's training rows) and a recording's log-mel statistics; for images the features of a small
    network trained on the source's rows where there are any, else pixels.

    Raises
    ------
    RequestError
        For texts without a source model.
    """
    own = problem.source_body
    if problem.source is not None and own is not None:
        inputs: Any = problem.inputs if len(problem.inputs) else problem.target_inputs()
        body, preparation = own.copied(), problem.source.prepared(inputs)
        names, views = (*(block.name for block in body.blocks), LAST), problem.source_views
        some = trainer.features(body, preparation, inputs.take(np.arange(min(len(inputs), SOME))), names, views)
        body = body.selecting(deepest(by_block(some, names)))
        freeze(body)
        return Space(preparation, body, trainer, views)
    if problem.target.kind == "table":
        table = TablePreparation().fit(_columns(problem))
        return Space(table, identity_body(table.width), trainer)
    if problem.target.kind == "images" and problem.known is not None:
        network = learn(problem.on_source(), trainer)
        freeze(network)
        return Space(network.preparation, network.body, trainer, network.views)
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


def _columns(problem: Problem) -> Inputs:
    """The table rows that say how columns become numbers: the source's, in the target's columns, or the target's."""
    if problem.known is None:
        return problem.inputs.take(problem.train)
    ours = problem.target_inputs()
    if not isinstance(ours, TableInputs) or not len(ours):
        return problem.known.inputs
    both = joined_inputs(ours, problem.known.inputs, problem.target.name, problem.known.domain.name)
    return both.take(np.arange(len(ours), len(both)))
