"""Without target labels: what each validator, and each fixed method, would have chosen, from a harvest.

``python -m benchmarks.choosing.without FOLDER``
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from sterna.evaluation import gains
from sterna.selection.label_free import VALIDATORS, Answers, Beside
from sterna.tasks import Classification

SOURCE = "source-only"


@dataclass(eq=False)
class Case:
    """One problem of a harvest.

    Attributes
    ----------
    about
        What is known of it.
    names
        The candidates, the source as it is first.
    scores
        On the test rows, larger is better, ``(c,)``.
    hurts
        Whether each is below the source as it is by more than the interval, ``(c,)`` bool.
    """

    about: dict[str, Any]
    task: Classification
    names: list[str]
    scores: np.ndarray
    hurts: np.ndarray
    found: list[Answers]
    beside: Beside
    arrays: dict[str, np.ndarray]


def cases(folder: Path) -> Iterator[Case]:
    """Every problem without labels of classification."""
    for place in sorted(folder.glob("*, 0, *")):
        if not (place / "about.json").exists():
            continue
        about = json.loads((place / "about.json").read_text("utf-8"))
        arrays = dict(np.load(place / "arrays.npz"))
        good = [n for n, m in about["methods"].items() if "failed" not in m and n not in ("constant", SOURCE)]
        if SOURCE not in about["methods"] or about["task"] != "classification":
            continue
        names = [SOURCE, *good]
        task = Classification(tuple(map(str, range(about["classes"]))), about["metric"])
        scores = np.array([about["methods"][n]["scores"][about["metric"]] for n in names])
        own = arrays[f"{SOURCE}, test"]
        hurts = [False]
        for name in good:
            gain = gains(task, [arrays[f"{name}, test"]], {SOURCE: [own]}, arrays["test targets"])[1]
            hurts.append(gain.high < 0)
        targets = arrays["source targets"]
        found = []
        for name in names:
            source, target = (torch.from_numpy(arrays[f"{name}, {part}"]) for part in ("source", "unlabelled"))
            p = source.softmax(1).numpy()
            losses = -np.log(np.maximum(p[np.arange(len(p)), targets], 1e-12))
            back = arrays.get(f"{name}, back")
            right = None if back is None else back.argmax(1) == targets
            found.append(Answers(losses, p.argmax(1) == targets, p, target.softmax(1).numpy(), right))
        odds = arrays.get("odds", np.ones(len(targets)))
        yield Case(about, task, names, scores, np.array(hurts), found, Beside(odds), arrays)


Policy = Callable[[Case], "int | np.ndarray"]
"""Which candidate, or how much of each, ``(c,)``."""


def by_validator(name: str) -> Policy:
    return lambda case: int(np.nanargmax(VALIDATORS[name](case.found, case.beside)))


def always(name: str) -> Policy:
    return lambda case: case.names.index(name) if name in case.names else 0


def outcome(case: Case, picked: int | np.ndarray) -> tuple[float, bool]:
    """Score on the test rows less that of the source as it is, and whether it hurts."""
    if isinstance(picked, int):
        return case.scores[picked] - case.scores[0], bool(case.hurts[picked])
    tests = [torch.from_numpy(case.arrays[f"{n}, test"]).softmax(1).numpy() for n in case.names]
    mixed = np.log(np.maximum(np.tensordot(picked / picked.sum(), np.stack(tests), 1), 1e-12))
    task, targets = case.task, case.arrays["test targets"]
    score = float(task.metrics(task.statistics(mixed, targets))[task.metric][0])
    gain = gains(task, [mixed], {SOURCE: [case.arrays[f"{SOURCE}, test"]]}, targets)[1]
    return score - case.scores[0], gain.high < 0


def table(some: list[Case], policies: dict[str, Policy]) -> list[dict[str, Any]]:
    """One line a policy: mean gain over the source as it is, by sets too, how often it hurts, what part is kept."""
    sets = sorted({case.about["sets"] for case in some})
    lines = []
    for name, policy in policies.items():
        found = [outcome(case, policy(case)) for case in some]
        gain = np.array([each for each, _ in found])
        best = np.array([case.scores.max() - case.scores[0] for case in some])
        harm = np.mean([hurts for _, hurts in found])
        of = np.array([case.about["sets"] for case in some])
        lines.append({
            "policy": name, "gain": gain.mean(), "kept": gain.sum() / best.sum(), "hurts": harm,
            "below": np.mean(gain < 0), **{each: gain[of == each].mean() for each in sets},
        })  # fmt: skip
    return lines


def main() -> None:
    some = list(cases(Path(sys.argv[1])))
    names = sorted({name for case in some for name in case.names})
    policies: dict[str, Policy] = {"hindsight": lambda case: int(case.scores.argmax())}
    policies |= {f"always {name}": always(name) for name in names}
    policies |= {name: by_validator(name) for name in VALIDATORS}
    policies["committee"] = lambda case: np.ones(len(case.names))
    policies["committee, half the source"] = lambda case: np.array(
        [len(case.names) - 1.0, *[1.0] * (len(case.names) - 1)]
    )
    print(len(some), "problems")
    for line in table(some, policies):
        print("  ".join(f"{v:30}" if isinstance(v, str) else f"{k[:9]} {v:+.3f}" for k, v in line.items()))


if __name__ == "__main__":
    main()
