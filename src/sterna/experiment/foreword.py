"""What a run says of itself before it trains: what was told from the data, in a few lines."""

from __future__ import annotations

import numpy as np

from sterna.domains import Domain
from sterna.domains.splits import Splits
from sterna.errors import listed
from sterna.experiment.overlaps import of_groups
from sterna.experiment.plan import Plan
from sterna.experiment.problem import split_counts
from sterna.record.request import Request
from sterna.tasks.task import Task

MOST = 6
"""Names in a line; of more the number is said."""

_EVEN = {
    "accuracy": "the classes are about even",
    "balanced_accuracy": "the largest class has at least 1.5 times the rows of the smallest",
}
_UNUSED = {"empty": "without any value", "text": "texts (text=NAME learns from one)"}


def foreword(plan: Plan, domain: Domain, request: Request) -> list[str]:
    """Task and metric, the split, the classes, the columns left out and those of dates: a line each, at most five."""
    lines = [_task(plan, domain, request), _split(plan.splits[0], domain, request)]
    return lines + [line for line in (_classes(plan.task, domain), _left_out(domain), _dates(domain)) if line]


def _task(plan: Plan, domain: Domain, request: Request) -> str:
    task, label = plan.task, domain.reading.get("label")
    of = f" of {label!r}" if isinstance(label, str) else ""
    how = "as asked" if request.task else f"told from the labels{of}"
    why = "as asked" if request.metric else _EVEN.get(task.metric, f"the usual one of a {task.id}")
    evenly = {"weights": "; classes weigh alike in training", "sampler": "; classes are drawn alike in training"}
    return f"task: {task.id} ({how}); metric: {task.metric} ({why}){evenly.get(plan.balance, '')}"


def _split(splits: Splits, domain: Domain, request: Request) -> str:
    rows = ", ".join(f"{name} {count:,}" for name, count in split_counts(splits).items() if count)
    if "test" in splits.given or len(splits.given) > 1:
        how = "the test split came with the data"
    elif domain.times is not None:
        how = "the test rows are the last in time"
    else:
        how = f"drawn at random, split_seed={request.split_seed}"
    if request.test_repeats > 1:
        how += f"; the first of {request.test_repeats} test splits"
    whole = ", groups kept whole" if _whole_groups(domain, splits) else ""
    if domain.weights is not None:
        name = domain.reading.get("weight")
        whole += f", weighted by {name!r}" if name else ", weighted"
    return f"rows: {rows} ({how}{whole})"


def _whole_groups(domain: Domain, splits: Splits) -> bool:
    """Whether there are groups, and none has test rows and others, as one may where the test split was given."""
    groups = domain.groups
    return groups is not None and not of_groups(groups[splits.test], np.delete(groups, splits.test)).any()


def _classes(task: Task, domain: Domain) -> str:
    """The share of each class, or the range of numbers, of the labels as they were given."""
    if domain.labels is None:
        return ""
    targets = task.matched(domain)[0]
    known = targets[task.labelled(targets)]
    if task.one_class:
        shares = np.bincount(known, minlength=len(task.classes)) / len(known)
    elif task.classes and known.ndim == 2:
        shares = np.nanmean(known, axis=0)
    elif known.ndim == 1:
        return f"labels: {known.min():.4g} to {known.max():.4g}, mean {known.mean():.4g}"
    else:
        return ""
    order = [i for i in np.argsort(-shares, kind="stable") if shares[i] > 0]
    parts = [f"{task.classes[i]} {shares[i]:.0%}" if shares[i] >= 0.01 else f"{task.classes[i]} <1%" for i in order]
    return f"{'classes' if task.one_class else 'labels'}: {listed(parts, MOST)}"


def _left_out(domain: Domain) -> str:
    """The columns that no learner sees, by why."""
    kinds = domain.inputs.kinds
    why = {"a different value in every row": [name for name in domain.inputs.columns if name not in kinds]}
    why |= {words: [name for name, kind in kinds.items() if kind == unused] for unused, words in _UNUSED.items()}
    said = [f"{listed(names, MOST)}: {words}" for words, names in why.items() if names]
    return f"columns left out: {'; '.join(said)}" if said else ""


def _dates(domain: Domain) -> str:
    dates = [name for name, kind in domain.inputs.kinds.items() if kind == "date"]
    if not dates:
        return ""
    if domain.times is not None or domain.splits:
        return f"dates: {listed(dates, MOST)}"
    return f"dates: {listed(dates, MOST)}; the split is random all the same, time={dates[0]!r} tests on the last rows"
