r"""What rules that fire say together: a weighted vote.

A rule of confidence c for one of k classes is a report that is right with probability c and else names any other
class alike, so it adds to its class the log-odds

.. math:: w = \log \frac{c}{(1 - c) / (k - 1)}

and the reports of all rules that fire are multiplied (Genest and Zidek, "Combining probability distributions", 1986):
:math:`p(y) \propto \exp \sum_{r\ \text{fires for}\ y} w_r`. One rule alone gives back its confidence. Of numbers the
vote is the mean, weighted by confidence.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from sterna.errors import RequestError, closest
from sterna.rules.ruleset import Rule, RuleSet
from sterna.tasks.task import Task

Array = np.ndarray[Any, Any]

SUREST = 0.999
"""Confidence that a rule counts with at most: with 1 no other rule would have a say."""

TIE = 1e-6
"""Weight of a rule at even odds: too little to outweigh any other, enough to answer its class where none speaks."""


def log_odds(confidence: Array, classes: int) -> Array:
    """Weight of a rule for its class against each other one; at even odds next to nothing, but not nothing.

    Parameters
    ----------
    confidence
        In (0, 1], ``(r,)``; what lies outside [0.001, 0.999] counts as these.
    classes
        How many there are, k.

    Examples
    --------
    >>> log_odds(np.array([0.5, 0.75]), 2).round(3)
    array([0.   , 1.099])
    """
    sure = np.clip(np.asarray(confidence, dtype=np.float64), 1 - SUREST, SUREST)
    odds = np.log(sure) + np.log(max(classes, 2) - 1) - np.log1p(-sure)
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
    """

    values: Array
    weights: Array
    otherwise: Array
    mean: bool

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
        return np.where(np.asarray(fired).any(axis=1, keepdims=True), sums, self.otherwise)


def votes_of(rules: RuleSet, task: Task, prior: Array | None = None) -> Votes:
    """How these rules count in a task.

    Parameters
    ----------
    rules
        r of them.
    prior
        Outputs where no rule fires and the set says nothing of that, ``(o,)``: logarithms of the share of each class,
        or a mean; all classes alike, or the training mean, by default.

    Raises
    ------
    RequestError
        If a rule answers a class that the task has not, or no number where one is asked for.
    """
    confidence = np.array([rule.confidence for rule in rules.rules])
    if task.one_class:
        codes = [_code(rule, task) for rule in rules.rules]
        values = np.eye(task.outputs)[np.array(codes, dtype=np.int64)]
        weights = log_odds(confidence, task.outputs)
        default = np.zeros(task.outputs) if prior is None else np.asarray(prior, dtype=np.float64)
        if rules.otherwise is not None:
            default = np.zeros(task.outputs)
            code = _code(rules.otherwise, task)
            default[code] = log_odds(np.array([rules.otherwise.confidence]), task.outputs)[0]
        return Votes(values, weights, default, mean=False)
    if task.one_number:
        values = np.array([_number(rule) for rule in rules.rules]).reshape(-1, 1)
        default = task.uninformed if prior is None else np.asarray(prior, dtype=np.float64)
        if rules.otherwise is not None:
            default = np.array([_number(rules.otherwise)])
        return Votes(values, confidence, default, mean=True)
    raise RequestError("Rules answer one class or one number a row; a task with several labels a row is none of these.")


def _named(rule: Rule) -> str:
    return f"The rule of line {rule.line}" if rule.line else "A rule"


def _code(rule: Rule, task: Task) -> int:
    if rule.answer not in task.classes:
        raise RequestError(
            f"{_named(rule)} answers {rule.answer!r}, which is none of the classes {', '.join(task.classes[:10])}."
            f"{closest(rule.answer, task.classes)}"
        )
    return task.classes.index(rule.answer)


def _number(rule: Rule) -> float:
    try:
        value = float(rule.answer)
    except ValueError:
        value = np.nan
    if not np.isfinite(value):
        raise RequestError(f"{_named(rule)} answers {rule.answer!r}, but the task asks for a number.")
    return value
