"""Which task a domain's labels ask for."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from sterna.errors import RequestError, closest
from sterna.registry import Registry
from sterna.tasks.classification import Classification
from sterna.tasks.metric import METRICS, Metric, called_here
from sterna.tasks.metrics import Mask
from sterna.tasks.multilabel import MultiLabel
from sterna.tasks.regression import Regression
from sterna.tasks.task import Task

if TYPE_CHECKING:
    from sterna.domains.domain import Domain
    from sterna.domains.inputs import Rows

_OURS: dict[str, type[Task]] = {t.id: t for t in (Classification, MultiLabel, Regression)}

TASKS = Registry("sterna.tasks", "task", {name: f"{t.__module__}:{t.__name__}" for name, t in _OURS.items()})
"""Classes of tasks by their ids."""

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
    task : str, optional
        "classification", "multilabel", "regression" or the name of another package's task, instead of the rule above.
    metric : str, optional
        The primary metric, by its own name or one that other libraries give it ("roc_auc"). Otherwise accuracy,
        balanced accuracy where the classes are imbalanced, macro F1 for several labels, and R² for a regression.
    fit_rows : Rows, optional
        The training rows, which give the mean and scale of a regression and tell whether classes are imbalanced;
        otherwise all rows but those of a test split that came with the data.

    Raises
    ------
    RequestError
        If there are no labels, only one class, a constant or infinite target, or the task or metric is unknown.

    Notes
    -----
    Classes keep the order of ``domain.classes`` where that is given. Else they are sorted as people do: by value if all
    are numbers, otherwise by letter with the numbers inside compared by value ("2" before "10").
    """
    asked = task_type(task) if task is not None else None
    if domain.labels is None:
        raise RequestError(f"The domain {domain.name!r} has no labels; name their column with label=...")
    found = asked or _OURS[_kind(domain.labels, domain)]
    fit = _fit_mask(domain, fit_rows)
    if metric is not None:
        metric = called_here(metric, found.of_labels(domain, None, fit).metric_names())
    return found.of_labels(domain, metric, fit)


def task_type(name: str) -> type[Task]:
    """The class of a task, ours or another package's."""
    known = TASKS.names()
    wanted = next((each for each in known if _plain(each) == _plain(name)), None)
    if wanted is None:
        raise RequestError(f"The task {name!r} is unknown; there are {', '.join(known)}.{closest(name, known)}")
    found: type[Task] = TASKS.find(wanted)
    return found


def smaller_is_better(task: str, metric: str) -> bool:
    """Whether a metric of a task, its own or another package's, is an error; false for one that is not known here."""
    added: Metric | None = METRICS.find(metric) if metric in METRICS else None
    return metric in task_type(task).errors or (added is not None and not added.higher_is_better)


def _plain(name: str) -> str:
    return name.lower().replace("-", "").replace("_", "")


def task_from_state(state: dict[str, Any]) -> Task:
    """Build a task again from what its `state` gave."""
    rest = dict(state)
    names = rest.get("classes")
    if names is not None and not (isinstance(names, list | tuple) and len({type(name) for name in names}) == 1):
        raise RequestError(f"A saved task has the classes {str(names)[:100]}, but a list of names was expected.")
    identity = rest.pop("id", None)
    try:
        build = cast("Callable[..., Task]", task_type(str(identity)))
    except RequestError:
        raise RequestError(
            f"A saved task has the id {identity!r}, but one of {', '.join(_OURS)} was expected, or one that an "
            "installed package adds."
        ) from None
    return build(**rest)


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
    codes = domain.inputs.codes_are_classes and bool(np.array_equal(distinct, np.arange(len(distinct))))
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
