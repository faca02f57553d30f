"""label-propagation: labels spread along a graph of near neighbours."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from pydantic import Field
from sklearn.neighbors import kneighbors_graph
from sklearn.semi_supervised import LabelSpreading

from sterna.bench import Bench, Fitted
from sterna.bench.density_ratio import drawn
from sterna.bench.labelled import check_classification, check_labels, fitting_source
from sterna.bench.problem import Array
from sterna.bench.vectors import Vectors
from sterna.domains.groups import unit_ids
from sterna.errors import RequestError
from sterna.methods.method import Method, Needs
from sterna.record.choice import Choice
from sterna.selection.cross_validation import Trial, choose_penalty, sample_of
from sterna.tasks.task import Task
from sterna.training.linear import fit_layer, standardised

MOST = 10_000
"""Rows of each part (labelled, unlabelled, source's) that the graph holds; of more, so many are drawn."""

ROUNDS = 10_000
"""Bound on the rounds; α = 0.2 takes about twenty, α = 0.99 two thousand."""


class LabelPropagation(Method):
    """Labels spread from labelled rows to their near neighbours, and a head learns from all the target's rows.

    What moves: the labels themselves, along a graph. Two rows are joined where one is among the k nearest of the other
    in the body's standardised features. With the graph's normalised matrix S and the given labels Y (one-hot, zero for
    unlabelled rows),

        F ← α S F + (1 − α) Y

    is repeated until nothing changes: a row takes a share α from its neighbours and keeps a share 1 − α of what
    it was told. The graph holds the target's labelled and unlabelled rows and the source's labelled rows, where those
    do the same task; of more than 10,000 rows of one of the three, so many are drawn. Then a linear head is fitted
    on the target's rows by cross-entropy: on the label of the labelled rows, and on the spread class probabilities
    of the others (soft labels). Rows that no label reached are left out. The head's penalty is chosen by
    cross-validation on the likeliest labels, weighted by how likely they are.

    When to use it: few labels, many unlabelled rows, classes that form groups in the features. When it hurts: classes
    that touch, so that labels leak from one into the next; a source so far away that its labels reach few rows.

    References
    ----------
    Zhou, Bousquet, Lal, Weston and Schölkopf, "Learning with local and global consistency", NIPS 2003.
    """

    needs = Needs.LABELS | Needs.UNLABELLED_TARGET
    suits = Needs.COMPARABLE | Needs.CLASSES

    neighbours: int = Field(10, ge=1, le=100, description="each row is joined to so many, its nearest")
    alpha: float = Field(0.2, gt=0, le=0.99, description="share that a row takes from its neighbours in each round")

    def run(self, bench: Bench) -> Fitted:
        task = bench.task
        check_classification(self.id(), task)
        bench = bench.on(fitting_source(bench.problem, bench.say))
        check_labels(self.id(), bench.problem)
        rows = _gathered(bench)
        soft = spread_labels(*rows.graph(), task.outputs, self.neighbours, self.alpha)[rows.asked]
        reached = soft.sum(1) > 0
        _say(rows, reached, len(bench.problem.unlabelled), bench)
        own = np.eye(task.outputs)[rows.codes]
        x = np.concatenate([rows.labelled, rows.unlabelled[reached]])
        if not len(x):
            raise RequestError(
                f"{self.id()}: no label of the source reaches any target row, since none of either is among the "
                f"{self.neighbours} nearest of the other; raise neighbours, or use target labels."
            )
        targets = np.concatenate([own, soft[reached]])
        weights = np.concatenate([rows.weights, soft[reached] @ class_weights(own, rows.weights)])
        units = np.concatenate([rows.units[: len(own)], rows.units[len(own) :][reached]])
        best = _trial(x, targets, weights, units, task, bench.seed)
        head = fit_layer(x, targets, task, weights, best.penalty, best.offset)
        labels = len(rows.codes) + len(rows.source)
        of = " and ".join(name for name, some in (("source", rows.source), ("target", rows.codes)) if len(some))
        choice = Choice("penalty", best.penalty, "cross-validation on spread labels", labels, of)
        return Fitted(rows.vectors.network(head), (choice,))


@dataclass(frozen=True, eq=False)
class _Rows:
    """What the graph is made of, and the head fitted on.

    Attributes
    ----------
    labelled, codes, weights
        The target's training rows ``(l, d)``, their classes and their weights.
    unlabelled
        Unlabelled target rows ``(u, d)``, some where there are many.
    source, source_codes
        The source's rows ``(s, d)``, some where there are many, and their classes.
    nodes
        Which of `labelled` the graph holds.
    units
        The unit (a group or a content) of each row of `labelled`, then of `unlabelled`.
    """

    vectors: Vectors
    labelled: Array
    codes: Array
    weights: Array
    unlabelled: Array
    source: Array
    source_codes: Array
    nodes: Array
    units: Array

    @property
    def asked(self) -> slice:
        """Where the unlabelled rows stand in the graph."""
        return slice(len(self.nodes), len(self.nodes) + len(self.unlabelled))

    def graph(self) -> tuple[Array, Array]:
        """Standardised rows ``(n, d)`` and their classes, −1 for unlabelled rows."""
        x = np.concatenate([self.labelled[self.nodes], self.unlabelled, self.source])
        codes = np.concatenate([self.codes[self.nodes], np.full(len(self.unlabelled), -1), self.source_codes])
        return standardised(x)[0], codes.astype(np.int64)


def _gathered(bench: Bench) -> _Rows:
    problem, known, seed = bench.problem, bench.problem.known, bench.seed
    vectors = bench.vectors()
    labelled = vectors.of(problem.inputs)[problem.train]
    unlabelled = problem.unlabelled.take(drawn(len(problem.unlabelled), seed, MOST))
    units = unit_ids(problem.target.take(problem.train), unlabelled)
    source, source_codes = labelled[:0], np.zeros(0, dtype=np.int64)
    if known is not None:
        some = drawn(len(known), seed, MOST)
        source, source_codes = vectors.of(known.inputs.take(some)), known.targets[some]
    codes = problem.targets[problem.train].astype(np.int64)
    weights, nodes = problem.row_weights()[problem.train], drawn(len(labelled), seed, MOST)
    hidden = vectors.of(unlabelled.inputs)
    return _Rows(vectors, labelled, codes, weights, hidden, source, source_codes, nodes, units)


def _say(rows: _Rows, reached: Array, unlabelled: int, bench: Bench) -> None:
    if unlabelled > len(reached):
        bench.say(f"Labels spread to {len(reached):,} of the {unlabelled:,} unlabelled target rows, drawn at random.")
    if not reached.all():
        bench.say(f"No label reached {(~reached).sum():,} of {len(reached):,} unlabelled rows; they were left out.")


def spread_labels(x: Array, codes: Array, classes: int, neighbours: int, alpha: float) -> Array:
    """Class probabilities of each row after spreading, ``(n, classes)``; zero where no label reached a row.

    Parameters
    ----------
    x
        Rows ``(n, d)``.
    codes
        Their classes, −1 for unlabelled rows, ``(n,)``.
    """

    def joined(x: Array, _: Array) -> Any:
        """A symmetric graph, as spreading asks for: the library's own ``knn`` has arrows from a row to its nearest."""
        graph = kneighbors_graph(x, min(neighbours, len(x) - 1), include_self=False)
        return graph.maximum(graph.T)

    # A label that travels h steps arrives with weight αʰ: a small tolerance lets it reach rows that lie far.
    model = LabelSpreading(kernel=joined, alpha=alpha, max_iter=ROUNDS, tol=1e-9).fit(x, codes)
    found = np.zeros((len(x), classes))
    found[:, model.classes_] = model.label_distributions_
    return found


def class_weights(own: Array, weights: Array) -> Array:
    """Mean weight of the labelled rows of each class, ``(k,)``: 1 for a class without any; `own` is one-hot."""
    counts = own.sum(0)
    return np.asarray(np.where(counts > 0, own.T @ weights / np.maximum(counts, 1), 1.0))


def _trial(x: Array, targets: Array, weights: Array, units: Array, task: Task, seed: int) -> Trial:
    """The penalty, by the most probable class of each row."""
    hard, weights = targets.argmax(1), weights * targets.max(1)
    some = sample_of(np.arange(len(x)), hard, task, seed, weights)
    return choose_penalty(standardised(x)[0][some], hard[some], task, weights[some], seed, units=units[some])
