"""transfer(): one method beside its controls."""

from __future__ import annotations

import hashlib
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd

from sterna import __version__
from sterna.domains import Domain, load_domain
from sterna.domains.splits import Splits
from sterna.errors import RequestError
from sterna.experiment.evidence import evidence
from sterna.experiment.outcome import Transfer
from sterna.experiment.plan import Plan, check_counts, make_plan
from sterna.experiment.problem import Exam, make_problem, split_counts
from sterna.experiment.units import Means, fit_unit, summed_history
from sterna.kinds.kind import kind_of
from sterna.methods.method import Method, make_method
from sterna.sources import Source, load_source
from sterna.store.environment import environment, peak_memory_bytes
from sterna.store.predictions import prediction_table, write_pictures, write_table
from sterna.store.run import RunFolder, Unit
from sterna.tasks.task import Task
from sterna.training.cache import FeatureCache
from sterna.training.distributed import join, leave, rank_and_world, wait
from sterna.training.progress import Progress
from sterna.training.schedule import Budget
from sterna.training.trainer import pick_device


def transfer(
    source: Source | Any | None,
    target: Domain | str | Path,
    *,
    method: str = "feature-extraction",
    settings: Mapping[str, Any] | None = None,
    task: str | None = None,
    metric: str | None = None,
    labels_per_class: int | None = None,
    labels: int | None = None,
    balance: str = "none",
    control: str | Sequence[str] = "auto",
    seeds: int = 1,
    seed: int = 0,
    epochs: int | None = None,
    steps: int | None = None,
    seconds: float | None = None,
    batch_size: int | None = None,
    device: str = "auto",
    curve: Sequence[int] = (),
    out: str | Path | None = None,
    resume: bool = False,
    overwrite: bool = False,
    progress: bool = False,
) -> Transfer:
    """Move knowledge from a source to a target, beside controls that do without it.

    Parameters
    ----------
    source
        What is known: a :class:`Source`, a spec for :func:`load_source`, a torch module, or ``None``.
    target
        What must be done well: a :class:`Domain`, or a spec for :func:`load_domain`.
    method
        Id of a method (see ``sterna methods``).
    settings
        The method's settings.
    task
        ``"classification"``, ``"multilabel"`` or ``"regression"``; told from the labels if ``None``.
    metric
        The primary metric; chosen by the task and by how even the classes are if ``None``.
    labels_per_class, labels
        Use only so many target labels, for training and validation together; the other rows count as unlabelled.
    balance
        ``"none"``, ``"weights"`` (of classes in the loss), ``"sampler"`` (rare classes drawn more often), or
        ``"auto"``: weights where the largest class has at least 1.5 times the rows of the smallest.
    control
        ``"auto"``, ``"none"``, or ids of controls.
    seeds, seed
        How many repetitions, and the first seed. Each draws its own labels and validation rows; the test rows
        stay the same.
    epochs, steps, seconds
        Budget of each training stage, whichever ends first.
    batch_size
        Rows of an optimiser step.
    device
        ``"auto"``, ``"cpu"`` or ``"cuda"``.
    curve
        Numbers of labels a class: repeats the run with each; the result is that of the last.
    out
        The run folder; a temporary one, gone with the result, if ``None``.
    resume
        Continue the run that was left in `out`.
    overwrite
        Replace the run in `out`.
    progress
        Show a progress bar on standard error.

    Returns
    -------
    Transfer
        The network of the first seed, and the evidence over all seeds.

    Raises
    ------
    RequestError
        If the request is wrong: one sentence says what, and the way out.
    RunError
        If the run fails: loss not finite, disk full, interrupted.
    """
    chosen = make_method(method, settings)
    pick_device(device)
    domain = target if isinstance(target, Domain) else load_domain(target)
    known = source if isinstance(source, Source) or source is None else load_source(source)
    request = {
        "source": known.spec if known else None, "target": domain.name,
        "source_weights": known.body.weights_fingerprint() if known and known.body else None,
        "source_data": data_fingerprint(known.data) if known and known.data else None,
        "target_inputs": domain.inputs.fingerprint(), "target_labels": labels_fingerprint(domain),
        "method": method, "settings": chosen.model_dump(mode="json"), "task": task, "metric": metric,
        "labels_per_class": labels_per_class, "labels": labels, "balance": balance,
        "control": [control] if isinstance(control, str) else list(control), "seeds": seeds, "seed": seed,
        "epochs": epochs, "steps": steps, "seconds": seconds, "batch_size": batch_size, "curve": list(curve),
    }  # fmt: skip
    check_counts(request)
    if resume and out is None:
        raise RequestError("resume needs out: the folder of the run to continue.")
    if resume and out is not None and not Path(out).exists():
        raise RequestError(
            f"resume: there is no run in {str(out)!r} to go on with; leave resume out to start one there."
        )
    amounts: Sequence[int | None] = list(curve) or [labels_per_class]
    plans = [make_plan(known, domain, chosen, {**request, "labels_per_class": k}) for k in amounts]
    temporary = tempfile.TemporaryDirectory(prefix="sterna-") if out is None else None
    folder = Path(out) if out is not None else Path(temporary.name) / "run"  # type: ignore[union-attr]
    with Progress(quiet=not progress or rank_and_world()[0] > 0) as bar:
        means = Means(Budget(epochs, steps, seconds), batch_size, device, FeatureCache(), bar, resume)
        try:
            record = _run(known, domain, chosen, request, plans, folder, means, overwrite)
        finally:
            leave()
    return Transfer(record, RunFolder(folder), temporary)


