"""task-nesting: the source task's answer is an input of the target's model."""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import torch
from torch import nn

from sterna.domains.inputs import Preparation
from sterna.domains.schema import Schema
from sterna.domains.tables import TableInputs
from sterna.errors import RequestError
from sterna.methods.controls.source_only import answers
from sterna.methods.method import Method, Needs
from sterna.methods.parameters.feature_extraction import is_near
from sterna.methods.problem import Array, Problem
from sterna.methods.simple import learn
from sterna.methods.space import space_of
from sterna.networks.body import Body
from sterna.networks.freezing import freeze
from sterna.networks.network import Network
from sterna.networks.pair import Answers, Beside, PairBody, answer_body
from sterna.networks.preparation_pair import PairPreparation
from sterna.tasks.task import Task
from sterna.training.linear import (
    Choice,
    as_layer,
    choose_penalty,
    fit_linear,
    in_memory,
    moments,
    rotated,
    sample_of,
)
from sterna.training.trainer import Trainer


class TaskNesting(Method):
    """The source task's answer is an input of the target's model, beside the row's own features.

    What moves: the source's whole network, up to its answers. It answers every target row, and a linear head on
    ``[h(x); a(x)]`` is fitted on the target's labelled rows: h(x) are the row's own features (the source body's, or the
    table's columns), a(x) the source's answers (logarithms of class probabilities, log-odds, or numbers). The source's
    network is its own head on its body; where it answers other classes but has labelled data, or has only data, one is
    learnt from these first.

    Three heads are compared by cross-validation on the target's training labels, each with its penalty: on the answers
    alone; with the own features counting, together, as much as the answers; with every feature counting alike. Where
    the source answers the target's own task, it stays as it is unless one of them is better by more than one
    standard error: with few labels the result is then not much worse than the source alone.

    When to use it: a source task that says something about the target's (a diagnosis about a risk, a rating about a
    purchase). When it hurts: a source that is at random on the target; then its answers are only noise.

    References
    ----------
    Wolpert, "Stacked generalization", Neural Networks 1992. Read, Pfahringer, Holmes and Frank, "Classifier chains for
    multi-label classification", Machine Learning 2011.
    """

    needs: ClassVar[Needs] = Needs.SOURCE_TASK | Needs.TARGET_LABELS

    def refits_on(self, problem: Problem) -> bool:
        return True

    def run(self, problem: Problem, trainer: Trainer) -> Network:
        source = source_network(problem, trainer)
        nested = nest(source, problem, trainer)
        bare = Network(nested.preparation, nested.body, nn.Identity(), map=nested.map)
        freeze(bare)
        x = trainer.outputs(bare, problem.inputs)
        head = self._head(x, nested.own, source.task, problem, trainer)
        network = Network(nested.preparation, nested.body, head, map=nested.map, task=problem.task)
        freeze(network)
        return network

    def _head(self, x: Array, own: int, source: Task | None, problem: Problem, trainer: Trainer) -> nn.Linear:
        """The head with the lowest held-out loss on ``[h(x); a(x)]``, of which the first `own` columns are h(x)."""
        task, weights = problem.task, problem.train_weights()
        rows = sample_of(problem.train, problem.targets, task, problem.seed)
        mean, scale = moments(in_memory(x), weights)
        scales = {name: scale / factor for name, factor in factors(own, x.shape[1] - own).items()}
        found = {
            name: choose_penalty((x[rows] - mean) / each, problem.targets[rows], task, weights[rows], problem.seed)
            for name, each in scales.items()
        }
        name = min(found, key=lambda each: found[each].loss)
        alone = as_it_is(source, task, own)
        if alone is not None and is_near(
            _losses(alone, x[rows], problem.targets[rows], task, weights[rows]), found[name]
        ):
            name = "the source alone"
        trainer.log.choose("cross-validation", len(rows), "features", name, problem.labels_of)
        if alone is not None and name not in found:
            return alone
        trainer.log.choose("cross-validation", len(rows), "penalty", found[name].penalty, problem.labels_of)
        return _fitted(x, mean, scales[name], problem, found[name].penalty)


@dataclass(frozen=True, eq=False)
class Nested:
    """The part of a network that gives ``[h(x); a(x)]``.

    Attributes
    ----------
    own
        Width of h(x), the row's own features.
    """

    preparation: Preparation
    body: Body
    map: nn.Module | None
    own: int


