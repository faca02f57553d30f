"""Batches of source and target at once: what joint training and parameter sharing have in common."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from sterna.domains.inputs import Inputs, Preparation
from sterna.domains.joined import joined_inputs
from sterna.methods.problem import Problem
from sterna.methods.tuning import (
    default_epochs,
    few_validation_rows,
    layer_rates,
    parameter_groups,
    validation_score,
)
from sterna.networks.body import Body
from sterna.networks.freezing import freeze
from sterna.networks.mirror import set_mirror
from sterna.networks.network import Network
from sterna.networks.small import small_body
from sterna.preparations.table import TablePreparation
from sterna.tasks.task import Task
from sterna.training.batches import Batches, Stream, Streams
from sterna.training.linear import fit_head_on, sample_of
from sterna.training.objective import Objective
from sterna.training.trainer import Trainer

BATCH = 32
LAYER_DECAY = 0.8
"""Factor on the learning rate of a source model from each block to the one before."""

PRIVATE = "layer1"
"""Where the two sides have other columns, the first layer of a :class:`~sterna.networks.small.TableMLP` is private."""

COMMON = "layer2"


@dataclass(frozen=True, eq=False)
class Sides:
    """A body for each domain; what they have in common starts from the same weights.

    Attributes
    ----------
    source, target
        The same object where all of it is one for both.
    private
        Whether each has a first layer of its own.
    pretrained
        Whether they are a source model's body.
    """

    source_preparation: Preparation
    source: Body
    target_preparation: Preparation
    target: Body
    private: bool
    pretrained: bool

    def common(self, body: Body) -> nn.Module:
        """What both have in common, in one of the two bodies."""
        return body.module.get_submodule(COMMON) if self.private else body.module


def same_inputs(problem: Problem) -> bool:
    """Whether one preparation suits the rows of both domains; tables need the target's columns in the source."""
    assert problem.known is not None
    ours, theirs = problem.inputs, problem.known.inputs
    return not (ours.columns and theirs.columns) or theirs.covers(ours)


def sides_of(problem: Problem, *, copies: bool = False) -> Sides:
    """The bodies of both domains: the source model's, else a small one that suits the rows of both.

    Parameters
    ----------
    copies
        Two copies of the common part instead of one.
    """
    assert problem.known is not None
    source, known, visible = problem.source, problem.known.inputs, problem.target_inputs()
    own = problem.source_body
    pretrained = own is not None
    if not pretrained and not same_inputs(problem):
        return _with_private_layers(visible, known, problem.seed, copies)
    if source is not None and own is not None:
        body, preparation = own.copied(), source.prepared(visible)
        hold_statistics(body)
    else:
        names = (problem.target.name, problem.known.domain.name)
        body, preparation = small_body(joined_inputs(visible, known, *names), seed=problem.seed)
    other = body
    if copies:
        other = body.copied()
        if pretrained:
            hold_statistics(other)
    return Sides(preparation, other, preparation, body, private=False, pretrained=pretrained)


def _with_private_layers(target: Inputs, source: Inputs, seed: int, copies: bool) -> Sides:
    ours, preparation = small_body(target, seed=seed)
    theirs, other = small_body(source, seed=seed + 1)
    assert isinstance(preparation, TablePreparation) and isinstance(other, TablePreparation)
    if copies:
        theirs.module.get_submodule(COMMON).load_state_dict(ours.module.get_submodule(COMMON).state_dict())
    else:
        setattr(theirs.module, COMMON, ours.module.get_submodule(COMMON))
    return Sides(other, theirs, preparation, ours, private=True, pretrained=False)


def hold_statistics(body: nn.Module) -> None:
    """Keep batch normalisation whole as it is: a source model's statistics are better than those of small batches."""
    for part in body.modules():
        if isinstance(part, nn.modules.batchnorm._BatchNorm):
            freeze(part)


