"""What every method that fits a problem comes to, kept so that ways to choose can be compared without fitting again.

``python -m benchmarks.choosing.harvest FOLDER LABELS SEEDS PART`` fits, for each pair whose name or sets begin with
PART, with LABELS target labels (0, or a number a class such as 5c) and this many seeds, each method with its defaults.
"""

from __future__ import annotations

import json
import os
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.choosing.problems import Pair, pairs
from sterna.bench import Problem
from sterna.domains.domain import Domain
from sterna.errors import SternaError
from sterna.experiment.plan import make_plan
from sterna.experiment.problem import make_problem
from sterna.experiment.units import Means, seeded
from sterna.kinds.kind import kind_of
from sterna.methods.method import fitting, make_method, method_class, method_ids
from sterna.methods.needs import have
from sterna.record.request import Request
from sterna.selection.cross_validation import folds_of
from sterna.store.run import RunFolder
from sterna.training.cache import FeatureCache
from sterna.training.progress import Progress
from sterna.training.schedule import Budget
from sterna.training.strategy import strategy_on
from sterna.training.trainer import Trainer, pick_device

FOLDER = Path(os.environ.get("STERNA_HARVEST", Path(__file__).parent.parent / ".harvest"))
"""Where what was fitted is kept."""

MOST = 1000
"""Rows of each domain without target labels; where there are more, so many are drawn."""

FOLDS = 5
HALF = 0.5
"""Of few labels the rows that test are many, so that what is best is known better."""

LEFT = {"weak-labels", "rule-head", "rule-penalty", "auto"}
"""Methods that read rules, and the one that tries the others."""

DEEP = {"dan", "dann", "deep-coral"}
"""Methods for targets without labels; of tables and texts they take long."""


def main() -> None:
    folder, labels, seeds, *parts = sys.argv[1:]
    for pair in pairs():
        if any(pair.sets.startswith(part) or pair.name.startswith(part) for part in parts):
            for seed in range(int(seeds)):
                try:
                    harvest(pair, labels, seed, Path(folder))
                except SternaError as error:  # fewer rows than labels are asked for
                    print(f"{pair.name}, {labels}, {seed}: {error}", flush=True)


def harvest(pair: Pair, labels: str, seed: int, folder: Path) -> None:
    """All methods on one problem."""
    place = folder / f"{pair.name.replace('/', '_')}, {labels}, {seed}"
    if (place / "about.json").exists():
        return
    place.mkdir(parents=True, exist_ok=True)
    source, target = pair.source(), pair.target()
    if labels == "0":
        target = drawn(target)
        source = source if source is None or source.data is None else replace(source, data=drawn(source.data))
    amount: dict[str, Any] = {"labels_per_class": int(labels[:-1])} if labels.endswith("c") else {"labels": int(labels)}
    if labels != "0":
        amount["test_size"] = HALF
    request = Request(method="constant", control=("none",), metric=pair.metric, seeds=1, seed=seed, split_seed=seed,
                      steps=pair.steps, **amount)  # fmt: skip
    plan = make_plan(() if source is None else (source,), target, make_method("constant"), request)
    splits, task = plan.splits[0], plan.task
    problem = make_problem(plan.sources, target, task, splits, plan.balance, seed=seed)
    there = have(problem)
    means = Means(Budget(None, pair.steps), pair.batch_size, "auto", FeatureCache(), Progress(quiet=True), False,
                  strategy_on(pick_device("auto")))  # fmt: skip
    about: dict[str, Any] = {
        "pair": pair.name, "sets": pair.sets, "labels": labels, "seed": seed, "metric": task.metric, "task": task.id,
        "classes": len(getattr(task, "classes", ())), "train": len(problem.train), "n": len(problem.target),
        "validation": len(problem.validation), "unlabelled": len(problem.unlabelled), "test": len(plan.exam.rows),
        "source rows": len(problem.known) if problem.known else 0, "methods": {},
    }  # fmt: skip
    known, aside = problem.known, None
    if not len(problem.train):
        assert known is not None
        aside = part(known, some(len(known)))
    arrays: dict[str, Any] = {"test targets": plan.exam.targets, "targets": problem.targets,
                              "weights": problem.row_weights()}  # fmt: skip
    if aside is not None:
        arrays |= {"source targets": aside.targets, "source weights": aside.weights, **compared(problem, means)}
    only = os.environ.get("STERNA_METHODS")
    for name in fitting(there, list(method_ids())):
        slow = name in DEEP and (len(problem.train) or not kind_of(target.kind).dear)
        if name in LEFT or slow or (only and name not in only.split(",")):
            continue
        method = make_method(name)
        try:
            found, saved = one(name, method, problem, aside, plan, means)
        except Exception as error:  # a method that refuses is left out, as a search would leave it out
            found, saved = {"failed": f"{type(error).__name__}: {error}"}, {}
        about["methods"][name] = found
        arrays |= {f"{name}, {key}": value for key, value in saved.items()}
        print(pair.name, labels, seed, name, {k: v for k, v in found.items() if k != "scores"},
              found.get("scores", {}).get(task.metric), flush=True)  # fmt: skip
    np.savez_compressed(place / "arrays.npz", **arrays)
    (place / "about.json").write_text(json.dumps(about, indent=1, ensure_ascii=False))


