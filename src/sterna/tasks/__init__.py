"""What is asked of an input: the answer's head, loss and metrics."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sterna.lazy import lazily

if TYPE_CHECKING:
    from sterna.tasks.classification import Classification as Classification
    from sterna.tasks.infer import infer_task as infer_task
    from sterna.tasks.infer import task_from_state as task_from_state
    from sterna.tasks.multilabel import MultiLabel as MultiLabel
    from sterna.tasks.regression import Regression as Regression
    from sterna.tasks.task import Task as Task

_HOMES = {
    "Classification": "classification",
    "MultiLabel": "multilabel",
    "Regression": "regression",
    "Task": "task",
    "infer_task": "infer",
    "task_from_state": "infer",
}

__all__ = ["Classification", "MultiLabel", "Regression", "Task", "infer_task", "task_from_state"]

__getattr__, __dir__ = lazily(__name__, _HOMES)
