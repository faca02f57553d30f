"""How often the interval of a score and of a gain holds what it should, and how often a verdict is wrong.

Two networks answer rows drawn from a known population, many times; what the metric would be on the whole population is
known. ``cover`` is how often the interval of the gain holds the true gain, ``score`` how often that of the transfer's
score holds the true score, ``wrong`` how often `helps` is said where the true gain is not above 0, or `hurts` where it
is not below, and ``says`` how often either is said: of the main metric of a cell, and the worst over all its metrics.
``before`` is the percentile bootstrap, stratified by class, that version 0.1 used.

``REPLICATES=2000 python -m benchmarks.intervals [rows|groups|draws]``
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from benchmarks.common import write
from sterna.evaluation.gain import verdict
from sterna.evaluation.jackknife import estimates
from sterna.evaluation.swaps import swap_test
from sterna.tasks import Classification, MultiLabel, Regression
from sterna.tasks.metrics import bounds
from sterna.tasks.task import Task

REPLICATES = int(os.environ.get("REPLICATES", "1000"))
POPULATION = 6000
"""Rows of each class on which the truth is measured; ten times as many for test splits of 1,000 rows and more."""

BOOTSTRAPPED = 3200
"""Rows times draws up to which the bootstrap of before is measured, too."""

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Cell:
    """One way for test rows to come about.

    Attributes
    ----------
    counts
        Rows of each class; of a regression or of several labels a row, one number.
    levels
        How far right answers stand out, of the transfer and of the control, ``(k,)`` each.
    group, group_spread
        Rows a group, and how much groups differ for each of the networks.
    draws, draw_spread
        Draws of the training labels, and how much they differ for each of the networks.
    """

    name: str
    counts: tuple[int, ...]
    transfer: tuple[float, ...]
    control: tuple[float, ...]
    task: str = "classes"
    group: int = 1
    group_spread: float = 0.0
    draws: int = 1
    draw_spread: float = 0.0
    note: dict[str, Any] = field(default_factory=dict)

    @property
    def null(self) -> bool:
        """Whether the true gain is 0."""
        return self.transfer == self.control


def task_of(cell: Cell) -> tuple[Task, tuple[str, ...]]:
    """The task, and the metrics that are looked at."""
    if cell.task == "numbers":
        return Regression(), ("r2", "rmse", "mae")
    names = tuple(f"c{i}" for i in range(len(cell.transfer)))
    if cell.task == "labels":
        return MultiLabel(names), ("macro_f1", "micro_f1", "auroc", "average_precision", "subset_accuracy", "log_loss")
    names_of = ("accuracy", "balanced_accuracy", "macro_f1", "auroc", "average_precision", "log_loss", "ece")
    return Classification(names), names_of


def rows_of(cell: Cell, random: np.random.Generator, counts: Sequence[int]) -> tuple[Array, Array]:
    """Targets of the rows, and the part of the networks' errors that both share."""
    k = len(cell.transfer)
    if cell.task == "numbers":
        return random.standard_t(5, size=counts[0]), random.normal(size=(counts[0], 1))
    if cell.task == "labels":
        rates = np.geomspace(0.4, 0.06, k)
        targets = (random.random((counts[0], k)) < rates).astype(np.float32)
        return targets, random.normal(size=(counts[0], k))
    return np.repeat(np.arange(k), counts), random.normal(size=(sum(counts), k))


def answers(
    cell: Cell, levels: Array, targets: Array, shared: Array, groups: Array, random: np.random.Generator
) -> Array:
    """One network's outputs."""
    noise = np.sqrt(0.5) * shared + np.sqrt(0.5) * random.normal(size=shared.shape)
    of_group = cell.group_spread * random.normal(size=int(groups.max()) + 1)[groups]
    if cell.task == "numbers":
        return targets[:, None] + (1 / levels[0]) * noise * np.exp(of_group)[:, None]
    if cell.task == "labels":
        return (targets - 0.5) * levels + noise
    outputs = noise
    outputs[np.arange(len(targets)), targets] += levels[targets] + of_group
    return outputs


def sample(cell: Cell, random: np.random.Generator, counts: Sequence[int], draws: int) -> tuple[Any, Any, Array, Array]:
    """Outputs of both networks for each draw, the targets, and the groups."""
    targets, shared = rows_of(cell, random, counts)
    groups = random.permutation(len(targets)) // cell.group
    sides = []
    for levels in (cell.transfer, cell.control):
        shifts = cell.draw_spread * random.normal(size=draws)
        sides.append([answers(cell, np.array(levels) + s, targets, shared, groups, random) for s in shifts])
    return sides[0], sides[1], targets, groups


