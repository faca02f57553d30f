"""joint-training: one network learns from source and target at once."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import ClassVar, Literal

import torch
from pydantic import Field
from torch import nn

from sterna.errors import require
from sterna.methods.method import Method, Needs
from sterna.methods.problem import Problem
from sterna.methods.tuning import few_validation_rows
from sterna.methods.two_domains import (
    LAYER_DECAY,
    Sides,
    TwoDomains,
    groups_of,
    minimise,
    probed,
    sides_of,
    streams_of,
)
from sterna.networks.network import Network
from sterna.training.trainer import Trainer

APART, WIDER = 1.5, 3.0
"""Numbers seem to be in other units where their means lie farther apart than this many standard deviations (the root
mean square of both sides'), or the ratio of these is larger. A city's bike rentals in two years: 0.5 and 1.6."""


class JointTraining(Method):
    """One network learns from source and target at once: L = L_s(f(X_s)) + λ L_t(f(X_t)).

    What moves: what the source's labels teach the common body while the target's labels train it as well. The body is
    the source model's, or a small one from a random start. Where the source is labelled with the target's classes, or
    both with numbers, one head answers for both, since a few target labels alone make a poor head. Where the classes
    differ each domain has its own. So it has where the numbers seem to be in other units, since their means lie more
    than 1.5 standard deviations apart, or one spread is more than 3 times the other; each side's are then standardised
    by themselves. Tables with other columns also have a first layer of their own. Every step takes a batch of each; an
    epoch is one of the domain with more rows. With ``aggregator = upgrad`` the two gradients of what both domains have
    in common (the body, and the head where it is one) are first projected so that neither works against the other;
    without a conflict the step is their sum.

    When to use it: the source's rows resemble the target's, and target labels are few. When it hurts: domains whose
    labels contradict each other (a shared head must then please both), or a source so large that it drowns the target:
    raise ``weight``.

    References
    ----------
    Caruana, "Multitask learning", Machine Learning 1997. Quinton and Rey, "Jacobian descent for multi-objective
    optimization", arXiv 2406.16232, 2024 (UPGrad).
    """

    needs: ClassVar[Needs] = Needs.SOURCE_DATA | Needs.TARGET_LABELS

    weight: float = Field(1.0, gt=0, le=100, description="λ: weight of the target's loss beside the source's")
    aggregator: Literal["sum", "upgrad"] = Field(
        "sum", description="how the two gradients of the common part come together; upgrad needs torchjd"
    )
    learning_rate: float | None = Field(
        None, gt=0, le=1, description="peak learning rate; 1e-4 for a source model, 1e-3 for a small body if none"
    )
    epochs: int | None = Field(None, ge=1, description="passes over the larger domain; 8 to 30 by its rows if none")
    augment: bool = Field(True, description="change images at random while training")

    def refits_on(self, problem: Problem) -> bool:
        return few_validation_rows(problem)

    def run(self, problem: Problem, trainer: Trainer) -> Network:
        if self.aggregator == "upgrad":
            require("torchjd", "joint")
        problem = in_own_units(problem, trainer)
        sides = sides_of(problem)
        source, target = networks_of(problem, trainer, sides)
        assert problem.known is not None
        objective = TwoDomains(source, target, problem.known.task, self.weight)
        if self.aggregator == "upgrad":
            _aggregate(objective, trainer)
        rate = self.learning_rate or (1e-4 if sides.pretrained else 1e-3)
        groups = groups_of((target, source), rate, LAYER_DECAY if sides.pretrained else 1.0, 0.01)
        target.see_as_trained(problem.inputs, self.augment)
        streams = streams_of(problem, trainer, sides, self.augment)
        minimise(problem, trainer, target, objective, streams, groups, stage="joint-training", epochs=self.epochs)
        return target


def in_own_units(problem: Problem, trainer: Trainer) -> Problem:
    """The problem with the source's numbers standardised by themselves, where they seem to be in other units."""
    known, task = problem.known, problem.task
    if known is None or known.task is not task or not task.one_number:
        return problem
    own = task.fitted(known.targets)
    standard = task.as_features(torch.from_numpy(known.targets))
    mean, scale = float(standard.mean()), float(standard.std(correction=0)) or 1.0
    if abs(mean) <= APART * math.sqrt((1 + scale**2) / 2) and 1 / WIDER <= scale <= WIDER:
        return problem
    trainer.say(
        "joint-training: the source's numbers seem to be in other units than the target's, so each side has a head."
    )
    return replace(problem, known=replace(known, task=own))


def networks_of(problem: Problem, trainer: Trainer, sides: Sides) -> tuple[Network, Network]:
    """A network for each domain; one head for both where they answer the same task."""
    assert problem.known is not None
    known, task = problem.known, problem.task
    one = known.task is task
    heads: list[nn.Module] = []
    for body, preparation, each in (
        (sides.target, sides.target_preparation, problem),
        (sides.source, sides.source_preparation, problem.on_source()),
    ):
        if one and heads:
            heads.append(heads[0])
        elif not sides.pretrained:
            heads.append(each.task.head(body.width))
        else:
            heads.append(probed(body, preparation, problem.pooled() if one else each, trainer, sides.views))
    target = Network(sides.target_preparation, sides.target, heads[0], task=task, views=sides.views)
    return Network(sides.source_preparation, sides.source, heads[1], task=known.task), target


def _aggregate(objective: TwoDomains, trainer: Trainer) -> None:
    """Bring the two gradients of what both networks have in common together by UPGrad."""
    from torchjd.aggregation import UPGrad

    # Preferences of one each: where nothing conflicts the step is the sum of the gradients, not their mean.
    objective.aggregator = UPGrad(pref_vector=torch.ones(2, device=trainer.torch_device))
    ours = {id(p) for p in objective.target.parameters()}
    objective.shared = tuple(p for p in objective.source.parameters() if p.requires_grad and id(p) in ours)
