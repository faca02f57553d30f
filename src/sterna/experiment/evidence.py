"""From outputs on the test rows to the record of a run."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from sterna.domains.splits import Splits
from sterna.evaluation import Score, confusion, score
from sterna.evaluation.gain import gain
from sterna.experiment.controls import headline_control
from sterna.experiment.problem import Exam
from sterna.experiment.units import mean_validation
from sterna.store.run import Unit
from sterna.tasks.task import Task


def evidence(
    task: Task, exam: Exam, method: str, units: Mapping[str, Sequence[Unit]], splits: Splits
) -> dict[str, Any]:
    """Scores, gains, verdict and who chose what: the part of the record that the test labels decide.

    Parameters
    ----------
    units
        Of the method and of each control, one for each seed.
    splits
        Of the first seed: how many labels there were to choose by.
    """
    outputs = {name: [unit.outputs for unit in some] for name, some in units.items()}
    controls = [name for name in units if name != method]
    scores = {name: score(task, some, exam.targets) for name, some in outputs.items()}
    gains = {name: asdict(gain(task, outputs[method], outputs[name], exam.targets, control=name)) for name in controls}
    validation = {name: mean_validation(list(some)) for name, some in units.items()}
    headline, chosen_by = (
        headline_control(controls, validation, len(splits.validation)) if controls else (None, "no control")
    )
    found: dict[str, Any] = {
        "scores": as_json(scores[method]),
        "controls": {name: as_json(scores[name]) for name in controls},
        "gain": gains[headline] if headline else None,
        "gains": gains,
        "selected_by": units[method][0].log.selected_by(len(splits.train) + len(splits.validation)),
        "control_selected_by": chosen_by,
        "chosen": [unit.log.chosen for unit in units[method]],
        "validation": {name: value for name, value in validation.items() if not math.isnan(value)},
        "trained_parameters": units[method][0].trained,
        "total_parameters": units[method][0].total,
        "messages": list(dict.fromkeys(m for some in units.values() for unit in some for m in unit.log.messages)),
    }
    if task.one_class:
        found["confusion"] = confusion(task, outputs[method], exam.targets).tolist()
    return found


def as_json(scores: Mapping[str, Score]) -> dict[str, dict[str, float]]:
    """Scores as plain dictionaries."""
    return {name: asdict(value) for name, value in scores.items()}
