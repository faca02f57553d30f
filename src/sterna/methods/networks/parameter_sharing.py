"""parameter-sharing: a part of the network is common to both domains, the rest is each domain's own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import torch
from pydantic import Field
from torch import Tensor

from sterna.bench import Bench, Fitted, Problem
from sterna.bench.side_by_side import (
    COMMON,
    LAYER_DECAY,
    Sides,
    TwoDomains,
    groups_of,
    losses_of,
    probed,
    sides_of,
    streams_of,
)
from sterna.bench.tuning import BATCH, minimise
from sterna.domains.inputs import Preparation
from sterna.methods.method import Method, Needs
from sterna.networks.body import Body
from sterna.networks.freezing import freeze
from sterna.networks.network import Network
from sterna.networks.views import Views, mirrored
from sterna.record.choice import Choice
from sterna.tasks.task import Task
from sterna.training.batches import Batches
from sterna.training.objective import Objective, Supervised
from sterna.training.recipe import Recipe

APART = 0.2
"""Share of the training in which two copies learn from their own domain alone: from then on their difference stays."""


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

    needs = Needs.SOURCE_DATA | Needs.TARGET_LABELS
    validation = "epoch"

    mode: Literal["fixed", "weights", "gradients"] = Field(
        "weights", description="the common part: as the source left it, one for both, or two copies that move alike"
    )
    learning_rate: float | None = Field(
        None, gt=0, le=1, description="peak learning rate; 1e-4 for a source model, 1e-3 for a small body if none"
    )
    epochs: int | None = Field(None, ge=1, description="passes over the larger domain; 8 to 30 by its rows if none")
    augment: bool = Field(True, description="change images at random while training")

    def refits(self, problem: Problem) -> bool:
        only_a_head = self.mode == "fixed" and problem.known is not None and problem.known.same_inputs
        return only_a_head or super().refits(problem)

    def recipe(self) -> Recipe:
        return Recipe(1e-3, augment=self.augment)

    def run(self, bench: Bench) -> Fitted:
        sides = sides_of(bench, copies=self.mode == "gradients")
        if self.mode == "fixed":
            return self._fixed(bench, sides)
        target, ours = _network(bench, sides.target, sides.target_preparation, sides)
        source, theirs = _network(bench.on(bench.problem.on_source()), sides.source, sides.source_preparation, sides)
        assert source.task is not None
        objective = (Linked if self.mode == "gradients" else TwoDomains)(source, target, source.task)
        if isinstance(objective, Linked) and sides.private:
            objective.common = tuple(name for name in objective.common if name.startswith(f"module.{COMMON}."))
        groups = groups_of((target, source), self._rate(sides), LAYER_DECAY if sides.pretrained else 1.0)
        target.see_as_trained(bench.problem.inputs, self.augment)
        streams = streams_of(bench, sides, self.augment)
        stage = "parameter-sharing"
        choices = minimise(bench, target, objective, streams, groups, stage=stage, epochs=self.epochs)
        return Fitted(target, (*ours, *theirs, *choices))

    def _rate(self, sides: Sides) -> float:
        return self.learning_rate or (1e-4 if sides.pretrained else 1e-3)

    def _fixed(self, bench: Bench, sides: Sides) -> Fitted:
        """The common part from the source, frozen; the private part from the target."""
        body, preparation = sides.target, sides.target_preparation
        if not sides.pretrained:
            self._learn_common(bench.on(bench.problem.on_source()), sides)
        freeze(sides.common(body))
        if not sides.private:
            freeze(body)
            in_a_mirror = self.augment and mirrored(bench.problem.inputs)  # whatever the source's rows asked for
            views = sides.views if sides.pretrained or not in_a_mirror else Views.MIRRORED
            head, choice = probed(bench, body, preparation, views)
            return Fitted(bench.network(preparation, body, head, views), (choice,))
        network = bench.network(preparation, body)
        groups, stream = (
            groups_of([network], self._rate(sides), 1.0),
            bench.stream(preparation, batch_size=BATCH, augment=self.augment),
        )
        objective, stage = Supervised(network, bench.task), "private-part"
        return Fitted(network, minimise(bench, network, objective, stream, groups, stage=stage, epochs=self.epochs))

    def _learn_common(self, bench: Bench, sides: Sides) -> None:
        """Train the source's side on its own rows; the target's side has the same common part."""
        network, _ = _network(bench, sides.source, sides.source_preparation, sides)
        recipe = Recipe(self._rate(sides), self.epochs, augment=self.augment, patience=None)
        bench.train(network, recipe, stage="common-part")


def _network(bench: Bench, body: Body, preparation: Preparation, sides: Sides) -> tuple[Network, tuple[Choice, ...]]:
    """A body under a private head."""
    if not sides.pretrained:
        return bench.network(preparation, body), ()
    head, choice = probed(bench, body, preparation, sides.views)
    return bench.network(preparation, body, head, sides.views), (choice,)


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
