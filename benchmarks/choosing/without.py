"""Without target labels: what `auto`, each validator and each fixed method would have chosen, and what that is worth.

All methods are fitted once on every problem (``harvest``), by default under ``benchmarks/.harvest``; what is there is
not fitted again.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.choosing.harvest import FOLDER, harvest
from benchmarks.choosing.problems import pairs
from benchmarks.common import write
from sterna.evaluation import gains
from sterna.evaluation.shift import mmd_test
from sterna.methods.without_labels import ERRORS, MEMBERS, OWN
from sterna.selection.cross_validation import Trial
from sterna.selection.label_free import VALIDATORS, Answers, Beside
from sterna.tasks import Classification

SOURCE = "source-only"

ALONE = ("amazon, words", "shopping", "bikes")
"""Sets on which nothing but the source's model fits (words without a model), or that ask for numbers."""


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
"""Which candidate, or how much of each, ``(c,)``; or outputs for the test rows, ``(n, k)``."""


def by_validator(name: str) -> Policy:
    return lambda case: int(np.nanargmax(VALIDATORS[name](case.found, case.beside)))


def always(name: str) -> Policy:
    return lambda case: case.names.index(name) if name in case.names else 0


def outcome(case: Case, picked: int | np.ndarray) -> tuple[float, bool]:
    """Score on the test rows less that of the source as it is, and whether it hurts."""
    if isinstance(picked, int):
        return float(case.scores[picked] - case.scores[0]), bool(case.hurts[picked])
    mixed = picked
    if picked.ndim == 1:
        tests = [torch.from_numpy(case.arrays[f"{n}, test"]) for n in case.names]
        answers = torch.stack([case.task.as_features(each) for each in tests], dim=1)
        mixed = case.task.mean_of(answers, torch.from_numpy(picked / picked.sum())[:, None]).numpy()
    task, targets = case.task, case.arrays["test targets"]
    score = float(task.metrics(task.statistics(mixed, targets))[task.metric][0])
    gain = gains(task, [mixed], {SOURCE: [case.arrays[f"{SOURCE}, test"]]}, targets)[1]
    return score - case.scores[0], gain.high < 0


def gate(case: Case) -> int | np.ndarray:
    """What ``auto`` takes: the mean of the source's model and what does as well on the source's held-out rows."""
    weights = np.zeros(len(case.names))
    weights[0] = OWN
    own = Trial(0.0, case.found[0].losses)
    told = {name: about["told"] for name, about in case.about["methods"].items() if "failed" not in about}
    for number, name in enumerate(case.names):
        apart = not (told[name] and told[SOURCE])
        if name in MEMBERS and (apart or Trial(0.0, case.found[number].losses).is_near(own, ERRORS)):
            weights[number] = MEMBERS[name]
    return weights if weights[1:].any() else 0


def aggregated(case: Case) -> int | np.ndarray:
    """The mean by weights that are the least squares fit to the source's labels, rows weighted by the density ratio.

    References
    ----------
    Dinu et al., "Addressing parameter choice issues in unsupervised domain adaptation by aggregation", ICLR 2023.
    """
    p = np.stack([each.target for each in case.found])
    products = np.einsum("ank,bnk->ab", p, p) / p.shape[1]
    wanted = np.eye(p.shape[2])[case.arrays["source targets"]]
    share = case.beside.odds / case.beside.odds.mean()
    with_labels = np.array([(share[:, None] * each.source * wanted).sum() / len(wanted) for each in case.found])
    weights = np.maximum(np.linalg.lstsq(products, with_labels, rcond=1e-3)[0], 0)
    return weights if weights.any() else 0


def in_shares(case: Case, steps: int = 200) -> np.ndarray:
    """Test outputs of the source's model in the shares of classes that are likeliest for the target.

    References
    ----------
    Saerens, Latinne and Decaestecker, "Adjusting the outputs of a classifier to new a priori probabilities", Neural
    Computation 2002 (MLLS).
    """
    source, target = case.found[0].source.mean(0), case.found[0].target
    shares = source.copy()
    for _ in range(steps):
        moved = target * (shares / source)
        shares = (moved / moved.sum(1, keepdims=True)).mean(0)
    outputs = torch.from_numpy(case.arrays[f"{SOURCE}, test"]).log_softmax(1).numpy()
    return np.asarray(outputs + np.log(np.maximum(shares / source, 1e-6)))


def differ(case: Case) -> bool:
    """Whether chance alone gives so large a distance between the domains in less than 5 % of cases."""
    if "source vectors" not in case.arrays:
        return True
    first, second = (case.arrays[f"{which} vectors"][:300].astype(float) for which in ("source", "target"))
    return mmd_test(first, second)[1] < 0.05


POLICIES: dict[str, Policy] = {
    "hindsight": lambda case: int(case.scores.argmax()),
    "the gate (auto)": gate,
    **{name: by_validator(name) for name in VALIDATORS if name != "moved back"},
    "domain-scaling where domains differ": lambda case: always("domain-scaling")(case) if differ(case) else 0,
    "mean of all": lambda case: np.ones(len(case.names)),
    "importance-weighted aggregation": aggregated,
    "label shift (MLLS)": in_shares,
}


def table(some: list[Case], policies: dict[str, Policy]) -> list[dict[str, Any]]:
    """One line a policy: mean gain over the source as it is, by sets too, how often it hurts, what part is kept."""
    of = np.array([case.about["sets"] for case in some])
    best = np.array([case.scores.max() - case.scores[0] for case in some])
    lines = []
    for name, policy in policies.items():
        found = [outcome(case, policy(case)) for case in some]
        gain = np.array([each for each, _ in found])
        lines.append({
            "policy": name, "gain": float(gain.mean()), "kept": float(gain.sum() / best.sum()),
            "hurts": float(np.mean([hurts for _, hurts in found])), "below": float(np.mean(gain < 0)),
            **{each: float(gain[of == each].mean()) for each in sorted(set(of))},
        })  # fmt: skip
    return lines


def main() -> None:
    """Fit what is not there yet, and compare what would be chosen."""
    for seed in range(int(os.environ.get("STERNA_SEEDS", "3"))):
        for pair in pairs():
            if pair.sets not in ALONE:
                harvest(pair, "0", seed, FOLDER)
    report(list(cases(FOLDER)))


def report(some: list[Case]) -> None:
    """Write a line for each policy, and one for each problem."""
    names = sorted({name for case in some for name in case.names if name != SOURCE})
    lines = table(some, POLICIES | {f"always {name}": always(name) for name in names})
    each = [
        {"pair": case.about["pair"], "seed": case.about["seed"], "metric": case.about["metric"],
         **dict(zip(case.names, map(float, case.scores), strict=True)),
         "gate": float(case.scores[0] + outcome(case, gate(case))[0])}
        for case in some
    ]  # fmt: skip
    write("without", f"Without target labels: {len(some)} problems", lines, quiet=True, problems=each)
    for line in lines:
        print("  ".join(f"{v:36}" if isinstance(v, str) else f"{k[:9]} {v:+.3f}" for k, v in line.items()))


if __name__ == "__main__":
    main()
