"""Training a network on labelled rows, and choosing its epoch by the validation rows."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import nn

from sterna.networks.freezing import freeze, thaw
from sterna.networks.network import Network
from sterna.networks.statistics import hold_statistics
from sterna.record.choice import Choice
from sterna.training.activations import from_the_cut
from sterna.training.batches import Stream, Streams
from sterna.training.objective import Objective, Supervised
from sterna.training.recipe import Recipe

if TYPE_CHECKING:
    from sterna.bench.bench import Bench

BATCH = 16
STEPS = 150  # small data sets get as many epochs as it takes to make about so many steps


def default_epochs(rows: int, batch_size: int = BATCH) -> int:
    """Epochs that suit this many rows: 8 for many, up to 30 for few."""
    return int(np.clip(math.ceil(STEPS / math.ceil(rows / batch_size)), 8, 30))


def layer_rates(count: int, learning_rate: float, decay: float) -> list[float]:
    """Learning rate of each depth, input first: ``learning_rate * decay ** (distance from the head)``.

    Examples
    --------
    >>> layer_rates(3, 1.0, 0.5)
    [0.25, 0.5, 1.0]
    """
    return [learning_rate * decay ** (count - 1 - i) for i in range(count)]


def unfrozen_at(epoch: int, blocks: int, span: int) -> int:
    """How many of the deepest blocks train in this epoch, when all do after `span` epochs.

    Examples
    --------
    >>> [unfrozen_at(e, 6, 3) for e in range(4)]
    [2, 4, 6, 6]
    """
    return min(blocks, math.ceil(blocks * (epoch + 1) / span)) if span else blocks


def train(bench: Bench, network: Network, recipe: Recipe, stage: str) -> tuple[Choice, ...]:
    """Minimise the task's loss on the training rows over a network's parameters, in place.

    Parameters
    ----------
    recipe
        Rates, epochs, what is frozen, augmentation.
    stage
        Names this training in the history and the progress bar.

    Returns
    -------
    tuple of Choice
        The epoch, where the validation rows are enough to choose it.
    """
    problem, frozen_blocks = bench.problem, recipe.frozen_blocks
    network.see_as_trained(problem.inputs, recipe.augment)
    for _, modules in network.depth_modules()[:frozen_blocks]:
        for module in modules:
            freeze(module)
    if frozen_blocks and not recipe.augment:
        shorter = from_the_cut(network, problem.inputs, frozen_blocks, bench.trainer)
        if shorter is not None:
            network, frozen_blocks = shorter[0], 0
            bench = bench.on(problem.with_inputs(shorter[1]))
    blocks = network.depth_modules()
    rates = layer_rates(len(blocks), recipe.learning_rate, recipe.layer_decay)
    groups: list[dict[str, Any]] = []
    for (_, modules), rate in list(zip(blocks, rates, strict=True))[frozen_blocks:]:
        groups += parameter_groups(modules, rate, recipe.weight_decay)
    stream = bench.stream(network.preparation, batch_size=BATCH, augment=recipe.augment)
    total = bench.trainer.budget.epochs or recipe.epochs or default_epochs(len(problem.train), stream.batch_size)
    return minimise(
        bench,
        network,
        Supervised(network, problem.task, recipe.label_smoothing),
        stream,
        groups,
        stage=stage,
        epochs=total,
        average=recipe.average,
        patience=recipe.patience,
        before_epoch=_unfreezing(network, recipe, frozen_blocks, total),
    )


def _unfreezing(network: Network, recipe: Recipe, frozen_blocks: int, epochs: int) -> Callable[[int], None]:
    """Freeze and unfreeze blocks before each epoch, as the recipe says."""
    blocks = network.depth_modules()
    span = math.ceil(epochs / 3) if recipe.gradual else 0
    depth = len(blocks) - 1 - frozen_blocks  # the head always trains

    def before_epoch(epoch: int) -> None:
        first = len(blocks) - 1 - unfrozen_at(epoch, depth, span)
        for position, (_, modules) in enumerate(blocks):
            for module in modules:
                (thaw if position >= first else freeze)(module)
        if recipe.hold_statistics:
            hold_statistics(network.body)

    return before_epoch


def minimise(
    bench: Bench,
    network: Network,
    objective: Objective,
    stream: Stream | Streams,
    groups: list[dict[str, Any]],
    *,
    stage: str,
    epochs: int | None = None,
    average: bool = True,
    patience: int | None = 5,
    before_epoch: Callable[[int], None] | None = None,
) -> tuple[Choice, ...]:
    """Train; with enough validation rows they choose the epoch by the target network's score.

    Parameters
    ----------
    network
        Answers for the target.
    objective
        Gives the loss terms of a batch; they are summed.
    stream
        Batches of one domain, or of several at once.
    groups
        AdamW groups: what is trained, at which rate; see `parameter_groups`.
    stage
        Names this training in the history and the progress bar.
    epochs
        8 to 30 by the number of steps in one if none.
    average
        Try the mean of the weights over the last third of the epochs.
    patience
        Epochs without a better validation score before it stops.
    before_epoch
        Called with the number of each epoch.

    Returns
    -------
    tuple of Choice
        The epoch, where the validation rows are enough to choose it.
    """
    problem, trainer, validator = bench.problem, bench.trainer, bench.validator
    kept = trainer.fit(
        objective,
        stream,
        groups,
        stage=stage,
        epochs=epochs or default_epochs(stream.steps * stream.batch_size, stream.batch_size),
        before_epoch=before_epoch,
        validate=None
        if validator.few
        else lambda: validator.score(trainer.outputs(network, problem.inputs, problem.validation)),
        patience=None if validator.few else patience,
        average=average,
    )
    return () if validator.few else (validator.chose("epoch", kept),)


def parameter_groups(modules: Sequence[nn.Module], rate: float, weight_decay: float) -> list[dict[str, Any]]:
    """AdamW groups of some modules: vectors (biases, normalisation) are not decayed."""
    parameters = [p for module in modules for p in module.parameters()]
    split = ([p for p in parameters if p.ndim > 1], weight_decay), ([p for p in parameters if p.ndim <= 1], 0.0)
    return [{"params": some, "lr": rate, "weight_decay": decay} for some, decay in split if some]
