"""parameter-sharing: a part of the network is common to both domains, the rest is each domain's own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor

from sterna.methods.method import Method, Needs
from sterna.methods.problem import Problem
from sterna.methods.tuning import BATCH, few_validation_rows, tune
from sterna.methods.two_domains import (
    COMMON,
    LAYER_DECAY,
    Sides,
    TwoDomains,
    groups_of,
    losses_of,
    minimise,
    probed,
    same_inputs,
    sides_of,
    streams_of,
    target_stream,
)
from sterna.networks.body import Body
from sterna.networks.freezing import freeze
from sterna.networks.network import Network
from sterna.networks.views import Views, mirrored
from sterna.tasks.task import Task
from sterna.training.batches import Batches
from sterna.training.objective import Objective, Supervised
from sterna.training.trainer import Trainer

APART = 0.2
"""Share of the training in which two copies learn from their own domain alone: from then on their difference stays."""

WEIGHT_DECAY = 0.01


class ParameterSharing(Method):
    """A part of the network is common to both domains, the rest is each domain's own.

    What moves: the common part, in one of three ways. ``fixed``: it comes from the source (the source model's body,
    else one learnt from the source's rows) and stays; only the private part trains on the target. ``weights`` (hard
    sharing): there is one common part, and batches of both domains train it. ``gradients``: each domain has a copy
    with weights of its own; after a first fifth of the training, in which each learns from its own domain, both copies
    receive the sum of the two gradients, g_s(θ_s) + g_t(θ_t), so that they move nearly alike and keep their difference
    and their own batch statistics.

    The private part is a head, and for tables with other columns also the first layer, which brings each domain's
    columns to one width. The common part is all else of the source model's body, or of a small one.

    When to use it: a related task with other classes, or other columns, and few target labels. ``fixed`` with very few;
    ``gradients`` where the domains look different and one set of weights would be a compromise. When it hurts: tasks
    that have nothing in common: the source's batches then only disturb.

    References
    ----------
    Caruana, "Multitask learning", Machine Learning 1997 (hard sharing). Ruder, "An overview of multi-task learning in
    deep neural networks", arXiv 1706.05098, 2017.
    """

    needs: ClassVar[Needs] = Needs.SOURCE_DATA | Needs.TARGET_LABELS

    mode: Literal["fixed", "weights", "gradients"] = Field(
        "weights", description="the common part: as the source left it, one for both, or two copies that move alike"
    )
    learning_rate: float | None = Field(
        None, gt=0, le=1, description="peak learning rate; 1e-4 for a source model, 1e-3 for a small body if none"
    )
    epochs: int | None = Field(None, ge=1, description="passes over the larger domain; 8 to 30 by its rows if none")
    augment: bool = Field(True, description="change images at random while training")

    def refits_on(self, problem: Problem) -> bool:
        return few_validation_rows(problem) or (self.mode == "fixed" and same_inputs(problem))

    def run(self, problem: Problem, trainer: Trainer) -> Network:
        sides = sides_of(problem, copies=self.mode == "gradients")
        if self.mode == "fixed":
            return self._fixed(problem, trainer, sides)
        target = _network(sides.target, problem, trainer, sides)
        source = _network(sides.source, problem.on_source(), trainer, sides)
        assert problem.known is not None
        objective = (Linked if self.mode == "gradients" else TwoDomains)(source, target, problem.known.task)
        if isinstance(objective, Linked) and sides.private:
            objective.common = tuple(name for name in objective.common if name.startswith(f"module.{COMMON}."))
        decay = LAYER_DECAY if sides.pretrained else 1.0
        groups = groups_of((target, source), self._rate(sides), decay, WEIGHT_DECAY)
        target.see_as_trained(problem.inputs, self.augment)
        streams = streams_of(problem, trainer, sides, self.augment)
        minimise(problem, trainer, target, objective, streams, groups, stage="parameter-sharing", epochs=self.epochs)
        return target

    def _rate(self, sides: Sides) -> float:
        return self.learning_rate or (1e-4 if sides.pretrained else 1e-3)

    def _fixed(self, problem: Problem, trainer: Trainer, sides: Sides) -> Network:
        """The common part from the source, frozen; the private part from the target."""
        if not sides.pretrained:
            self._learn_common(problem.on_source(), trainer, sides)
        freeze(sides.common(sides.target))
        if not sides.private:
            freeze(sides.target)
            in_a_mirror = self.augment and mirrored(problem.inputs)  # whatever the source's rows asked for
            views = sides.views if sides.pretrained or not in_a_mirror else Views.MIRRORED
            head = probed(sides.target, sides.target_preparation, problem, trainer, views)
            return Network(sides.target_preparation, sides.target, head, task=problem.task, views=views)
        network = Network(
            sides.target_preparation, sides.target, problem.task.head(sides.target.width), task=problem.task
        )
        groups = groups_of([network], self._rate(sides), 1.0, WEIGHT_DECAY)
        stream = target_stream(problem, trainer, sides.target_preparation, self.augment, BATCH)
        objective = Supervised(network, problem.task)
        minimise(problem, trainer, network, objective, stream, groups, stage="private-part", epochs=self.epochs)
        return network

    def _learn_common(self, problem: Problem, trainer: Trainer, sides: Sides) -> None:
        """Train the source's side on its own rows; the target's side has the same common part."""
        network = _network(sides.source, problem, trainer, sides)
        tune(
            problem, trainer, network, stage="common-part", epochs=self.epochs, learning_rate=self._rate(sides),
            layer_decay=1.0, weight_decay=WEIGHT_DECAY, label_smoothing=0.0, augment=self.augment, average=True,
            patience=None,
        )  # fmt: skip


def _network(body: Body, problem: Problem, trainer: Trainer, sides: Sides) -> Network:
    """A body under a private head."""
    preparation = sides.source_preparation if problem.labels_of == "source" else sides.target_preparation
    views = sides.views
    head = probed(body, preparation, problem, trainer, views) if sides.pretrained else problem.task.head(body.width)
    return Network(preparation, body, head, task=problem.task, views=views)


class Linked(Objective):
    """Two networks whose common parameters keep their own values and receive the sum of both gradients.

    Parameters
    ----------
    source, target
        Their bodies have common parameters of the same names and shapes.
    source_task
        What the source's labels answer.

    Attributes
    ----------
    common
        Names of the common parameters in each body.
    """

    def __init__(self, source: Network, target: Network, source_task: Task) -> None:
        super().__init__()
        self.source, self.target, self.source_task = source, target, source_task
        self.common = tuple(name for name, p in target.body.named_parameters() if p.requires_grad)

    def forward(self, batch: Batches) -> dict[str, Tensor]:
        source = self._outputs(self.source, self.target, batch["source"].inputs)
        target = self._outputs(self.target, self.source, batch["target"].inputs)
        return losses_of(source, target, batch, self.source_task, self.target.task, 1.0)

    def _outputs(self, network: Network, other: Network, inputs: Any) -> Tensor:
        if self.progress < APART:
            outputs: Tensor = network(inputs)
            return outputs
        ours, theirs = dict(network.body.named_parameters()), dict(other.body.named_parameters())
        values = {name: linked(ours[name], theirs[name]) for name in self.common}
        outputs = network.head(network.map(run_with(network.body, values, inputs)))
        return outputs


class _Both(torch.autograd.Function):
    """The first of two tensors as it is; its gradient is that of both."""

    @staticmethod
    def forward(ctx: Any, own: Tensor, other: Tensor) -> Tensor:
        return own.view_as(own)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor]:
        return gradient, gradient


def linked(own: Tensor, other: Tensor) -> Tensor:
    """The values of `own`, of the same shape as `other`; what is learnt from them becomes a gradient of both."""
    found: Tensor = _Both.apply(own, other)
    return found


def run_with(body: Body, values: Mapping[str, Tensor], inputs: Any) -> Tensor:
    """A body's features with other values of some of its parameters; its statistics are its own."""
    features: Tensor = torch.func.functional_call(body, dict(values), (inputs,))
    return features
