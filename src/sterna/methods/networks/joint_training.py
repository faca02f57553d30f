"""joint-training: one network learns from source and target at once."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Literal

import torch
from pydantic import Field

from sterna.bench import Bench, Fitted, Problem
from sterna.bench.side_by_side import LAYER_DECAY, Sides, TwoDomains, groups_of, probed, sides_of, streams_of
from sterna.bench.tuning import minimise
from sterna.errors import require
from sterna.methods.method import Method, Needs
from sterna.networks.network import Network
from sterna.record.choice import Choice
from sterna.training.recipe import Recipe

APART, WIDER = 1.5, 3.0
"""Numbers seem to be in other units where their means lie farther apart than this many standard deviations (the root
mean square of both sides'), or the ratio of these is larger. A city's bike rentals in two years: 0.5 and 1.6."""


class JointTraining(Method):
    """One network learns from source and target at once: L = L_s(f(X_s)) + λ L_t(f(X_t)).

    What moves: what the source's labels teach the common body while the target's labels train it as well. The body is
    the source model's, or a small one from a random start. Where the source is labelled with the target's classes, or
    both with numbers, one head predicts for both, since a few target labels alone make a poor head. Where the classes
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

    needs = Needs.SOURCE_DATA | Needs.TARGET_LABELS
    validation = "epoch"

    weight: float = Field(1.0, gt=0, le=100, description="λ: weight of the target's loss beside the source's")
    aggregator: Literal["sum", "upgrad"] = Field(
        "sum", description="how the two gradients of the common part come together; upgrad needs torchjd"
    )
    learning_rate: float | None = Field(
        None, gt=0, le=1, description="peak learning rate; 1e-4 for a source model, 1e-3 for a small body if none"
    )
    epochs: int | None = Field(None, ge=1, description="passes over the larger domain; 8 to 30 by its rows if none")
    augment: bool = Field(True, description="change images at random while training")

    def recipe(self) -> Recipe:
        return Recipe(1e-3, augment=self.augment)

    def run(self, bench: Bench) -> Fitted:
        if self.aggregator == "upgrad":
            require("torchjd", "joint")
        bench = bench.on(in_own_units(bench))
        sides = sides_of(bench)
        source, target, choices = networks_of(bench, sides)
        assert source.task is not None
        objective = TwoDomains(source, target, source.task, self.weight)
        if self.aggregator == "upgrad":
            _aggregate(objective, bench.trainer.torch_device)
        rate = self.learning_rate or (1e-4 if sides.pretrained else 1e-3)
        groups = groups_of((target, source), rate, LAYER_DECAY if sides.pretrained else 1.0)
        target.see_as_trained(bench.problem.inputs, self.augment)
        streams = streams_of(bench, sides, self.augment)
        stage = "joint-training"
        return Fitted(
            target, (*choices, *minimise(bench, target, objective, streams, groups, stage=stage, epochs=self.epochs))
        )


def in_own_units(bench: Bench) -> Problem:
    """The problem with the source's numbers standardised by themselves, where they seem to be in other units."""
    problem, known, task = bench.problem, bench.problem.known, bench.task
    if known is None or not known.same_task or not task.one_number:
        return problem
    own = task.fitted(known.targets)
    standard = task.as_features(torch.from_numpy(known.targets))
    mean, scale = float(standard.mean()), float(standard.std(correction=0)) or 1.0
    if abs(mean) <= APART * math.sqrt((1 + scale**2) / 2) and 1 / WIDER <= scale <= WIDER:
        return problem
    bench.say(
        "joint-training: the source's numbers seem to be in other units than the target's, so each side has a head."
    )
    return problem.with_rows(replace(known, task=own, same_task=False))


def networks_of(bench: Bench, sides: Sides) -> tuple[Network, Network, tuple[Choice, ...]]:
    """A network for the source and one for the target; one head for both where they do the same task."""
    problem, known = bench.problem, bench.problem.known
    assert known is not None
    theirs = bench.on(problem.on_source())
    if not sides.pretrained:
        target = bench.network(sides.target_preparation, sides.target)
        source = theirs.network(sides.source_preparation, sides.source, target.head if known.same_task else None)
        return source, target, ()
    ours = bench.on(problem.pooled()) if known.same_task else bench
    head, choice = probed(ours, sides.target, sides.target_preparation, sides.views)
    target, choices = bench.network(sides.target_preparation, sides.target, head, sides.views), [choice]
    if not known.same_task:
        head, choice = probed(theirs, sides.source, sides.source_preparation, sides.views)
        choices.append(choice)
    return theirs.network(sides.source_preparation, sides.source, head), target, tuple(choices)


def _aggregate(objective: TwoDomains, device: torch.device) -> None:
    """Bring the two gradients of what both networks have in common together by UPGrad."""
    from torchjd.aggregation import UPGrad

    # Preferences of one each: where nothing conflicts the step is the sum of the gradients, not their mean.
    objective.aggregator = UPGrad(pref_vector=torch.ones(2, device=device))
    ours = {id(p) for p in objective.target.parameters()}
    objective.shared = tuple(p for p in objective.source.parameters() if p.requires_grad and id(p) in ours)
