"""Source and target rows as points of one space: features of a body that stays as it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import nn

from sterna.domains.inputs import Inputs, Preparation
from sterna.domains.joined import joined_inputs
from sterna.errors import RequestError
from sterna.kinds.kind import flat, kind_of
from sterna.methods.parameters.feature_extraction import by_block, deepest
from sterna.methods.problem import Array, Problem
from sterna.methods.simple import learn
from sterna.networks.body import LAST, Body
from sterna.networks.freezing import freeze
from sterna.networks.network import Network
from sterna.networks.small import identity_body
from sterna.tasks.task import Task
from sterna.training.trainer import Trainer

SOME = 4
"""Rows that show which block of a body gives its last features under another name."""


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
            found = self._trainer.features(self.body, self.preparation, inputs, self.body.outputs).array()
            return np.asarray(found, dtype=np.float64)
        return flat(self.preparation, inputs).astype(np.float64)

    def network(self, head: nn.Module, task: Task, map: nn.Module | None = None) -> Network:
        """A network with this head on (mapped) vectors of the space."""
        return Network(self.preparation, self.body, head, map=map, task=task)


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
        names = (*(block.name for block in body.blocks), LAST)
        some = trainer.features(body, preparation, inputs.take(np.arange(min(len(inputs), SOME))), names)
        body = body.selecting(deepest(by_block(some, names)))
        freeze(body)
        return Space(preparation, body, trainer)
    kind = kind_of(problem.target.kind)
    if kind.learnt and problem.known is not None:
        network = learn(problem.on_source(), trainer)
        freeze(network)
        return Space(network.preparation, network.body, trainer)
    vectors = kind.vectors(_columns(problem) if problem.inputs.columns else _every(problem))
    if vectors is None:
        raise RequestError(
            f"{kind.noun.capitalize()} are compared by the features of a model, and no source model is given; add one, "
            "such as packaged/minilm-l6 (for --method target-only none is needed)."
        )
    return Space(vectors.preparation, identity_body(vectors.width), trainer)


def _every(problem: Problem) -> Inputs:
    """The rows that may be seen without labels: the target's and the source's."""
    rows = problem.inputs if len(problem.inputs) else problem.target_inputs()
    return joined_inputs(rows, problem.known.inputs) if problem.known else rows


def _columns(problem: Problem) -> Inputs:
    """The table rows that say how columns become numbers: the source's, in the target's columns, or the target's."""
    if problem.known is None:
        return problem.inputs.take(problem.train)
    ours = problem.target_inputs()
    if not len(ours):
        return problem.known.inputs
    both = joined_inputs(ours, problem.known.inputs, problem.target.name, problem.known.domain.name)
    return both.take(np.arange(len(ours), len(both)))
