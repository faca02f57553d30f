"""Rules extracted from a model: a small decision tree learns the model's predictions, and each leaf is a rule.

The tree is the *surrogate* of the model (Craven and Shavlik, "Extracting tree-structured representations of trained
networks", NIPS 1995); its *fidelity* is how often it predicts as the model does, on rows that it did not learn from.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from sklearn.model_selection import train_test_split
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from sterna.domains.draws import draw_side, strata_of
from sterna.domains.inputs import Inputs
from sterna.errors import RequestError
from sterna.rules.firing import Cells, fires
from sterna.rules.questions import Questions, questions_of
from sterna.rules.ruleset import Rule, RuleSet
from sterna.rules.tree import leaf_conditions
from sterna.rules.voting import SUREST, votes_of
from sterna.tasks.task import Task

Array = np.ndarray[Any, Any]

HELD_OUT = 0.2
MOST_ROWS = 20_000
"""Share of the rows that measure fidelity, and how many rows are looked at in all: a small tree needs no more."""

FEWEST = 5
"""Rows that a leaf, and a rule, must at least be extracted from."""


@dataclass(frozen=True)
class Extraction:
    """Rules, and how well they stand for the model.

    Attributes
    ----------
    rules
        One for each leaf (more where missing cells take the same way as others), and the commonest answer otherwise.
    fidelity
        On held-out rows: share of predictions equal to the model's, or R² with its numbers.
    rows, held_out
        How many rows the rules were learnt from, and how many measured the fidelity.
    numbers
        Whether the predictions are numbers.
    drawn_from
        Numbers of the rows that the rules were learnt from, ``(rows,)``.
    """

    rules: RuleSet
    fidelity: float
    rows: int
    held_out: int
    numbers: bool = False
    drawn_from: Array = field(default_factory=lambda: np.arange(0), compare=False)

    def words(self, where: str = "") -> str:
        """The fidelity in words; `where` says whose rows were held out."""
        rows = " ".join(f"{self.held_out:,} held-out {where} rows".split())
        if self.numbers:
            return f"on {rows} they reach R² {self.fidelity:.2f} with its predictions"
        return f"they predict {self.fidelity:.0%} of {rows} as it does"


def extract_rules(
    inputs: Inputs,
    targets: Array,
    task: Task,
    *,
    depth: int = 4,
    leaves: int = 16,
    columns: Collection[str] | None = None,
    seed: int = 0,
    units: Array | None = None,
) -> Extraction:
    """Extract rules from predictions.

    Parameters
    ----------
    inputs
        n rows of a table, or n texts.
    targets
        What the model predicts for them (or their labels), as the task encodes it, ``(n,)``.
    task
        Names the predictions.
    depth, leaves
        Bounds of the tree: most conditions on the way to a leaf, most leaves.
    columns
        Of a table, which the rules may speak of; all by default.
    seed
        Of the rows that are held out.
    units
        Rows of one number are held out together, ``(n,)``: those of one group or one content.

    Raises
    ------
    RequestError
        If the rows are neither of a table nor texts, there are too few, or no column is one that a rule can speak of.
    """
    if not (task.one_class or task.one_number):
        raise RequestError(f"Rules predict one class or one number a row, but the task is {task.id}.")
    Cells(inputs)  # which refuses rows that no rule can speak of
    if len(inputs) < 10:
        raise RequestError(f"{len(inputs)} rows are too few to extract rules from; expected 10 or more.")
    rows, held = _parts(targets, task, seed, units)
    questions = questions_of(inputs.take(rows), targets[rows], columns)
    kind = DecisionTreeClassifier if task.one_class else DecisionTreeRegressor
    smallest = min(max(FEWEST, round(0.01 * len(rows))), 50)
    whole = without_rare_gaps(questions, smallest)
    questions, learnt = questions.take(whole), targets[rows][whole]
    tree = kind(max_depth=depth, max_leaf_nodes=max(2, leaves), min_samples_leaf=smallest, random_state=0)
    tree.fit(questions.features, learnt)
    rules = rules_of_tree(tree, questions, learnt, task, FEWEST)
    faithful = fidelity(rules, inputs.take(held), targets[held], task)
    return Extraction(rules, faithful, len(whole), len(held), task.one_number, rows)


def without_rare_gaps(questions: Questions, smallest: int) -> Array:
    """Rows to learn from: those without a gap in a number column that has fewer gaps than a leaf holds rows.

    A rule on such gaps would say more than is known; where such a cell is missing, no rule on its column fires.
    """
    gaps = np.isnan(questions.features)
    rows = np.flatnonzero(~gaps[:, gaps.sum(axis=0) < smallest].any(axis=1))
    return rows if len(rows) >= 2 * smallest else np.arange(len(gaps))


def _parts(targets: Array, task: Task, seed: int, units: Array | None) -> tuple[Array, Array]:
    """Rows to learn from and rows to hold out."""
    rows = np.arange(len(targets))
    if len(rows) > MOST_ROWS:
        rows = np.sort(np.random.default_rng(seed).choice(rows, MOST_ROWS, replace=False))
    if units is not None and 1 < len(np.unique(units[rows])) < len(rows):
        random = np.random.default_rng([seed, 0])
        side = draw_side(strata_of(targets[rows], units[rows]), units[rows], HELD_OUT, random)
        return rows[~side], rows[side]
    classes, counts = np.unique(targets[rows], return_counts=True)
    enough = task.one_class and counts.min() >= 2 and len(rows) * HELD_OUT >= len(classes)
    strata = targets[rows] if enough else None
    first, second = train_test_split(rows, test_size=HELD_OUT, random_state=seed, stratify=strata)
    return np.sort(first), np.sort(second)


def fidelity(rules: RuleSet, inputs: Inputs, targets: Array, task: Task) -> float:
    """Share of equal predictions, or R² of numbers, on these rows."""
    outputs = votes_of(rules, task).outputs(fires(rules, inputs))
    if task.one_class:
        return float((outputs.argmax(axis=1) == targets).mean())
    spread = float(((targets - targets.mean()) ** 2).sum())
    return 1 - float(((outputs[:, 0] - targets) ** 2).sum()) / spread if spread else float("nan")


def rules_of_tree(tree: Any, questions: Questions, targets: Array, task: Task, fewest: int = 1) -> RuleSet:
    """A rule for each leaf of a fitted tree.

    Parameters
    ----------
    tree
        A fitted scikit-learn tree, on `questions`.
    targets
        Of the rows it was fitted on, ``(n,)``.
    fewest
        Of these rows, that a rule fires on; the commonest rule of a leaf is kept whatever it fires on.
    """
    leaf_of = tree.apply(questions.features)
    found = []
    for leaf, alternatives in leaf_conditions(tree, questions, fewest).items():
        answer, confidence = _answer(targets[leaf_of == leaf], targets, task)
        found += [Rule(conditions, answer, confidence) for conditions in alternatives if conditions]
    answer, confidence = _answer(targets, targets, task)
    return RuleSet(tuple(found), Rule((), answer, confidence))


def _answer(some: Array, every: Array, task: Task) -> tuple[str, float]:
    """What rows of a leaf are answered, and how sure that is.

    Of classes the most frequent, with its share after Laplace's correction, (n_y + 1) / (n + k). Of numbers the mean,
    with the share of the variance of all rows that is gone in the leaf.
    """
    if task.one_class:
        counts = np.bincount(some, minlength=task.outputs)
        confidence = (counts.max() + 1) / (len(some) + task.outputs)
        outputs = np.eye(task.outputs)[[counts.argmax()]]
    else:
        confidence = 1 - some.var() / max(float(every.var()), 1e-12)
        outputs = np.array([[some.mean()]], dtype=np.float64)
    answer: Any = task.answers(outputs)[0]
    words = answer if isinstance(answer, str) else f"{float(answer):.6g}"
    short = round(float(confidence), 3)
    if task.outputs > 1 and short <= 1 / task.outputs:
        short = math.ceil(confidence * 1000) / 1000  # rounded to an even chance or below, it would speak for others
    return words, float(np.clip(short, 1 - SUREST, SUREST))