def source_network(problem: Problem, trainer: Trainer) -> Network:
    """The network that answers the source's task; none of its parts is the user's."""
    source = problem.source
    if problem.known is not None and not answers(source, problem.task):
        return learn(with_shared_columns(problem).on_source(), trainer)
    assert source is not None and source.body is not None and source.head is not None and source.task is not None
    return Network(source.prepared(problem.inputs), source.body.copied(), copy.deepcopy(source.head), task=source.task)


def with_shared_columns(problem: Problem) -> Problem:
    """The problem with the columns of the source's table that the target has too: it is to answer target rows.

    Raises
    ------
    RequestError
        If there are none.
    """
    assert problem.known is not None
    ours, theirs = problem.inputs, problem.known.inputs
    if not (isinstance(ours, TableInputs) and isinstance(theirs, TableInputs)):
        return problem
    names = [name for name in theirs.frame.columns if name in ours.frame.columns]
    if not names:
        first = ", ".join(map(str, theirs.frame.columns[:3]))
        raise RequestError(
            f"task-nesting: the source data ({first}, …) have no column of the target, so what is learnt from them "
            "cannot answer a target row; choose parameter-sharing, which takes tables with other columns."
        )
    narrow = TableInputs(theirs.frame[names], Schema(tuple(theirs.schema[name] for name in names), len(theirs)))
    return replace(problem, known=replace(problem.known, domain=replace(problem.known.domain, inputs=narrow)))


def nest(source: Network, problem: Problem, trainer: Trainer) -> Nested:
    """The source's answers beside a row's own features.

    A source model's body gives both in one pass. Where the source has only data, its features suit its own classes
    alone: the own features are then a table's columns, prepared by the target's rows, or an image's pixels; texts have
    none, and the answers stand alone.
    """
    assert source.task is not None
    mapped = not isinstance(source.map, nn.Identity)
    head = nn.Sequential(source.map, source.head) if mapped else source.head
    given = problem.source is not None and problem.source.body is not None
    if given and any(True for _ in source.body.parameters()):
        beside = Beside(Answers(head, source.task))
        return Nested(source.preparation, source.body, beside, source.body.width)
    answering = answer_body(source.body, head, source.task)
    if problem.target.kind == "text":
        return Nested(source.preparation, answering, None, 0)
    own = space_of(replace(problem, source=None, known=None), trainer)
    pair = PairPreparation(own.preparation, source.preparation)
    return Nested(pair, PairBody(own.body, answering), None, own.body.width)


def factors(own: int, answers: int) -> dict[str, Array]:
    """What standardised columns ``[h; a]`` are multiplied by in each head: a small factor is a strong penalty.

    Examples
    --------
    >>> factors(4, 1)["answers and features"]
    array([0.5, 0.5, 0.5, 0.5, 1. ])
    """
    ones = np.ones(own + answers)
    if not own:
        return {"answers": ones}
    mine = np.arange(own + answers) < own
    return {
        "answers": np.where(mine, 1e-12, 1.0),
        "answers and features": np.where(mine, np.sqrt(answers / own), 1.0),
        "answers and features, each alike": ones,
    }


def as_it_is(source: Task | None, task: Task, own: int) -> nn.Linear | None:
    """The head that repeats the source's answers in the target's terms; None where it answers something else."""
    columns = None if source is None else task.answered_by(source)
    if source is None or columns is None:
        return None
    # Numbers come in the source's own units.
    head = (source if source.outputs == task.outputs else task).head(own + source.outputs)
    with torch.no_grad():
        head.weight.zero_()
        head.bias.zero_()
        for row, column in enumerate(columns):
            head.weight[row, own + column] = 1.0
    return head


def _losses(head: nn.Linear, x: Array, targets: Array, task: Task, weights: Array) -> Choice:
    """Loss of each row under a head that no label has fitted."""
    with torch.inference_mode():
        outputs = head.double()(torch.from_numpy(x))
        head.float()
        losses = task.losses(outputs, torch.as_tensor(targets)).numpy()
    return Choice(0.0, losses, float(np.average(losses, weights=weights)))


def _fitted(x: Array, mean: Array, scale: Array, problem: Problem, penalty: float) -> nn.Linear:
    rows = problem.train
    found, basis = rotated((x[rows] - mean) / scale)
    weights = problem.row_weights()[rows]
    solution = fit_linear(in_memory(found), problem.targets[rows], problem.task, weights, penalty)
    if basis is not None:
        solution = np.concatenate([solution[:, :-1] @ basis, solution[:, -1:]], axis=1)
    return as_layer(solution, mean, scale, problem.task)
