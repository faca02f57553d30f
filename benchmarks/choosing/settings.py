"""Trials that a search for settings needs to come as far, with a journal of other problems and without.

``python -m benchmarks.choosing.settings`` searches settings of `METHODS` on small problems from an empty journal; then
each again from a journal that holds what the searches on all others came to. Searches do not start from what was found
on their own target: the journal knows its rows again.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.choosing.problems import Pair, pairs
from benchmarks.common import write
from sterna.bench import Bench, Problem
from sterna.experiment.plan import make_plan
from sterna.experiment.problem import make_problem
from sterna.methods.by_labels import ByLabels
from sterna.methods.candidates import candidates
from sterna.methods.journal import opened
from sterna.methods.method import make_method
from sterna.methods.settings import searched
from sterna.record.request import Request
from sterna.training.schedule import Budget
from sterna.training.search import Search
from sterna.training.trainer import Trainer

Array = np.ndarray[Any, Any]

METHODS = ("scratch",)
"""Of the methods with more than two settings that of which a trial costs least."""

WAYS = ("cold", "warm")
"""From an empty journal, and from one with other problems."""

TRIALS, LABELS, STEPS = 16, 40, 15
SEEDS = int(os.environ.get("STERNA_SEEDS", "2"))
NEAR = 1.01
"""A loss this much above that which the search without a journal ends with counts as it."""

NAMES = (
    "hearts, cleveland → hungarian", "hearts, hungarian → cleveland", "hearts, cleveland → va_long_beach",
    "hearts, va_long_beach → switzerland", "gas, 2 → 3", "gas, 3 → 4",
    "office, amazon → caltech", "office, caltech → amazon", "credit, young → old",
    "credit, graduates → high school",
)  # fmt: skip
"""One problem for each target."""


def main() -> None:
    """Every problem without a journal, then every one with that of the others; with one seed after the other."""
    named = {pair.name: pair for pair in pairs()}
    found: dict[tuple[str, int], dict[str, list[float]]] = {}
    with tempfile.TemporaryDirectory() as temporary:
        whole, own = Path(temporary) / "whole.journal", Path(temporary) / "own.journal"
        for seed in range(SEEDS):
            for name in NAMES:
                own.unlink(missing_ok=True)
                found[name, seed] = {"cold": losses(named[name], seed, own)[0]}
                for trial in opened(str(own)).trials:
                    opened(str(whole)).add_trial(trial)
            for name in NAMES:
                shutil.copy(whole, own)
                there = found[name, seed]
                there["warm"], said = losses(named[name], seed, own)
                print(json.dumps({"problem": name, "seed": seed, **there, "said": said}), flush=True)
            title = f"{TRIALS} trials from a journal of other problems, and from none"
            write("settings", title, list(rows(found)), quiet=True)


def losses(pair: Pair, seed: int, journal: Path) -> tuple[list[float], list[str]]:
    """The least loss on held-out labels of the defaults, and after each trial; and what was said."""
    trainer = Trainer(seed=seed, budget=Budget(steps=STEPS), search=Search(storage=str(journal)))
    board = ByLabels(Bench(problem_of(pair, seed), trainer, make_method), float("inf"))
    problem, every = board.bench.problem, candidates(board.bench.problem, METHODS)
    board.best(every, partial(searched, trials=TRIALS))
    each = [one.trial(problem, one.asked).loss if one.done else np.inf for one in board.tried]
    least = [min(each[: len(every)]), *each[len(every) :]]
    so_far = np.minimum.accumulate(least + [np.inf] * (TRIALS + 1 - len(least)))
    return [float(loss) for loss in so_far], trainer.log.messages


def problem_of(pair: Pair, seed: int) -> Problem:
    """Some labels of the target, others for each seed."""
    source, target = pair.source(), pair.target()
    request = Request(method="constant", control=("none",), metric=pair.metric, seeds=1, seed=seed, split_seed=seed,
                      labels=LABELS, test_size=0.5)  # fmt: skip
    plan = make_plan((source,), target, make_method("constant"), request)
    return make_problem(plan.sources, target, plan.task, plan.splits[0], plan.balance, seed=seed)


def trials_to(losses: Sequence[float], goal: float) -> int:
    """Trials until the loss is that low; one more than there were if it never is."""
    return next((number for number, loss in enumerate(losses) if loss <= goal * NEAR), TRIALS + 1)


def rows(found: dict[tuple[str, int], dict[str, list[float]]]) -> Iterator[dict[str, Any]]:
    """A line for each problem, and one for all."""
    goals = {"cold's loss": lambda both: both["cold"][-1], "both's loss": lambda both: max(map(min, both.values()))}
    names = list(dict.fromkeys(name for name, _ in found))
    needed: dict[str, list[Array]] = {goal: [] for goal in goals}
    for name in names:
        some = [both for (other, _), both in found.items() if other == name and len(both) == 2]
        line: dict[str, Any] = {"problem": name, "seeds": len(some)}
        for goal, loss_of in goals.items():
            counts = np.array([[trials_to(both[way], loss_of(both)) for way in WAYS] for both in some])
            needed[goal].append(counts.mean(axis=0))
            line |= {f"trials to {goal}, {way}": float(np.median(counts[:, k])) for k, way in enumerate(WAYS)}
        yield line | {
            "loss with defaults": float(np.mean([both["cold"][0] for both in some])),
            **{f"loss at the end, {way}": float(np.mean([both[way][-1] for both in some])) for way in WAYS},
        }
    every = {way: np.array([both[way] for both in found.values() if len(both) == 2]) for way in WAYS}
    line = {"problem": f"all {len(names)}", "seeds": len(every["cold"]) // len(names)}
    for goal, means in needed.items():
        line |= {f"trials to {goal}, {way}": float(np.mean(means, axis=0)[k]) for k, way in enumerate(WAYS)}
        line[f"warm / cold, trials to {goal}"] = ratio(np.array(means))
    for n in (1, 3, 8, TRIALS):
        apart = every["cold"][:, n] - every["warm"][:, n]
        line[f"lower after {n}: warm, cold"] = [int((apart > 0).sum()), int((apart < 0).sum())]
    yield line


def ratio(means: Array) -> dict[str, float]:
    """Of the mean trials, warm by cold, with an interval over problems, by the bootstrap: means ``(n, 2)``."""
    draws = means[np.random.default_rng(0).integers(len(means), size=(10_000, len(means)))].mean(axis=1)
    low, high = np.quantile(draws[:, 1] / draws[:, 0], [0.025, 0.975])
    cold, warm = means.mean(axis=0)
    return {"value": float(warm / cold), "low": float(low), "high": float(high)}


if __name__ == "__main__":
    main()
