"""From the leaves of a decision tree to conditions a person reads: intervals merged, thresholds as short as can be."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from itertools import product
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
    missing
        Whether a missing cell takes this way as well.
    yes, no
        Words that the cell is (or contains), and that it is not.
    """

    kind: str
    missing: bool
    low: float = -inf
    high: float = inf
    yes: tuple[str, ...] = ()
    no: tuple[str, ...] = ()


@dataclass
class _Node:
    number: int
    ways: dict[str, _Way] = field(default_factory=dict)


def leaf_conditions(tree: Any, questions: Questions) -> dict[int, Alternatives]:
    """The conditions that lead to each leaf.

    Where a missing cell takes the same way as numbers do, that leaf has several alternatives: one with the condition on
    the number, one with ``IS MISSING``. Of all alternatives of all leaves exactly one holds for each row whose cells
    are missing only where cells were missing in training.

    Parameters
    ----------
    tree
        A fitted scikit-learn tree.
    questions
        What it was fitted on.

    Returns
    -------
    dict
        From the number of a leaf to its alternatives.
    """
    inner = tree.tree_
    found: dict[int, Alternatives] = {}
    stack = [_Node(0)]
    while stack:
        node = stack.pop()
        i = node.number
        if inner.children_left[i] == inner.children_right[i]:
            found[i] = _alternatives(node.ways)
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
    if kind == "number":
        gaps = bool(np.isnan(questions.numbers[name]).any())
        way = ways.get(name, _Way(kind, gaps))
        threshold = short_threshold(questions.numbers[name], float(inner.threshold[node]))
        missing = way.missing and bool(inner.missing_go_to_left[node]) == left
        low, high = (way.low, min(way.high, threshold)) if left else (max(way.low, threshold), way.high)
        ways[name] = replace(way, low=low, high=high, missing=missing)
        return
    way = ways.get(name, _Way(kind, name in questions.missing))
    if left:  # the answer is no, as it is for a missing cell
        ways[name] = replace(way, no=(*way.no, question.word))
    else:
        ways[name] = replace(way, yes=(*way.yes, question.word), missing=False)


def _alternatives(ways: dict[str, _Way]) -> Alternatives:
    """Every combination of: a cell with a value, a missing cell; those that contradict themselves left out."""
    choices: list[Alternatives] = []
    for name, way in ways.items():
        own = _conditions(name, way)
        one = [own] if own is not None else []
        choices.append([*one, *([(Condition(name, "IS MISSING"),)] if way.missing else [])])
    return [tuple(condition for part in parts for condition in part) for parts in product(*choices)]


def _conditions(name: str, way: _Way) -> tuple[Condition, ...] | None:
    """What a cell that is not missing must be, in as few words as will do; ``None`` where no value can be that."""
    if way.kind == "text":
        inside = tuple(Condition(name, "CONTAINS", (word,)) for word in way.yes)
        return inside + tuple(Condition(name, "NOT CONTAINS", (word,)) for word in way.no)
    if way.kind == "category":
        if way.yes:
            return (Condition(name, "=", (way.yes[0],)),)  # it is nothing else, then
        return tuple(Condition(name, "!=", (word,)) for word in way.no)
    if way.low >= way.high:
        return None
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
