"""Fit one method with one seed, and score nothing yet."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

from sterna.bench import Fitted, Problem
from sterna.experiment.problem import Exam
from sterna.methods.method import Method
from sterna.store.legs import begin_leg
from sterna.store.run import RunFolder, Unit
from sterna.training.cache import FeatureCache
from sterna.training.progress import Progress
from sterna.training.schedule import Budget
from sterna.training.search import Search
from sterna.training.strategy import Strategy
from sterna.training.trainer import Trainer


@dataclass(frozen=True)
class Means:
    """What every fit of a run shares: budget, batch, device, cache, progress bar, processes; whether times are said;
    what a search for the best candidate found.
    """

    budget: Budget
    batch_size: int | None
    device: str
    cache: FeatureCache
    progress: Progress
    resume: bool
    strategy: Strategy
    timed: bool = False
    search: Search = field(default_factory=Search)

    def trainer(self, folder: RunFolder, problem: Problem, name: str) -> Trainer:
        """A trainer for one fit."""
        return Trainer(
            seed=problem.seed,
            device=self.device,
            batch_size=self.batch_size,
            budget=self.budget,
            folder=folder.work(problem.seed, name),
            resume=self.resume,
            cache=self.cache,
            progress=self.progress,
            search=self.search,
        )


def fit_unit(
    name: str, method: Method, problem: Problem, exam: Exam, folder: RunFolder, means: Means, *, keep: bool = False
) -> Unit:
    """Fit, and answer the test rows; a fit that an interrupted run finished is taken up.

    Parameters
    ----------
    name
        What the run calls it.
    keep
        Save the network in the run folder.
    """
    found = folder.load_unit(problem.seed, name)
    if found is not None:
        return found
    work = folder.work(problem.seed, name)
    started = begin_leg(work, work) if means.strategy.leads else time.monotonic()
    trainer = means.trainer(folder, problem, name)
    again = method.refits(problem) and len(problem.validation) > 0
    network = seeded(method, problem.joined() if again else problem, trainer).network
    unit = Unit(
        trainer.outputs(network, exam.domain.inputs),
        trainer.log,
        time.monotonic() - started,
        sum(p.numel() for p in network.parameters() if p.requires_grad),
        sum(p.numel() for p in network.parameters()),
        None if exam.unlabelled is None else trainer.outputs(network, exam.unlabelled.inputs),
    )
    if means.strategy.leads:
        if keep:
            folder.save_network(network)
        folder.save_unit(problem.seed, name, unit)
    return unit


def seeded(method: Method, problem: Problem, trainer: Trainer) -> Fitted:
    """Run a method with torch's own random numbers (of fresh layers) from the seed; the caller's stay."""
    with trainer.seeded():
        return method.fit(problem, trainer)


def summed_history(units: list[Unit]) -> list[dict[str, Any]]:
    """The epochs of all seeds."""
    return [row for unit in units for row in unit.log.history]
