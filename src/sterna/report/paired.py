"""Two runs on the test rows that both have: the difference of their scores, by the same estimate as the gain."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from sterna.domains.weights import as_weights, relative
from sterna.errors import SternaError
from sterna.evaluation.gain import FEW_LABELS, gains
from sterna.record.scores import Gain
from sterna.report.run import Run
from sterna.report.words import labels_used
from sterna.tasks.infer import task_from_state
from sterna.tasks.task import Task

if TYPE_CHECKING:
    import pyarrow

Array = np.ndarray[Any, Any]

NO_PREDICTIONS = "Not compared: a run folder holds no predictions of the test rows."
NOT_AGAIN = "Not compared: the predictions of a run do not give the score that its record holds."
OTHER_CLASSES = "Not compared: the runs predict different classes."
NO_ROWS = "Not compared: the runs share no test rows."
OTHER_DATA = "Not compared: the rows that the runs share have different names or labels."
OTHER_WEIGHTS = "Not compared: the runs weight their rows differently."
OTHER_DRAWS = "Not compared: the runs have other draws of the labels, which cannot be paired."

_ALIKE = 0.9
"""Share of the rows in the same places that must have the same label, or the data are not the same."""
_LEAST, _MOST = 1e-300, 1 - 2e-16
"""Probabilities that stand for 0 and 1, so that logarithms are finite; metrics clip them further."""


class Unpaired(Exception):
    """Why two runs cannot be compared row by row: one of the sentences above."""


@dataclass(frozen=True)
class Difference:
    """What a run scores more than another on common rows, and on how many rows and draws of the labels."""

    gain: Gain
    rows: int
    draws: int


@dataclass(frozen=True, eq=False)
class _Answers:
    """What a run predicted for its test rows, as it can be scored again; the outputs ``(n, o)`` by seed."""

    task: Task
    rows: Array
    labels: Array
    names: Array
    targets: Array
    outputs: Mapping[int, Array]
    groups: Array | None
    weights: Array | None
    fresh: Array


def difference(run: Run, best: Run, metric: str) -> Difference:
    """How much better a run is than the best one in a metric, with its 95 % interval.

    Rows are matched by place, name and label, draws of the labels by seed; rows of one group stay together, and rows
    that one of the runs learnt from are left out.

    Raises
    ------
    Unpaired
        If the runs share no test rows, or their draws or predictions cannot be paired.
    """
    ours, theirs = _answers(run, metric), _answers(best, metric)
    if (ours.task.id, ours.task.classes) != (theirs.task.id, theirs.task.classes):
        raise Unpaired(OTHER_CLASSES)
    mine, others = _common(ours, theirs)
    seeds = [seed for seed in ours.outputs if seed in theirs.outputs]
    if not seeds or (len(seeds) == 1 and ours.outputs.keys() != theirs.outputs.keys()):
        raise Unpaired(OTHER_DRAWS)
    groups = theirs.groups[others] if theirs.groups is not None else None
    if groups is None and ours.groups is not None:
        groups = ours.groups[mine]
    weights, own = (_weights(each, rows) for each, rows in ((theirs, others), (ours, mine)))
    if not np.allclose(weights, own):
        raise Unpaired(OTHER_WEIGHTS)
    few = any(0 < (labels_used(each.record) or 0) <= FEW_LABELS for each in (run, best))
    found, _ = gains(
        theirs.task,
        [ours.outputs[seed][mine] for seed in seeds],
        {best.record.method: [theirs.outputs[seed][others] for seed in seeds]},
        theirs.targets[others],
        groups=groups,
        weights=weights,
        metric=metric,
        variance_factor=max(each.record.target.variance_factor for each in (run, best)),
        decided=len(seeds) > 1 or not few,
    )
    return Difference(found[best.record.method], len(mine), len(seeds))


def _common(ours: _Answers, theirs: _Answers) -> tuple[Array, Array]:
    """Where the rows that both have stand in each, ``(m,)`` twice."""
    _, mine, others = np.intersect1d(ours.rows, theirs.rows, return_indices=True)
    alike = (ours.labels[mine] == theirs.labels[others]) & (ours.names[mine] == theirs.names[others])
    if len(mine) and alike.mean() < _ALIKE:
        raise Unpaired(OTHER_DATA)
    kept = alike & ours.fresh[mine] & theirs.fresh[others]
    if not kept.any():
        raise Unpaired(NO_ROWS)
    return mine[kept], others[kept]


def _weights(found: _Answers, rows: Array) -> Array:
    if found.weights is None:
        return np.ones(len(rows))
    if not found.weights[rows].any():
        raise Unpaired(NO_ROWS)
    return relative(found.weights[rows])


def _answers(run: Run, metric: str) -> _Answers:
    table = run.predictions
    if table is None or table.num_rows == 0:
        raise Unpaired(NO_PREDICTIONS)
    try:
        task = task_from_state(run.record.task.model_dump(exclude_none=True))
        found = _by_draw(task, table)
        weights = None if found.weights is None else relative(found.weights)[None]
        again = [
            task.metrics(task.statistics(outputs, found.targets, (metric,)), weights, (metric,))[metric][0]
            for outputs in found.outputs.values()
        ]
    except (
        SternaError,
        KeyError,
        TypeError,
        ValueError,
        OverflowError,
    ):  # another program wrote it, or a package's task
        raise Unpaired(NOT_AGAIN) from None
    told = run.record.scores[metric].value
    if not abs(float(np.mean(again)) - told) <= 1e-3 * max(abs(told), 0.1):
        raise Unpaired(NOT_AGAIN)
    return found


def _by_draw(task: Task, table: pyarrow.Table) -> _Answers:
    needed = [name for name in table.column_names if name != "text" and not name.startswith("control_")]
    columns: dict[str, Array] = {name: _column(table, name) for name in needed}
    outputs = _outputs(task, columns)
    seeds = columns.get("seed", np.zeros(table.num_rows, dtype=np.int64))
    first = np.flatnonzero(seeds == seeds[0])
    first = first[np.argsort(columns["row"][first], kind="stable")]
    by_draw = {}
    for seed in dict.fromkeys(seeds.tolist()):
        mine = np.flatnonzero(seeds == seed)
        mine = mine[np.argsort(columns["row"][mine], kind="stable")]
        if not np.array_equal(columns["row"][mine], columns["row"][first]):
            raise ValueError(f"the draws of seed {seed} and {seeds[0]} have other rows")
        by_draw[int(seed)] = outputs[mine]
    rows = columns["row"][first]
    if len(np.unique(rows)) < len(rows):
        raise ValueError("a row stands there twice")
    labels = columns["label"][first]
    return _Answers(
        task=task,
        rows=rows,
        labels=labels,
        names=columns.get("name", columns["row"])[first],
        targets=_targets(task, labels),
        outputs=by_draw,
        groups=columns["group"][first].astype(np.int64) if "group" in columns else None,
        weights=as_weights(columns["weight"][first]) if "weight" in columns else None,
        fresh=~columns["learnt"][first].astype(bool) if "learnt" in columns else np.ones(len(rows), dtype=bool),
    )


def _column(table: pyarrow.Table, name: str) -> Array:
    # Words as objects: compared with numbers they are unequal, not an error.
    cells = np.asarray(table.column(name).to_pylist())
    return cells.astype(object) if cells.dtype.kind == "U" else cells


def _outputs(task: Task, columns: Mapping[str, Array]) -> Array:
    """Outputs ``(n, o)`` that give the predictions in the file."""
    if task.one_number:
        return np.asarray(columns["answer"], dtype=np.float64)[:, None]
    likely = np.stack([columns[f"p_{name}"] for name in task.classes], axis=1).astype(np.float64)
    if task.one_class:
        return np.asarray(np.log(np.maximum(likely, _LEAST)))
    likely = np.clip(likely, _LEAST, _MOST)
    return np.asarray(np.log(likely) - np.log1p(-likely))


def _targets(task: Task, labels: Array) -> Array:
    """Labels as the task encodes them; of several a row, those that are named apply and no other does."""
    if task.one_class or task.one_number:
        return task.encode(labels)
    named = [set(str(label).split("|")) for label in labels]
    return task.encode(np.array([[float(name in some) for name in task.classes] for some in named]))
