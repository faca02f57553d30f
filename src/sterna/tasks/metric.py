"""Metrics that other packages add to tasks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sterna.errors import RequestError, closest
from sterna.registry import Registry
from sterna.tasks.metrics import Floats
from sterna.tasks.statistics import Statistics

METRICS = Registry("sterna.metrics", "metric", {})
"""A :class:`Metric` by its name."""


@dataclass(frozen=True)
class Metric:
    """One more metric of some tasks: scored where it is asked for as the primary one, beside the task's own.

    Attributes
    ----------
    measured
        Its value for each resample, ``(b,)``, from a task's statistics of n rows and weights ``(b, n)``: how often each
        resample drew each row. What a task's statistics hold, its ``statistics`` says.
    tasks
        Ids of the tasks that it scores.
    higher_is_better
        Whether a larger value is better.
    """

    measured: Callable[[Statistics, Floats], Floats]
    tasks: tuple[str, ...]
    higher_is_better: bool = True


def added_metric(name: str, task: str, own: Sequence[str]) -> Metric:
    """The metric of this name that an installed package adds to a task.

    Parameters
    ----------
    task
        Its id.
    own
        Names of the task's own metrics, for the error.

    Raises
    ------
    RequestError
        If there is none.
    """
    added = {each: METRICS.find(each) for each in METRICS.names()}
    known = [*own, *(each for each, metric in added.items() if task in metric.tasks)]
    if name not in known:
        usual = ", ".join(each for each in known if "[" not in each)
        raise RequestError(f"The metric {name!r} is unknown for {task}; it has {usual}.{closest(name, known)}")
    found: Metric = added[name]
    return found
