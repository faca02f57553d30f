"""What is asked of an input: the answer's head, loss and metrics."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

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


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