def data_fingerprint(domain: Domain) -> str:
    """A hash of inputs and labels."""
    return f"{domain.inputs.fingerprint()}-{labels_fingerprint(domain)}"


def labels_fingerprint(domain: Domain) -> str:
    """A hash of labels, groups and given splits, in order."""
    digest = hashlib.blake2b(digest_size=16)
    for values in (domain.labels, domain.groups, *domain.splits.values()):
        digest.update(repr(None if values is None else values.tolist()).encode())
    return digest.hexdigest()


@dataclass(frozen=True, eq=False)
class _Fitted:
    """All fits of a run, before anything is scored."""

    task: Task
    exam: Exam
    units: dict[str, list[Unit]]
    splits: list[Splits]
    balance: str


def _run(
    source: Source | None, domain: Domain, method: Method, request: Mapping[str, Any], plans: Sequence[Plan],
    path: Path, means: Means, overwrite: bool,
) -> dict[str, Any]:  # fmt: skip
    """Open the run folder, fit all and score; a request that proves wrong on the way leaves what was there before."""
    folder = RunFolder(path)
    join(pick_device(means.device))
    leader, left = rank_and_world()[0] == 0, means.resume and path.exists()
    if leader:
        RunFolder.create(path, request, overwrite=overwrite, resume=means.resume)
    wait(pick_device(means.device))  # nobody reads what the first process has yet to clear away
    try:
        return _fill(source, domain, method, request, plans, folder, means)
    except RequestError:
        if leader and not left:
            folder.take_back()
        raise


