"""All that a method may see."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from sterna.domains.domain import Domain
from sterna.domains.groups import joined_groups, unit_ids
from sterna.domains.inputs import Inputs
from sterna.domains.joined import joined_inputs
from sterna.domains.weights import relative
from sterna.errors import RequestError
from sterna.networks.body import Body
from sterna.networks.pair import see_once, sees_more
from sterna.networks.views import Views, mirrored
from sterna.sources.source import Source
from sterna.tasks.task import Task
from sterna.training.recipe import Recipe

Array = np.ndarray[Any, Any]


def given_weights(domain: Domain, rows: Array | slice = slice(None)) -> Array:
    """The weights of a domain's rows, ``(n,)``, with mean 1 over some of them; 1 each where it has none."""
    return np.ones(len(domain)) if domain.weights is None else relative(domain.weights, rows)


@dataclass(frozen=True, eq=False)
class Labelled:
    """A source's labelled rows.

    Attributes
    ----------
    domain
        The rows, ``n`` of them.
    targets
        Their labels as `task` encodes them, ``(n,)`` or ``(n, k)``.
    task
        What they answer.
    same_task
        Whether that is what the problem asks: `task` is then the problem's own.
    same_inputs
        Whether they have what the target's inputs have: its kind, and in a table its columns.
    weights
        Weight of each row, ``(n,)``.
    """

    domain: Domain
    targets: Array
    task: Task
    same_task: bool
    same_inputs: bool
    weights: Array

    @property
    def inputs(self) -> Inputs:
        """The inputs of `domain`."""
        return self.domain.inputs

    def __len__(self) -> int:
        return len(self.domain)


@dataclass(frozen=True, eq=False)
class Known:
    """One source, as a method sees it.

    Attributes
    ----------
    source
        Its model, if it has one.
    rows
        Its labelled rows, if it has any.
    """

    source: Source
    rows: Labelled | None = None


@dataclass(frozen=True, eq=False)
class Problem:
    """All that a method may see; the test split is not in it.

    Attributes
    ----------
    target
        The labelled target rows for training and validation, and no others.
    targets
        Their encoded labels, ``(n,)`` or ``(n, k)``.
    train, validation
        Row numbers in `target`.
    unlabelled
        Target rows without labels.
    task
        What is asked.
    weights
        Weight of each row of `target`, ``(n,)``.
    draw
        Probability to draw each row of `target`, ``(n,)``; ``None`` where each comes once an epoch.
    seed
        Of this run.
    sources
        What is known already.
    labels_of
        Whose labels `targets` are, as the result will say: ``"target"``, ``"source"`` or ``"source and target"``.
    recipe
        How the method that a control stands beside trains its networks; ``None`` for the method itself.
    """

    target: Domain
    targets: Array
    train: Array
    validation: Array
    unlabelled: Domain
    task: Task
    weights: Array
    draw: Array | None
    seed: int
    sources: tuple[Known, ...] = ()
    labels_of: str = "target"
    recipe: Recipe | None = None

    # -- the source ----------------------------------------------------------------------------------

    def only(self) -> Known | None:
        """The one source there is, or ``None``.

        Raises
        ------
        RequestError
            If there are several.
        """
        if len(self.sources) > 1:
            raise RequestError(f"{len(self.sources)} sources were given, but this method moves knowledge from one.")
        return self.sources[0] if self.sources else None

    @property
    def source(self) -> Source | None:
        """The one source there is, or ``None``."""
        only = self.only()
        return None if only is None else only.source

    @property
    def known(self) -> Labelled | None:
        """The labelled rows of the one source, or ``None``."""
        only = self.only()
        return None if only is None else only.rows

    @property
    def source_body(self) -> Body | None:
        """The source's body, where it gives features: that of TF-IDF hands its texts on to a head as they are.

        What answered as the mean of an image and its mirror image inside it does not so for a target whose images have
        a left and a right.
        """
        body = None if self.source is None else self.source.body
        if body is None or not body.width:
            return None
        if sees_more(body) and not self._mirrored:
            body = body.copied()
            see_once(body)
        return body

    @property
    def source_views(self) -> Views:
        """How the source's body sees a batch: never in a mirror where the target's images have a left and a right."""
        return Views.ONE if self.source is None or not self._mirrored else self.source.views

    @property
    def _mirrored(self) -> bool:
        return mirrored(self.inputs) or mirrored(self.unlabelled.inputs)

    def with_rows(self, rows: Labelled | None) -> Problem:
        """The problem with these labelled rows of its source, or without any."""
        only = self.only()
        return self if only is None else replace(self, sources=(replace(only, rows=rows),))

    def without_source(self) -> Problem:
        """The problem without anything that is known already."""
        return replace(self, sources=())

    # -- the rows ------------------------------------------------------------------------------------

    @property
    def inputs(self) -> Inputs:
        """The inputs of `target`."""
        return self.target.inputs

    @cached_property
    def units(self) -> Array:
        """The unit of each row of `target`, ``(n,)``: rows of one group or one content, which no fold may part."""
        return unit_ids(self.target)

    @property
    def given_weights(self) -> Array:
        """The weight that each row of `target` was given, ``(n,)``, with mean 1 over the training rows."""
        return given_weights(self.target, self.train)

    def with_inputs(self, inputs: Inputs) -> Problem:
        """The same rows of the target in another form."""
        return replace(self, target=replace(self.target, inputs=inputs))

    def joined(self) -> Problem:
        """The same problem with the validation rows among the training rows."""
        rows = np.sort(np.concatenate([self.train, self.validation]))
        return replace(self, train=rows, validation=rows[:0])

    def on_source(self) -> Problem:
        """The source's own problem: its labelled rows are what is trained on, and nothing of the target is in it."""
        assert self.known is not None
        rows = np.arange(len(self.known))
        return replace(
            self.with_rows(None),
            target=self.known.domain,
            targets=self.known.targets,
            train=rows,
            validation=rows[:0],
            unlabelled=self.known.domain.take(rows[:0]),
            task=self.known.task,
            weights=self.known.weights,
            draw=None,
            labels_of="source",
        )

    def pooled(self) -> Problem:
        """The problem with the source's rows behind those of the target, as if they were training rows of its own."""
        assert self.known is not None
        count, more = len(self.target), len(self.known)
        both = joined_inputs(self.inputs, self.known.inputs, self.target.name, self.known.domain.name)
        return replace(
            self,
            target=Domain(
                self.target.name,
                both,
                groups=joined_groups(self.target, self.known.domain),
                weights=np.concatenate([self.given_weights, self.known.weights]),
            ),
            targets=np.concatenate([self.targets, self.known.targets]) if count else self.known.targets,
            train=np.concatenate([self.train, np.arange(count, count + more)]),
            weights=np.concatenate([self.row_weights(), self.known.weights]),
            draw=None,
            labels_of="source and target" if count else "source",
        )

    def target_inputs(self) -> Inputs:
        """What may be seen of the target without its labels: its unlabelled rows, then the training rows."""
        train = self.inputs.take(self.train)
        if not len(self.unlabelled):
            return train
        return joined_inputs(self.unlabelled.inputs, train) if len(train) else self.unlabelled.inputs

    def row_weights(self) -> Array:
        """The weight of each row, ``(n,)``; for learners that draw no batches, how often a row would be drawn."""
        return self.weights if self.draw is None else self.draw / self.draw[self.train].mean()

    def train_weights(self) -> Array:
        """The weight of each row, zero outside the training rows, ``(n,)``."""
        mask = np.zeros(len(self.target))
        mask[self.train] = self.row_weights()[self.train]
        return mask
