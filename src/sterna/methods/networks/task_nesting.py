"""task-nesting: the source task's prediction is an input of the target's model."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import nn

from sterna.bench import Bench, Fitted, Problem
from sterna.bench.heads import told_of
from sterna.bench.problem import Array
from sterna.bench.source_answers import answers, network_of
from sterna.domains.inputs import Preparation
from sterna.errors import RequestError
from sterna.kinds.kind import kind_of
from sterna.methods.method import Method, Needs
from sterna.networks.answers import Answers, Beside
from sterna.networks.body import Body
from sterna.networks.freezing import freeze
from sterna.networks.network import Network
from sterna.networks.pair import PairBody, answer_body
from sterna.networks.views import Views
from sterna.preparations.pair import PairPreparation
from sterna.record.choice import Choice
from sterna.selection.cross_validation import Trial, choose_penalty, sample_of
from sterna.tasks.task import Task
from sterna.training.linear import as_layer, fit_linear, in_memory, moments, rotated, unrotated


class TaskNesting(Method):
    """The source task's prediction is an input of the target's model, beside the row's own features.

    What moves: the source's whole network, up to its predictions. It predicts every target row, and a linear head on
    ``[h(x); a(x)]`` is fitted on the target's labelled rows: h(x) are the row's own features (the source body's, or the
    table's columns), a(x) the source's predictions (logarithms of class probabilities, log-odds, or numbers). The
    source's network is its own head on its body; where it predicts other classes but has labelled data, or has only
    data, one is learnt from these first.

    Three heads are compared by cross-validation on the target's training labels, each with its penalty: on the
    predictions alone; with the own features counting, together, as much as the predictions; with every feature counting
    alike. Where the source does the target's own task, it stays as it is unless one of them is better by more than one
    standard error: with few labels the result is then not much worse than the source alone.

    When to use it: a source task that says something about the target's (a diagnosis about a risk, a rating about a
    purchase). When it hurts: a source that is at random on the target; then its predictions are only noise.

    References
    ----------
    Wolpert, "Stacked generalization", Neural Networks 1992. Read, Pfahringer, Holmes and Frank, "Classifier chains for
    multi-label classification", Machine Learning 2011.
    """

    needs = Needs.SOURCE_TASK | Needs.TARGET_LABELS

    def run(self, bench: Bench) -> Fitted:
        answering = source_network(bench)
        source = answering.network
        nested = nest(source, bench)
        bare = Network(nested.preparation, nested.body, nn.Identity(), map=nested.map, views=nested.views)
        freeze(bare)
        head, choices, told = self._head(bench, bench.outputs(bare), nested.own, source.task)
        network = Network(nested.preparation, nested.body, head, map=nested.map, task=bench.task, views=nested.views)
        freeze(network)
        return Fitted(network, (*answering.choices, *choices), told=told)

    def _head(
        self, bench: Bench, x: Array, own: int, source: Task | None
    ) -> tuple[nn.Linear, tuple[Choice, ...], Array]:
        """The head with the lowest held-out loss on ``[h(x); a(x)]``, of which the first `own` columns are h(x)."""
        problem, task, weights = bench.problem, bench.task, bench.problem.train_weights()
        rows = sample_of(problem.train, problem.targets, task, bench.seed, weights)
        targets, units, mean_scale = problem.targets[rows], problem.units[rows], moments(in_memory(x), weights)
        scales = {name: mean_scale[1] / factor for name, factor in factors(own, x.shape[1] - own).items()}
        centred = x[rows] - mean_scale[0]
        found = {
            name: choose_penalty(centred / each, targets, task, weights[rows], bench.seed, units=units)
            for name, each in scales.items()
        }
        name = min(found, key=lambda each: found[each].loss)
        alone = as_it_is(source, task, own)
        if alone is not None and _trial(alone, x[rows], targets, task, weights[rows], units).is_near(found[name]):
            told = alone(torch.from_numpy(x).float()).detach().numpy()
            return alone, (bench.cross_validated("features", "the source alone", len(rows)),), told
        best = found[name]
        choices = (
            bench.cross_validated("features", name, len(rows)),
            bench.cross_validated("penalty", best.penalty, len(rows)),
        )  # fmt: skip
        told = told_of(bench, rows, best.outputs)
        return _fitted(x, mean_scale[0], scales[name], problem, best), choices, told


@dataclass(frozen=True, eq=False)
class Nested:
    """The part of a network that gives ``[h(x); a(x)]``.

    Attributes
    ----------
    own
        Width of h(x), the row's own features.
    views
        How the body sees a batch.
    """

    preparation: Preparation
    body: Body
    map: nn.Module | None
    own: int
    views: Views = Views.ONE


def source_network(bench: Bench) -> Fitted:
    """The network that does the source's task; none of its parts is the user's."""
    problem, source = bench.problem, bench.problem.source
    if problem.known is not None and not answers(source, problem.task):
        return bench.on(with_shared_columns(problem).on_source()).learn()
    assert source is not None
    return Fitted(network_of(source, problem.inputs))


def with_shared_columns(problem: Problem) -> Problem:
    """The problem with the columns of the source's table that the target has too: it is to predict target rows."""
    assert problem.known is not None
    ours, theirs = problem.inputs, problem.known.inputs
    if not (ours.columns and theirs.columns):
        return problem
    names = [name for name in theirs.columns if name in ours.columns]
    if not names:
        first = ", ".join(theirs.columns[:3])
        raise RequestError(
            f"task-nesting: the source data ({first}, …) have no column of the target, so what is learnt from them "
            "cannot predict a target row; choose parameter-sharing, which takes tables with other columns."
        )
    narrow = replace(problem.known.domain, inputs=theirs.only(names))
    return problem.with_rows(replace(problem.known, domain=narrow))


