"""How much like the target's each source row is: a domain classifier's odds, and distances to target rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from sterna.bench.problem import Array, Labelled
from sterna.bench.vectors import Vectors, vectors_of
from sterna.domains.groups import unit_ids
from sterna.selection.cross_validation import choose_penalty, sample_of
from sterna.tasks.classification import Classification
from sterna.training.linear import fit_linear, in_memory, standardised

if TYPE_CHECKING:
    from sterna.bench.bench import Bench

FOLDS = 5
"""Parts of the source's rows: each is scored by a classifier that was fitted on the others."""

NEIGHBOURS = 5
"""Target rows that a source row is compared with: the nearest."""

MOST = 5000
"""Rows that are looked at where all would take long; of more, so many are drawn."""

_DOMAINS = Classification(("source", "target"))
_LARGEST = 50.0  # log-odds beyond this say no more


@dataclass(frozen=True, eq=False)
class BothDomains:
    """Source and target rows as vectors of one space.

    The source's rows stand in an order that their content alone decides, so that nothing depends on the order they
    came in.

    Attributes
    ----------
    vectors
        How rows become vectors.
    order
        Which of the source's rows, as they came, stands at each place, ``(n,)``.
    source, source_targets, source_weights
        The source's rows ``(n, d)``, their encoded labels and their weights.
    target
        Every visible target row ``(m, d)``, the unlabelled ones first.
    labelled, targets, weights
        The target's training rows ``(l, d)``, their encoded labels and their weights.
    source_units, target_units
        The unit (a group or a content) of each row of `source` and of `target`: no fold parts one.
    """

    vectors: Vectors
    order: Array
    source: Array
    source_targets: Array
    source_weights: Array
    target: Array
    labelled: Array
    targets: Array
    weights: Array
    source_units: Array
    target_units: Array

    @property
    def labelled_units(self) -> Array:
        """The unit of each row of `labelled`: the last of the target's rows."""
        return self.target_units[len(self.target) - len(self.labelled) :]

    def standardised(self) -> tuple[Array, Array]:
        """Source and target rows with mean 0 and deviation 1 over both together."""
        both = standardised(np.concatenate([self.source, self.target]))[0]
        return both[: len(self.source)], both[len(self.source) :]


def both_domains(bench: Bench) -> BothDomains:
    """Bring the source's labelled rows and the visible target rows into one space."""
    problem, known = bench.problem, bench.problem.known
    assert known is not None
    vectors = vectors_of(bench)
    order = content_order(known.inputs.keys(), known)
    ours = vectors.of(problem.inputs)[problem.train]
    units = unit_ids(known.domain, problem.unlabelled, problem.target.take(problem.train))
    return BothDomains(
        vectors,
        order,
        vectors.of(known.inputs)[order],
        known.targets[order],
        known.weights[order],
        np.concatenate([vectors.of(problem.unlabelled.inputs), ours]),
        ours,
        problem.targets[problem.train],
        problem.row_weights()[problem.train],
        units[: len(known)][order],
        units[len(known) :],
    )


def content_order(keys: Sequence[str], known: Labelled) -> Array:
    """Row numbers by content and label, ``(n,)``: the same rows in another order give the same sequence."""
    labels = [np.asarray(target).tobytes() for target in known.targets]
    return np.array(sorted(range(len(keys)), key=lambda i: (keys[i], labels[i])), dtype=np.int64)


def likeness(both: BothDomains, seed: int) -> Array:
    """The density ratio p(target) / p(source) at each source row, ``(n,)``: cross-fitted odds, bounded far out.

    A linear classifier's odds grow without end along its direction, also where no row of either domain lies. So where
    a row's nearest target rows are farther than two random rows are from each other, its odds o become r oʳ with
    r < 1 of :func:`within_reach`: the classifier is trusted less there, and the row counts for less.
    """
    source, target = both.standardised()
    folds = unit_folds(both.source_units, both.target_units, seed)
    reach, units = within_reach(source, target, seed), np.concatenate([both.source_units, both.target_units])
    return np.asarray(domain_odds(source, target, *folds, seed, units) ** reach * reach)


