"""What is measured of one source, so that it can be ranked beside others."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch

from sterna.bench import Bench, Problem
from sterna.bench.probe import block_sets, by_block, inner_blocks
from sterna.bench.problem import Known
from sterna.bench.source_answers import network_of
from sterna.domains import Domain
from sterna.domains.groups import unit_ids
from sterna.domains.inputs import Inputs
from sterna.domains.splits import Splits
from sterna.errors import RequestError
from sterna.evaluation.shift import mmd_test, proxy_a_distance
from sterna.experiment.classes import matched
from sterna.experiment.overlaps import unseen
from sterna.experiment.problem import make_problem, widened
from sterna.kinds.kind import kind_of
from sterna.methods.method import make_method
from sterna.networks.body import LAST
from sterna.networks.freezing import freeze
from sterna.selection import transferability
from sterna.selection.cross_validation import Trial, choose_penalty, fit_head, sample_of, simplest
from sterna.selection.products import checked_features
from sterna.selection.shift import Compared, compared
from sterna.sources import Source
from sterna.tasks import infer_task
from sterna.tasks.task import Task
from sterna.training.linear import standardised
from sterna.training.trainer import Trainer

Array = np.ndarray[Any, Any]

FEW, REPEATS = 100, 5
"""With so many labels or fewer the probe's cross-validation is repeated with other folds, since they matter."""

FOLDS = 5


@dataclass
class Found:
    """What was measured of a source.

    Attributes
    ----------
    values, seconds
        By the name of what was measured; seconds of ``"features"`` too, which all share.
    outputs
        Of the probe for rows that were held out, ``(n, o)``, one array a repetition.
    blocks
        Whose features the probe reads.
    """

    values: dict[str, float] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    outputs: list[Array] = field(default_factory=list)
    blocks: tuple[str, ...] = ()

    def time(self, name: str, measure: Callable[[], Any]) -> Any:
        """What `measure` gives; how long it took is noted."""
        started = time.perf_counter()
        found = measure()
        self.seconds[name] = time.perf_counter() - started
        return found

    def note(self, name: str, measure: Callable[[], float]) -> None:
        """Measure a value."""
        self.values[name] = self.time(name, measure)


@dataclass(frozen=True, eq=False)
class Rows:
    """The labelled target rows that sources are ranked by; no test row is among them.

    Attributes
    ----------
    domain
        The whole target.
    rows
        The numbers of the rows among the labelled ones, training rows first, ``(n,)``.
    targets
        Their labels as `task` encodes them.
    balance
        ``"none"`` or ``"weights"``, as a transfer would.
    """

    domain: Domain
    task: Task
    splits: Splits
    rows: Array
    targets: Array
    balance: str
    seed: int


@dataclass(frozen=True, eq=False)
class Lent:
    """Labelled rows of a source's data: the features of each block, ``(m, d)`` each, and what is known of the rows.

    They are `pooled` with the target's for the probe where they answer what is asked.
    """

    table: dict[str, Array]
    targets: Array
    weights: Array
    units: Array
    task: Task
    pooled: bool


def with_labels(source: Source, asked: Rows, trainer: Trainer) -> Found:
    """The cross-validated probe on what a source knows, and the scores of its last features.

    Raises
    ------
    RequestError
        If the source knows nothing that a probe could use.
    """
    found = Found()
    own, _ = matched(unseen(source, asked.domain, asked.splits.test)[0], asked.task)
    wide = widened(asked.task, [own])
    problem = make_problem([own], asked.domain, wide, asked.splits, asked.balance, asked.seed).joined()
    bench, table, lent = found.time("features", lambda: _features(Bench(problem, trainer, make_method), asked.rows))
    trials, found.blocks = found.time("probe", lambda: _probe(bench.problem, table, lent, asked.rows))
    columns = asked.task.answered_by(wide)
    found.outputs = [each.outputs if columns is None else each.outputs[:, list(columns)] for each in trials]
    if bench.problem.source_body is not None:
        _suitability(found, table[LAST], asked, bench.problem.units[asked.rows])
    if asked.task.one_class:
        theta = found.time("leep", lambda: _answers(bench, table, lent, asked.rows))
        if theta is not None:
            found.values["leep"] = transferability.leep(theta, asked.targets)
            found.note("nce", lambda: transferability.nce(theta.argmax(1), asked.targets))
    return found