def nest(source: Network, bench: Bench) -> Nested:
    """The source's predictions beside a row's own features.

    A source model's body gives both in one pass. Where the source has only data, its features suit its own classes
    alone: the own features are then a table's columns, prepared by the target's rows, or an image's pixels; texts have
    none, and the predictions stand alone.
    """
    problem = bench.problem
    assert source.task is not None
    mapped = not isinstance(source.map, nn.Identity)
    head = nn.Sequential(source.map, source.head) if mapped else source.head
    given = problem.source is not None and problem.source.body is not None
    if given and any(True for _ in source.body.parameters()):
        beside = Beside(Answers(head, source.task))
        return Nested(source.preparation, source.body, beside, source.body.width, source.views)
    answering = answer_body(source.body, head, source.task, source.views)
    if kind_of(problem.target.kind).raw() is not None:
        return Nested(source.preparation, answering, None, 0)
    own = bench.on(problem.without_source()).vectors()
    pair = PairPreparation(own.preparation, source.preparation)
    return Nested(pair, PairBody(own.body, answering), None, own.body.width)


def factors(own: int, answers: int) -> dict[str, Array]:
    """What standardised columns ``[h; a]`` are multiplied by in each head: a small factor is a strong penalty.

    Examples
    --------
    >>> factors(4, 1)["predictions and features"]
    array([0.5, 0.5, 0.5, 0.5, 1. ])
    """
    ones = np.ones(own + answers)
    if not own:
        return {"predictions": ones}
    mine = np.arange(own + answers) < own
    return {
        "predictions": np.where(mine, 1e-12, 1.0),
        "predictions and features": np.where(mine, np.sqrt(answers / own), 1.0),
        "predictions and features, each alike": ones,
    }


def as_it_is(source: Task | None, task: Task, own: int) -> nn.Linear | None:
    """The head that repeats the source's predictions in the target's terms; None where it predicts something else."""
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


def _trial(head: nn.Linear, x: Array, targets: Array, task: Task, weights: Array, units: Array) -> Trial:
    """How well a head does that no label has fitted."""
    with torch.inference_mode():
        losses = task.losses(head.double()(torch.from_numpy(x)), torch.as_tensor(targets)).numpy()
        head.float()
    return Trial(0.0, losses, weights, units)


def _fitted(x: Array, mean: Array, scale: Array, problem: Problem, best: Trial) -> nn.Linear:
    rows = problem.train
    found, basis = rotated((x[rows] - mean) / scale)
    weights = problem.row_weights()[rows]
    solution = fit_linear(in_memory(found), problem.targets[rows], problem.task, weights, best.penalty)
    solution[:, -1] += best.offset
    return as_layer(unrotated(solution, basis), mean, scale, problem.task)
