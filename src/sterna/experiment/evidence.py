"""From outputs on the test rows to what the record says of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from sterna.domains.groups import group_codes
from sterna.domains.splits import Splits
from sterna.evaluation import confusion, gains, score
from sterna.evaluation.gain import FEW_LABELS as FEW_LABELS
from sterna.evaluation.powered import Unlabelled
from sterna.experiment.problem import Exam
from sterna.record.scores import Gain, Score
from sterna.store.run import Unit
from sterna.tasks.task import Task
from sterna.training.progress import numbers_aside


@dataclass(frozen=True)
class Evidence:
    """The part of a :class:`~sterna.record.record.Record` that the test labels decide; its fields are described there.

    Attributes
    ----------
    confusion
        ``(k, k)``; ``None`` where the task has no classes.
    """

    scores: dict[str, Score]
    controls: dict[str, dict[str, Score]]
    gain: Gain | None
    gains: dict[str, Gain]
    no_verdict: str | None
    selected_by: str
    control_selected_by: str
    chosen: list[dict[str, Any]]
    trained_parameters: int
    total_parameters: int
    messages: list[str]
    confusion: list[list[int]] | None


def evidence(
    task: Task,
    exam: Exam,
    method: str,
    units: Mapping[str, Sequence[Unit]],
    splits: Splits,
    no_verdict: str | None = None,
    test_splits: int = 1,
) -> Evidence:
    """Scores, gains, verdict and who chose what.

    Parameters
    ----------
    units
        Of the method and of each control, one for each draw of the labels, by test split.
    splits
        Of the first draw: how many labels there were to learn from and to choose by.
    no_verdict
        Why no verdict is given, where none can be.
    test_splits
        How many the rows of the exam come from.
    """
    outputs = outputs_by_draw(units, len(units[method]) // test_splits)
    scores = {name: scores_of(task, exam, some, units[name]) for name, some in outputs.items()}
    own, others = outputs[method], {name: some for name, some in outputs.items() if name != method}
    labels, first = len(splits.train) + len(splits.validation), units[method][0]
    undecided = _undecided(len(own), labels) if others and no_verdict is None else None
    # Rows that something learnt from are no test, nor are those that weigh nothing; a gain over them is of no worth.
    fresh = np.flatnonzero(exam.fresh if exam.weights is None else exam.fresh & (exam.weights > 0))
    rows = fresh if len(fresh) else np.arange(len(exam.rows))
    found, headline = gains(
        task,
        [some[rows] for some in own],
        {name: [each[rows] for each in some] for name, some in others.items()},
        exam.targets[rows],
        groups=None if exam.groups is None else exam.groups[rows],
        weights=None if exam.weights is None else exam.weights[rows],
        variance_factor=exam.variance_factor,
        decided=no_verdict is None and undecided is None and len(fresh) > 0,
    )
    messages = [message for some in units.values() for unit in some for message in unit.log.messages]
    messages = list({numbers_aside(message): message for message in reversed(messages)}.values())[::-1]
    return Evidence(
        scores=scores[method],
        controls={name: scores[name] for name in others},
        gain=headline,
        gains=found,
        no_verdict=no_verdict if headline else None,
        selected_by=first.log.selected_by(labels),
        control_selected_by=_headline(len(others)),
        chosen=[unit.log.chosen for unit in units[method]],
        trained_parameters=first.trained,
        total_parameters=first.total,
        messages=[*messages, *([undecided] if undecided else [])],
        confusion=confusion(task, own, exam.targets).tolist() if task.one_class else None,
    )


def scores_of(
    task: Task, exam: Exam, outputs: Sequence[np.ndarray[Any, Any]], units: Sequence[Unit]
) -> dict[str, Score]:
    """Every metric on the rows of the exam, of what the fits of each draw answer."""
    rows = exam.unlabelled
    told = None
    if rows is not None:
        groups = None if rows.groups is None else group_codes(rows.groups)
        told = Unlabelled([unit.unlabelled for unit in units if unit.unlabelled is not None], groups, rows.weights)
    return score(
        task, outputs, exam.targets, groups=exam.groups, weights=exam.weights, variance_factor=exam.variance_factor,
        unlabelled=told,
    )  # fmt: skip


def outputs_by_draw(units: Mapping[str, Sequence[Unit]], draws: int) -> dict[str, list[np.ndarray[Any, Any]]]:
    """The outputs of each draw for the rows of all test splits, by what was fitted."""
    return {
        name: [np.concatenate([unit.outputs for unit in some[draw::draws]]) for draw in range(draws)]
        for name, some in units.items()
    }


def _undecided(draws: int, labels: int) -> str | None:
    """Why these draws can decide nothing, if they cannot."""
    if draws > 1 or not 0 < labels <= FEW_LABELS:
        return None
    return (
        f"The verdict is unclear because one draw of {labels} labels cannot show what another draw would have given: "
        "use seeds=3 or more."
    )


def _headline(controls: int) -> str:
    if not controls:
        return "no control"
    return "the only control" if controls == 1 else f"the smallest of the gains over {controls} controls"
