"""The simplest sensible way to learn from labelled rows: what controls do with a source's data."""

from __future__ import annotations

from sterna.kinds.kind import kind_of
from sterna.methods.controls.scratch import Scratch
from sterna.methods.controls.target_only import TargetOnly
from sterna.methods.parameters.feature_extraction import FeatureExtraction
from sterna.methods.problem import Problem
from sterna.networks.network import Network
from sterna.training.trainer import Trainer


def learn(problem: Problem, trainer: Trainer) -> Network:
    """Learn from the problem's training rows.

    With a source model a linear head on its features; without, a small network for images, and for tables, texts
    and audio the best cheap learner.
    """
    if problem.source_body is not None:
        return FeatureExtraction().run(problem, trainer)
    if kind_of(problem.target.kind).learnt:
        return Scratch().run(problem, trainer)
    return TargetOnly().run(problem, trainer)
