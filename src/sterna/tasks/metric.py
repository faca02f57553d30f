"""Metrics that other packages add to tasks."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sterna.errors import RequestError
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
        others = {each: ours for each, ours in _OTHER_NAMES.items() if ours in own} | {each: each for each in known}
        found = [others[each] for each in difflib.get_close_matches(name.lower(), others, n=3, cutoff=0.5)]
        near = f" Did you mean {' or '.join(map(repr, dict.fromkeys(found)))}?" if found else ""
        raise RequestError(f"The metric {name!r} is unknown for {task}; it has {usual}.{near}")
    metric: Metric = added[name]
    return metric


_OTHER_NAMES = {
    "acc": "accuracy", "accuracy": "subset_accuracy", "accuracy_score": "accuracy", "exact_match": "subset_accuracy",
    "bacc": "balanced_accuracy", "balanced": "balanced_accuracy", "balanced_acc": "balanced_accuracy",
    "macro_recall": "balanced_accuracy", "recall_macro": "balanced_accuracy", "uar": "balanced_accuracy",
    "f1": "macro_f1", "f1_score": "macro_f1", "f1_macro": "macro_f1", "f1_micro": "micro_f1",
    "auc": "auroc", "roc": "auroc", "roc_auc": "auroc", "auc_roc": "auroc", "rocauc": "auroc", "roc_auc_score": "auroc",
    "ap": "average_precision", "map": "average_precision", "auprc": "average_precision", "pr_auc": "average_precision",
    "auc_pr": "average_precision", "prauc": "average_precision",
    "matthews": "mcc", "matthews_corrcoef": "mcc", "matthews_correlation": "mcc",
    "logloss": "log_loss", "cross_entropy": "log_loss", "crossentropy": "log_loss", "nll": "log_loss",
    "calibration": "ece", "calibration_error": "ece", "expected_calibration_error": "ece",
    "r2_score": "r2", "r_squared": "r2", "rsquared": "r2", "r^2": "r2", "r²": "r2",
    "mean_squared_error": "mse", "root_mean_squared_error": "rmse", "mean_absolute_error": "mae",
}  # fmt: skip
"""What other libraries call the metrics; a name that is a task's own means that one."""


def called_here(name: str, own: Sequence[str]) -> str:
    """What a task with these metrics calls one: ``"roc_auc"`` is ``"auroc"``; a name that is not known stays."""
    if name in own or name in METRICS:
        return name
    plain = "_".join(name.strip().lower().replace("-", " ").replace("_", " ").split()).removeprefix("neg_")
    found = [each for each in own if each.lower() in (plain, name.strip().lower())]
    other = _OTHER_NAMES.get(plain, "")
    return found[0] if len(found) == 1 else other if other in own else name
