"""From a Domain and a split to what a method may see: the test rows are not in it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from sterna.bench.problem import Array, Known, Labelled, Problem, given_weights
from sterna.domains.balance import class_weights
from sterna.domains.domain import Domain
from sterna.domains.groups import group_codes
from sterna.domains.splits import Splits
from sterna.domains.weights import not_all_zero
from sterna.errors import RequestError
from sterna.experiment.overlaps import Overlap, learnt_before, learnt_rows, tied_to_training
from sterna.methods.method import Method
from sterna.sources.source import Source
from sterna.tasks import infer_task
from sterna.tasks.metrics import CLASSES_EVENLY
from sterna.tasks.task import Task

BALANCES = ("none", "weights", "sampler", "auto")


@dataclass(frozen=True, eq=False)
class Exam:
    """The test rows, kept back: used once, for the score.

    Attributes
    ----------
    domain
        The test rows.
    rows
        Their numbers in the whole Domain, ``(n,)``.
    targets
        Their labels as the evaluation's task encodes them.
    groups
        The group (a patient, say) of each, as a code ``(n,)`` from 0 on; ``None`` where the data name no groups.
    weights
        How much each counts, ``(n,)``; ``None`` where the data say nothing of it.
    overlaps
        Which of them something learnt from all the same.
    variance_factor
        How many times the variance over rows is taken, since rows of one test split are learnt from in the others.
    unlabelled
        Rows without labels that narrow the intervals of the scores; ``None`` where that is not asked for.
    """

    domain: Domain
    rows: Array
    targets: Array
    groups: Array | None = None
    weights: Array | None = None
    overlaps: tuple[Overlap, ...] = ()
    variance_factor: float = 1.0
    unlabelled: Domain | None = None

    @property
    def fresh(self) -> Array:
        """Which of the rows nothing learnt from, ``(n,)`` bool."""
        return (
            ~np.any([each.rows for each in self.overlaps], axis=0) if self.overlaps else np.ones(len(self.rows), bool)
        )


def make_exam(
    domain: Domain, task: Task, splits: Splits, sources: Sequence[Source] = (), method: Method | None = None,
    unlabelled: Domain | None = None,
) -> Exam:  # fmt: skip
    """Take the labelled test rows out of the Domain."""
    rows = splits.test
    test = domain.take(rows)
    keep = test.labelled()
    if not len(rows):
        raise RequestError(
            f"No test split can be drawn from {domain.name}: its {int(domain.labelled().sum()):,} labelled rows are of "
            "one content or group, or those of each class are, and what is of one stays on one side; check the columns "
            "and group=, or give test rows as test=."
        )
    if not keep.any():
        raise RequestError(f"{domain.name}: no row of the test split has a label, so nothing can be scored.")
    test, rows = (test, rows) if keep.all() else (test.take(np.flatnonzero(keep)), rows[keep])
    assert test.labels is not None
    groups = None if test.groups is None else group_codes(test.groups)
    overlaps = (*tied_to_training(domain, splits, rows), *learnt_before(sources, method, test.inputs))
    if test.weights is not None:
        not_all_zero(test.weights, f"The {len(test):,} test rows of {domain.name}")
    return Exam(test, rows, task.matched(test)[0], groups, test.weights, overlaps, unlabelled=unlabelled)


def joined_exam(domain: Domain, exams: Sequence[Exam], sources: Sequence[Source], method: Method) -> Exam:
    """The rows of several test splits without common rows, one split after the other.

    Rows of one test split are learnt from in the others, so what was learnt is not independent, and the variance over
    rows is too small by what that adds. As Nadeau and Bengio (Inference for the generalization error, 2003) do for J
    random splits, it is multiplied by 1 + J · n_test / n_train, for rows that may be learnt from beside a test split.
    """
    if len(exams) == 1:
        return exams[0]
    rows = np.concatenate([exam.rows for exam in exams])
    test, beside = domain.take(rows), domain.labelled().sum() - len(rows) / len(exams)
    groups = None if test.groups is None else group_codes(test.groups)
    targets = np.concatenate([exam.targets for exam in exams])
    overlaps = learnt_before(sources, method, test.inputs)
    return Exam(test, rows, targets, groups, test.weights, overlaps, float(1 + len(rows) / beside))


def source_rows(source: Source, task: Task, target: Domain, *, evenly: bool) -> Labelled | None:
    """The labelled rows of the source's data, those of its test split left out; evenly: each class counts the same."""
    if source.data is None:
        return None
    data, keep = source.data, learnt_rows(source.data)
    if not keep.any():
        raise RequestError(f"The source data {data.name!r} have no labelled row to learn from.")
    known = replace(data.take(np.flatnonzero(keep)), splits={}, notes=(), reading={})
    own = source_task(source, task)
    assert own is not None and known.labels is not None
    targets, same = own.matched(known)[0], same_task(source, task)
    weights = given_weights(known)
    if evenly and same:
        weights = weights_of_classes(task, targets, weights)[targets] * weights
    return Labelled(known, targets, own, same, known.inputs.covers(target.inputs), weights)


