"""Which labelled rows, of target and source, can be examples of the target's classes."""

from __future__ import annotations

from collections.abc import Callable

from sterna.bench.problem import Problem
from sterna.errors import RequestError
from sterna.tasks.task import Task


def check_classification(name: str, task: Task) -> None:
    """Refuse what is not a choice of one class."""
    if not task.one_class:
        raise RequestError(
            f"{name} is for rows of one class each, but the task here is {task.id}; choose another method, such as "
            "feature-extraction, or example-weighting with source data."
        )


def fitting_source(problem: Problem, say: Callable[[str], None] | None = None) -> Problem:
    """The problem without its source's rows, where those do not answer the target's task on the target's inputs.

    Parameters
    ----------
    say
        Is told that they were left out, and why.
    """
    known = problem.known
    if known is None or (known.same_task and known.same_inputs):
        return problem
    if say is not None:
        why = "it lacks columns of the target" if known.same_task else "it is not labelled as the target is"
        say(f"No row of the source {known.domain.name} is used, since {why}.")
    return problem.with_rows(None)


def check_labels(name: str, problem: Problem) -> None:
    """Refuse a problem in which no row has a label of the task."""
    if not len(problem.train) and problem.known is None:
        raise RequestError(
            f"{name} needs labels to start from, but no target label is used and the source has no rows labelled with "
            "the target's classes; use target labels, or add such source data (source=load_domain(...)); a source "
            "model that predicts these classes fits source-only."
        )
