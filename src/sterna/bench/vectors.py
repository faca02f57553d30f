"""Source and target rows as vectors of one space: features of a body that stays as it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from torch import nn

from sterna.bench.fitted import Fitted
from sterna.bench.heads import fit_on_head
from sterna.bench.probe import by_block, deepest
from sterna.bench.problem import Array, Problem
from sterna.domains.groups import unit_ids
from sterna.domains.inputs import Inputs, Preparation
from sterna.domains.joined import joined_inputs
from sterna.errors import RequestError
from sterna.kinds.kind import flat, kind_of
from sterna.networks.body import LAST, Body
from sterna.networks.freezing import freeze
from sterna.networks.identity import identity_body
from sterna.networks.network import Network
from sterna.networks.views import Views
from sterna.training.linear import behind, standardised

if TYPE_CHECKING:
    from sterna.bench.bench import Bench

SOME = 4
"""Rows that show which block of a body gives its last features under another name."""


@dataclass(frozen=True, eq=False)
class Vectors:
    """A fixed way from raw inputs to vectors.

    Attributes
    ----------
    preparation, body
        What a network on these vectors begins with.
    bench
        Computes the features.
    views
        How the body sees a batch.
    """

    preparation: Preparation
    body: Body
    bench: Bench
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
            found = self.bench.features(self.body, self.preparation, inputs, self.body.outputs, self.views).array()
            return np.asarray(found, dtype=np.float64)
        return flat(self.preparation, inputs).astype(np.float64)

    def network(self, head: nn.Module, map: nn.Module | None = None) -> Network:
        """A network for the task with this head on (mapped) vectors."""
        return Network(self.preparation, self.body, head, map=map, task=self.bench.task, views=self.views)


def vectors_of(bench: Bench) -> Vectors:
    """The vectors that a problem's rows are compared by.

    With a source model, the pooled outputs of its body's deepest quarter of blocks and its last features, the set that
    ``feature-extraction`` prefers. Without one, a table's columns (prepared by the source's rows where there are any,
    else by the target's training rows) and a recording's log-mel statistics; for images the features of a small
    network trained on the source's rows where there are any, else pixels.

    Raises
    ------
    RequestError
        For texts without a source model.
    """
    problem = bench.problem
    inputs = problem.inputs if len(problem.inputs) else problem.target_inputs()
    pretrained = bench.source_body(inputs)
    if pretrained is not None:
        preparation, body = pretrained
        names, views = (*(block.name for block in body.blocks), LAST), problem.source_views
        some = bench.features(body, preparation, inputs.take(np.arange(min(len(inputs), SOME))), names, views)
        body = body.selecting(deepest(by_block(some, names)))
        freeze(body)
        return Vectors(preparation, body, bench, views)
    kind = kind_of(problem.target.kind)
    if kind.learnt and problem.known is not None:
        network = bench.on(problem.on_source()).learn().network
        freeze(network)
        return Vectors(network.preparation, network.body, bench, network.views)
    plain = kind.vectors(_columns(problem) if problem.inputs.columns else _every(problem))
    if plain is None:
        raise RequestError(
            f"{kind.noun.capitalize()} are compared by the features of a model, and no source model is given; add one, "
            "such as packaged/minilm-l6 (for method='target-only' none is needed)."
        )
    return Vectors(plain.preparation, identity_body(plain.width), bench)


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


@dataclass(frozen=True, eq=False)
class EachScaled:
    """The vectors of both domains, each domain standardised by itself.

    Attributes
    ----------
    vectors
        How rows become vectors.
    source
        Of the source's labelled rows, ``(n_s, d)``.
    target
        Of the target's rows in the order of `Problem.target_inputs`, ``(n_t, d)``: the training rows are the last.
    mean, scale
        Of the target's vectors before they were standardised, ``(d,)``.
    """

    vectors: Vectors
    source: Array
    target: Array
    mean: Array
    scale: Array

    def fit(self, source: Array) -> Fitted:
        """A network whose head is fitted on these rows of the source ``(n_s, d)`` and on the labelled target rows.

        The target's own scale is folded into the head, so that the network answers for rows as they are.
        """
        bench, problem = self.vectors.bench, self.vectors.bench.problem
        assert problem.known is not None
        count = len(problem.train)
        x = np.concatenate([self.target[len(self.target) - count :], source])
        theirs = problem.known.targets
        targets = np.concatenate([problem.targets[problem.train], theirs]) if count else theirs
        weights = np.concatenate([problem.row_weights()[problem.train], problem.known.weights])
        of = "source and target" if count else "source"
        units = unit_ids(problem.target.take(problem.train), problem.known.domain)

        def network(head: nn.Linear) -> Network:
            return self.vectors.network(behind(head, self.mean, self.scale, bench.task))

        return fit_on_head(bench, network, x, targets, weights, of, units, np.arange(len(source)))


def each_scaled(bench: Bench) -> EachScaled:
    """Source and target rows as vectors, each domain with mean 0 and deviation 1 of every feature."""
    assert bench.problem.known is not None
    vectors = vectors_of(bench)
    target, mean, scale = standardised(vectors.of(bench.problem.target_inputs()))
    source, _, _ = standardised(vectors.of(bench.problem.known.inputs))
    return EachScaled(vectors, source, target, mean, scale)
