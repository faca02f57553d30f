"""weak-labels: rules label the unlabelled rows, and the target's own model learns from them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from sterna.bench import Bench, Fitted, Problem
from sterna.bench.drawn_rules import RuleSettings, RulesFound, rules_for
from sterna.bench.plain import on_raw, raw_learners, rows_of
from sterna.bench.problem import Array
from sterna.domains.domain import Domain
from sterna.domains.groups import joined_groups
from sterna.domains.joined import joined_inputs
from sterna.errors import RequestError
from sterna.kinds.kind import Raw, kind_of
from sterna.methods.method import Method, Needs
from sterna.networks.estimator import EstimatorHead
from sterna.networks.freezing import freeze
from sterna.networks.identity import identity_body
from sterna.networks.network import Network
from sterna.tasks.task import Task

EVEN = 1e-4
"""Margin of a vote below which it counts as none: a rule at even odds breaks a tie, but knows nothing."""


class WeakLabels(RuleSettings, Method):
    """Rules vote on the target's unlabelled rows, and a linear model learns from the votes and the labels together.

    What moves: rules (written, or extracted from the source) as labels of rows that nobody labelled. On each row the
    rules that fire vote as in ``rule-head``; a row on which none fires is left out. The class
    with most votes is the row's label, and its weight is the margin of the vote, p(first) − p(second): 0 where the
    rules contradict each other, near 1 where they are sure. For numbers the label is the weighted mean, the weight
    the mean confidence. Labelled target rows count 1 each. The model is linear on the features of the source's body,
    or on the table's columns; for texts without a source model, on TF-IDF of words and characters.

    When to use it: rules that cover part of the rows, and many unlabelled rows: the model learns from the rows what
    else goes with what the rules know, and predicts where no rule fires. When it hurts: rules wrong in a systematic
    way, or so many labels that the votes only drown them.

    References
    ----------
    Ratner et al., "Snorkel: rapid training data creation with weak supervision", VLDB 2017 (rules as labels, which
    may abstain). Zhang et al., "WRENCH: a comprehensive benchmark for weak supervision", NeurIPS 2021.
    """

    needs = Needs.UNLABELLED_TARGET
    suits = Needs.RULES

    def run(self, bench: Bench) -> Fitted:
        problem, found = bench.problem, rules_for(bench, self)
        weak = labelled_by_rules(bench, found)
        count, voted = len(problem.unlabelled), len(weak.target) - len(problem.train)
        if not len(weak.target):
            raise RequestError(
                f"No rule says anything on the {count} unlabelled target rows, and there are no labels: nothing can be "
                "learnt; see what the rules cover with: sterna rules check."
            )
        if weak.task.one_class and len(np.unique(weak.targets)) < 2:
            raise RequestError(
                f"All {len(weak.target)} rows that have a vote or a label are of the class "
                f"{weak.task.classes[int(weak.targets[0])]!r}, so nothing is to be told apart (OTHERWISE has no vote): "
                "add rules for another class, or use rule-head, which predicts OTHERWISE where no rule fires."
            )
        bench.say(f"Rules labelled {voted} of the {count} unlabelled target rows.")
        raw = kind_of(problem.target.kind).raw()
        if raw is not None and problem.source_body is None:
            return Fitted(_on_raw(bench.on(weak), raw), found.choices)
        vectors = bench.on(weak).vectors()
        head, choice = bench.fit_head(vectors.of(weak.inputs), weak.targets, weak.weights, units=weak.units)
        labels = len(problem.train)
        return Fitted(vectors.network(head), (*found.choices, *([replace(choice, labels=labels)] if labels else [])))


def labelled_by_rules(bench: Bench, found: RulesFound) -> Problem:
    """The problem with votes as labels: its training rows, then the unlabelled rows that have a vote."""
    problem = bench.problem
    rows, fired = found.firing(problem.unlabelled.inputs)
    votes = found.votes(bench)
    targets, weights = voted_labels(votes.outputs(fired), problem.task)
    if votes.mean:
        weights = (fired @ votes.weights) / np.maximum(fired.sum(axis=1), 1)
    sure = np.flatnonzero(weights > 0)
    ours, theirs = problem.target.take(problem.train), problem.unlabelled.take(rows[sure])
    labelled, voted = ours.inputs, theirs.inputs
    every = joined_inputs(labelled, voted) if len(labelled) and len(voted) else (labelled if len(labelled) else voted)
    own = problem.targets[problem.train]
    return replace(
        problem.with_rows(None),  # what is compared are rows of the target alone
        target=Domain(problem.target.name, every, groups=joined_groups(ours, theirs)),
        targets=np.concatenate([own, targets[sure].astype(own.dtype)]) if len(own) else targets[sure],
        train=np.arange(len(every)),
        validation=np.arange(0),
        unlabelled=problem.unlabelled.take(np.arange(0)),
        weights=np.concatenate([problem.row_weights()[problem.train], weights[sure]]),
        draw=None,
    )


def voted_labels(outputs: Array, task: Task) -> tuple[Array, Array]:
    """Labels of a vote, and their weights.

    Parameters
    ----------
    outputs
        Of the rules, ``(n, o)``.

    Returns
    -------
    targets
        Encoded, ``(n,)``.
    weights
        Of classes the margin p(first) − p(second), of numbers 1, ``(n,)``.
    """
    if task.one_number:
        return outputs[:, 0], np.ones(len(outputs))
    ordered = np.sort(task.probabilities(outputs), axis=1) if len(outputs) else np.zeros((0, task.outputs))
    margins = ordered[:, -1] - ordered[:, -2]
    return outputs.argmax(axis=1), np.where(margins < EVEN, 0.0, margins)


def _on_raw(bench: Bench, raw: Raw) -> Network:
    """The vectors of raw rows under the linear model of middle strength: no label is there to choose by."""
    problem, model = bench.problem, raw_learners(bench.task)[1].model
    learner = on_raw(raw, model, rows_of(problem), problem.targets, problem.weights)
    network = bench.network(raw.preparation, identity_body(None), EstimatorHead(learner, bench.task))
    freeze(network)
    return network
