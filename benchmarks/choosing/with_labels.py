"""With few target labels: what ways to choose would have chosen, and what that would have cost, from a harvest.

``python -m benchmarks.choosing.with_labels FOLDER``

Regret is the score on the test rows of the best method, known with hindsight, less that of the one chosen, in points.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from sterna.methods.candidates import PREFERRED
from sterna.selection.cross_validation import Trial
from sterna.tasks import Classification, Regression, Task

NONE = ("constant",)


@dataclass(eq=False)
class Case:
    """One problem of a harvest.

    Attributes
    ----------
    scores
        On the test rows, larger is better, of each method by name.
    held
        Outputs for the labelled rows by fits that have not seen them, ``(n, o)``, by name.
    seconds
        Of a fit, and of the five fits of a cross-validation.
    """

    about: dict[str, Any]
    task: Task
    scores: dict[str, float]
    held: dict[str, np.ndarray]
    seconds: dict[str, tuple[float, float]]
    targets: np.ndarray
    weights: np.ndarray
    arrays: dict[str, np.ndarray]

    def losses(self, name: str, smoothing: float = 0.0) -> np.ndarray:
        """Of the held-out rows, ``(n,)``."""
        held, targets = torch.from_numpy(self.held[name]), torch.as_tensor(self.targets)
        return self.task.losses(held, targets, smoothing).numpy()

    def wrong(self, name: str) -> np.ndarray:
        """1 where a held-out row is answered wrongly, or the squared error, ``(n,)``."""
        if not self.task.one_class:
            return self.losses(name)
        return (self.held[name].argmax(1) != self.targets).astype(float)

    def trial(self, losses: np.ndarray) -> Trial:
        return Trial(0.0, losses, self.weights)


def cases(folder: Path) -> Iterator[Case]:
    """Every problem with labels."""
    for place in sorted(folder.glob("*")):
        if not (place / "about.json").exists():
            continue
        about = json.loads((place / "about.json").read_text("utf-8"))
        if about["labels"] == "0":
            continue
        arrays = dict(np.load(place / "arrays.npz"))
        metric = about["metric"]
        if about["task"] == "classification":
            task: Task = Classification(tuple(map(str, range(about["classes"]))), metric)
        else:
            task = Regression(metric).fitted(arrays["targets"])
        sign = 1.0 if task.higher_is_better(metric) else -1.0
        names = [n for n, m in about["methods"].items() if "failed" not in m and f"{n}, held" in arrays]
        rows = np.flatnonzero(~np.isnan(arrays[f"{names[0]}, held"]).any(axis=1))
        yield Case(
            about, task,
            {n: sign * about["methods"][n]["scores"][metric] for n in names},
            {n: arrays[f"{n}, held"][rows] for n in names},
            {n: (about["methods"][n]["seconds"], about["methods"][n]["cv seconds"]) for n in names},
            arrays["targets"][rows], arrays["weights"][rows], arrays,
        )  # fmt: skip


Policy = Callable[[Case], str]


def always(name: str, *others: str) -> Policy:
    """One method, or the first of others that fits."""
    return lambda case: next(each for each in (name, *others, "constant") if each in case.scores)


def one_error(
    losses: Callable[[Case, str], np.ndarray], order: Sequence[str], errors: float = 1.0, only: Sequence[str] = ()
) -> Policy:
    """The first within so many standard errors of the lowest loss."""

    def choose(case: Case) -> str:
        names = [n for n in case.held if (not only or n in only) and n not in NONE]
        names.sort(key=lambda n: (order.index(n) if n in order else len(order), n))
        trials = {n: case.trial(losses(case, n)) for n in names}
        best = min(trials.values(), key=lambda trial: trial.loss)
        return next(n for n in names if trials[n].loss <= best.loss or trials[n].is_near(best, errors))

    return choose


def log_loss(case: Case, name: str) -> np.ndarray:
    return case.losses(name)


def laplace(case: Case, name: str) -> np.ndarray:
    kinds = case.task.outputs if case.task.one_class else 2
    return case.losses(name, kinds / (len(case.targets) + kinds))


def mistakes(case: Case, name: str) -> np.ndarray:
    return case.wrong(name)


def scaled(case: Case, name: str) -> np.ndarray:
    """Log loss at the temperature that makes it least, with Laplace's rule."""
    if not case.task.one_class:
        return case.losses(name)
    kinds = case.task.outputs
    held, targets = torch.from_numpy(case.held[name]).log_softmax(1), torch.as_tensor(case.targets)
    smooth = kinds / (len(targets) + kinds)
    tries = [case.task.losses(held * t, targets, smooth).numpy() for t in np.geomspace(0.03, 10, 40)]
    return min(tries, key=lambda found: float(np.average(found, weights=case.weights)))


def mixed(case: Case, name: str) -> np.ndarray:
    """Mistakes, and half as much of the scaled loss."""
    return mistakes(case, name) + 0.5 * scaled(case, name)


def table(found: Sequence[Case], policies: dict[str, Policy]) -> None:
    """Regret of each policy."""
    print(f"{len(found)} problems")
    print(f"{'policy':40s} {'mean':>7s} {'median':>7s} {'worst':>7s} {'>5':>5s} {'mean score':>10s} chosen")
    for name, policy in policies.items():
        chosen = [policy(case) for case in found]
        scores = np.array([case.scores[c] for case, c in zip(found, chosen, strict=True)])
        regret = 100 * (np.array([max(case.scores.values()) for case in found]) - scores)
        top = sorted({c: chosen.count(c) for c in chosen}.items(), key=lambda kv: -kv[1])[:5]
        figures = f"{regret.mean():7.2f} {np.median(regret):7.2f} {regret.max():7.2f} {(regret > 5).sum():5d}"
        print(f"{name:40s} {figures} {scores.mean():10.4f} {top}")


def told_beside_held(found: Sequence[Case]) -> None:
    """What methods hold out themselves, beside fits on the other folds: how much better they seem by it."""
    print(f"{'held out by itself, less by folds':40s} {'log loss':>8s} {'mistakes':>8s}")
    for name in sorted({n for case in found for n in case.held}):
        apart = []
        for case in (case for case in found if f"{name}, told" in case.arrays and name in case.held):
            every = case.arrays[f"{name}, told"]
            rows = np.flatnonzero(~np.isnan(case.arrays[f"{name}, held"]).any(axis=1))
            if not np.isnan(every[rows]).any():
                told = replace(case, held={name: every[rows]})
                apart.append(
                    [np.mean(told.losses(name) - case.losses(name)), np.mean(told.wrong(name) - case.wrong(name))]
                )
        if apart:
            print(f"{name:40s} {np.median(apart, axis=0)[0]:8.3f} {np.mean(apart, axis=0)[1]:8.3f}")


def main() -> None:
    found = [case for case in cases(Path(sys.argv[1])) if case.task.one_class]
    order = list(PREFERRED)
    policies: dict[str, Policy] = {
        "hindsight": lambda case: max(case.scores, key=lambda n: case.scores[n]),
    }
    names = sorted({n for case in found for n in case.scores})
    policies |= {f"always {n}": always(n, "pooled", "target-only") for n in names}
    for what, losses in (
        ("log loss", log_loss),
        ("laplace", laplace),
        ("mistakes", mistakes),
        ("scaled", scaled),
        ("mixed", mixed),
    ):
        for errors in (0.0, 0.5, 1.0):
            policies[f"{what}, {errors} se"] = one_error(losses, order, errors)
    table(found, policies)
    told_beside_held(found)


if __name__ == "__main__":
    main()
