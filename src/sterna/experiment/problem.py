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
from sterna.experiment.overlaps import Overlap, copies_in_training, learnt_before, learnt_rows
from sterna.kinds.kind import kind_of
from sterna.methods.method import Method, Needs
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
    """

    domain: Domain
    rows: Array
    targets: Array
    groups: Array | None = None
    weights: Array | None = None
    overlaps: tuple[Overlap, ...] = ()
    variance_factor: float = 1.0

    @property
    def fresh(self) -> Array:
        """Which of the rows nothing learnt from, ``(n,)`` bool."""
        return (
            ~np.any([each.rows for each in self.overlaps], axis=0) if self.overlaps else np.ones(len(self.rows), bool)
        )


def make_exam(
    domain: Domain, task: Task, splits: Splits, source: Source | None = None, method: Method | None = None
) -> Exam:
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
    overlaps = (*copies_in_training(domain, splits, rows), *learnt_before(source, method, test.inputs))
    if test.weights is not None:
        not_all_zero(test.weights, f"The {len(test):,} test rows of {domain.name}")
    return Exam(test, rows, task.matched(test)[0], groups, test.weights, overlaps)


def joined_exam(domain: Domain, exams: Sequence[Exam], source: Source | None, method: Method) -> Exam:
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
    overlaps = learnt_before(source, method, test.inputs)
    return Exam(test, rows, targets, groups, test.weights, overlaps, float(1 + len(rows) / beside))


def source_rows(source: Source | None, task: Task, target: Domain, *, evenly: bool) -> Labelled | None:
    """The labelled rows of the source's data, those of its test split left out; evenly: each class counts the same."""
    if source is None or source.data is None:
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


def source_task(source: Source | None, task: Task) -> Task | None:
    """What the source's labels answer: the target's own task where they are of its classes, or numbers too."""
    return task if same_task(source, task) else _own_task(source, task)


def same_task(source: Source | None, task: Task) -> bool:
    """Whether the source's labels are labels of this task, too."""
    own = _own_task(source, task)
    return own is not None and own.answered_by(task) is not None


def _own_task(source: Source | None, task: Task) -> Task | None:
    """The task that the source's labels ask for; this one's kind where they could be of several."""
    if source is None or source.data is None:
        return None
    labels = source.data.labels
    return infer_task(source.data, task.id if labels is not None and task.takes(labels) else None)


def widened(task: Task, source: Source | None) -> Task:
    """The task with the classes that only the source's data have: without target labels nobody knows they are gone."""
    if not task.one_class or source is None or source.data is None:
        return task
    own = infer_task(source.data)
    return task if task.answered_by(own) is None else task.widened(own.classes)


def make_problem(source: Source | None, domain: Domain, task: Task, splits: Splits, balance: str, seed: int) -> Problem:
    """What a method may see with this split, its classes balanced so (see `applied_balance`).

    Numbers are standardised by the training rows alone, or where there are none by the source's; classes are weighted
    by the labelled rows of each domain, beside the weights that rows were given.
    """
    rows = np.concatenate([splits.train, splits.validation])
    target = domain.take(rows)
    train, validation = np.arange(len(splits.train)), np.arange(len(splits.train), len(rows))
    if len(train) or same_task(source, task):
        learnt = target.take(train) if len(train) else source_labels(source)
        task = task.fitted(task.matched(learnt)[0])
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
    sources = () if source is None else (Known(source, source_rows(source, task, domain, evenly=balance != "none")),)
    return Problem(target, targets, train, validation, hidden, task, weights, draw, seed, sources)


def source_labels(source: Source | None) -> Domain:
    """The source's rows that may teach."""
    assert source is not None and source.data is not None
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


def have(source: Source | None, domain: Domain, task: Task, splits: Splits, source_answers: bool) -> Needs:
    """What the user has, in terms of what methods need."""
    found = Needs.NOTHING
    if source is not None and source.body is not None and source.body.width:
        found |= Needs.SOURCE_MODEL
    if source is not None and source.data is not None:
        found |= Needs.SOURCE_DATA
        if same_task(source, task):
            found |= Needs.SAME_TASK
        if source.data.inputs.covers(domain.inputs):
            found |= Needs.SAME_INPUTS
    if source is not None and (source.data is not None or None not in (source.body, source.head, source.task)):
        found |= Needs.SOURCE_TASK
    if source_answers or Needs.SAME_TASK | Needs.SAME_INPUTS in found:
        found |= Needs.SOURCE_ANSWERS
    if len(splits.train):
        found |= Needs.TARGET_LABELS
    if len(splits.train) or Needs.SAME_TASK | Needs.SAME_INPUTS in found:
        found |= Needs.LABELS
    if len(splits.unlabelled) or len(splits.train):
        found |= Needs.UNLABELLED_TARGET
    if domain.inputs.in_columns() is not None and (source_answers or Needs.SAME_TASK in found):
        found |= Needs.RULES
    if kind_of(domain.kind).compares or Needs.SOURCE_MODEL in found:
        found |= Needs.COMPARABLE
    if task.one_class:
        found |= Needs.CLASSES
    return found


def split_counts(splits: Splits) -> dict[str, Any]:
    """Rows of each part."""
    return {name: len(getattr(splits, name)) for name in ("train", "validation", "test", "unlabelled")}
