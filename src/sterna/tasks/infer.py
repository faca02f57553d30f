"""Which task a domain's labels ask for."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from sterna.errors import RequestError, closest
from sterna.tasks.classification import Classification, class_name
from sterna.tasks.metrics import Floats, Mask
from sterna.tasks.multilabel import MultiLabel
from sterna.tasks.regression import Regression, numbers
from sterna.tasks.task import Task

if TYPE_CHECKING:
    from sterna.domains.domain import Domain
    from sterna.domains.inputs import Rows

_TASKS: dict[str, type[Classification | MultiLabel | Regression]] = {
    t.id: t for t in (Classification, MultiLabel, Regression)
}

FEW_VALUES = 20
"""Whole numbers with at most so many distinct values are taken for classes."""


def infer_task(
    domain: Domain, task: str | None = None, metric: str | None = None, fit_rows: Rows | None = None
) -> Task:
    """Say which task a domain's labels ask for.

    Labels that are text are classes; several columns of labels are a multi-label task; numbers are classes if they are
    all whole, each occurs twice or more on average, and there are at most 20 distinct ones (or, for images and text,
    they are exactly the codes 0, 1, ..., k - 1); other numbers are a regression.

    Parameters
    ----------
    domain : Domain
        Labelled, at least in part.
    task : {"classification", "multilabel", "regression"}, optional
        Instead of the rule above.
    metric : str, optional
        The primary metric. Otherwise accuracy, balanced accuracy where the classes are imbalanced, macro F1 for
        several labels, and R² for a regression.
    fit_rows : Rows, optional
        The training rows, which give the mean and scale of a regression and tell whether classes are imbalanced;
        otherwise all rows but those of the test split.

    Raises
    ------
    RequestError
        If there are no labels, only one class, a constant or infinite target, or the task or metric is unknown.

    Notes
    -----
    Classes keep the order of ``domain.classes`` where that is given. Else they are sorted as people do: by value if all
    are numbers, otherwise by letter with the numbers inside compared by value ("2" before "10").
    """
    kind = _asked(task) if task is not None else None
    if domain.labels is None:
        raise RequestError(f"The domain {domain.name!r} has no labels; name their column with label=...")
    labels = domain.labels
    kind = kind or _kind(labels, domain)
    fit = _fit_mask(domain, fit_rows)
    if kind == MultiLabel.id:
        return _multilabel(domain, labels, metric)
    if labels.ndim != 1:
        raise RequestError(
            f"The domain {domain.name!r} has {labels.shape[1]} columns of labels, but a {kind} takes one; "
            "use task='multilabel'."
        )
    return (
        _regression(domain, labels, metric, fit)
        if kind == Regression.id
        else _classification(domain, labels, metric, fit)
    )


def task_from_state(state: dict[str, Any]) -> Task:
    """Build a task again from what its `state` gave.

    Raises
    ------
    RequestError
        If the state names no known task.
    """
    rest = dict(state)
    identity = rest.pop("id", None)
    if identity not in _TASKS:
        raise RequestError(f"A saved task has the id {identity!r}, but one of {', '.join(_TASKS)} was expected.")
    build = cast("Callable[..., Task]", _TASKS[identity])
    return build(**rest)


def natural_order(names: Iterable[str]) -> list[str]:
    """Sort names by value if all are numbers, else by letter with inner numbers compared by value."""
    names = list(names)
    values = [_value(name) for name in names]
    if all(math.isfinite(v) for v in values):
        return [name for _, name in sorted(zip(values, names, strict=True))]
    return sorted(names, key=lambda name: (_pieces(name), name))


def _value(name: str) -> float:
    try:
        return float(name)
    except ValueError:
        return math.nan


def _pieces(name: str) -> list[str | int]:
    # Text is at even places, digits at odd ones, so that two names always compare like with like.
    return [int(p) if i % 2 else p.casefold() for i, p in enumerate(re.split(r"(\d+)", name))]


def _asked(task: str) -> str:
    name = task.lower().replace("-", "").replace("_", "")
    if name not in _TASKS:
        raise RequestError(f"The task {task!r} is unknown; there are {', '.join(_TASKS)}.{closest(task, _TASKS)}")
    return name


def _kind(labels: np.ndarray[Any, Any], domain: Domain) -> str:
    if labels.ndim == 2:
        return MultiLabel.id
    if labels.dtype.kind in "OUSb":
        return Classification.id
    values = labels[~np.isnan(labels)]
    distinct = np.unique(values)
    whole = bool(np.all(distinct == np.round(distinct))) and bool(np.isfinite(distinct).all())
    if not whole or 2 * len(distinct) > len(values):
        return Regression.id
    codes = domain.kind != "table" and bool(np.array_equal(distinct, np.arange(len(distinct))))
    return Classification.id if len(distinct) <= FEW_VALUES or codes else Regression.id


def _fit_mask(domain: Domain, fit_rows: Rows | None) -> Mask:
    """Rows whose labels may choose, ``(n,)``: those given, or all but the test split."""
    if fit_rows is not None:
        mask: Mask = np.zeros(len(domain), dtype=np.bool_)
        mask[fit_rows] = True
        return mask
    mask = np.ones(len(domain), dtype=np.bool_)
    splits = domain.splits
    # Where only train and validation came with the data, the second is the test split.
    held_back = splits.get("test", splits.get("validation") if "train" in splits else None)
    if held_back is not None:
        mask[held_back] = False
    return mask


def _classification(domain: Domain, labels: np.ndarray[Any, Any], metric: str | None, fit: Mask) -> Task:
    from sterna.domains.balance import is_imbalanced

    found = {class_name(value) for value in (np.unique(labels) if labels.dtype != object else set(labels.tolist()))}
    names = natural_order(name for name in found if name is not None)
    if not names:
        raise RequestError(f"The domain {domain.name!r} has labels for none of its {len(domain)} rows.")
    if len(names) == 1:
        raise RequestError(
            f"Every labelled row of the domain {domain.name!r} is of the class {names[0]!r}; "
            "a classification needs two classes or more."
        )
    given = domain.classes or ()
    answer = Classification(given if set(names) <= set(given) else tuple(names))
    if metric is None:
        codes = answer.encode(labels)
        seen = codes[fit & (codes >= 0)]
        metric = "balanced_accuracy" if len(seen) and is_imbalanced(seen) else "accuracy"
    return Classification(answer.classes, metric)


def _multilabel(domain: Domain, labels: np.ndarray[Any, Any], metric: str | None) -> Task:
    if labels.ndim != 2:
        raise RequestError(
            f"The domain {domain.name!r} has one label a row, but a multi-label task takes "
            "one column of 0 and 1 a label."
        )
    if np.isnan(labels.astype(np.float64)).all():
        raise RequestError(f"The domain {domain.name!r} has labels for none of its {len(domain)} rows.")
    classes = domain.classes or tuple(str(i) for i in range(labels.shape[1]))
    task = MultiLabel(classes, metric or "macro_f1")
    task.encode(labels)  # a cell that is neither 0 nor 1 is refused here, before anything is trained
    return task


def _regression(domain: Domain, labels: np.ndarray[Any, Any], metric: str | None, fit: Mask) -> Task:
    values: Floats = numbers(labels)
    known = ~np.isnan(values)
    if not known.any():
        raise RequestError(f"The domain {domain.name!r} has labels for none of its {len(domain)} rows.")
    if values[known].min() == values[known].max():
        raise RequestError(
            f"Every labelled row of the domain {domain.name!r} has the target {values[known][0]:g}; "
            "a regression needs a target that varies."
        )
    training = values[known & fit]
    mean = float(training.mean()) if len(training) else 0.0
    scale = float(training.std()) if len(training) else 0.0
    return Regression(metric or "r2", mean, scale if scale > 0 else 1.0)
