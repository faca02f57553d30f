"""From the leaves of a decision tree to conditions a person reads: intervals merged, thresholds as short as can be."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from math import inf
from typing import Any

import numpy as np

from sterna.rules.questions import Questions
from sterna.rules.ruleset import Condition

Array = np.ndarray[Any, Any]
Alternatives = list[tuple[Condition, ...]]


@dataclass(frozen=True)
class _Way:
    """What a row must be to take one way down the tree, in one column.

    Attributes
    ----------
    kind
        Of the column's questions.
    low, high
        A number must be above `low` and at most `high`.
    yes, no
        Words that the cell is (or contains), and that it is not.
    """

    kind: str
    low: float = -inf
    high: float = inf
    yes: tuple[str, ...] = ()
    no: tuple[str, ...] = ()


@dataclass
class _Node:
    number: int
    ways: dict[str, _Way] = field(default_factory=dict)


def leaf_conditions(tree: Any, questions: Questions, fewest: int = 1) -> dict[int, Alternatives]:
    """The conditions that lead to each leaf.

    Where a missing cell takes the same way as others do, the leaf has several alternatives: one with the condition on
    the value, one with ``IS MISSING``. On a row at most one alternative of all leaves holds, and with `fewest` 1 one
    holds on every row that the tree was fitted on.

    Parameters
    ----------
    tree
        A fitted scikit-learn tree.
    questions
        What it was fitted on.
    fewest
        Of these rows, that an alternative holds on; the commonest of a leaf is kept whatever it holds on.

    Returns
    -------
    dict
        From the number of a leaf to its alternatives.
    """
    inner, leaf_of = tree.tree_, tree.apply(questions.features)
    found: dict[int, Alternatives] = {}
    stack = [_Node(0)]
    while stack:
        node = stack.pop()
        i = node.number
        if inner.children_left[i] == inner.children_right[i]:
            found[i] = _alternatives(node.ways, questions.missing, leaf_of == i, fewest)
            continue
        for left, child in ((False, inner.children_right[i]), (True, inner.children_left[i])):
            ways = dict(node.ways)
            _narrow(ways, questions, inner, i, left)
            stack.append(_Node(int(child), ways))
    return found


def _narrow(ways: dict[str, _Way], questions: Questions, inner: Any, node: int, left: bool) -> None:
    """Add to the ways what the left or the right child of a node asks for."""
    question = questions.asked[inner.feature[node]]
    name, kind = question.column, question.kind
    way = ways.get(name, _Way(kind))
    if kind == "number":
        threshold = short_threshold(questions.numbers[name], float(inner.threshold[node]))
        low, high = (way.low, min(way.high, threshold)) if left else (max(way.low, threshold), way.high)
        ways[name] = replace(way, low=low, high=high)
    elif left:  # the answer is no, as it is for a missing cell
        ways[name] = replace(way, no=(*way.no, question.word))
    else:
        ways[name] = replace(way, yes=(*way.yes, question.word))


def _alternatives(ways: dict[str, _Way], missing: dict[str, Array], here: Array, fewest: int) -> Alternatives:
    """Which of the cells are missing together in the rows of a leaf, and often enough; what the others must be."""
    if not ways:
        return [()]
    patterns, counts = np.unique(np.stack([missing[name][here] for name in ways], axis=1), axis=0, return_counts=True)
    return [
        tuple(
            condition
            for gone, (name, way) in zip(pattern, ways.items(), strict=True)
            for condition in ((Condition(name, "IS MISSING"),) if gone else _conditions(name, way))
        )
        for pattern in patterns[counts >= min(fewest, counts.max())]
    ]


def _conditions(name: str, way: _Way) -> tuple[Condition, ...]:
    """What a cell that is not missing must be, in as few words as will do."""
    if way.kind == "text":
        inside = tuple(Condition(name, "CONTAINS", (word,)) for word in way.yes)
        return inside + tuple(Condition(name, "NOT CONTAINS", (word,)) for word in way.no)
    if way.kind == "category":
        if way.yes:
            return (Condition(name, "=", (way.yes[0],)),)  # it is nothing else, then
        return tuple(Condition(name, "!=", (word,)) for word in way.no)
    parts = [Condition(name, ">", (way.low,))] if way.low > -inf else []
    parts += [Condition(name, "<=", (way.high,))] if way.high < inf else []
    return tuple(parts) or (Condition(name, "IS NOT MISSING"),)


def short_threshold(values: Array, threshold: float) -> float:
    """The number with the fewest digits that parts these values as a threshold does.

    Parameters
    ----------
    values
        Of the training rows, float64 ``(n,)``; NaN where missing. The tree saw them as float32.
    threshold
        Of the tree: values up to it go left.

    Examples
    --------
    >>> short_threshold(np.array([1.0, 2.0, 54.0, 56.0]), 55.00000190734863)
    55.0
    >>> short_threshold(np.array([0.1234, 0.1238]), 0.12360000610351562)
    0.1236
    """
    known = values[~np.isnan(values)]
    left = known.astype(np.float32) <= threshold
    if left.all() or not left.any():
        return threshold
    low, high = float(known[left].max()), float(known[~left].min())
    for digits in range(1, 17):
        short = float(f"{threshold:.{digits}g}")
        if low <= short < high:
            return short
    return low
