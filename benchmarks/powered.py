"""How often the intervals that rows without labels narrow hold the truth, and how narrow they are.

Two parts. *Simulated*: a network that knows the true log-odds, or is four times too sure or three times too unsure of
them, answers rows of a known population. *Real*: one network of a set is fitted to 100 labels; test rows are drawn
from all the others, again and again, and some of the rest are the rows without labels; what the metric is on all of
them is the truth. ``rows`` and ``ppi`` are how often each interval holds the truth of the main metric, ``worst`` of the
metric where that is least, ``width`` the median of their ratio.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from typing import Any

import numpy as np

from benchmarks.common import data, write
from sterna import load_domain, transfer
from sterna.evaluation import score
from sterna.evaluation.powered import SMOOTH, Unlabelled
from sterna.tasks import Classification

REPLICATES = int(os.environ.get("REPLICATES", "1000"))
UNLABELLED = 1000
EVEN, RARE = (0.5, 0.5), (0.9, 0.1)

Array = np.ndarray[Any, Any]
Drawn = Iterator[tuple[Array, Array, Array]]

SIMULATED = {
    "2 classes": (EVEN, 1.5, 1.0), "2 classes, few mistakes": (EVEN, 2.5, 1.0), "2 classes, too sure": (EVEN, 1.5, 4.0),
    "9:1": (RARE, 2.0, 1.0), "5 classes": ((0.2,) * 5, 2.0, 1.0), "5 classes, unsure": ((0.2,) * 5, 2.0, 0.3),
}  # fmt: skip
"""Shares of the classes, how far they stand out, and how many times the true log-odds the network says."""

REAL = {
    "Chinese hotel reviews": ("text_zh_hotel_chnsenticorp.csv.gz", {"label": "label"}),
    "Taiwanese credit": ("tab_credit_taiwan.csv.gz", {"label": "default_next_month"}),
    "news (4 classes)": ("text_en_agnews_subset.csv.gz", {"label": "label", "text": "text"}),
}


def simulated(name: str, n: int) -> tuple[Classification, dict[str, float], Drawn]:
    """The task, the truth, and replicates: outputs and targets of n rows, and outputs of rows without labels."""
    shares, level, scale = SIMULATED[name]
    k, random = len(shares), np.random.default_rng(n)

    def drawn(rows: int) -> tuple[Array, Array]:
        y = random.choice(k, rows, p=shares)
        seen = random.normal(size=(rows, k)) + level * np.eye(k)[y]
        return scale * (level * seen + np.log(shares)), y

    task = Classification(tuple("abcde"[:k]))
    outputs, targets = drawn(200_000)
    return task, truth_of(task, outputs, targets), ((*drawn(n), drawn(UNLABELLED)[0]) for _ in range(REPLICATES))


def real(name: str, n: int) -> tuple[Classification, dict[str, float], Drawn]:
    """As `simulated`, of the rows that a network learnt nothing of."""
    file, options = REAL[name]
    domain, random = load_domain(data(file), **options), np.random.default_rng(n)
    with tempfile.TemporaryDirectory() as folder:
        run = transfer(None, domain, method="target-only", control="none", labels=100, seeds=1, out=f"{folder}/run")
        seen = run.folder.path / "splits.parquet"
        import pandas as pd

        splits = pd.read_parquet(seen)
        rows = splits.loc[splits["split"].isin(["test", "unlabelled"]), "row"].to_numpy()
        some = domain.take(np.sort(random.permutation(rows)[:6000]))
        task, outputs = run.task, run.outputs(some)
    targets = task.encode(some.labels)

    def drawn() -> Drawn:
        for _ in range(REPLICATES):
            order = random.permutation(len(targets))
            test, more = order[:n], order[n : n + UNLABELLED]
            yield outputs[test], targets[test], outputs[more]

    return task, truth_of(task, outputs, targets), drawn()


def truth_of(task: Classification, outputs: Array, targets: Array) -> dict[str, float]:
    """What each metric that the intervals are of is on all rows."""
    return {name: float(v[0]) for name, v in task.metrics(task.statistics(outputs, targets)).items()
            if name in SMOOTH}  # fmt: skip


def measure(part: str, name: str, n: int) -> dict[str, Any]:
    """One line."""
    task, truth, replicates = (simulated if part == "simulated" else real)(name, n)
    held: dict[str, list[tuple[bool, bool, float]]] = {metric: [] for metric in truth}
    for outputs, targets, more in replicates:
        if len(np.unique(targets)) < 2:
            continue
        plain = score(task, [outputs], targets)
        made = score(task, [outputs], targets, unlabelled=Unlabelled([more]))
        for metric, value in truth.items():
            one, other = plain[metric], made[metric]
            ratio = (other.high - other.low) / (one.high - one.low) if one.high > one.low else 1.0
            held[metric].append((one.low <= value <= one.high, other.low <= value <= other.high, ratio))
    shares = {metric: np.array(found)[:, :2].mean(axis=0) for metric, found in held.items()}
    main = task.metric
    return {
        "part": part, "data": name, "test rows": n, "metric": main, "truth": truth[main],
        "rows": float(shares[main][0]), "ppi": float(shares[main][1]),
        "worst rows": float(min(each[0] for each in shares.values())),
        "worst ppi": float(min(each[1] for each in shares.values())),
        "width": float(np.median([each[2] for each in held[main]])),
        "width of log_loss": float(np.median([each[2] for each in held["log_loss"]])),
    }  # fmt: skip


def main() -> None:
    """Measure, and write the result."""
    cells = [("simulated", name, n) for name in SIMULATED for n in (20, 50, 200)]
    cells += [("real", name, n) for name in REAL for n in (30, 60, 200)]
    with ProcessPoolExecutor() as pool:
        rows = list(pool.map(measure, *zip(*cells, strict=True)))
    write("powered", "Rows without labels: how often 95 % intervals of scores hold, and how narrow they are", rows)


if __name__ == "__main__":
    main()