def _fill(
    source: Source | None, domain: Domain, method: Method, request: Mapping[str, Any], plans: Sequence[Plan],
    folder: RunFolder, means: Means,
) -> dict[str, Any]:  # fmt: skip
    started, path = time.monotonic(), folder.path
    if means.resume and (path / "manifest.json").exists():
        return dict(folder.read_json("manifest.json"))
    points = []
    for k, plan in zip(request["curve"][:-1], plans, strict=False):
        asked = {**request, "curve": [], "labels_per_class": k}
        record = _run(source, domain, method, asked, [plan], path / "curve" / str(k), means, overwrite=False)
        points.append(curve_point(k, record))
    fitted = _fit_all(plans[-1], domain, method, request, folder, means)
    found = evidence(fitted.task, fitted.exam, method.id(), fitted.units, fitted.splits[0])
    record = {
        "sterna": __version__,
        "name": path.name,
        "method": method.id(),
        "settings": method.model_dump(mode="json"),
        "task": fitted.task.state(),
        "source": source_record(source),
        "target": {
            "name": domain.name, "kind": domain.kind, "rows": len(domain),
            "notes": list(dict.fromkeys([*domain.notes, *plans[-1].notes])),
            "classes": list(getattr(fitted.task, "classes", ())), "splits": split_counts(fitted.splits[0]),
            "given": list(fitted.splits[0].given), "reading": dict(domain.reading),
        },
        **found,
        "balance": fitted.balance,
        "seeds": [request["seed"] + i for i in range(request["seeds"])],
        "seconds": {"total": time.monotonic() - started}
        | {name: sum(unit.seconds for unit in some) for name, some in fitted.units.items()},
        "peak_memory_bytes": peak_memory_bytes(),
        "device": str(pick_device(means.device)),
        "budget": {name: request[name] for name in ("epochs", "steps", "seconds", "batch_size")},
        "run": str(path),
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "environment": environment(),
    }  # fmt: skip
    if request["curve"]:
        record["curve"] = [*points, curve_point(request["curve"][-1], record)]
    if rank_and_world()[0] == 0:
        _keep(record, fitted, method.id(), folder, domain)
    return record


def source_record(source: Source | None) -> dict[str, Any] | None:
    """What a record says of the source."""
    if source is None:
        return None
    data = {"name": source.data.name, "rows": len(source.data)} if source.data else None
    return {"spec": source.spec, "card": dict(source.card), "data": data}


def curve_point(labels: int, record: Mapping[str, Any]) -> dict[str, Any]:
    """What a learning curve keeps of one run."""
    return {"labels_per_class": labels} | {name: record[name] for name in ("scores", "controls", "gain", "gains")}


def _fit_all(
    plan: Plan, domain: Domain, method: Method, request: Mapping[str, Any], folder: RunFolder,
    means: Means,
) -> _Fitted:  # fmt: skip
    units: dict[str, list[Unit]] = {}
    for i, splits in enumerate(plan.splits):
        problem, balance = make_problem(
            plan.source, domain, plan.task, splits, request["balance"], seed=request["seed"] + i
        )
        for each in (method, *plan.controls):
            validated = each is not method and len(plan.controls) > 1
            keep = each is method and i == 0
            unit = fit_unit(each, problem, plan.exam, folder, means, keep=keep, validated=validated)
            units.setdefault(each.id(), []).append(unit)
    return _Fitted(plan.task, plan.exam, units, plan.splits, balance)


def _keep(record: dict[str, Any], fitted: _Fitted, method: str, folder: RunFolder, domain: Domain) -> None:
    """Write the run folder; the manifest last, since it says that the run is done."""
    task, exam = fitted.task, fitted.exam
    outputs = {name: [unit.outputs for unit in some] for name, some in fitted.units.items()}
    names = domain.inputs.names()
    named = [names[row] for row in exam.rows]
    table = prediction_table(task, exam.domain, exam.rows, named, record["seeds"], outputs.pop(method), outputs)
    write_table(table, folder.path / "predictions.parquet")
    frames = [s.to_frame().assign(seed=seed) for s, seed in zip(fitted.splits, record["seeds"], strict=True)]
    write_table(pd.concat(frames, ignore_index=True), folder.path / "splits.parquet")
    if kind_of(domain.kind).pictured:
        write_pictures(table, task, exam.domain, exam.rows, folder.path / "mistakes")
    folder.write_json("history.json", {name: summed_history(some) for name, some in fitted.units.items()})
    folder.write_json("manifest.json", record)
    folder.clear_work()
