"""rank(): which of several sources suits a target, before anything is moved."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from sterna.domains import Domain, load_domain
from sterna.domains.groups import group_codes
from sterna.domains.splits import Splits, make_splits
from sterna.errors import RequestError, listed
from sterna.evaluation import gains, score
from sterna.experiment.classes import nothing_to_learn
from sterna.experiment.defaults import sources_of
from sterna.experiment.problem import applied_balance
from sterna.experiment.rank_measures import FOLDS, Found, Rows, with_labels, without_labels
from sterna.experiment.ranked import Ranked, Ranking
from sterna.kinds.kind import kind_of
from sterna.record.request import Request
from sterna.record.scores import Gain, Score
from sterna.selection.cross_validation import sample_of
from sterna.sources import Source
from sterna.sources.source import named
from sterna.tasks import infer_task
from sterna.training.progress import Progress
from sterna.training.trainer import Trainer, pick_device

Array = np.ndarray[Any, Any]

WITH_LABELS = ("probe", "logme", "h_score", "transrate", "knn", "leep", "nce")
WITHOUT_LABELS = ("proxy_a_distance", "mmd2", "class_shift")
"""What is measured, the reference first. Without labels, smaller is better."""

CONSTANT = "constant"
"""The order in which the sources were named, as if it were a score."""

VARIANCE = 1 + FOLDS / (FOLDS - 1)
"""How many times the variance over rows is taken, since every row is held out once and learnt from in the other folds
(Nadeau and Bengio, 2003)."""


def rank(
    target: Domain | str | Path | Any,
    sources: Sequence[Source | Domain | str | Path | Any],
    *,
    label: str | None = None,
    labels: int | None = None,
    labels_per_class: int | None = None,
    task: str | None = None,
    metric: str | None = None,
    seed: int = 0,
    split_seed: int = 0,
    device: str = "auto",
    progress: bool = False,
) -> Ranking:
    """Say which of several sources suits a target, before anything is moved.

    With target labels the reference is a linear probe on what a source knows: the features of its model (of the blocks
    that cross-validation finds best), learnt also from the rows of its data where their labels answer the target's
    task. Every labelled row is held out once; with 100 labels or fewer this is repeated with other folds. Beside it
    stand LogME, H-score, TransRate and nearest neighbours on the last features, and LEEP and NCE where the source
    answers classes. The test rows of a transfer with the same seeds are not looked at.

    Without labels, the data of the sources are compared with the target: proxy A-distance, MMD², and the shift of
    classes (those answered for the target, beside those of the source).

    The order in which the sources are named is a score, too: name first what you would take without asking.

    Parameters
    ----------
    target
        A :class:`Domain`, or a path or data in memory for :func:`load_domain`.
    sources
        Two or more: a :class:`Source`, a spec for :func:`load_source`, a torch module, or labelled data (a
        :class:`Domain`).
    label
        The column of labels, where the target is read here.
    labels, labels_per_class
        Use only so many target labels, drawn as a transfer would; ``labels=0`` hides every one.
    task, metric
        As for :func:`transfer`.
    seed, split_seed
        Draw the labels and the folds, and the test split.
    device
        ``"auto"``, ``"cpu"`` or ``"cuda"``.
    progress
        Show a progress bar on standard error.

    Returns
    -------
    Ranking
        The sources, the best first, with every score, and a verdict.

    Raises
    ------
    RequestError
        If there are fewer than two sources that can be ranked, or the labels used are all of one class.
    """
    request = Request(
        labels=labels, labels_per_class=labels_per_class, task=task, metric=metric, seed=seed, split_seed=split_seed,
        device=device,
    )  # fmt: skip
    if isinstance(sources, str | Path | Source | Domain):
        sources = [sources]
    check_count(len(sources))
    domain = target if isinstance(target, Domain) else load_domain(target, label=label)
    return ranking(domain, sources_of(sources, label, None, domain), request, progress)


def ranking(domain: Domain, sources: Sequence[Source], request: Request, progress: bool = False) -> Ranking:
    """What :func:`rank` does, once target and sources are read."""
    check_count(len(sources))
    pick_device(request.device)
    with Progress(quiet=not progress) as bar:
        trainer = Trainer(seed=request.seed, device=request.device, progress=bar)
        by = _without if domain.labels is None or request.labels == 0 else _with
        return by(domain, {source.spec: source for source in named(sources)}, request, trainer)


def check_count(sources: int) -> None:
    """Refuse to rank fewer than two sources."""
    if sources < 2:
        given = "one source was" if sources else "no source was"
        raise RequestError(f"{given.capitalize()} given, but a ranking compares sources: name two or more.")


def _with(domain: Domain, named: Mapping[str, Source], request: Request, trainer: Trainer) -> Ranking:
    asked = _rows(domain, request)
    found, left_out = _measured(named, domain.kind, lambda source: with_labels(source, asked, trainer))
    drawn = domain.take(np.concatenate([asked.splits.train, asked.splits.validation])[asked.rows])
    rows: dict[str, Any] = {
        "groups": None if drawn.groups is None else group_codes(drawn.groups),
        "weights": drawn.weights, "variance_factor": VARIANCE,
    }  # fmt: skip
    outputs, name = {each: one.outputs for each, one in found.items()}, asked.task.metric
    probes = {each: score(asked.task, some, asked.targets, **rows)[name] for each, some in outputs.items()}
    sign = 1.0 if asked.task.higher_is_better(name) else -1.0
    for each, one in found.items():
        one.values["probe"] = probes[each].value
    sources, agreement = _ranked(found, WITH_LABELS, {"probe": sign}, probes)
    gain = None if sources[0].named == 1 else _gain(asked, outputs, rows)
    notes = []
    if len(asked.rows) < len(asked.splits.train) + len(asked.splits.validation):
        notes.append(f"{len(asked.rows):,} of the labelled rows were drawn for it.")
    return Ranking(
        domain.name, "probe", name, len(asked.rows), len(asked.rows), trainer.seed, sources, agreement, gain,
        "unclear" if gain is None else gain.verdict, left_out, (*asked.splits.notes, *notes),
    )  # fmt: skip


def _rows(domain: Domain, request: Request) -> Rows:
    """The labelled rows that a transfer would learn from with these seeds."""
    own = infer_task(domain, request.task, request.metric)
    targets = own.matched(domain)[0]
    splits = _splits(domain, targets, request)
    seen = np.concatenate([splits.train, splits.validation])
    own = infer_task(domain, request.task, own.metric, fit_rows=seen)
    alike = nothing_to_learn(own, targets, [splits], False)
    if alike:
        raise RequestError(f"{alike[0].partition(',')[0]}, so no probe can tell sources apart; use more labels.")
    balance = applied_balance("auto", own, by_metric=True)
    rows = sample_of(np.arange(len(seen)), targets[seen], own, request.seed)
    return Rows(domain, own, splits, rows, targets[seen][rows], balance, request.seed)


def _splits(domain: Domain, targets: Array, request: Request) -> Splits:
    return make_splits(
        domain, targets, seed=request.seed, split_seed=request.split_seed, test_fraction=request.test_size,
        gap=request.gap, labels=request.labels, labels_per_class=request.labels_per_class,
    )  # fmt: skip


def _without(domain: Domain, named: Mapping[str, Source], request: Request, trainer: Trainer) -> Ranking:
    rows = np.arange(len(domain))
    if domain.labels is not None:  # the test rows of a transfer stay unseen
        targets = infer_task(domain, request.task).matched(domain)[0]
        rows = _splits(domain, targets, request).unlabelled
    seen = replace(domain.take(rows), labels=None, classes=None, splits={})
    found, left_out = _measured(named, domain.kind, lambda source: without_labels(source, seen, trainer))
    if not any(one.values for one in found.values()):
        raise RequestError(
            "Without target labels a source is ranked by its own data, and none of these has any; add data of the "
            "sources, or labels of the target."
        )
    sources, agreement = _ranked(found, WITHOUT_LABELS, dict.fromkeys(WITHOUT_LABELS, -1.0))
    lacking = [each.source for each in sources if not each.scores]
    notes = [f"Without labels nothing can be said of a source without data: {listed(lacking)}."] if lacking else []
    return Ranking(
        domain.name, WITHOUT_LABELS[0], None, 0, len(seen), request.seed, sources, agreement, None, "unclear", left_out,
        tuple(notes),
    )  # fmt: skip


def _measured(
    named: Mapping[str, Source], kind: str, measure: Callable[[Source], Found]
) -> tuple[dict[str, Found], dict[str, str]]:
    """What was measured of each source that can be ranked, and why the others cannot."""
    found: dict[str, Found] = {}
    left_out: dict[str, str] = {}
    for name, source in named.items():
        if source.kind is not None and source.kind != kind:
            ours, theirs = kind_of(source.kind).noun, kind_of(kind).noun
            left_out[name] = f"it takes {ours}, but the target holds {theirs}."
            continue
        try:
            found[name] = measure(source)
        except RequestError as error:
            left_out[name] = str(error)
    if len(found) < 2:
        reasons = " ".join(f"{name}: {reason}" for name, reason in left_out.items())
        raise RequestError(
            f"Of {len(named)} sources {len(found) or 'none'} can be ranked, and two are needed. {reasons}"
        )
    return found, left_out


def _ranked(
    found: Mapping[str, Found], names: Sequence[str], signs: Mapping[str, float],
    probes: Mapping[str, Score] | None = None,
) -> tuple[tuple[Ranked, ...], dict[str, float]]:  # fmt: skip
    """The sources in the order of the first score, and how every score agrees with it."""
    from scipy.stats import rankdata

    good = {
        name: np.array([signs.get(name, 1.0) * one.values.get(name, math.nan) for one in found.values()])
        for name in names
    }
    good = {name: values for name, values in good.items() if np.isfinite(values).any()}
    ranks = {name: rankdata(-values, method="min", nan_policy="omit") for name, values in good.items()}
    reference = good[names[0]]
    scored = {**good, CONSTANT: -np.arange(len(found), dtype=np.float64)}
    agreement = {name: agreed(reference, values) for name, values in scored.items() if name != names[0]}
    ranked = [
        Ranked(
            source, i + 1, {name: one.values[name] for name in good if name in one.values},
            {name: int(ranks[name][i]) for name in good if name in one.values}, one.seconds,
            None if probes is None else (probes[source].low, probes[source].high), one.blocks,
        )
        for i, (source, one) in enumerate(found.items())
    ]  # fmt: skip
    order = np.argsort(-reference, kind="stable")  # what has no score comes last
    return tuple(ranked[i] for i in order), {name: tau for name, tau in agreement.items() if tau is not None}


def agreed(reference: Array, values: Array) -> float | None:
    """Weighted Kendall's τ of two scores, larger is better, over what both score; ``None`` where all are equal."""
    from scipy.stats import weightedtau

    both = np.isfinite(reference) & np.isfinite(values)
    if both.sum() < 2 or len(np.unique(reference[both])) == 1 or len(np.unique(values[both])) == 1:
        return None
    return float(weightedtau(reference[both], values[both]).statistic)


def _gain(asked: Rows, outputs: Mapping[str, list[Array]], rows: Mapping[str, Any]) -> Gain:
    """Of the best source over the one that was named first, which is compared with every other.

    It is the headline gain of the first over all others, with its sign turned: that the best of them was picked after
    its score was seen is allowed for in the interval.
    """
    first, *others = outputs
    _, headline = gains(asked.task, outputs[first], {name: outputs[name] for name in others}, asked.targets, **rows)
    assert headline is not None
    verdict: Any = "helps" if headline.verdict == "hurts" else "unclear"
    return replace(
        headline, control=first, value=-headline.value, low=-headline.high, high=-headline.low, verdict=verdict
    )
