"""Training a network on labelled source rows while its features of source and target are brought together."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from sterna.bench.fitted import Fitted
from sterna.bench.tuning import parameter_groups
from sterna.domains.inputs import Inputs
from sterna.domains.joined import joined_inputs
from sterna.errors import RequestError
from sterna.networks.network import Network
from sterna.networks.statistics import statistics_held
from sterna.networks.views import mirrored
from sterna.tasks.task import Task
from sterna.training.batches import Batch, Batches, Stream, Streams
from sterna.training.objective import Objective
from sterna.training.together import whole, whole_batch

if TYPE_CHECKING:
    from sterna.bench.bench import Bench

BATCH = 32
"""Rows of each domain in a step."""

STEPS = 3000
"""Large sources get as many epochs as make about so many steps."""

NEW, OLD = 1e-3, 1e-4
"""Peak learning rates of parts with a random start, and of a source's body."""

WEIGHT_DECAY = 0.01


class DomainTerm(nn.Module, ABC):
    """What is small where two domains look alike: a loss of a batch of features of each.

    It may hold parameters of its own (a domain classifier), which train along.

    Parameters
    ----------
    width
        Of the features, d.
    """

    def __init__(self, width: int) -> None:
        super().__init__()

    @abstractmethod
    def forward(self, source: Tensor, target: Tensor, progress: float) -> Tensor:
        """A scalar for features ``(n, d)`` and ``(m, d)``, at this share of the training (0 to 1)."""


class Adaptation(Objective):
    """The task's loss on labelled rows plus a term that is small where the domains' features look alike.

    With batch normalisation the domains pass the network one after the other, each normalised by its own batch, and
    only the target's batches move the running statistics, which answer in the end: one pass of both as a common batch
    was far worse (small digits made darker: .93 against .07 with DANN, .93 against .35 without any term).

    Parameters
    ----------
    network
        Whose parameters are trained.
    task
        Gives the loss.
    term
        Of the features of both domains.
    weight
        Factor on `term`.
    """

    def __init__(self, network: Network, task: Task, term: DomainTerm, weight: float) -> None:
        super().__init__()
        self.network, self.task, self.term, self.weight = network, task, term, weight

    def forward(self, batches: Batches) -> dict[str, Tensor]:
        source, target, labelled = batches["source"], batches["target"], batches.of.get("labelled")
        ours = [target.inputs] if labelled is None else [target.inputs, labelled.inputs]
        with statistics_held(self.network):
            theirs = self._features([source.inputs])
        found = [*theirs, *self._features(ours)]
        task = self._loss(found[0], source)
        if labelled is not None:
            task = (task + self._loss(found[2], labelled)) / 2
        with torch.autocast(found[0].device.type, enabled=False):
            apart = self.term(whole(found[0].float()), whole(found[1].float()), self.progress)
        return {"task": task, "domains": self.weight * apart}

    def _features(self, inputs: list[Any]) -> list[Tensor]:
        """Features of some batches: of one pass where they fit together, so that they share batch statistics."""
        if all(isinstance(each, Tensor) and each.shape[1:] == inputs[0].shape[1:] for each in inputs):
            return list(torch.split(self.network.features(torch.cat(inputs)), [len(each) for each in inputs]))
        return [self.network.features(each) for each in inputs]

    def _loss(self, features: Tensor, batch: Batch) -> Tensor:
        return self.task.loss(*whole_batch(self.network.head(features), batch))


def adapt(
    bench: Bench, term: Callable[[int], DomainTerm], *, stage: str, weight: float, epochs: int | None,
    learning_rate: float | None,
) -> Fitted:  # fmt: skip
    """Train a network on the source's labels while a term brings the domains together.

    Nothing is chosen by labels: the weights are those after the last epoch.

    Parameters
    ----------
    term
        Makes the term for features of a width.
    weight
        Factor on the term.
    epochs
        Passes over the source's rows; by their number if ``None``.
    learning_rate
        Of the body; `NEW` or `OLD` if ``None``. Head and term start at random, so they take `NEW` at least.

    Raises
    ------
    RequestError
        If a batch would hold a single row of a domain.
    """
    problem, known = bench.problem, bench.problem.known
    assert known is not None
    network = network_for(bench)
    apart = term(network.body.width)
    streams = _streams(bench, network)
    for name, each in streams.items():
        if name != "labelled" and len(each.rows) // max(1, each.steps) < 2:
            raise RequestError(
                f"{stage} compares several rows of each domain in a step, but a batch of the {name} would hold one "
                f"({len(each.rows)} rows, {each.batch_size} a batch); give more rows, or a larger batch_size."
            )
    rate = learning_rate or (NEW if problem.source_body is None else OLD)
    groups = [
        *parameter_groups([network.body], rate, WEIGHT_DECAY),
        *parameter_groups([network.map, network.head, apart], max(rate, NEW), WEIGHT_DECAY),
    ]
    bench.trainer.fit(
        Adaptation(network, problem.task, apart, weight),
        Streams(**streams),
        groups,
        stage=stage,
        epochs=epochs or default_epochs(len(known)),
    )
    return Fitted(network)


def _streams(bench: Bench, network: Network) -> dict[str, Stream]:
    """Batches of the source's rows, of all visible target rows, and of the labelled ones, where there are some."""
    problem, known = bench.problem, bench.problem.known
    assert known is not None
    ours = problem.target_inputs()
    in_colour = mirrored(known.inputs), mirrored(ours)
    preparation, augment = network.preparation, in_colour[0] == in_colour[1]  # a mirror image in one only is no kin
    network.see_as_trained(ours, augment)
    recoloured = preparation.recolouring() if in_colour == (False, True) else None
    if recoloured is not None:
        preparation, augment = recoloured, True
    stream = partial(bench.trainer.stream, preparation, batch_size=BATCH, augment=augment)
    streams = {"source": stream(known.inputs, known.targets, weights=known.weights), "target": stream(ours, None)}
    if len(problem.train):
        streams["labelled"] = bench.stream(preparation, batch_size=BATCH, augment=augment)
    return streams


def default_epochs(rows: int) -> int:
    """Epochs that suit this many source rows: 4 for many, up to 30 for few.

    Examples
    --------
    >>> [default_epochs(rows) for rows in (500, 10_000, 60_000)]
    [30, 10, 4]
    """
    return int(np.clip(math.ceil(STEPS / math.ceil(rows / BATCH)), 4, 30))


def network_for(bench: Bench) -> Network:
    """The network that is adapted: a copy of the source's body, or a small body that suits both domains, and a head."""
    problem = bench.problem
    ours = problem.target_inputs()
    pretrained = bench.source_body(ours)
    if pretrained is not None:
        return bench.network(*pretrained, views=problem.source_views)
    assert problem.known is not None
    theirs = problem.known.inputs
    count = min(len(ours), len(theirs))  # fitted on as many rows of one domain as of the other
    return bench.fresh(joined_inputs(evenly(ours, count), evenly(theirs, count), "target", "source"))


def evenly(inputs: Inputs, count: int) -> Inputs:
    """So many rows, spread evenly."""
    return inputs.take(np.unique(np.linspace(0, len(inputs) - 1, count).astype(np.int64)))
