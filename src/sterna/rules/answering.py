"""Rows answered by rules alone."""

from __future__ import annotations

import numpy as np
import pandas as pd

from sterna.domains.inputs import Inputs
from sterna.rules.firing import fires
from sterna.rules.ruleset import RuleSet
from sterna.rules.voting import votes_of
from sterna.tasks.classification import Classification
from sterna.tasks.names import natural_order
from sterna.tasks.task import Task

_ANOTHER = ""
"""Stands for the class that a lone class of the rules is told from; it is never an answer."""


def answer(rules: RuleSet, inputs: Inputs, task: Task | None = None) -> pd.DataFrame:
    """Answer rows as ``rule-head`` does without labels, and say nothing where no rule does.

    Parameters
    ----------
    rules
        r of them.
    inputs
        n rows of a table, or n texts.
    task
        Names the classes, or asks for numbers (``Regression()``); by default the classes are those that the rules name.
        How many there are decides what a confidence is worth against the others.

    Returns
    -------
    DataFrame, n rows
        ``name``; ``answer``, missing where nothing is said; its ``probability``, for classes; and in ``rules`` the
        numbers of those that fired, from 1.

    Raises
    ------
    RequestError
        If a column is missing, or an answer is none of the task's.
    """
    if task is None:
        classes = natural_order(rules.answers)
        task = Classification((*classes, _ANOTHER) if len(classes) == 1 else tuple(classes))
    fired = fires(rules, inputs)
    outputs = votes_of(rules, task).outputs(fired)
    answers = pd.Series(task.answers(outputs))
    said = np.asarray((fired.any(axis=1) | (rules.otherwise is not None)) & (answers != _ANOTHER).to_numpy())
    columns = {"name": pd.Series(inputs.names()), "answer": answers.where(said, None)}
    if task.classes:
        columns["probability"] = pd.Series(task.probabilities(outputs).max(axis=1).round(6)).where(said)
    columns["rules"] = pd.Series([" ".join(str(i + 1) for i in np.flatnonzero(row)) for row in fired], dtype="str")
    return pd.DataFrame(columns)
