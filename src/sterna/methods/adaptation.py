"""Training a network on labelled source rows while its features of source and target are brought together."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from sterna.domains.inputs import Inputs
from sterna.domains.joined import joined_inputs
from sterna.errors import RequestError
from sterna.methods.problem import Problem
from sterna.methods.tuning import parameter_groups
from sterna.networks.body import Body
from sterna.networks.mirror import mirrored, set_mirror
from sterna.networks.network import Network
from sterna.networks.small import small_body
from sterna.tasks.task import Task
from sterna.training.batches import Batch, Batches, Stream, Streams
from sterna.training.objective import Objective
from sterna.training.trainer import Trainer

BATCH = 32
"""Rows of each domain in a step."""

STEPS = 3000
"""Large sources get as many epochs as make about so many steps."""

NEW, OLD = 1e-3, 1e-4
"""Peak learning rates of parts with a random start, and of a source's body."""

WEIGHT_DECAY = 0.01


class DomainTerm(nn.Module):
    """What is small where two domains look alike: a loss of a batch of features of each.

    It may hold parameters of its own (a domain classifier), which train along.
    """

    def forward(self, source: Tensor, target: Tensor, progress: float) -> Tensor:
        """A scalar for features ``(n, d)`` and ``(m, d)``, at this share of the training (0 to 1)."""
        raise NotImplementedError


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
            apart = self.term(found[0].float(), found[1].float(), self.progress)
        return {"task": task, "domains": self.weight * apart}

    def _features(self, inputs: list[Any]) -> list[Tensor]:
        """Features of some batches: of one pass where they fit together, so that they share batch statistics."""
        if all(isinstance(each, Tensor) and each.shape[1:] == inputs[0].shape[1:] for each in inputs):
            return list(torch.split(self.network.features(torch.cat(inputs)), [len(each) for each in inputs]))
        return [self.network.features(each) for each in inputs]

    def _loss(self, features: Tensor, batch: Batch) -> Tensor:
        assert batch.targets is not None
        return self.task.loss(self.network.head(features), batch.targets, batch.weights)


@contextmanager
def statistics_held(module: nn.Module) -> Iterator[None]:
    """Batch normalisation still normalises by the batch, but its running statistics do not move."""
    parts = [m for m in module.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm) and m.track_running_stats]
    for part in parts:
        part.track_running_stats = False
    try:
        yield
    finally:
        for part in parts:
            part.track_running_stats = True


def adapt(
    problem: Problem, trainer: Trainer, network: Network, term: DomainTerm, *,
    stage: str, weight: float, epochs: int | None, learning_rate: float | None,
) -> Network:  # fmt: skip
    """Train a network on the source's labels while `term` brings the domains together, in place.

    Nothing is chosen by labels: the weights are those after the last epoch.

    Parameters
    ----------
    network
        As :func:`network_for` gives it.
    weight
        Factor on `term`.
    epochs
        Passes over the source's rows; by their number if ``None``.
    learning_rate
        Of the body; `NEW` or `OLD` if ``None``. Head and `term` start at random, so they take `NEW` at least.

    Raises
    ------
    RequestError
        If a batch would hold a single row of a domain.
    """
    known = problem.known
    assert known is not None
    ours = problem.target_inputs()
    in_colour = mirrored(known.inputs), mirrored(ours)
    preparation, augment = network.preparation, in_colour[0] == in_colour[1]  # a mirror image in one only is no kin
    set_mirror(network.body, ours, augment)
    recoloured = preparation.recolouring() if in_colour == (False, True) else None
    if recoloured is not None:
        preparation, augment = recoloured, True

    def stream(inputs: Inputs, targets: Any = None, **more: Any) -> Stream:
        return trainer.stream(preparation, inputs, targets, batch_size=BATCH, augment=augment, **more)

    streams = {"source": stream(known.inputs, known.targets), "target": stream(ours)}
    for name, each in streams.items():
        if len(each.rows) // max(1, each.steps) < 2:
            raise RequestError(
                f"{stage} compares several rows of each domain in a step, but a batch of the {name} would hold one "
                f"({len(each.rows)} rows, {each.batch_size} a batch); give more rows, or a larger batch_size."
            )
    if len(problem.train):
        draw = None if problem.draw is None else problem.draw[problem.train]
        streams["labelled"] = stream(
            problem.inputs, problem.targets, rows=problem.train, weights=problem.weights, draw=draw
        )
    rate = learning_rate or (NEW if problem.source_body is None else OLD)
    groups = [
        *parameter_groups([network.body], rate, WEIGHT_DECAY),
        *parameter_groups([network.map, network.head, term], max(rate, NEW), WEIGHT_DECAY),
    ]
    trainer.fit(
        Adaptation(network, problem.task, term, weight),
        Streams(**streams),
        groups,
        stage=stage,
        epochs=epochs or default_epochs(len(known)),
    )
    return network


def default_epochs(rows: int) -> int:
    """Epochs that suit this many source rows: 4 for many, up to 30 for few.

    Examples
    --------
    >>> [default_epochs(rows) for rows in (500, 10_000, 60_000)]
    [30, 10, 4]
    """
    return int(np.clip(math.ceil(STEPS / math.ceil(rows / BATCH)), 4, 30))


def network_for(problem: Problem) -> Network:
    """The network that is adapted: a copy of the source's body, or a small body that suits both domains, and a head."""
    source, own, ours = problem.source, problem.source_body, problem.target_inputs()
    if source is not None and own is not None:
        body, preparation = own.copied(), source.prepared(ours)
    else:
        body, preparation = _small_body_for(problem, ours)
    return Network(preparation, body, problem.task.head(body.width), task=problem.task)


def _small_body_for(problem: Problem, ours: Inputs) -> tuple[Body, Any]:
    """A small body and its preparation, fitted on as many rows of one domain as of the other."""
    assert problem.known is not None
    theirs = problem.known.inputs
    count = min(len(ours), len(theirs))
    sample = joined_inputs(evenly(ours, count), evenly(theirs, count), "target", "source")
    return small_body(sample, seed=problem.seed)


def evenly(inputs: Inputs, count: int) -> Inputs:
    """So many rows, spread evenly."""
    return inputs.take(np.unique(np.linspace(0, len(inputs) - 1, count).astype(np.int64)))
