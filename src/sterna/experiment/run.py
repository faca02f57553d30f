"""transfer(): one method beside its controls."""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from sterna.domains import Domain, load_domain
from sterna.errors import RequestError, RunError, SternaError
from sterna.experiment.defaults import budgeted, sources_of, with_method
from sterna.experiment.fingerprints import identified
from sterna.experiment.fits import fit_all
from sterna.experiment.foreword import foreword
from sterna.experiment.outcome import Transfer
from sterna.experiment.overlaps import learnt_of
from sterna.experiment.plan import Plan, make_plans
from sterna.experiment.recording import keep, record_of
from sterna.experiment.units import Means
from sterna.files import WriteError
from sterna.methods.method import Method, make_method
from sterna.networks.trust import functions_of
from sterna.record.record import Record
from sterna.record.request import Request, begun_with
from sterna.sources import Source
from sterna.store.legs import begin_leg
from sterna.store.place import check_own, standing, taken
from sterna.store.run import RunFolder
from sterna.training.cache import FeatureCache
from sterna.training.progress import Progress
from sterna.training.schedule import Budget
from sterna.training.search import Search
from sterna.training.strategy import strategy_on
from sterna.training.trainer import pick_device


def transfer(
    source: Source | Domain | Any | Sequence[Source | Domain | Any] | None,
    target: Domain | str | Path | Any = None,
    *,
    label: str | None = None,
    weight: str | None = None,
    method: str | None = None,
    settings: Mapping[str, Any] | None = None,
    task: str | None = None,
    metric: str | None = None,
    labels_per_class: int | None = None,
    labels: int | None = None,
    balance: str = "auto",
    control: str | Sequence[str] = "auto",
    seeds: int | None = None,
    seed: int = 0,
    split_seed: int = 0,
    test_size: float | None = None,
    test_repeats: int = 1,
    gap: float = 0.0,
    epochs: int | None = None,
    steps: int | None = None,
    seconds: float | None = None,
    budget: float | None = None,
    trials: int = 0,
    storage: str | None = None,
    batch_size: int | None = None,
    device: str = "auto",
    interval: str = "rows",
    curve: Sequence[int] = (),
    map_classes: Mapping[str, str] | None = None,
    out: str | Path | None = None,
    resume: bool = False,
    overwrite: bool = False,
    on_interrupt: str = "resume",
    progress: bool = False,
) -> Transfer:
    """Move knowledge from a source to a target, beside controls that do without it.

    Parameters
    ----------
    source
        What is known: a :class:`Source`, a spec for :func:`load_source`, a torch module, labelled data (a
        :class:`Domain`, or a DataFrame with the column `label`), or ``None``; a list of several for the method
        ``"auto"``, which takes the best of them.
    target
        What must be done well: a :class:`Domain`, or a path or data in memory for :func:`load_domain`.
    label
        The column of labels, where target or source data are read here; :func:`load_domain` has more options.
    weight
        The column that says how much each row counts, of a target, and of source data if they have it, read here.
    method
        Id of a method (see ``sterna methods``); if ``None`` ``"auto"``, which tries what fits and takes the best.
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
        ``"auto"``: weights where the metric counts classes evenly (balanced accuracy), and where no target labels are
        used unless another metric is asked for.
    control
        ``"auto"``, ``"none"``, or ids of controls.
    seeds, seed
        How many draws of the labels, and the first seed. Each draws its own labels and validation rows; the test rows
        stay the same. With 100 labels or fewer there are 5 draws if ``None`` (3 where a source model is trained, which
        takes longer), else 1.
    split_seed
        Draws another test split.
    test_size
        Share of the labelled rows for the test split, or about their number; 0.2 if ``None``, less for more than five
        test splits.
    test_repeats
        Repeat the run on so many test splits without common rows, each with its own draws of the labels, and score all
        their rows together: with 5 of a fifth every labelled row is tested once. The network is that of the first.
    gap
        Where the target says when its rows were (`Domain.times`): so many days, or units of times that are numbers, in
        which no row is used before validation and before the test split.
    epochs, steps, seconds
        Budget of each training stage, whichever ends first.
    budget
        Seconds that the method ``"auto"`` may spend on trying, for each draw of the labels.
    trials
        Settings that the method ``"auto"`` tries beside the defaults, of the three best methods and within the budget,
        for each draw of the labels: Optuna suggests them (the extra ``tune``).
    storage
        Where such a search keeps what did best, for problems to come, which start from it: the path of a journal or the
        address of a database (``"sqlite:///trials.db"``, ``"postgresql://..."``); a journal in Sterna's cache if
        ``None``. Settings, losses and sizes of the problem are kept, and hashes by which its rows are known again.
    batch_size
        Rows of an optimiser step.
    device
        ``"auto"``, ``"cpu"`` or ``"cuda"``.
    interval
        ``"rows"``: intervals of scores rest on the test rows; ``"ppi"``: and on the network's probabilities for rows
        without labels, half of which are kept aside for that. See `sterna.evaluation.powered`.
    curve
        Numbers of labels a class: repeats the run with each; the result is that of the last.
    map_classes
        What classes of the source are called in the target, where the names differ: ``{"cat": "Cat"}``.
    out
        The run folder; a temporary one, gone with the result, if ``None``.
    resume
        Continue the run that was left in `out`.
    overwrite
        Replace the run in `out`.
    on_interrupt
        What Ctrl-C does while the method ``"auto"`` tries: ``"resume"`` stops the run, which can be resumed; ``"best"``
        ends the trying, for the other draws too, and takes the best so far.
    progress
        Say on standard error what was told from the data, and show a progress bar there.

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
    request = Request(
        method=method, settings=settings or {}, task=task, metric=metric, labels_per_class=labels_per_class,
        labels=labels, balance=balance, control=(control,) if isinstance(control, str) else tuple(control),
        seeds=seeds, seed=seed, epochs=epochs, steps=steps, seconds=seconds, budget=budget, batch_size=batch_size,
        trials=trials, storage=storage,
        device=device, split_seed=split_seed, test_size=test_size, test_repeats=test_repeats, gap=gap,
        interval=interval, curve=tuple(curve), map_classes=map_classes or {},
        out=None if out is None else Path(out), resume=resume, overwrite=overwrite,
        on_interrupt=on_interrupt,
    )  # fmt: skip
    if method is not None:
        make_method(method, settings)  # a name that is wrong is said before anything is read
    pick_device(device)
    if target is None or isinstance(target, Source):
        raise RequestError(
            f"transfer(source, target) needs a target, but it is {type(target).__name__}; the source comes first, None "
            "where there is none: transfer(None, data, label=...)."
        )
    if not isinstance(target, Domain) or weight is not None:  # a Domain's weights are its own, which is said there
        target = load_domain(target, label=label, weight=weight)
    told = partial(print, file=sys.stderr) if progress else None
    return run(sources_of(source, label, weight, target), target, request, progress, told=told)


def run(
    sources: Sequence[Source], domain: Domain, request: Request, progress: bool = False, notes: Sequence[str] = (),
    told: Callable[[str], None] | None = None,
) -> Transfer:  # fmt: skip
    """What :func:`transfer` does, once sources and target are read; the record keeps these notes with its own.

    What was told from the data goes to `told`, a line each, before anything is trained.
    """
    pick_device(request.device)
    request, said = with_method(request, sources, domain)
    request = budgeted(request)
    method = make_method(request.chosen, request.settings)
    _check_resume(request)
    if request.resume and request.out is not None:
        request = begun_with(request, request.out / "request.json")
    request = identified(request, sources, domain, method)
    points = [request.at(k) for k in request.curve] or [request]
    plans = [
        [replace(plan, notes=(*notes, *said, *plan.notes)) for plan in make_plans(sources, domain, method, asked)]
        for asked in points
    ]
    temporary = tempfile.TemporaryDirectory(prefix="sterna-") if request.out is None else None
    folder = request.out or Path(temporary.name) / "run"  # type: ignore[union-attr]
    strategy = strategy_on(pick_device(request.device))
    if told is not None and strategy.leads:
        for line in (*notes, *said, *foreword(plans[-1][0], domain, request)):
            told(line)
    with Progress(quiet=not progress or not strategy.leads) as bar:
        budget = Budget(request.epochs, request.steps, request.seconds)
        means = Means(
            budget, request.batch_size, request.device, FeatureCache(), bar, request.resume, strategy,
            told is not None, Search(request.on_interrupt == "best", request.storage),
        )  # fmt: skip
        try:
            record = _run(sources, domain, method, request, plans, folder, means)
        except RuntimeError as error:
            if isinstance(error, SternaError) or not strategy.lost(error):
                raise
            raise RunError(
                "Another process of this run has ended, or cannot be reached, so this one stopped; see what that one "
                "said, then start them all again with resume=True."
            ) from error
        finally:
            strategy.leave()
    trust = tuple(name for each in sources for name in functions_of(each.body))
    return Transfer(record, RunFolder(folder), temporary, trust)


def _check_resume(request: Request) -> None:
    if not request.resume:
        return
    if request.out is None:
        raise RequestError("resume=True needs out=, the folder of the run to continue.")
    if not standing(request.out):
        raise RequestError(
            f"resume=True: there is no run in {str(request.out)!r} to go on with; leave it out to start one there."
        )
    check_own(request.out)


def _run(
    sources: Sequence[Source], domain: Domain, method: Method, request: Request, plans: Sequence[Sequence[Plan]],
    path: Path, means: Means,
) -> Record:  # fmt: skip
    """Open the run folder, fit all and score; a request that proves wrong on the way leaves what was there before."""
    folder = RunFolder(path)
    with ExitStack() as stack:
        if means.strategy.leads:
            stack.enter_context(taken(path, request, resume=means.resume, overwrite=request.overwrite))
        means.strategy.wait()  # nobody reads what the first process has yet to clear away
        try:
            return _fill(sources, domain, method, request, plans, folder, means)
        except WriteError as error:
            if request.out is None:
                raise  # the folder goes with the result that there is none of
            raise RunError(f"{error} What was finished is kept: then go on with resume=True.") from error


def _fill(
    sources: Sequence[Source], domain: Domain, method: Method, request: Request, plans: Sequence[Sequence[Plan]],
    folder: RunFolder, means: Means,
) -> Record:  # fmt: skip
    path = folder.path
    if means.resume and folder.finished():
        return folder.read_record()
    started = begin_leg(path / "work", path) if means.strategy.leads else time.monotonic()
    points = []
    for k, plan in zip(request.curve[:-1], plans, strict=False):
        asked = replace(request.at(k), overwrite=False)
        points.append(_run(sources, domain, method, asked, [plan], path / "curve" / str(k), means).at(k))
    fitted = fit_all(plans[-1], domain, method, folder, means)
    record = record_of(request, sources, domain, fitted, path, started)
    if request.curve:
        record = record.model_copy(update={"curve": (*points, record.at(request.curve[-1]))})
    if means.strategy.leads:
        learnt_of(plans[-1][0].sources, domain, method, plans[-1][0].splits[0]).save(path)
        return keep(record, fitted, folder, domain)
    return record