def _features(bench: Bench, rows: Array) -> tuple[Bench, dict[str, Array], Lent | None]:
    """The features of each block for these rows of the target, and those of the source's labelled rows.

    Of data without a model whose features are learnt (images), a network that learnt from them is the model.
    """
    bench = _with_model(bench)
    problem, pretrained = bench.problem, bench.source_body()
    known = problem.known if problem.known is not None and problem.known.same_inputs else None
    if pretrained is None and (known is None or not known.same_task):
        raise RequestError(_useless(problem))
    if pretrained is not None:
        preparation, body = pretrained
        names, views = (*(block.name for block in body.blocks), LAST), problem.source_views

        def table_of(inputs: Inputs) -> dict[str, Array]:
            return by_block(bench.features(body, preparation, inputs, names, views), names)

    else:
        vectors = bench.vectors()

        def table_of(inputs: Inputs) -> dict[str, Array]:
            return {LAST: vectors.of(inputs)}

    table = table_of(problem.inputs.take(rows))
    for part in table.values():
        checked_features(part)
    if known is None:
        return bench, table, None
    some = sample_of(np.arange(len(known)), known.targets, known.task, bench.seed, known.weights)
    ids = unit_ids(problem.target.take(rows), known.domain.take(some))
    keep = ~np.isin(ids[len(rows) :], ids[: len(rows)])  # what is held out is not learnt from as well
    some, units = some[keep], ids[len(rows) :][keep]
    if not len(some):
        if pretrained is None:
            raise RequestError("Every row of its data is a row of the target, or of one of its groups.")
        return bench, table, None
    theirs = table_of(known.inputs.take(some))
    return bench, table, Lent(theirs, known.targets[some], known.weights[some], units, known.task, known.same_task)


def _with_model(bench: Bench) -> Bench:
    problem = bench.problem
    known, source = problem.known, problem.source
    assert source is not None
    if source.body is not None or known is None or not kind_of(problem.target.kind).learnt:
        return bench
    made = bench.on(problem.on_source()).learn().network
    model = Source(source.spec, made.body, made.preparation, made.head, made.task, views=made.views)
    return bench.on(replace(problem, sources=(Known(model),)))


def _useless(problem: Problem) -> str:
    source, known = problem.source, problem.known
    assert source is not None
    if known is None:
        return f"{source.spec} has no model whose features could be used, and no labelled data."
    what = "lack columns of the target" if not known.same_inputs else "are not labelled as the target is"
    return f"{source.spec} has no model, and its data {what}."


def _probe(
    problem: Problem, table: Mapping[str, Array], lent: Lent | None, rows: Array
) -> tuple[list[Trial], tuple[str, ...]]:
    """The held-out answers of a linear head, one trial a repetition, and the blocks it reads (see `block_sets`)."""
    targets, weights, more = problem.targets[rows], problem.row_weights()[rows], 0
    if lent is not None and lent.pooled:
        table = {name: np.concatenate([part, lent.table[name]]) for name, part in table.items()}
        targets, more = np.concatenate([targets, lent.targets]), len(lent.targets)
        weights = np.concatenate([weights, lent.weights])

    def trial(names: tuple[str, ...], seed: int) -> Trial:
        x = standardised(np.concatenate([table[name] for name in names], axis=1))[0]
        return choose_penalty(x, targets, problem.task, weights, seed, FOLDS, units=problem.units[rows], lent=more)

    trials = {names: trial(names, problem.seed) for names in block_sets(inner_blocks(table))}
    blocks = simplest(trials)
    again = range(1, REPEATS if len(rows) <= FEW else 1)
    return [trials[blocks], *(trial(blocks, problem.seed + i) for i in again)], blocks


