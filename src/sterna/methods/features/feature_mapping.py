"""feature-mapping: target features of another kind are mapped to where the source's model expects its own."""

from __future__ import annotations

import numpy as np
import torch
from pydantic import Field
from torch import nn

from sterna.bench import Bench, Fitted
from sterna.bench.problem import Array
from sterna.bench.source_answers import answers, in_terms_of, network_of
from sterna.bench.vectors import Vectors
from sterna.errors import RequestError
from sterna.kinds.kind import kind_of
from sterna.methods.method import Method, Needs
from sterna.networks.freezing import freeze
from sterna.selection.cross_validation import PENALTIES, folds_of, sample_of
from sterna.tasks.task import Task
from sterna.training.linear import as_layer, rotated, standardised, unrotated


class FeatureMapping(Method):
    """The source's model predicts for the target, whose features are first mapped into the source's by a linear map.

    What moves: the source's head, over features of another width (other columns, another kind of data). Each labelled
    target row is mapped towards the mean source feature m of its class, by ridge regression in closed form:
    W, b = argmin Σ w_i ‖m(y_i) − W z_i − b‖² / Σ w_i + λ ‖W‖², over standardised target features z. λ is chosen by
    cross-validation on the target labels, by the loss of the source's head on the mapped rows. Where the source does
    not do the task yet, a linear head is fitted on its data (without a model, a small network for images). The
    network is: target preparation → target body → map → source head.

    When to use it: the source has the target's classes but none of its columns, and some tens of labels are there to
    learn the map from. When it hurts: the map knows of the source no more than one point a class, so with few classes
    it is little else than a ridge regression on the target's labels, and ``target-only`` often does as well or better.

    Where rows of both domains are known to be the same things, `map_between` fits the map on these pairs.

    References
    ----------
    Palatucci, Pomerleau, Hinton and Mitchell, "Zero-shot learning with semantic output codes", NeurIPS 2009 (ridge
    regression into a space in which a class is a point). Day and Khoshgoftaar, "A survey on heterogeneous transfer
    learning", Journal of Big Data 2017.
    """

    needs = Needs.SOURCE_DATA | Needs.SAME_TASK | Needs.TARGET_LABELS
    suits = Needs.COMPARABLE | Needs.CLASSES

    penalty: float | None = Field(None, gt=0, description="λ of the map; chosen by cross-validation if none")

    def run(self, bench: Bench) -> Fitted:
        problem, known, task = bench.problem, bench.problem.known, bench.task
        assert known is not None
        if not task.one_class:
            raise RequestError(
                f"feature-mapping brings rows together by their class, but the task is {task.id}; for rows that are "
                "known in pairs, sterna.methods.features.feature_mapping.map_between fits the map."
            )
        answering = source_network(bench)
        theirs = answering.network
        freeze(theirs)
        points = class_means(
            Vectors(theirs.preparation, theirs.body, bench, theirs.views).of(known.inputs),
            known.targets, task.outputs, known.weights,
        )  # fmt: skip
        rows = problem.train[np.isfinite(points[problem.targets[problem.train], 0])]
        if len(np.unique(problem.targets[rows])) < 2:
            raise RequestError(
                "feature-mapping needs labelled target rows of two classes or more that the source's data have; use "
                "more labels."
            )
        vectors = target_vectors(bench)
        x, targets, weights = vectors.of(problem.inputs.take(rows)), problem.targets[rows], problem.row_weights()[rows]
        penalty, choices = self.penalty, answering.choices
        if penalty is None:
            some = sample_of(np.arange(len(rows)), targets, task, bench.seed, weights)
            penalty = choose_by_head(
                x[some], points, targets[some], weights[some], theirs.head, task,
                seed=bench.seed, units=problem.units[rows][some],
            )  # fmt: skip
            choices = (*choices, bench.cross_validated("map penalty", penalty, len(some), "target"))
        fitted = map_between(x, points[targets], weights, penalty=penalty)
        return Fitted(vectors.network(theirs.head, map=fitted), choices)


