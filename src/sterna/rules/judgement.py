"""What rules are worth on labelled rows: how often each fires, and how often it is right."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from sterna.domains.inputs import Inputs
from sterna.rules.firing import fires
from sterna.rules.ruleset import RuleSet
from sterna.rules.voting import votes_of
from sterna.tasks.task import Task

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class RuleScore:
    """One rule on labelled rows.

    Attributes
    ----------
    coverage
        Share of the rows on which it fires.
    rows
        How many these are.
    precision, low, high
        Share of those rows whose label is its answer, with the 95 % interval of Wilson; ``None`` where it never fires,
        and for numbers.
    error
        For numbers: mean absolute difference between its answer and the label, in the user's units.
    """

    coverage: float
    rows: int
    precision: float | None = None
    low: float | None = None
    high: float | None = None
    error: float | None = None


@dataclass(frozen=True)
class Judgement:
    """Rules on labelled rows.

    Attributes
    ----------
    rules
        One score a rule.
    rows
        Labelled rows.
    abstained
        Share of the rows on which no rule fires.
    metric, value
        The task's primary metric of the joint answers on all rows, with what is said otherwise.
    accuracy
        Share of right answers where a rule fires; ``None`` for numbers, or where none does.
    against
        Rules below even odds, which speak against their own class: their numbers from 1, or ``otherwise``.
    """

    rules: tuple[RuleScore, ...]
    rows: int
    abstained: float
    metric: str
    value: float
    accuracy: float | None
    against: tuple[str, ...] = ()


def judge(rules: RuleSet, inputs: Inputs, targets: Array, task: Task) -> Judgement:
    """Score rules on labelled rows.

    Parameters
    ----------
    rules
        r of them.
    inputs
        n rows.
    targets
        Their labels as the task encodes them, ``(n,)``.
    task
        Its units are the user's own.

    Raises
    ------
    RequestError
        If a column is missing, or an answer is none of the task's.
    """
    fired, votes = fires(rules, inputs), votes_of(rules, task)
    outputs = votes.outputs(fired)
    some = fired.any(axis=1)
    classes = task.one_class
    said = votes.values.argmax(axis=1) if classes else votes.values[:, 0]
    score = _of_class if classes else _of_number
    scores = tuple(score(fired[:, i], targets, said[i]) for i in range(len(rules)))
    right = outputs.argmax(axis=1) == targets
    value = float(task.metrics(task.statistics(outputs, targets), names=[task.metric])[task.metric][0])
    accuracy = float(right[some].mean()) if classes and some.any() else None
    named = {str(i): rule for i, rule in enumerate(rules.rules, 1)}
    if rules.otherwise is not None:
        named["otherwise"] = rules.otherwise
    against = tuple(name for name, rule in named.items() if classes and rule.confidence < 1 / task.outputs)
    return Judgement(scores, len(targets), float(1 - some.mean()), task.metric, value, accuracy, against)


def _of_class(fired: Array, targets: Array, code: int) -> RuleScore:
    count = int(fired.sum())
    if not count:
        return RuleScore(0.0, 0)
    right = int((targets[fired] == code).sum())
    return RuleScore(count / len(targets), count, right / count, *wilson(right, count))


def _of_number(fired: Array, targets: Array, value: float) -> RuleScore:
    count = int(fired.sum())
    error = float(np.abs(targets[fired] - value).mean()) if count else None
    return RuleScore(count / len(targets), count, error=error)


def wilson(right: int, count: int, z: float = 1.959964) -> tuple[float, float]:
    r"""95 % interval of a share (Wilson, "Probable inference", JASA 1927).

    .. math:: \frac{\hat p + z^2/2n \pm z \sqrt{\hat p (1 - \hat p)/n + z^2/4n^2}}{1 + z^2/n}

    Examples
    --------
    >>> [round(v, 3) for v in wilson(8, 10)]
    [0.49, 0.943]
    """
    share = right / count
    middle, width = share + z**2 / (2 * count), z * math.sqrt(share * (1 - share) / count + z**2 / (4 * count**2))
    return max(0.0, (middle - width) / (1 + z**2 / count)), min(1.0, (middle + width) / (1 + z**2 / count))
