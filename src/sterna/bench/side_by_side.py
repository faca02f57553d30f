"""Batches of source and target at once: what joint training and parameter sharing have in common."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from sterna.bench.tuning import layer_rates, parameter_groups
from sterna.domains.inputs import Inputs, Preparation
from sterna.domains.joined import joined_inputs
from sterna.networks.body import Body
from sterna.networks.network import Network
from sterna.networks.small import small_body
from sterna.networks.statistics import hold_statistics
from sterna.networks.views import Views
from sterna.record.choice import Choice
from sterna.tasks.task import Task
from sterna.training.batches import Batches, Streams
from sterna.training.objective import Objective
from sterna.training.together import whole_batch

if TYPE_CHECKING:
    from sterna.bench.bench import Bench

BATCH = 32
LAYER_DECAY, WEIGHT_DECAY = 0.8, 0.01
"""Factor on the learning rate of a source model from each block to the one before; decoupled weight decay."""

PRIVATE = "layer1"
"""Where the two sides have other columns, the first layer of a small body for tables is private."""

COMMON = "layer2"
"""The layer that both sides then have in common."""


@dataclass(frozen=True, eq=False)
class Sides:
    """A body for each domain; what they have in common starts from the same weights.

    Attributes
    ----------
    source_preparation, target_preparation
        How each takes raw inputs.
    source, target
        The bodies; the same object where all of it is one for both.
    private
        Whether each has a first layer of its own.
    pretrained
        Whether they are a source model's body.
    views
        How that sees a batch.
    """

    source_preparation: Preparation
    source: Body
    target_preparation: Preparation
    target: Body
    private: bool
    pretrained: bool
    views: Views = Views.ONE

    def common(self, body: Body) -> nn.Module:
        """What both have in common, in one of the two bodies."""
        return body.module.get_submodule(COMMON) if self.private else body.module


def sides_of(bench: Bench, *, copies: bool = False) -> Sides:
    """The bodies of both domains: the source model's, else a small one that suits the rows of both.

    Parameters
    ----------
    copies
        Two copies of the common part instead of one.
    """
    problem, known = bench.problem, bench.problem.known
    assert known is not None
    visible = problem.target_inputs()
    pretrained = bench.source_body(visible)
    if pretrained is not None:
        preparation, body = pretrained
        hold_statistics(body)
    elif known.inputs.columns and visible.columns and not known.same_inputs:
        return _with_private_layers(visible, known.inputs, bench.seed, copies)
    else:
        names = (problem.target.name, known.domain.name)
        body, preparation = small_body(joined_inputs(visible, known.inputs, *names), seed=bench.seed)
    other = body
    if copies:
        other = body.copied()
        if pretrained is not None:
            hold_statistics(other)
    views = Views.ONE if pretrained is None else problem.source_views
    return Sides(preparation, other, preparation, body, private=False, pretrained=pretrained is not None, views=views)


def _with_private_layers(target: Inputs, source: Inputs, seed: int, copies: bool) -> Sides:
    ours, preparation = small_body(target, seed=seed)
    theirs, other = small_body(source, seed=seed + 1)
    if copies:
        theirs.module.get_submodule(COMMON).load_state_dict(ours.module.get_submodule(COMMON).state_dict())
    else:
        setattr(theirs.module, COMMON, ours.module.get_submodule(COMMON))
    return Sides(other, theirs, preparation, ours, private=True, pretrained=False)


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
    assert task is not None
    return {
        "source": source_task.loss(*whole_batch(source, theirs)),
        "target": weight * task.loss(*whole_batch(target, ours)),
    }


def streams_of(bench: Bench, sides: Sides, augment: bool) -> Streams:
    """Batches of both domains; an epoch is one of the domain with more rows."""
    known = bench.problem.known
    assert known is not None
    streams = {
        "source": bench.trainer.stream(
            sides.source_preparation,
            known.inputs,
            known.targets,
            weights=known.weights,
            batch_size=BATCH,
            augment=augment,
        ),
        "target": bench.stream(sides.target_preparation, batch_size=BATCH, augment=augment),
    }
    lead = max(streams, key=lambda name: streams[name].steps)
    return Streams(**{lead: streams[lead], **streams})


def groups_of(
    networks: Iterable[Network], learning_rate: float, layer_decay: float, weight_decay: float = WEIGHT_DECAY
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


def probed(bench: Bench, body: Body, preparation: Preparation, views: Views = Views.ONE) -> tuple[nn.Linear, Choice]:
    """A head fitted on the features of a body as it is, and the choice of its penalty.

    From a random head the first steps of training would spoil good features.
    """
    problem, rows = bench.problem, bench.problem.train
    features = bench.features(body, preparation, problem.inputs, body.outputs, views).array(rows)
    return bench.fit_head(features, problem.targets[rows], problem.row_weights()[rows], units=problem.units[rows])