def truth(cell: Cell, task: Task, names: tuple[str, ...]) -> tuple[dict[str, float], dict[str, float]]:
    """The metrics of both networks on the whole population, and for every draw."""
    random = np.random.default_rng(12345)
    # Of few draws the mean would be off by a part of what an interval over draws is wide.
    k, draws, rows = len(cell.counts), *((1, POPULATION) if not cell.draw_spread else (1000, POPULATION // 6))
    rows *= 10 if sum(cell.counts) >= 1000 else 1
    many = tuple(rows * max(1, 3 // k) for _ in cell.counts)
    one, other, targets, _ = sample(replace(cell, group=1), random, many, draws)
    weights = np.ones((1, len(targets)))
    if cell.task == "classes":
        weights = (np.array(cell.counts) / np.array(many))[targets][None]
    found = []
    for side in (one, other):
        values = [task.metrics(task.statistics(outputs, targets, names), weights, names) for outputs in side]
        found.append({name: float(np.mean([value[name][0] for value in values])) for name in names})
    return found[0], found[0] if cell.null else found[1]


def bootstrap(
    task: Task, one: Any, other: Any, targets: Array, metric: str, random: np.random.Generator
) -> tuple[float, float]:
    """The interval of the gain as it was before: rows drawn by class, and draws, with replacement."""
    resamples, n = 400, len(targets)
    strata = [np.flatnonzero(targets == code) for code in np.unique(targets)] if task.one_class else [np.arange(n)]
    weights = np.zeros((resamples, n))
    for rows in strata:
        weights[:, rows] = random.multinomial(len(rows), np.full(len(rows), 1 / len(rows)), size=resamples)
    shares = random.multinomial(len(one), np.full(len(one), 1 / len(one)), size=resamples) / len(one)
    apart = np.zeros(resamples)
    for draw, (moved, still) in enumerate(zip(one, other, strict=True)):
        sides = [
            task.metrics(task.statistics(s, targets, (metric,)), weights, (metric,))[metric] for s in (moved, still)
        ]
        apart += shares[:, draw] * (sides[0] - sides[1])
    low, high = np.quantile(apart, [0.025, 0.975])
    return float(low), float(high)


def measure(cell: Cell) -> dict[str, Any]:
    """All that is counted of a cell: of its main metric, and the worst over all metrics."""
    task, names = task_of(cell)
    true, still_true = truth(cell, task, names)
    random = np.random.default_rng(7)
    replicates = REPLICATES if sum(cell.counts) * cell.draws < 1000 else REPLICATES // 2
    counted = {name: np.zeros(6) for name in names}
    for _ in range(replicates):
        one, other, targets, groups = sample(cell, random, cell.counts, cell.draws)
        by = groups if cell.group > 1 else None
        moved = estimates(task, one, targets, groups=by, names=names)
        still = estimates(task, other, targets, groups=by, names=names)
        for name in names:
            gain = 0.0 if cell.null else true[name] - still_true[name]
            low, high = moved[name].minus(still[name], 1.0).interval()
            out = low > 0 or high < 0
            p = swap_test(task, name, one, other, targets, groups=by) if out else 1.0
            said = verdict(low, high, p)
            bottom, top = moved[name].interval()
            least, most = bounds(name)
            wrong = (said == "helps" and gain <= 0) or (said == "hurts" and gain >= 0)
            counted[name][:4] += (
                low <= gain <= high,
                max(bottom, least) <= true[name] <= min(top, most),
                wrong,
                said != "unclear",
            )
            if name == names[1 if cell.task == "classes" else 0] and sum(cell.counts) * cell.draws <= BOOTSTRAPPED:
                low, high = bootstrap(task, one, other, targets, name, random)
                counted[name][4:] += low <= gain <= high, (low > 0 and gain <= 0) or (high < 0 and gain >= 0)
    shares = {name: values / replicates for name, values in counted.items()}
    main = names[1 if cell.task == "classes" else 0]
    cover, score, wrong, says, before, before_wrong = (float(v) for v in shares[main])
    least, worst = min(names, key=lambda n: shares[n][0]), max(names, key=lambda n: shares[n][2])
    old = (
        {"before: cover": round(before, 3), "before: wrong": round(before_wrong, 3)}
        if sum(cell.counts) * cell.draws <= BOOTSTRAPPED
        else {}
    )
    return {
        "rows": cell.name, **cell.note, "metric": main, "cover": round(cover, 3), "wrong": round(wrong, 3),
        "says": round(says, 3), "score": round(score, 3), **old,
        "least cover": f"{shares[least][0]:.3f} ({least})", "most wrong": f"{shares[worst][2]:.3f} ({worst})",
        "least score": "{:.3f} ({})".format(*min((shares[n][1], n) for n in names)), "replicates": replicates,
    }  # fmt: skip


def shares(n: int, k: int, ratio: float) -> tuple[int, ...]:
    """Rows of k classes of which the largest has `ratio` times those of the smallest."""
    parts = np.geomspace(ratio, 1, k)
    counts = np.maximum(1, np.floor(n * parts / parts.sum())).astype(int)
    counts[0] += n - counts.sum()
    return tuple(int(count) for count in counts)


def rows_cells() -> Iterator[Cell]:
    """Independent rows: thin classes first, then every size."""
    designs = {
        "10 classes of 1": (1,) * 10, "20 classes of 1": (1,) * 20, "30, 3 and 1": (30, 3, 1),
        "10 classes of 2": (2,) * 10, "20 classes of 3": (3,) * 20, "136 and 14": (136, 14), "10 even": (5, 5),
        "20 even": (10, 10), "50 even": (25, 25), "49 and 1": (49, 1), "200, 2 classes 1:50": shares(200, 2, 50),
        "200, 5 classes 1:10": shares(200, 5, 10), "500, 20 classes 1:10": shares(500, 20, 10),
        "2000, 2 classes 1:50": shares(2000, 2, 50), "2000 even": (1000, 1000),
    }  # fmt: skip
    for name, counts in designs.items():
        k = len(counts)
        for level in (1.2, 3.0):
            same = (level,) * k
            yield Cell(name, counts, same, same, note={"level": level})
        yield Cell(name, counts, (2.0,) * k, (1.2,) * k, note={"level": "2.0, 1.2"})
        yield Cell(name, counts, (3.0,) * k, (3.0,) * (k - 1) + (1.0,), note={"level": "rarest 3.0, 1.0"})
    for counts in ((28, 10, 2), (70, 25, 5), (16, 8, 6)):
        for level in (-0.5, 1.5):
            yield Cell(
                f"{', '.join(map(str, counts))}, the rarest mostly missed", counts, (2.0, 2.0, level), (2.0, 2.0, -0.5),
                note={"level": f"rarest {level}, -0.5"},
            )  # fmt: skip
    for n in (20, 50, 200, 2000):
        for one, other in ((2.0, 2.0), (3.0, 2.0)):
            yield Cell(f"{n} numbers", (n,), (one,), (other,), task="numbers", note={"level": f"{one}, {other}"})
            yield Cell(
                f"{n} rows of 5 labels",
                (n,),
                (one,) * 5,
                (other,) * 5,
                task="labels",
                note={"level": f"{one}, {other}"},
            )


def group_cells() -> Iterator[Cell]:
    """Rows of patients or speakers; the last, rare mistakes of whole groups."""
    for groups, size in ((12, 5), (30, 5), (60, 10), (30, 20)):
        n = groups * size
        for one, other, spread in ((2.0, 2.0, 1.0), (2.6, 2.0, 1.0), (6.0, 6.0, 3.0)):
            yield Cell(
                f"{groups} groups of {size}", (n // 2, n // 2), (one,) * 2, (other,) * 2, group=size,
                group_spread=spread, note={"level": f"{one}, {other}", "spread": spread},
            )  # fmt: skip


def draw_cells() -> Iterator[Cell]:
    """Several draws of the training labels, which differ little or much."""
    for draws in (1, 3, 5, 10):
        for spread in (0.1, 0.5):
            for one, other in ((1.5, 1.5), (1.9, 1.5)):
                yield Cell(
                    f"{draws} draws", (468, 156), (one,) * 2, (other,) * 2, draws=draws, draw_spread=spread,
                    note={"spread": spread, "level": f"{one}, {other}"},
                )  # fmt: skip


PARTS: dict[str, Callable[[], Iterator[Cell]]] = {"rows": rows_cells, "groups": group_cells, "draws": draw_cells}


def main(names: Sequence[str] = tuple(PARTS)) -> None:
    """Measure, and write a result for each part."""
    for part in names:
        title, rows = f"Intervals, {part}: how often 95 % intervals hold, and verdicts are wrong", []
        with ProcessPoolExecutor() as pool:
            for row in pool.map(measure, list(PARTS[part]())):
                rows.append(row)
                write(f"intervals-{part}", title, rows, quiet=True)
        write(f"intervals-{part}", title, rows)


if __name__ == "__main__":
    main(sys.argv[1:] or tuple(PARTS))