def source_task(source: Source, task: Task) -> Task | None:
    """What the source's labels answer: the target's own task where they are of its classes, or numbers too."""
    return task if same_task(source, task) else _own_task(source, task)


def same_task(source: Source, task: Task) -> bool:
    """Whether the source's labels are labels of this task, too."""
    own = _own_task(source, task)
    return own is not None and own.answered_by(task) is not None


def _own_task(source: Source, task: Task) -> Task | None:
    """The task that the source's labels ask for; this one's kind where they could be of several."""
    if source.data is None:
        return None
    labels = source.data.labels
    return infer_task(source.data, task.id if labels is not None and task.takes(labels) else None)


def widened(task: Task, sources: Sequence[Source]) -> Task:
    """The task with the classes that only a source's data have: without target labels nobody knows they are gone."""
    for data in [source.data for source in sources if source.data is not None and task.one_class]:
        own = infer_task(data)
        task = task if task.answered_by(own) is None else task.widened(own.classes)
    return task


def make_problem(
    sources: Sequence[Source], domain: Domain, task: Task, splits: Splits, balance: str, seed: int
) -> Problem:
    """What a method may see with this split, its classes balanced so (see `applied_balance`).

    Numbers are standardised by the training rows alone, or where there are none by the sources'; classes are weighted
    by the labelled rows of each domain, beside the weights that rows were given.
    """
    rows = np.concatenate([splits.train, splits.validation])
    target = domain.take(rows)
    train, validation = np.arange(len(splits.train)), np.arange(len(splits.train), len(rows))
    learnt = [target.take(train)] if len(train) else [labels_of(each) for each in sources if same_task(each, task)]
    if learnt:
        task = task.fitted(np.concatenate([task.matched(each)[0] for each in learnt]))
    targets = task.matched(target)[0] if target.labels is not None else np.zeros(0)
    weights, draw = given_weights(target, train), None
    if balance == "weights":
        weights = weights_of_classes(task, targets, weights)[targets] * weights
    elif balance == "sampler":
        draw = weights_of_classes(task, targets, weights)[targets] * weights / len(targets)
        weights = np.ones(len(rows))
    # What the reader noted, and where it read, may lead to the test rows.
    target = replace(target, splits={}, notes=(), reading={})
    hidden = replace(domain.take(splits.unlabelled), labels=None, splits={}, notes=(), reading={})
    known = tuple(Known(each, source_rows(each, task, domain, evenly=balance != "none")) for each in sources)
    return Problem(target, targets, train, validation, hidden, task, weights, draw, seed, known)


def labels_of(source: Source) -> Domain:
    """The source's rows that may teach."""
    assert source.data is not None
    return source.data.take(np.flatnonzero(learnt_rows(source.data)))


def weights_of_classes(task: Task, targets: Array, rows: Array) -> Array:
    """A weight for each class of the task, ``(k,)``; a class that these targets lack counts as any other row: 1.

    Each target counts as often as the weights of the `rows` say, ``(n,)``.
    """
    weights = np.ones(task.outputs)
    found = class_weights(targets, rows)
    weights[: len(found)][found > 0] = found[found > 0]
    return weights


def applied_balance(balance: str, task: Task, *, by_metric: bool) -> str:
    """What `balance` comes to: ``auto`` weights classes evenly where the metric counts them so.

    Parameters
    ----------
    by_metric
        Whether the metric may decide: it was asked for, or there are target labels to learn from. Else classes count
        evenly, since no label may say how often each comes.
    """
    if balance not in BALANCES:
        raise RequestError(f"balance is {balance!r}; expected one of {', '.join(BALANCES)}.")
    if not task.one_class:
        if balance in ("weights", "sampler"):
            raise RequestError(f"balance={balance!r} is for classes; the task here is {task.id}: use balance='none'.")
        return "none"
    if balance == "auto":
        return "weights" if task.metric in CLASSES_EVENLY or not by_metric else "none"
    return balance


def split_counts(splits: Splits) -> dict[str, Any]:
    """Rows of each part."""
    return {name: len(getattr(splits, name)) for name in ("train", "validation", "test", "unlabelled")}