def _suitability(found: Found, x: Array, asked: Rows, units: Array) -> None:
    """The scores that need features and labels alone."""
    y, scores = asked.targets, transferability
    if asked.task.one_class:
        found.note("logme", lambda: scores.logme(x, y))
        found.note("h_score", lambda: scores.h_score(x, y))
        found.note("transrate", lambda: scores.transrate(x, y))
        found.note("knn", lambda: scores.neighbour_accuracy(x, y, units=units))
    elif np.isfinite(y).all():
        found.note("logme", lambda: scores.logme(x, y.astype(np.float64)))


def _answers(bench: Bench, table: Mapping[str, Array], lent: Lent | None, rows: Array) -> Array | None:
    """Probabilities of the source's classes, ``(n, z)``: by its own head, or one fitted on its labelled rows."""
    source, inputs = bench.problem.source, bench.problem.inputs.take(rows)
    assert source is not None
    if source.body is not None and source.head is not None and source.task is not None and source.task.one_class:
        network = network_of(source, inputs)
        freeze(network.body)  # its features are known already
        return source.task.probabilities(bench.outputs(network, inputs))
    if lent is None or not lent.task.one_class:
        return None
    return _answered(table[LAST], lent.table[LAST], lent.targets, lent.task, lent.units, bench.seed, lent.weights)


def _answered(
    x: Array, theirs: Array, targets: Array, task: Task, units: Array, seed: int, weights: Array | None = None
) -> Array:
    """What a linear head that was fitted on the source's rows answers for rows ``(n, d)``, as probabilities."""
    head = fit_head(theirs, targets, task, weights, seed=seed, units=units).layer
    with torch.inference_mode():
        return task.probabilities(head(torch.from_numpy(x).float()).double().numpy())


def without_labels(source: Source, target: Domain, trainer: Trainer) -> Found:
    """How far the source's data are from the target's rows; nothing of a source without data."""
    found = Found()
    if source.data is None:
        return found
    tested = source.data.splits.get("test", np.zeros(0, dtype=np.int64))
    data = source.data.take(np.setdiff1d(np.arange(len(source.data)), tested))
    model = source if source.body is not None and source.body.width else None
    pair = found.time("features", lambda: compared(data, target, model, trainer))
    ours, theirs = np.split(pair.x, 2)
    about: dict[str, Any] = {"seed": trainer.seed, "groups": pair.groups}
    found.note("proxy_a_distance", lambda: proxy_a_distance(ours, theirs, **about))
    found.note("mmd2", lambda: mmd_test(ours, theirs, permutations=1, **about)[0])
    moved = found.time("class_shift", lambda: _class_shift(source, pair, trainer))
    if moved is not None:
        found.values["class_shift"] = moved
    return found


def _class_shift(source: Source, pair: Compared, trainer: Trainer) -> float | None:
    """Half the sum of the differences between shares of classes: those answered for the target, and the source's."""
    data, inputs = pair.first, pair.second.inputs
    keep = data.labelled()
    if not keep.any():
        return None
    task = infer_task(data, None if source.task is None else source.task.id)
    if not task.one_class:
        return None
    codes, (ours, theirs) = task.matched(data)[0][keep], np.split(pair.x, 2)
    if source.head is not None and source.body is not None and source.task is not None:
        network, classes = network_of(source, inputs), source.task.classes
        freeze(network.body)
        theta = source.task.probabilities(trainer.outputs(network, inputs))
    else:
        theta, classes = _answered(theirs, ours[keep], codes, task, unit_ids(data)[keep], trainer.seed), task.classes
    answered, known = _shares(theta.argmax(1), classes), _shares(codes, task.classes)
    return sum(abs(answered.get(name, 0.0) - known.get(name, 0.0)) for name in {**answered, **known}) / 2


def _shares(codes: Array, classes: tuple[str, ...]) -> dict[str, float]:
    return {name: float((codes == code).mean()) for code, name in enumerate(classes)}