def source_network(bench: Bench) -> Fitted:
    """The source's own model for this task: as it is where it does it, else learnt from the source's data."""
    problem, source, known = bench.problem, bench.problem.source, bench.problem.known
    assert known is not None
    if source is not None and answers(source, bench.task):
        return Fitted(in_terms_of(bench.task, network_of(source, known.inputs)))
    theirs = bench.on(problem.on_source())
    if problem.source_body is None and kind_of(known.domain.kind).learnt:
        return theirs.learn()
    vectors = theirs.vectors()
    head, choice = theirs.fit_head(vectors.of(known.inputs), known.targets, known.weights, units=theirs.problem.units)
    return Fitted(vectors.network(head), (choice,))


def target_vectors(bench: Bench) -> Vectors:
    """Where the target's rows come from: the source's body where it takes them, else their own columns or pixels."""
    problem, source = bench.problem, bench.problem.source
    fits = source is not None and source.kind == problem.target.kind
    return bench.on(problem.with_rows(None) if fits else problem.without_source()).vectors()


def class_means(features: Array, targets: Array, classes: int, weights: Array) -> Array:
    """Mean feature of each class, ``(classes, d)``; NaN for a class without a row of any weight."""
    means = np.full((classes, features.shape[1]), np.nan)
    for code in np.unique(targets[weights > 0]):
        rows = targets == code
        means[code] = np.average(features[rows], axis=0, weights=weights[rows])
    return means


def map_between(x: Array, goals: Array, weights: Array | None = None, *, penalty: float) -> nn.Linear:
    """The ridge regression from features to features, in closed form.

    Minimises Σ wᵢ ‖gᵢ − W zᵢ − b‖² / Σ wᵢ + λ ‖W‖², where z are the standardised x.

    Parameters
    ----------
    x
        Features ``(n, d_in)``, such as those of target rows.
    goals
        What they should become, ``(n, d_out)``: class means, or the source features of the same things.
    weights
        A weight for each row, ``(n,)``; 1 by default.
    penalty
        λ.

    Returns
    -------
    torch.nn.Linear
        From raw x to goals.
    """
    weights = np.ones(len(x)) if weights is None else np.asarray(weights, dtype=np.float64)
    z, mean, scale = standardised(x)
    found, basis = rotated(z)
    solution = ridge(found, goals, weights, penalty)
    return as_layer(unrotated(solution, basis), mean, scale)


def ridge(z: Array, goals: Array, weights: Array, penalty: float) -> Array:
    """W and b of the weighted ridge regression from ``(n, r)`` to ``(n, d_out)``, side by side: ``(d_out, r + 1)``."""
    share = weights / weights.sum()
    centre, goal = share @ z, share @ goals
    weighted = share[:, None] * (z - centre)
    covariance = weighted.T @ (z - centre)
    covariance[np.diag_indices(len(covariance))] += penalty
    found = np.linalg.solve(covariance, weighted.T @ (goals - goal)).T
    return np.column_stack([found, goal - found @ centre])


def choose_by_head(
    x: Array,
    points: Array,
    targets: Array,
    weights: Array,
    head: nn.Module,
    task: Task,
    *,
    seed: int,
    folds: int = 5,
    units: Array | None = None,
) -> float:
    """The λ whose maps let the source's head lose least on held-out rows.

    Parameters
    ----------
    x
        Target features ``(n, d_in)``.
    points
        The point of each class in the source's space, ``(classes, d_out)``.
    units
        Rows of one number are held out together, ``(n,)``.
    """
    z, _ = rotated(standardised(x)[0])
    losses = np.zeros(len(PENALTIES))
    head.eval()
    for train, held in folds_of(targets, task, folds, seed, units=units):
        for i, penalty in enumerate(PENALTIES):
            solution = ridge(z[train], points[targets[train]], weights[train], penalty)
            mapped = torch.as_tensor(z[held] @ solution[:, :-1].T + solution[:, -1], dtype=torch.float32)
            share = torch.as_tensor(weights[held])
            with torch.inference_mode():
                loss = task.loss(head(mapped).double(), torch.as_tensor(targets[held]), share)
            losses[i] += float(loss) * float(share.sum())
    return PENALTIES[int(losses.argmin())]
