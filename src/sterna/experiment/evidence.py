"""From outputs on the test rows to what the record says of them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sterna.domains.splits import Splits
from sterna.evaluation import confusion, score
from sterna.evaluation.gain import gain
from sterna.experiment.controls import headline_control
from sterna.experiment.problem import Exam
from sterna.experiment.units import mean_validation
from sterna.record.record import Gain, Score
from sterna.store.run import Unit
from sterna.tasks.task import Task


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
    selected_by: str
    control_selected_by: str
    chosen: list[dict[str, Any]]
    validation: dict[str, float]
    trained_parameters: int
    total_parameters: int
    messages: list[str]
    confusion: list[list[int]] | None


def evidence(
    task: Task, exam: Exam, method: str, units: Mapping[str, Sequence[Unit]], splits: Splits, judged: bool = True
) -> Evidence:
    """Scores, gains, verdict and who chose what.

    Parameters
    ----------
    units
        Of the method and of each control, one for each seed.
    splits
        Of the first seed: how many labels there were to choose by.
    judged
        Whether a gain can be told from chance: not where all labels used were the same.
    """
    outputs = {name: [unit.outputs for unit in some] for name, some in units.items()}
    controls = [name for name in units if name != method]
    scores = {name: score(task, some, exam.targets) for name, some in outputs.items()}
    gains = {name: gain(task, outputs[method], outputs[name], exam.targets, control=name) for name in controls}
    if not judged:
        gains = {name: replace(found, verdict="unclear") for name, found in gains.items()}
    validation = {name: mean_validation(list(some)) for name, some in units.items()}
    headline, chosen_by = (
        headline_control(controls, validation, len(splits.validation)) if controls else (None, "no control")
    )
    first = units[method][0]
    return Evidence(
        scores=scores[method],
        controls={name: scores[name] for name in controls},
        gain=gains[headline] if headline else None,
        gains=gains,
        selected_by=first.log.selected_by(len(splits.train) + len(splits.validation)),
        control_selected_by=chosen_by,
        chosen=[unit.log.chosen for unit in units[method]],
        validation={name: value for name, value in validation.items() if not math.isnan(value)},
        trained_parameters=first.trained,
        total_parameters=first.total,
        messages=list(dict.fromkeys(m for some in units.values() for unit in some for m in unit.log.messages)),
        confusion=confusion(task, outputs[method], exam.targets).tolist() if task.one_class else None,
    )
