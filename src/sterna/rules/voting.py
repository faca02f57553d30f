r"""What rules that fire say together: a weighted vote.

A rule of confidence c for a class that a share π of all rows has says that, where it fires, the odds of the class are
c / (1 − c) instead of π / (1 − π). What it adds is the ratio of the two, whose logarithm is its weight

.. math:: w = \log \frac{c}{1 - c} - \log \frac{\pi}{1 - \pi}

and rules that know of each other only through the class multiply what they add (Bayes; Good, "Weighing evidence",
1985):

.. math:: p(y) \propto \pi_y \exp \sum_{r\ \text{fires for}\ y} w_r

One rule alone gives back its confidence, whatever π; where π is not known, all classes are alike. Rules that repeat
each other add less: with an overlap ρ from 0 (independent) to 1 (the same rule in other words) the sum of m rules is
divided by 1 + ρ (m − 1). Of numbers the vote is the mean, weighted by confidence.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from sterna.errors import RequestError, closest
from sterna.rules.ruleset import Rule, RuleSet
from sterna.tasks.task import Task

Array = np.ndarray[Any, Any]

SUREST = 0.999
"""Confidence that a rule counts with at most: with 1 no other rule would have a say."""

TIE = 1e-6
"""Weight of a rule that says no more than the share of its class does: too little to outweigh any other, enough to
answer its class where none speaks."""


def log_odds(confidence: Array, share: Array | float) -> Array:
    """Weight of a rule for its class; where it says no more than is known without it, next to nothing, but not nothing.

    Parameters
    ----------
    confidence
        In (0, 1], ``(r,)``; what lies outside [0.001, 0.999] counts as these.
    share
        Of all rows, that have the class of each rule, ``(r,)``; clipped likewise.

    Examples
    --------
    >>> log_odds(np.array([0.5, 0.75, 0.9]), np.array([0.5, 0.5, 0.9])).round(3)
    array([0.   , 1.099, 0.   ])
    """
    sure, usual = (np.clip(np.asarray(p, dtype=np.float64), 1 - SUREST, SUREST) for p in (confidence, share))
    odds = np.log(sure) - np.log1p(-sure) - np.log(usual) + np.log1p(-usual)
    return np.where(np.abs(odds) < TIE, TIE, odds)


@dataclass(frozen=True, eq=False)
class Votes:
    """How rules count in a task.

    Attributes
    ----------
    values
        What each rule says, ``(r, o)``: 1 at its class and 0 elsewhere, or its number.
    weights
        Log-odds for classes, confidences for numbers, ``(r,)``.
    otherwise
        The outputs where no rule fires, ``(o,)``.
    mean
        Whether outputs are weighted means (numbers) instead of sums (logits).
    prior
        Logarithm of the share of each class, ``(o,)``, to which the sums are added; 0 where all are alike.
    overlap
        How far rules that fire together repeat each other, ρ, from 0 to 1.
    """

    values: Array
    weights: Array
    otherwise: Array
    mean: bool
    prior: Array
    overlap: float = 0.0

    def outputs(self, fired: Array) -> Array:
        """What the rules answer together.

        Parameters
        ----------
        fired
            Which rules fire on which row, ``(n, r)``.

        Returns
        -------
        ndarray, shape (n, o)
            Logits, or numbers.
        """
        sums = (fired * self.weights) @ self.values
        if self.mean:
            sums = sums / np.maximum(fired @ self.weights, 1e-12)[:, None]
        else:
            several = np.maximum(np.asarray(fired).sum(axis=1, keepdims=True) - 1, 0)
            sums = self.prior + sums / (1 + self.overlap * several)
        return np.where(np.asarray(fired).any(axis=1, keepdims=True), sums, self.otherwise)


def votes_of(rules: RuleSet, task: Task, prior: Array | None = None, silent: Array | None = None) -> Votes:
    """How these rules count in a task.

    Parameters
    ----------
    rules
        r of them.
    prior
        Of classes, logarithms of the share of each among all rows, ``(o,)``; all classes alike by default. Of numbers,
        what is answered where no rule fires and the set says nothing of that, ``(1,)``; the training mean by default.
    silent
        Of classes, outputs where no rule fires and the set says nothing of that, ``(o,)``; `prior` by default.

    Raises
    ------
    RequestError
        If a rule predicts a class that the task has not, or no number where one is asked for.
    """
    confidence = np.array([rule.confidence for rule in rules.rules])
    if task.one_class:
        usual = np.zeros(task.outputs) if prior is None else np.asarray(prior, dtype=np.float64)
        share = np.exp(usual - np.logaddexp.reduce(usual))
        codes = np.array([_code(rule, task) for rule in rules.rules], dtype=np.int64)
        otherwise = usual if silent is None else np.asarray(silent, dtype=np.float64)
        if rules.otherwise is not None:
            code, otherwise = _code(rules.otherwise, task), usual.copy()
            otherwise[code] += log_odds(np.array([rules.otherwise.confidence]), share[code])[0]
        return Votes(np.eye(task.outputs)[codes], log_odds(confidence, share[codes]), otherwise, False, usual)
    if task.one_number:
        values = np.array([_number(rule) for rule in rules.rules]).reshape(-1, 1)
        default = task.uninformed if prior is None else np.asarray(prior, dtype=np.float64)
        if rules.otherwise is not None:
            default = np.array([_number(rules.otherwise)])
        return Votes(values, confidence, default, True, np.zeros(1))
    raise RequestError(
        "Rules predict one class or one number a row; a task with several labels a row is none of these."
    )


OVERLAPS = tuple(round(0.05 * i, 2) for i in range(21))
FEWEST = 10
"""Values of the overlap that are compared, and on how many labelled rows two rules must fire for that."""


def calibrated(votes: Votes, fired: Array, targets: Array) -> tuple[Votes, int]:
    """The vote with the overlap that suits labelled rows on which two rules or more fire, and how many these are.

    It is the value with the least sum of log losses, to which it adds itself: a few rows hardly move it from 0. Where
    there are fewer than ten such rows, or numbers are asked for, the vote stays as it is.

    Parameters
    ----------
    votes
        Of r rules.
    fired
        Which of them fire on labelled rows that they were not made from, ``(n, r)``.
    targets
        The classes of these rows, ``(n,)``.
    """
    rows = np.flatnonzero(np.asarray(fired).sum(axis=1) > 1)
    if votes.mean or len(rows) < FEWEST:
        return votes, 0

    def loss(each: Votes) -> float:
        outputs = each.outputs(fired[rows])
        return float((np.logaddexp.reduce(outputs, axis=1) - outputs[np.arange(len(rows)), targets[rows]]).sum())

    tried = [replace(votes, overlap=overlap) for overlap in OVERLAPS]
    return min(tried, key=lambda each: loss(each) + each.overlap), len(rows)


def _named(rule: Rule) -> str:
    return f"The rule of line {rule.line}" if rule.line else "A rule"


def _code(rule: Rule, task: Task) -> int:
    if rule.answer not in task.classes:
        raise RequestError(
            f"{_named(rule)} predicts {rule.answer!r}, which is none of the classes {', '.join(task.classes[:10])}."
            f"{closest(rule.answer, task.classes)}"
        )
    return task.classes.index(rule.answer)


def _number(rule: Rule) -> float:
    try:
        value = float(rule.answer)
    except ValueError:
        value = np.nan
    if not np.isfinite(value):
        raise RequestError(f"{_named(rule)} predicts {rule.answer!r}, but the task asks for a number.")
    return value
