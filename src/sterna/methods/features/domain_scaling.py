"""domain-scaling: each domain standardised by itself."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from torch import nn

from sterna.methods.method import Method, Needs
from sterna.methods.problem import Array, Problem
from sterna.methods.space import space_of
from sterna.networks.network import Network
from sterna.tasks.task import Task
from sterna.training.linear import as_layer, fit_head_on, in_memory, moments, sample_of
from sterna.training.trainer import Trainer

NEEDS = Needs.SOURCE_DATA | Needs.SAME_TASK | Needs.SAME_INPUTS | Needs.UNLABELLED_TARGET
"""What the methods need that make the source's features look like the target's."""


class DomainScaling(Method):
    """Each domain is standardised by its own mean and deviation; a head is fitted on the source's rows.

    What moves: the source's labels, over features that were brought to one scale. With μ and σ of each feature in
    each domain, a linear head is fitted on (x_s − μ_s) / σ_s and answers for (x_t − μ_t) / σ_t; the target's μ_t and
    σ_t need no label and are folded into the head. Labelled target rows, where there are some, join the fit. The
    features are those of the source model, or a table's columns; of images without a source model, those of a small
    network trained on the source's rows. The penalty of the head is chosen by cross-validation on the labels it is
    fitted on.

    When to use it: features that drifted, each by a shift and a factor of its own (sensors, scanners, batches of a
    laboratory), before anything more elaborate. When it hurts: classes in other shares than in the source, for then
    the means differ although the features did not drift; and fewer than some tens of target rows.

    References
    ----------
    Li, Wang, Shi, Liu and Hou, "Revisiting batch normalization for practical domain adaptation", ICLR workshop 2017
    (the same inside a network). Johnson, Li and Rabinovic, "Adjusting batch effects in microarray expression data
    using empirical Bayes methods", Biostatistics 2007 (location and scale of each laboratory batch).
    """

    needs: ClassVar[Needs] = NEEDS

    def refits_on(self, problem: Problem) -> bool:
        return True

    def run(self, problem: Problem, trainer: Trainer) -> Network:
        assert problem.known is not None
        space = space_of(problem, trainer)
        target, mean, scale = standardised(space.of(problem.target_inputs()))
        source, _, _ = standardised(space.of(problem.known.inputs))
        head = fit_on_both(source, target, problem, trainer)
        return space.network(behind(head, mean, scale, problem.task), problem.task)


def standardised(x: Array) -> tuple[Array, Array, Array]:
    """Features ``(n, d)`` with mean 0 and deviation 1 each; the means and the deviations they had, ``(d,)``.

    A feature that does not vary keeps its unit.
    """
    mean, scale = moments(in_memory(x), np.ones(len(x)))
    return (x - mean) / scale, mean, scale


def behind(head: nn.Linear, mean: Array, scale: Array, task: Task) -> nn.Linear:
    """A head on standardised features as one on features as they are: W/σ and b − (W/σ)μ."""
    weight, bias = (part.detach().double().numpy() for part in (head.weight, head.bias))
    return as_layer(np.column_stack([weight, bias]), mean, scale, task)


def fit_on_both(source: Array, target: Array, problem: Problem, trainer: Trainer) -> nn.Linear:
    """A linear head on the source's rows and the labelled target rows, its penalty chosen by their labels.

    Parameters
    ----------
    source
        Features of the source's labelled rows, ``(n_s, d)``.
    target
        Features of the target's rows in the order of `Problem.target_inputs`: the training rows are the last.
    """
    assert problem.known is not None
    count = len(problem.train)
    x = np.concatenate([target[len(target) - count :], source])
    targets = (
        np.concatenate([problem.targets[problem.train], problem.known.targets]) if count else problem.known.targets
    )
    weights = np.concatenate([problem.row_weights()[problem.train], np.ones(len(source))])
    head, penalty = fit_head_on(x, targets, problem.task, weights, seed=problem.seed)
    rows = len(sample_of(np.arange(len(x)), targets, problem.task, problem.seed))
    of = "source and target" if count else "source"
    trainer.log.choose("cross-validation", rows, "penalty", penalty, of)
    return head
