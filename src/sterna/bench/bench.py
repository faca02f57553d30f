"""What a method works with: the problem, and tools that keep to its rules."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol, TypeVar

from torch import nn

from sterna.bench import tuning
from sterna.bench.adapting import DomainTerm, adapt
from sterna.bench.fitted import Fitted
from sterna.bench.heads import fitted_head
from sterna.bench.probe import probe
from sterna.bench.problem import Array, Problem
from sterna.bench.source_answers import answers, in_terms_of, network_of
from sterna.bench.vectors import Vectors, vectors_of
from sterna.domains.inputs import Inputs, Preparation
from sterna.errors import RunError
from sterna.kinds.kind import kind_of
from sterna.networks.body import Body
from sterna.networks.network import Network
from sterna.networks.small import small_body
from sterna.networks.views import Views
from sterna.record.choice import Choice
from sterna.selection.cross_validation import Trial, simplest
from sterna.selection.validator import Validator
from sterna.tasks.task import Task
from sterna.training.batches import Stream
from sterna.training.cache import Features
from sterna.training.recipe import Recipe
from sterna.training.trainer import Trainer

T = TypeVar("T")


class Component(Protocol):
    """A method as a part of another: all that the bench knows of methods."""

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
        Makes a method, to be a part of another: ``make(id, settings)``.
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
        rows = problem.validation
        return Validator(problem.task, problem.targets[rows], problem.given_weights[rows])

    def on(self, problem: Problem) -> Bench:
        """The same tools for another problem, such as ``problem.joined()`` or ``problem.on_source()``."""
        return replace(self, problem=problem)

    def aside(self, name: str, *, quiet: bool = False) -> Bench:
        """Tools for a network that only serves to choose: its log and its checkpoints are not those of the run."""
        return replace(self, trainer=self.trainer.aside(name, quiet=quiet))

    def say(self, sentence: str) -> None:
        """Tell the user, and keep it with the result."""
        self.trainer.say(sentence)

    # -- other methods as parts ----------------------------------------------------------------------

    def component(self, method: str, **settings: Any) -> Fitted:
        """What another method makes of this problem.

        Parameters
        ----------
        method
            Its id, such as ``"fine-tuning"``.
        settings
            Its settings; the others have their defaults.
        """
        return self.make(method, settings).run(self)

    def component_apart(self, method: str, **settings: Any) -> Fitted:
        """What another method makes of this problem, trained on the validation rows too where they are few.

        A method that then chooses by these rows needs a network that has not seen them: `Fitted.held_out` is what the
        other makes without them. Many validation rows stay aside, and nothing is made twice.
        """
        if not self.validator.few:
            return self.component(method, **settings)
        problem, held_out = self.problem, None
        if len(problem.validation):
            hidden = replace(problem, validation=problem.validation[:0])
            held_out = self.aside("held-out").on(hidden).component(method, **settings).network
        return replace(self.on(problem.joined()).component(method, **settings), held_out=held_out)

    def learn(self) -> Fitted:
        """Learn from the training rows in the simplest sensible way.

        With a source model a linear head on its features; without, a small network for images, and for tables, texts
        and audio the best cheap learner.
        """
        if self.problem.source_body is not None:
            return self.component("feature-extraction")
        return self.component("scratch" if kind_of(self.problem.target.kind).learnt else "target-only")

    # -- networks ------------------------------------------------------------------------------------

    def fresh(self, inputs: Inputs) -> Network:
        """A small network from a random start that suits these inputs; its preparation is fitted on them."""
        body, preparation = small_body(inputs, seed=self.seed)
        return self.network(preparation, body)

    def source_body(self, inputs: Inputs | None = None) -> tuple[Preparation, Body] | None:
        """A copy of the source's body, if it gives features, and its preparation for these inputs (the target's)."""
        source, body = self.problem.source, self.problem.source_body
        if source is None or body is None:
            return None
        return source.prepared(self.problem.inputs if inputs is None else inputs), body.copied()

    def pretrained(self) -> Network:
        """A copy of the source's body under a head from a random start."""
        found = self.source_body()
        assert found is not None
        return self.network(*found, views=self.problem.source_views)

    def answering(self) -> Network | None:
        """A copy of the source's own network, which answers with the task's classes in their order, if it has one."""
        source = self.problem.source
        if source is None or not answers(source, self.task):
            return None
        return in_terms_of(self.task, network_of(source, self.problem.inputs))

    def network(
        self, preparation: Preparation, body: Body, head: nn.Module | None = None, views: Views = Views.ONE
    ) -> Network:
        """A network for the task; its head starts at random if none is given."""
        head = self.task.head(body.width) if head is None else head
        return Network(preparation, body, head, task=self.task, views=views)

    def outputs(self, network: Network, inputs: Inputs | None = None, rows: Array | None = None) -> Array:
        """What a network answers, ``(n, o)``: for the target's labelled rows, or some of them, or other inputs."""
        return self.trainer.outputs(network, self.problem.inputs if inputs is None else inputs, rows)

    def features(
        self, body: Body, preparation: Preparation, inputs: Inputs, names: Sequence[str], views: Views = Views.ONE
    ) -> Features:
        """Pooled features of some blocks of a body that stays as it is, each row computed once."""
        return self.trainer.features(body, preparation, inputs, names, views)

    def probe(self, blocks: str | Sequence[str] = "auto", penalty: float | None = None) -> Fitted:
        """A linear head on pooled features of the source's body, which stays as it is.

        See :func:`~sterna.bench.probe.probe`.
        """
        return probe(self, blocks, penalty)

    def vectors(self) -> Vectors:
        """What the rows of both domains are compared by; see :func:`~sterna.bench.vectors.vectors_of`."""
        return vectors_of(self)

    # -- fitting -------------------------------------------------------------------------------------

    def fit_head(
        self,
        x: Array,
        targets: Array,
        weights: Array | None = None,
        *,
        penalty: float | None = None,
        of: str | None = None,
        units: Array | None = None,
    ) -> tuple[nn.Linear, Choice]:
        """A linear head on features ``(n, d)``, and its penalty, chosen by cross-validation if none is given.

        Parameters
        ----------
        x, targets, weights
            Features, encoded labels ``(n,)`` or ``(n, k)``, and a weight for each row ``(n,)``, 1 by default.
        penalty
            λ on standardised features.
        of
            Whose labels these are; those of the problem by default.
        units
            Rows of one number are held out together, ``(n,)`` (see :func:`~sterna.domains.groups.unit_ids`). By
            default `x` are the problem's training rows where there are as many of them, and else independent rows.
        """
        head, choice = fitted_head(self, x, targets, weights, penalty, of, units)
        return head.layer, choice

    def among(self, what: str, trials: Mapping[T, Trial], labels: int) -> tuple[T, Choice]:
        """The first candidate whose held-out loss is within one standard error of the lowest, and the choice of it.

        Parameters
        ----------
        what
            What is chosen, for the record.
        trials
            How well each candidate did, the one to prefer first.
        labels
            How many labels were held out in turn.
        """
        found = simplest(trials)
        return found, self.cross_validated(what, list(found) if isinstance(found, tuple) else found, labels)

    def validated(self, what: str, candidates: Sequence[T], answered: Callable[[T], Array]) -> Choice:
        """The candidate whose answers for the validation rows are best; among equals the first.

        Few rows choose by the loss, which says more than how many of them are right; 100 or more by the metric first.

        Parameters
        ----------
        what
            What is chosen, for the record.
        candidates
            Values, the one to prefer first.
        answered
            The outputs ``(n, o)`` for the validation rows with a value.
        """

        def rank(candidate: T) -> tuple[float, ...]:
            try:
                return self.validator.rank(answered(candidate))
            except RunError:  # outputs that are not finite: nothing to choose
                return (-math.inf,)

        ranks = [rank(candidate) for candidate in candidates]
        return self.validator.chose(what, candidates[ranks.index(max(ranks))])

    def cross_validated(self, what: str, value: Any, labels: int, of: str | None = None) -> Choice:
        """The choice of a value by so many labels that were held out in turn; `of` whom, else those of the problem."""
        return Choice(what, value, "cross-validation", labels, of or self.problem.labels_of)

    def stream(self, preparation: Preparation, *, batch_size: int, augment: bool = False) -> Stream:
        """Batches of the labelled training rows, with their weights, drawn as the problem says."""
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
        """Train a network on the training rows, in place; many validation rows choose the epoch.

        See :func:`~sterna.bench.tuning.train`.
        """
        return tuning.train(self, network, recipe, stage)

    def adapt(
        self, term: Callable[[int], DomainTerm], *, weight: float, epochs: int | None, learning_rate: float | None,
        stage: str,
    ) -> Fitted:  # fmt: skip
        """Train on the source's labels while a term brings the domains together.

        See :func:`~sterna.bench.adapting.adapt`.
        """
        return adapt(self, term, stage=stage, weight=weight, epochs=epochs, learning_rate=learning_rate)
