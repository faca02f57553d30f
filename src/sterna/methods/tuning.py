"""Training a whole network on labelled target rows: what fine-tuning and scratch share."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from torch import nn

from sterna.methods.problem import Array, Problem
from sterna.networks import statistics
from sterna.networks.freezing import freeze, thaw
from sterna.networks.network import Network
from sterna.training.activations import from_the_cut
from sterna.training.fit import Score
from sterna.training.objective import Supervised
from sterna.training.trainer import Trainer

BATCH = 16
FEW = 100
STEPS = 150  # small data sets get as many epochs as it takes to make about so many steps


def default_epochs(rows: int, batch_size: int = BATCH) -> int:
    """Epochs that suit this many rows: 8 for many, up to 30 for few."""
    return int(np.clip(math.ceil(STEPS / math.ceil(rows / batch_size)), 8, 30))


def few_validation_rows(problem: Problem) -> bool:
    """Whether validation rows are too few to stop by: an accident would choose the epoch."""
    return len(problem.validation) < FEW


def layer_rates(count: int, learning_rate: float, decay: float) -> list[float]:
    """Learning rate of each depth, input first: ``learning_rate * decay ** (distance from the head)``.

    Examples
    --------
    >>> layer_rates(3, 1.0, 0.5)
    [0.25, 0.5, 1.0]
    """
    return [learning_rate * decay ** (count - 1 - i) for i in range(count)]


def thawed_at(epoch: int, blocks: int, span: int) -> int:
    """How many of the deepest blocks train in this epoch, when all do after `span` epochs.

    Examples
    --------
    >>> [thawed_at(e, 6, 3) for e in range(4)]
    [2, 4, 6, 6]
    """
    return min(blocks, math.ceil(blocks * (epoch + 1) / span)) if span else blocks


def validation_score(problem: Problem, trainer: Trainer, network: Network) -> Score:
    """The task's primary metric on the validation rows (negated for errors); the loss breaks ties."""
    rows = problem.validation
    outputs = trainer.outputs(network, problem.inputs, rows)
    return score_of(problem, outputs, rows)


def score_of(problem: Problem, outputs: Array, rows: Array) -> Score:
    """Primary metric, larger is better, and minus the loss."""
    task, targets = problem.task, problem.targets[rows]
    found = task.metrics(task.statistics(outputs, targets))
    value = float(found[task.metric][0])
    return (value if task.higher_is_better(task.metric) else -value, -float(found[task.tie_metric][0]))


def tune(
    problem: Problem,
    trainer: Trainer,
    network: Network,
    *,
    stage: str,
    epochs: int | None,
    learning_rate: float,
    layer_decay: float,
    weight_decay: float,
    label_smoothing: float,
    augment: bool,
    average: bool,
    patience: int | None,
    frozen_blocks: int = 0,
    gradual: bool = False,
    hold_statistics: bool = False,
) -> Network:
    """Minimise the task's loss over the network's parameters, in place.

    Parameters
    ----------
    frozen_blocks
        How many of the first blocks never train.
    gradual
        Thaw the others from the deepest up, over the first third of the epochs.
    hold_statistics
        Keep batch normalisation whole as it is, factor and offset too: statistics of small batches of a few images are
        worse than the source's.
    """
    whole = network
    network.see_as_trained(problem.inputs, augment)
    for _, modules in network.depth_modules()[:frozen_blocks]:
        for module in modules:
            freeze(module)
    shorter = from_the_cut(network, problem.inputs, frozen_blocks, trainer) if frozen_blocks and not augment else None
    if shorter is not None:
        network, problem = shorter[0], replace(problem, target=replace(problem.target, inputs=shorter[1]))
        frozen_blocks = 0
    blocks = network.depth_modules()
    rates = layer_rates(len(blocks), learning_rate, layer_decay)
    groups: list[dict[str, Any]] = []
    for (_, modules), rate in list(zip(blocks, rates, strict=True))[frozen_blocks:]:
        groups += parameter_groups(modules, rate, weight_decay)
    stream = trainer.stream(
        network.preparation, problem.inputs, problem.targets, rows=problem.train, weights=problem.weights,
        draw=None if problem.draw is None else problem.draw[problem.train], batch_size=BATCH, augment=augment,
    )  # fmt: skip
    total = trainer.budget.epochs or epochs or default_epochs(len(problem.train), stream.batch_size)
    span = math.ceil(total / 3) if gradual else 0
    depth = len(blocks) - 1 - frozen_blocks  # the head always trains

    def before_epoch(epoch: int) -> None:
        first = len(blocks) - 1 - thawed_at(epoch, depth, span)
        for position, (_, modules) in enumerate(blocks):
            for module in modules:
                (thaw if position >= first else freeze)(module)
        if hold_statistics:
            statistics.hold_statistics(network.body)

    few = few_validation_rows(problem)
    kept = trainer.fit(
        Supervised(network, problem.task, label_smoothing),
        stream,
        groups,
        stage=stage,
        epochs=total,
        before_epoch=before_epoch,
        validate=None if few else lambda: validation_score(problem, trainer, network),
        patience=None if few else patience,
        average=average,
    )
    if not few:
        trainer.log.choose("validation", len(problem.validation), "epoch", kept)
    return whole


def parameter_groups(modules: Sequence[nn.Module], rate: float, weight_decay: float) -> list[dict[str, Any]]:
    """AdamW groups of some modules: vectors (biases, normalisation) are not decayed."""
    parameters = [p for module in modules for p in module.parameters()]
    split = ([p for p in parameters if p.ndim > 1], weight_decay), ([p for p in parameters if p.ndim <= 1], 0.0)
    return [{"params": some, "lr": rate, "weight_decay": decay} for some, decay in split if some]
