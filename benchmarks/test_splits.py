"""How often the interval of a run on several test splits holds what it should, and how often a verdict is wrong.

Two procedures learn from halves of the columns that are alike, so the true gain is 0; what they score after learning
from so many rows is known from a large population. A small data set is drawn many times; each time both predict the
rows of J test splits without common rows, each split with models of its own. ``plain`` takes the variance of the rows
as it is, as if the models had nothing in common; ``shipped`` takes it 1 + J n_test / n_train times (Nadeau and Bengio
2003). ``gain`` and ``score`` are how often an interval holds the truth, ``wrong`` how often a verdict is not
`unclear`; ``width`` is of the gain's interval, beside that of one test split alone.

``REPLICATES=500 python -m benchmarks.test_splits``
"""

from __future__ import annotations

import os
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold
from sklearn.neighbors import KNeighborsClassifier
from sklearn.tree import DecisionTreeClassifier

from benchmarks.common import write
from sterna.evaluation.gain import gains
from sterna.evaluation.scores import score
from sterna.tasks import Classification

REPLICATES = int(os.environ.get("REPLICATES", "500"))
COLUMNS = 6
SIGNAL = np.array([1.0, 0.7, 0.4])
MODELS = {
    "logistic": LogisticRegression,
    "tree": partial(DecisionTreeClassifier, min_samples_leaf=3, random_state=0),
    "neighbours": KNeighborsClassifier,
}

Array = np.ndarray[Any, Any]


class Cell(NamedTuple):
    """A learner, the rows, the share of the second class, the test splits, the labels used (0: all) and their draws."""

    learner: str
    rows: int
    share: float = 0.5
    splits: int = 5
    labels: int = 0
    draws: int = 1
    metric: str = "accuracy"


CELLS = (
    Cell("logistic", 60), Cell("logistic", 300), Cell("tree", 60), Cell("tree", 200), Cell("neighbours", 100),
    Cell("tree", 60, splits=3), Cell("logistic", 60, splits=10), Cell("tree", 150, 0.15, metric="balanced_accuracy"),
    Cell("logistic", 150, 0.15, metric="auroc"), Cell("logistic", 60, 0.3, metric="log_loss"),
    Cell("logistic", 100, labels=20, draws=5), Cell("tree", 100, labels=20, draws=5),
    Cell("logistic", 100, labels=20, draws=3, metric="auroc"),
)  # fmt: skip


def sample(rows: int, share: float, random: np.random.Generator) -> tuple[Array, Array]:
    """Columns ``(n, 12)``, of which two halves know as much of the class, and the classes."""
    y = np.zeros(rows, dtype=np.int64)
    y[: round(rows * share)] = 1
    x = random.normal(size=(rows, 2 * COLUMNS))
    for half in (0, COLUMNS):
        x[:, half : half + len(SIGNAL)] += (y[:, None] - 0.5) * SIGNAL
    return x, y


def outputs(learner: str, x: Array, y: Array, asked: Array) -> Array:
    """What a model that learnt from rows answers for others, ``(n, 2)``."""
    return np.log(np.clip(MODELS[learner]().fit(x, y).predict_proba(asked), 1e-3, 1))


def truth(cell: Cell) -> float:
    """What the procedure scores on average over data sets of so many training rows."""
    task, names, values = Classification(("a", "b"), cell.metric), (cell.metric,), []
    population, classes = sample(20000, cell.share, np.random.default_rng(1))
    for seed in range(200):
        rows = cell.labels or round(cell.rows * (1 - 1 / cell.splits))
        x, y = sample(rows, 0.5 if cell.labels else cell.share, np.random.default_rng([7, seed]))
        answers = outputs(cell.learner, x[:, :COLUMNS], y, population[:, :COLUMNS])
        values.append(task.metrics(task.statistics(answers, classes, names), names=names)[cell.metric][0])
    return float(np.mean(values))


def replicate(cell: Cell, true: float, seed: int) -> list[tuple[float, ...]]:
    """For one test split, all plain, all as shipped: the gain holds 0, wrong, the score holds the truth, the width."""
    task = Classification(("a", "b"), cell.metric)
    x, y = sample(cell.rows, cell.share, np.random.default_rng([seed, cell.rows]))
    folds = list(StratifiedKFold(cell.splits, shuffle=True, random_state=seed).split(x, y))
    sides: list[list[list[Array]]] = []
    for half in (x[:, :COLUMNS], x[:, COLUMNS:]):
        draws = []
        for draw in range(cell.draws):
            random, parts = np.random.default_rng([seed, draw]), []
            for train, test in folds:
                if cell.labels:
                    train = np.concatenate(
                        [random.permutation(train[y[train] == c])[: cell.labels // 2] for c in (0, 1)]
                    )
                parts.append(outputs(cell.learner, half[train], y[train], half[test]))
            draws.append(parts)
        sides.append(draws)
    beside = cell.rows * (1 - 1 / cell.splits)
    found = []
    for used, factor in ((1, 1.0), (cell.splits, 1.0), (cell.splits, 1 + cell.rows / beside)):
        targets = np.concatenate([y[test] for _, test in folds[:used]])
        one, other = ([np.concatenate(parts[:used]) for parts in draws] for draws in sides)
        _, gain = gains(task, one, {"other": other}, targets, variance_factor=factor)
        own = score(task, one, targets, variance_factor=factor)[cell.metric]
        assert gain is not None
        wrong, width = gain.verdict != "unclear", gain.high - gain.low
        found.append((gain.low <= 0 <= gain.high, wrong, own.low <= true <= own.high, width))
    return found


def main() -> None:
    """Measure every cell."""
    rows = []
    with ProcessPoolExecutor() as processes:
        for cell in CELLS:
            every = list(processes.map(partial(replicate, cell, truth(cell)), range(REPLICATES), chunksize=10))
            one, plain, shipped = np.mean(every, axis=0).round(3).tolist()
            labels = f"{cell.labels} labels, {cell.draws} draws" if cell.labels else "all labels"
            rows.append({
                "learner": cell.learner, "rows": cell.rows, "share": cell.share, "test splits": cell.splits,
                "labels": labels, "metric": cell.metric,
                "plain gain": plain[0], "plain wrong": plain[1], "plain score": plain[2],
                "shipped gain": shipped[0], "shipped wrong": shipped[1], "shipped score": shipped[2],
                "width": shipped[3], "width of one": one[3],
            })  # fmt: skip
            print(rows[-1], flush=True)
    write("test_splits", f"Several test splits: {REPLICATES} small data sets, true gain 0", rows)


if __name__ == "__main__":
    main()