class TwoDomains(Objective):
    """The loss on a batch of the source, and that on a batch of the target times a weight.

    Rows that go through the same body go together: batch normalisation sees both domains at once.

    Parameters
    ----------
    source, target
        They may share parts.
    source_task
        What the source's labels answer.
    weight
        λ, of the target's loss.
    """

    def __init__(self, source: Network, target: Network, source_task: Task, weight: float = 1.0) -> None:
        super().__init__()
        self.source, self.target = source, target
        self.source_task, self.weight = source_task, weight

    def forward(self, batch: Batches) -> dict[str, Tensor]:
        source, target = self.outputs(batch["source"].inputs, batch["target"].inputs)
        return losses_of(source, target, batch, self.source_task, self.target.task, self.weight)

    def outputs(self, source: Any, target: Any) -> tuple[Tensor, Tensor]:
        """Outputs of both networks."""
        together = isinstance(source, Tensor) and isinstance(target, Tensor) and source.shape[1:] == target.shape[1:]
        if self.source.body is not self.target.body or not together:
            return self.source(source), self.target(target)
        features = self.target.body(torch.cat([source, target]))
        first, second = features.split([len(source), len(target)])
        return self.source.head(first), self.target.head(second)


def losses_of(
    source: Tensor, target: Tensor, batch: Batches, source_task: Task, task: Task | None, weight: float
) -> dict[str, Tensor]:
    """Both domains' losses of outputs ``(n, o)`` and ``(m, p)``; the target's is weighted."""
    theirs, ours = batch["source"], batch["target"]
    assert task is not None and theirs.targets is not None and ours.targets is not None
    return {
        "source": source_task.loss(source, theirs.targets, theirs.weights),
        "target": weight * task.loss(target, ours.targets, ours.weights),
    }


def streams_of(problem: Problem, trainer: Trainer, sides: Sides, augment: bool) -> Streams:
    """Batches of both domains; an epoch is one of the domain with more rows."""
    assert problem.known is not None
    set_mirror(sides.target, problem.inputs, augment)
    streams = {
        "source": trainer.stream(
            sides.source_preparation, problem.known.inputs, problem.known.targets, batch_size=BATCH, augment=augment
        ),
        "target": target_stream(problem, trainer, sides.target_preparation, augment, BATCH),
    }
    lead = max(streams, key=lambda name: streams[name].steps)
    return Streams(**{lead: streams[lead], **streams})


def target_stream(
    problem: Problem, trainer: Trainer, preparation: Preparation, augment: bool, batch_size: int
) -> Stream:
    """Batches of the target's labelled training rows."""
    draw = None if problem.draw is None else problem.draw[problem.train]
    return trainer.stream(
        preparation, problem.inputs, problem.targets, rows=problem.train, weights=problem.weights, draw=draw,
        batch_size=batch_size, augment=augment,
    )  # fmt: skip


def groups_of(
    networks: Iterable[Network], learning_rate: float, layer_decay: float, weight_decay: float
) -> list[dict[str, Any]]:
    """AdamW groups of several networks' parameters by depth, those they share once."""
    groups: list[dict[str, Any]] = []
    seen: set[int] = set()
    for network in networks:
        blocks = network.depth_modules()
        for (_, modules), rate in zip(blocks, layer_rates(len(blocks), learning_rate, layer_decay), strict=True):
            for group in parameter_groups(modules, rate, weight_decay):
                group["params"] = [p for p in group["params"] if id(p) not in seen]
                seen |= {id(p) for p in group["params"]}
                groups += [group] if group["params"] else []
    return groups


def minimise(
    problem: Problem, trainer: Trainer, network: Network, objective: Objective, stream: Stream | Streams,
    groups: list[dict[str, Any]], *, stage: str, epochs: int | None,
) -> None:  # fmt: skip
    """Train; with enough validation rows they choose the epoch by the target network's score.

    Parameters
    ----------
    network
        Answers for the target.
    epochs
        8 to 30 by the number of steps in one if none.
    """
    few = few_validation_rows(problem)
    kept = trainer.fit(
        objective,
        stream,
        groups,
        stage=stage,
        epochs=epochs or default_epochs(stream.steps * stream.batch_size, stream.batch_size),
        validate=None if few else lambda: validation_score(problem, trainer, network),
        patience=None if few else 5,
        average=True,
    )
    if not few:
        trainer.log.choose("validation", len(problem.validation), "epoch", kept, problem.labels_of)


def probed(body: Body, preparation: Preparation, problem: Problem, trainer: Trainer) -> nn.Linear:
    """A head fitted on the features of a body as it is: from a random one the first steps would spoil them."""
    rows, task = problem.train, problem.task
    features = trainer.features(body, preparation, problem.inputs, body.outputs).array(rows)
    head, penalty = fit_head_on(features, problem.targets[rows], task, problem.row_weights()[rows], seed=problem.seed)
    asked = sample_of(rows, problem.targets, task, problem.seed)
    trainer.log.choose("cross-validation", len(asked), "penalty", penalty, problem.labels_of)
    return head
