"""What the measurements share: where the data are, and how a result is written."""

from __future__ import annotations

import json
import os
import platform
import resource
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sterna.experiment.plan import Plan
    from sterna.methods.method import Method
    from sterna.record.record import Record
    from sterna.record.scores import Gain, Score
    from sterna.store.run import Unit

ROOT = Path(__file__).resolve().parent.parent
DATA = Path(os.environ.get("STERNA_DATA", ROOT.parent / "shared" / "data"))
RESULTS = Path(__file__).parent / "results"
SEEDS = int(os.environ.get("STERNA_SEEDS", "5"))


def data(name: str) -> Path:
    """A data file, or an exit that says where it was looked for."""
    path = DATA / name
    if not path.exists():
        sys.exit(f"{path} is not there; set STERNA_DATA to the folder of the data sets.")
    return path


def write(name: str, title: str, rows: Sequence[Mapping[str, Any]], quiet: bool = False, **more: Any) -> None:
    """Write a result, and print it unless `quiet`; `more` is kept, and no line of the table."""
    packages = ("torch", "timm", "transformers", "scikit-learn", "numpy")
    machine = f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}; " + ", ".join(
        f"{package} {version(package)}" for package in packages
    )
    result = {
        "title": title,
        "command": f"make bench ONLY={name}",
        "machine": machine,
        "created": datetime.now(UTC).strftime("%Y-%m-%d"),
        "rows": list(rows),
        **more,
    }
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.json").write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    if quiet:
        return
    print(f"\n{title}")
    for row in rows:
        print("  " + ", ".join(f"{key} {_short(value)}" for key, value in row.items()), flush=True)


def _short(value: Any) -> str:
    if isinstance(value, Mapping):
        return f"{value['value']:.3f} [{value['low']:.3f}, {value['high']:.3f}]"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def row(record: Record, *metrics: str, **more: Any) -> dict[str, Any]:
    """One line of a table from the record of a run: scores, smallest gain, verdict over every control, time."""
    from sterna.report.verdict import gain_look

    gain = record.gain
    return {
        **more,
        "method": record.method,
        **{metric: interval(record.scores[metric]) for metric in metrics},
        **{f"{control} {metrics[0]}": interval(scores[metrics[0]]) for control, scores in record.controls.items()},
        "gain": interval(gain) if gain else "no control",
        "over": gain.control if gain else "",
        "verdict": gain_look(record, gain)[1] if gain else "",
        "selected by": record.selected_by,
        "draws": len(record.seeds),
        "seconds": round(record.seconds["total"], 1),
    }


def interval(found: Score | Gain) -> dict[str, float]:
    """A score or a gain as a table has it."""
    return {"value": found.value, "low": found.low, "high": found.high}


def compare(name: str, title: str, runs: Sequence[Mapping[str, Any]]) -> None:
    """Run transfers one after the other, and write the table anew after each.

    It is what :func:`sterna.transfer` does, step for step, but methods of the same pair with the same labels share
    the fits of their controls: each control is fitted once for each seed.

    Parameters
    ----------
    runs
        Of each: ``pair`` (its name), ``source``, ``target``, ``method``, ``control`` (ids), ``metric``, and what else
        :func:`sterna.transfer` takes.
    """
    rows: list[dict[str, Any]] = []
    fits: dict[tuple[Any, ...], Any] = {}
    for run in runs:
        asked = {**DEFAULTS, **run}
        record = _record(asked, fits)
        given = [asked["labels"], asked["labels_per_class"]]
        words = next((f"{n}{more}" for n, more in zip(given, ("", " a class"), strict=True) if n is not None), "all")
        metric = asked["metric"] or record.task.metric
        settings = {k: v for k, v in (asked["settings"] or {}).items() if not str(v).startswith("/")}
        about = {
            "pair": asked["pair"],
            "labels": words,
            "metric": metric,
            **({"settings": settings} if settings else {}),
        }
        rows.append(row(record, metric, **about))
        print(json.dumps(rows[-1], ensure_ascii=False), flush=True)
        write(name, title, rows, quiet=True)


DEFAULTS = {
    "settings": None, "task": None, "metric": None, "labels": None, "labels_per_class": None, "balance": "auto",
    "control": "auto", "seeds": int(os.environ.get("STERNA_SEEDS", "3")), "seed": 0,
    "epochs": None, "steps": None, "batch_size": None,
}  # fmt: skip