def domain_odds(
    source: Array, target: Array, source_folds: Array, target_folds: Array, seed: int, units: Array | None = None
) -> Array:
    """Odds of target against source at each source row, from classifiers that did not see it.

    A logistic regression on rows of both domains, in which both domains weigh the same, so that its odds
    p(target | x) / p(source | x) estimate the density ratio. Its penalty is chosen by cross-validation; the
    labels are the domains, which are no secret.

    Parameters
    ----------
    source, target
        Standardised rows ``(n, d)`` and ``(m, d)``.
    source_folds
        Part of each source row, ``(n,)``: it is scored by the classifier fitted without that part.
    target_folds
        Part of each target row of a unit of the source, −1 for the others, ``(m,)``.
    units
        The unit of each source row, then of each target row, ``(n + m,)``: none is parted where the penalty is chosen.

    Returns
    -------
    numpy.ndarray
        ``(n,)``, above zero; 1 where the source is a single row.
    """
    x = np.concatenate([source, target])
    codes = np.repeat([0, 1], [len(source), len(target)])
    if len(np.unique(source_folds)) < 2 or not len(target):
        return np.ones(len(source))
    some = sample_of(np.arange(len(x)), codes, _DOMAINS, seed)
    tied = None if units is None else units[some]
    penalty = choose_penalty(x[some], codes[some], _DOMAINS, even(codes[some]), seed, units=tied).penalty
    log_odds = np.empty(len(source))
    for fold in np.unique(source_folds):
        seen = np.concatenate([source_folds != fold, target_folds != fold])
        if not seen[len(source) :].any():
            seen[len(source) :] = True  # every target row is a copy of one of these: better those than none
        found = fit_linear(in_memory(x[seen]), codes[seen], _DOMAINS, even(codes[seen]), penalty)
        held = source_folds == fold
        logits = source[held] @ found[:, :-1].T + found[:, -1]
        log_odds[held] = logits[:, 1] - logits[:, 0]
    return np.asarray(np.exp(np.clip(log_odds, -_LARGEST, _LARGEST)))


def even(codes: Array) -> Array:
    """Weights of rows of two classes by which both weigh the same, ``(n,)``, mean 1.

    Examples
    --------
    >>> even(np.array([0, 0, 0, 1]))
    array([0.66666667, 0.66666667, 0.66666667, 2.        ])
    """
    return np.asarray(len(codes) / 2 / np.bincount(codes)[codes])


def unit_folds(source_units: Array, target_units: Array, seed: int) -> tuple[Array, Array]:
    """Parts of the source's rows, none of which parts a unit; and of the target rows, −1 for units of no source row.

    Returns
    -------
    tuple of numpy.ndarray
        ``(n,)`` and ``(m,)``, int64 from 0 to `FOLDS` − 1.

    Examples
    --------
    >>> unit_folds(np.array([4, 7, 4]), np.array([7, 9]), seed=0)
    (array([0, 1, 0]), array([ 1, -1]))
    """
    known, place = np.unique(source_units, return_inverse=True)
    parts = np.random.default_rng(seed).permutation(len(known)) % FOLDS
    part_of = dict(zip(known.tolist(), parts.tolist(), strict=True))
    return parts[place], np.array([part_of.get(unit, -1) for unit in target_units.tolist()], dtype=np.int64)


def within_reach(source: Array, target: Array, seed: int) -> Array:
    """1 for rows no farther from their nearest target rows than two random rows are, less beyond, ``(n,)``.

    With standardised features the mean squared distance of two random rows is 2d for d features that vary; the factor
    is min(1, 2d / distance²).
    """
    varying = int((np.concatenate([source, target]).std(0) > 0).sum())
    distances = nearest_distances(source, target, seed)
    return np.minimum(1.0, 2 * varying / np.maximum(distances**2, 1e-12)) if varying else np.ones(len(source))


def drawn(rows: int, seed: int, most: int = MOST) -> Array:
    """All row numbers, or `most` of them drawn at random, sorted."""
    if rows <= most:
        return np.arange(rows)
    return np.sort(np.random.default_rng(seed).choice(rows, most, replace=False))


def nearest_distances(rows: Array, others: Array, seed: int, count: int = NEIGHBOURS) -> Array:
    """Mean Euclidean distance of each row ``(n, d)`` to its `count` nearest among `others` ``(m, d)``, ``(n,)``.

    Of more than `MOST` others, so many are drawn at random.
    """
    others = others[drawn(len(others), seed)]
    count = min(count, len(others))
    lengths, found = (others**2).sum(1), np.empty(len(rows))
    step = max(1, 4_000_000 // max(1, len(others)))
    for start in range(0, len(rows), step):
        part = rows[start : start + step]
        squares = (part**2).sum(1)[:, None] - 2 * part @ others.T + lengths
        nearest = np.partition(squares, count - 1, axis=1)[:, :count]
        found[start : start + step] = np.sqrt(np.maximum(nearest, 0)).mean(1)
    return found
