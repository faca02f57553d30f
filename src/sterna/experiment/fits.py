"""Fit the method and its controls: with every draw of the labels, on every test split."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from sterna.bench import Problem
from sterna.domains import Domain
from sterna.domains.splits import Splits
from sterna.experiment.controls import settled_controls
from sterna.experiment.evidence import outputs_by_draw, scores_of
from sterna.experiment.overlaps import overlap_notes
from sterna.experiment.plan import Plan
from sterna.experiment.problem import Exam, joined_exam, make_problem
from sterna.experiment.shown import with_interval
from sterna.experiment.units import Means, fit_unit
from sterna.methods.method import Method
from sterna.store.run import RunFolder, Unit
from sterna.tasks.task import Task
from sterna.training.progress import numbers_aside

Array = np.ndarray[Any, Any]

WORTH_SAYING = 10.0
"""Seconds that are left at the least for a line to say so."""


@dataclass(frozen=True, eq=False)
class Fitted:
    """All fits of a run, before anything is scored.

    Attributes
    ----------
    exam
        The rows of all test splits, one after the other.
    units, splits
        Of each draw of the labels on the first test split, then on the next.
    seeds
        Of each draw.
    tests
        Rows of each test split.
    """

    task: Task
    exam: Exam
    units: dict[str, list[Unit]]
    splits: list[Splits]
    seeds: tuple[int, ...]
    tests: tuple[int, ...]
    left_out: dict[str, str]
    balance: str
    notes: tuple[str, ...]
    no_verdict: str | None = None

    @property
    def outputs(self) -> dict[str, list[Array]]:
        """What the method and each control answer for the rows of the exam, one array a draw."""
        return outputs_by_draw(self.units, len(self.seeds))


def fit_all(plans: Sequence[Plan], domain: Domain, method: Method, folder: RunFolder, means: Means) -> Fitted:
    """Fit what the plans, one for each test split, ask for; the network of the first fit is kept."""
    first, own = plans[0], method.id()
    problems = [
        make_problem(plan.sources, domain, plan.task, splits, first.balance, seed=seed)
        for plan in plans
        for seed, splits in zip(plan.seeds, plan.splits, strict=True)
    ]
    exam = joined_exam(domain, [plan.exam for plan in plans], first.sources, method)
    fits = _Fits(plans, folder, means)
    units = {own: fits.of(own, method, problems, keep=True, then=list(first.controls))}
    if first.controls:
        means.progress.meanwhile(_first_answer(first, exam, own, units[own]))
    # Controls train as the method does, and know what it knows.
    beside = [method.beside(each, unit.log.chosen) for each, unit in zip(problems, units[own], strict=True)]
    problems = [replace(problem, recipe=stands.recipe()) for stands, problem in beside]
    settled = settled_controls(first.controls, first.left_out, method, [stands for stands, _ in beside], problems)
    for name, control in settled.controls.items():
        units[name] = fits.of(name, control, problems)
    said = {numbers_aside(note) for note in first.notes}
    others = {numbers_aside(note): note for plan in plans[1:] for note in plan.notes}
    notes = [*first.notes, *settled.notes, *(note for words, note in others.items() if words not in said)]
    overlaps = overlap_notes(exam.overlaps, first.task, exam.targets, outputs_by_draw(units, len(first.seeds)))
    return Fitted(
        task=first.task,
        exam=exam,
        units=units,
        splits=[splits for plan in plans for splits in plan.splits],
        seeds=first.seeds,
        tests=tuple(len(plan.exam.rows) for plan in plans),
        left_out=settled.left_out,
        balance=first.balance,
        notes=(*notes, *overlaps),
        no_verdict=next((why for why in (*(plan.no_verdict for plan in plans), *settled.unjudged) if why), None),
    )


@dataclass(frozen=True)
class _Fits:
    """Fits of the same problems, by the method and then by each control."""

    plans: Sequence[Plan]
    folder: RunFolder
    means: Means

    def of(
        self, name: str, method: Method, problems: Sequence[Problem], *, keep: bool = False, then: Sequence[str] = ()
    ) -> list[Unit]:
        """One fit for each problem; after the first that took long it is said what the others will take.

        Before anything was fitted nobody knows: data, method and machine decide.
        """
        draws, units, said, means = len(self.plans[0].seeds), list[Unit](), False, self.means
        for number, problem in enumerate(problems):
            began, split = time.monotonic(), number // draws
            exam, place = self.plans[split].exam, self.folder.of_split(split)
            if number % draws == 0:  # rows that chose for one test split may be tested in another
                means = replace(means, search=replace(means.search, found=None))
            units.append(fit_unit(name, method, problem, exam, place, means, keep=keep and number == 0))
            means.search.goes_on_from(units[-1].log.candidates)
            took, left = time.monotonic() - began, len(problems) - number - 1
            if self.means.timed and not said and took * left >= WORTH_SAYING:
                said = True
                self.means.progress.say(time_left(name, took, number + 1, len(problems), then))
        return units


def time_left(name: str, took: float, done: int, fits: int, then: Sequence[str] = ()) -> str:
    """What the fits that are left will take if each takes as long as the one that was measured."""
    left = f"about {_duration(took * (fits - done))} for the others"
    return f"{name}: fit {done} of {fits} took {_duration(took)}; {left}" + (
        f"; then the controls, not measured yet: {', '.join(then)}" if then else ""
    )


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"


def _first_answer(plan: Plan, exam: Exam, method: str, units: Sequence[Unit]) -> str:
    """The method's own score, as soon as it is there, and what is still to come."""
    metric = plan.task.metric
    outputs = outputs_by_draw({method: units}, len(plan.seeds))[method]
    found = scores_of(plan.task, exam, outputs, units)[metric]
    values = f"{metric} {with_interval(found)}"
    return f"{method}: {values} on {len(exam.targets):,} test rows; now the controls: {', '.join(plan.controls)}"