def fitted(asked: Mapping[str, Any], fits: dict[tuple[Any, ...], Any]) -> tuple[Plan, Method, dict[str, list[Unit]]]:
    """Plan, method and fits of a transfer by their names, one a draw; `fits` of the same problem are taken."""
    import tempfile

    from sterna.experiment.plan import make_plan
    from sterna.experiment.problem import make_problem
    from sterna.experiment.units import Means, fit_unit
    from sterna.methods.method import make_method
    from sterna.record.request import Request
    from sterna.store.run import RunFolder
    from sterna.training.cache import FeatureCache
    from sterna.training.progress import Progress
    from sterna.training.schedule import Budget
    from sterna.training.strategy import strategy_on
    from sterna.training.trainer import pick_device

    control = asked["control"]
    method = make_method(asked["method"], asked["settings"])
    names = ("task", "metric", "labels", "labels_per_class", "balance", "seeds", "seed", "epochs", "steps")
    controls = (control,) if isinstance(control, str) else tuple(control)
    request = Request(method=method.id(), control=controls, **{name: asked[name] for name in names})
    plan = make_plan(() if asked["source"] is None else (asked["source"],), asked["target"], method, request)
    budget, strategy = Budget(asked["epochs"], asked["steps"]), strategy_on(pick_device("auto"))
    means = Means(budget, asked["batch_size"], "auto", FeatureCache(), Progress(quiet=True), False, strategy)
    units: dict[str, list[Unit]] = {}
    for seed, splits in zip(plan.seeds, plan.splits, strict=True):
        problem = make_problem(plan.sources, asked["target"], plan.task, splits, plan.balance, seed=seed)
        beside = replace(problem, recipe=method.recipe())
        for name, each, seen in [(method.id(), method, problem), *((n, c, beside) for n, c in plan.controls.items())]:
            about = ("pair", "labels", "labels_per_class", "epochs", "steps", "batch_size")
            key = (*(asked[k] for k in about), seed, plan.balance, repr(each), repr(seen.recipe))
            if each is method or key not in fits:
                with tempfile.TemporaryDirectory() as folder:
                    fits[key] = fit_unit(name, each, seen, plan.exam, RunFolder(Path(folder)), means)
            units.setdefault(name, []).append(fits[key])
    return plan, method, units


def _record(asked: Mapping[str, Any], fits: dict[tuple[Any, ...], Any]) -> Record:
    """What the record of a run holds of its scores."""
    from sterna.experiment.evidence import evidence
    from sterna.record.record import Record, TargetRecord, TaskRecord

    plan, method, units = fitted(asked, fits)
    seconds = {name: sum(unit.seconds for unit in some) for name, some in units.items()}
    found = evidence(plan.task, plan.exam, method.id(), units, plan.splits[0], plan.no_verdict)
    took = {**seconds, "total": seconds[method.id()]}
    return Record(
        method=method.id(), task=TaskRecord(**plan.task.state()), target=TargetRecord(name=asked["target"].name),
        seeds=plan.seeds, seconds=took, **vars(found),
    )  # fmt: skip


def trained(target: Any, seeds_of: int = 0, **options: Any) -> Any:
    """A source that was trained here: a small network on this labelled Domain, with the Domain beside it."""
    import tempfile

    from sterna import load_source, transfer

    folder = tempfile.mkdtemp(prefix="sterna-source-")
    transfer(None, target, method="scratch", control="none", seed=seeds_of, out=f"{folder}/run", **options)
    return load_source(f"run:{folder}/run").with_data(target)


def timed(*command: str, **environment: str) -> float:
    """Wall-clock seconds of a whole command."""
    started = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True, env={**os.environ, **environment}, cwd=ROOT)
    return time.perf_counter() - started


def peak_of(*command: str, **environment: str) -> tuple[float, float, str]:
    """Peak resident memory in GiB, seconds and standard output of a whole command."""
    code = (
        "import resource,subprocess,sys;"
        "p=subprocess.run(sys.argv[1:],stdout=subprocess.PIPE,text=True);"
        "print(p.stdout,end='');"
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss,file=sys.stderr);"
        "sys.exit(p.returncode)"
    )
    started = time.perf_counter()
    done = subprocess.run(
        (sys.executable, "-c", code, *command),
        text=True,
        capture_output=True,
        env={**os.environ, **environment},
        cwd=ROOT,
    )
    if done.returncode:
        sys.exit(done.stderr)
    return int(done.stderr.splitlines()[-1]) / 2**20, time.perf_counter() - started, done.stdout


def peak_here() -> float:
    """Peak resident memory of this process in GiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
