"""What a method works with: the problem, and tools that keep to its rules."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
from torch import nn

from sterna.bench import tuning
from sterna.bench.fitted import Fitted
from sterna.bench.problem import Array, Problem
from sterna.domains.inputs import Inputs, Preparation
from sterna.networks.body import Body
from sterna.networks.network import Network
from sterna.networks.small import small_body
from sterna.record.choice import Choice
from sterna.selection.cross_validation import SAMPLE, fit_head
from sterna.selection.validator import Validator
from sterna.tasks.task import Task
from sterna.training.batches import Stream
from sterna.training.cache import Features
from sterna.training.log import Log
from sterna.training.recipe import Recipe
from sterna.training.trainer import Trainer


class Component(Protocol):
    """A method as a part of another."""

    def run(self, bench: Bench) -> Fitted: ...


@dataclass(frozen=True, eq=False)
class Bench:
    """What a method works with: the problem, and tools that keep to its rules.

    Attributes
    ----------
    problem
        All that may be seen.
    trainer
        Runs and trains networks.
    make
        Makes a method of its id and settings, to be a part of another.
    """

    problem: Problem
    trainer: Trainer
    make: Callable[[str, Mapping[str, Any]], Component]

    @property
    def task(self) -> Task:
        """What is asked."""
        return self.problem.task

    @property
    def seed(self) -> int:
        """Of this run."""
        return self.problem.seed

    @property
    def validator(self) -> Validator:
        """Scores answers for the validation rows."""
        problem = self.problem
        return Validator(problem.task, problem.targets[problem.validation])

    def on(self, problem: Problem) -> Bench:
        """The same tools for another problem."""
        return replace(self, problem=problem)

    def aside(self, name: str) -> Bench:
        """Tools for a network that only serves to choose: what is told of the run is told of another."""
        folder = None if self.trainer.folder is None else self.trainer.folder / name
        return replace(self, trainer=replace(self.trainer, folder=folder, log=Log()))

    def say(self, sentence: str) -> None:
        """Tell the user, and keep it with the result."""
        self.trainer.say(sentence)

    # -- other methods as parts ----------------------------------------------------------------------

    def component(self, method: str, **settings: Any) -> Fitted:
        """What another method makes of this problem."""
        return self.make(method, settings).run(self)

    def learn(self) -> Fitted:
        """Learn from the training rows in the simplest sensible way.

        With a source model a linear head on its features; without, a small network for images, and for tables, texts
        and audio the best cheap learner.
        """
        if self.problem.source_body is not None:
            return self.component("feature-extraction")
        return self.component("scratch" if self.problem.target.kind == "images" else "target-only")

    # -- networks ------------------------------------------------------------------------------------

    def fresh(self, inputs: Inputs) -> Network:
        """A small network from a random start that suits these inputs."""
        body, preparation = small_body(inputs, seed=self.seed)
        return self.network(preparation, body)

    def pretrained(self, inputs: Inputs | None = None) -> tuple[Preparation, Body] | None:
        """A copy of the source's body, if it gives features, and its preparation for these inputs (the target's)."""
        source, body = self.problem.source, self.problem.source_body
        if source is None or body is None:
            return None
        return source.prepared(self.problem.inputs if inputs is None else inputs), body.copied()

    def network(self, preparation: Preparation, body: Body, head: nn.Module | None = None) -> Network:
        """A network for the task; its head starts at random if none is given."""
        return Network(preparation, body, self.task.head(body.width) if head is None else head, task=self.task)

    def outputs(self, network: Network, inputs: Inputs | None = None, rows: Array | None = None) -> Array:
        """What a network answers, ``(n, o)``: for the target's labelled rows, or some of them, or other inputs."""
        return self.trainer.outputs(network, self.problem.inputs if inputs is None else inputs, rows)

    def features(self, body: Body, preparation: Preparation, inputs: Inputs, names: Sequence[str]) -> Features:
        """Pooled features of some blocks of a body that stays as it is, each row computed once."""
        return self.trainer.features(body, preparation, inputs, names)

    # -- fitting -------------------------------------------------------------------------------------

    def fit_head(
        self,
        x: Array,
        targets: Array,
        weights: Array | None = None,
        *,
        penalty: float | None = None,
        of: str | None = None,
    ) -> tuple[nn.Linear, Choice]:
        """A linear head on features ``(n, d)``, and its penalty, chosen by cross-validation if none is given.

        Parameters
        ----------
        x, targets, weights
            Features, encoded labels, and a weight for each row (1 by default).
        of
            Whose labels these are; those of the problem by default.
        """
        head, found = fit_head(x, targets, self.task, weights, penalty=penalty, seed=self.seed)
        rows = len(x) if weights is None else int(np.count_nonzero(weights))
        return head, self.cross_validated("penalty", found, min(rows, SAMPLE), of)

    def cross_validated(self, what: str, value: Any, labels: int, of: str | None = None) -> Choice:
        """The choice of a value by so many labels that were held out in turn."""
        return Choice(what, value, "cross-validation", labels, of or self.problem.labels_of)

    def stream(self, preparation: Preparation, *, batch_size: int, augment: bool = False) -> Stream:
        """Batches of the labelled training rows."""
        problem = self.problem
        return self.trainer.stream(
            preparation,
            problem.inputs,
            problem.targets,
            rows=problem.train,
            weights=problem.weights,
            draw=None if problem.draw is None else problem.draw[problem.train],
            batch_size=batch_size,
            augment=augment,
        )

    def train(self, network: Network, recipe: Recipe, *, stage: str) -> tuple[Choice, ...]:
        """Train a network on the training rows, in place; many validation rows choose the epoch."""
        return tuning.train(self, network, recipe, stage)