def one(name: str, method: Any, problem: Problem, aside: Any, plan: Any, means: Means) -> tuple[dict, dict]:
    """Scores on the test rows, answers elsewhere, and what cross-validation says."""
    import tempfile

    task, exam = plan.task, plan.exam
    with tempfile.TemporaryDirectory() as temporary:
        trainer, kept = means.trainer(RunFolder(Path(temporary)), problem, name), {}
        began = time.perf_counter()
        again = method.refits(problem) and len(problem.validation) > 0
        fitted = seeded(method, problem.joined() if again else problem, trainer)
        fit = time.perf_counter() - began
        kept["test"] = trainer.outputs(fitted.network, exam.domain.inputs)
        if aside is not None:
            every = trainer.outputs(fitted.network, problem.unlabelled.inputs)
            kept["unlabelled"] = every[some(len(every))]
            told = fitted.told_source
            found_there = trainer.outputs(fitted.network, aside.inputs) if told is None else told[some(len(told))]
            kept["source"] = found_there
            if os.environ.get("STERNA_BACK") and name not in (*DEEP, "source-only") and task.one_class:
                kept["back"] = moved_back(method, problem, every.argmax(1), aside, means)
    statistics = task.statistics(kept["test"], exam.targets)
    scores = {key: float(value[0]) for key, value in task.metrics(statistics).items()}
    found: dict[str, Any] = {
        "scores": scores, "seconds": fit, "told": fitted.told_source is not None,
        "trained": method.recipe() is not None, "kind": method_class(name).kind(),
    }  # fmt: skip
    if len(problem.train):
        began = time.perf_counter()
        kept["held"] = held_out(method, problem, means)
        found["cv seconds"] = time.perf_counter() - began
        told = told_by(method, problem, means)
        if told is not None:
            kept["told"] = told
    return found, kept


def drawn(domain: Domain) -> Domain:
    """At most so many rows; given test rows and other rows in the shares that they have."""
    return domain if len(domain) <= MOST else domain.take(some(len(domain), MOST))


def moved_back(method: Any, problem: Problem, codes: np.ndarray, aside: Any, means: Means) -> np.ndarray:
    """What the method answers for the source's held-out rows, learning from the target's with the codes it gave them.

    A model loses its head, which has learnt from the source's labels.
    """
    import tempfile

    known, (only,) = problem.known, problem.sources
    assert known is not None
    rows = some(len(codes), 5000)
    taught = replace(
        known, domain=replace(problem.unlabelled.take(rows), name="target"), targets=codes[rows],
        weights=np.ones(len(rows)),
    )  # fmt: skip
    turned = replace(
        problem, sources=(replace(only, source=replace(only.source, head=None, task=None), rows=taught),),
        unlabelled=known.domain, target=known.domain.take(np.arange(0)), targets=known.targets[:0],
    )  # fmt: skip
    with tempfile.TemporaryDirectory() as temporary:
        trainer = means.trainer(RunFolder(Path(temporary)), turned, "back")
        return trainer.outputs(method.fit(turned, trainer).network, aside.inputs)


def some(rows: int, most: int = 1000) -> np.ndarray:
    """At most so many of the rows, sorted."""
    return np.sort(np.random.default_rng(0).permutation(rows)[:most])


def part(known: Any, rows: np.ndarray) -> Any:
    """Some of a source's labelled rows."""
    return replace(known, domain=known.domain.take(rows), targets=known.targets[rows], weights=known.weights[rows])


def compared(problem: Problem, means: Means) -> dict[str, Any]:
    """The density ratio at rows of the source, and vectors of both domains."""
    import tempfile

    from sterna.bench import Bench
    from sterna.bench.density_ratio import both_domains, likeness
    from sterna.methods.method import Needs

    if Needs.COMPARABLE not in have(problem):
        return {}
    with tempfile.TemporaryDirectory() as temporary:
        bench = Bench(problem, means.trainer(RunFolder(Path(temporary)), problem, "odds"), make_method)
        both = both_domains(bench)
        odds = np.empty(len(both.order))
        odds[both.order] = likeness(both, problem.seed)
        source, target = both.standardised()
        back = np.empty_like(source)
        back[both.order] = source
    rows, theirs = some(len(problem.unlabelled)), some(len(odds))
    return {"odds": odds[theirs], "source vectors": small(back[theirs]), "target vectors": small(target[rows])}


def small(x: np.ndarray, width: int = 256) -> np.ndarray:
    """Vectors ``(n, d)`` as float16, by a random projection where they are long."""
    if x.shape[1] > width:
        x = x @ np.random.default_rng(0).normal(size=(x.shape[1], width)) / width**0.5
    return x.astype(np.float16)


def told_by(method: Any, problem: Problem, means: Means) -> np.ndarray | None:
    """What the method itself holds out to choose by, ``(n, o)``; of the source as it is, what it answers."""
    import tempfile

    from sterna.bench import Bench
    from sterna.methods.candidates import Candidate

    if method.trains():
        return None
    with tempfile.TemporaryDirectory() as temporary:
        bench = Bench(problem, means.trainer(RunFolder(Path(temporary)), problem, "told"), make_method)
        fitted = Candidate(method, 0 if problem.sources else None).fit(bench)
        return bench.outputs(fitted.network) if method.blind else fitted.told


def held_out(method: Any, problem: Problem, means: Means, folds: int = FOLDS) -> np.ndarray:
    """Outputs for every labelled row by a fit that has not seen it, ``(n, o)``."""
    import tempfile

    outputs = np.full((len(problem.target), problem.task.outputs), np.nan)
    for train, held in folds_of(problem.targets, problem.task, folds, problem.seed, units=problem.units):
        inner = replace(problem, train=train, validation=train[:0])
        with tempfile.TemporaryDirectory() as temporary:
            trainer: Trainer = means.trainer(RunFolder(Path(temporary)), inner, "cv")
            outputs[held] = trainer.outputs(method.fit(inner, trainer).network, problem.inputs, held)
    return outputs


if __name__ == "__main__":
    main()
