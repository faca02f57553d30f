"""shift(): how far apart two domains are, before anything is moved."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from math import comb
from pathlib import Path
from typing import Any

import numpy as np

from sterna.domains import Domain, load_domain
from sterna.domains.groups import group_codes, joined_groups
from sterna.domains.inputs import Inputs
from sterna.domains.joined import joined_inputs
from sterna.errors import RequestError
from sterna.evaluation.shift import PERMUTATIONS, mmd_test, proxy_a_distance
from sterna.kinds.kind import kind_of
from sterna.sources import Source, load_source
from sterna.training.progress import Progress
from sterna.training.trainer import Trainer

Array = np.ndarray[Any, Any]

ROWS = 2000
"""Most rows of each domain that are looked at."""

FEWEST = 10
"""Rows of each domain below which nothing can be said."""

CHANCE = 0.05
"""A p value from here on is what chance alone would give."""

SMALL, LARGE = 0.4, 1.0
"""Proxy A-distances: below the first a classifier of the domains errs in 40 % of the rows or more, from the second
on in 25 % or less."""


@dataclass(frozen=True)
class Shift:
    """How far apart two domains are.

    Attributes
    ----------
    source, target
        Their names.
    rows
        How many rows of each were looked at.
    features
        What was compared: columns, pixels, log-mel statistics, or the features of a body.
    columns, left_out
        Of tables: the columns that were compared, and those that only one domain has, or that hold another kind or
        nothing to compare.
    proxy_a_distance
        From 0 (a linear classifier cannot tell the domains apart) to 2 (it does without an error).
    mmd2, p_value
        Squared maximum mean discrepancy (it may be a little below zero), and how often chance alone gives as much.
    reading
        ``"nearly the same"``, ``"somewhat shifted"`` or ``"clearly shifted"``.
    groups
        How many groups the rows of each are of; ``None`` where rows are on their own.
    """

    source: str
    target: str
    rows: int
    features: str
    columns: tuple[str, ...]
    left_out: tuple[str, ...]
    proxy_a_distance: float
    mmd2: float
    p_value: float
    permutations: int
    seed: int
    reading: str
    groups: tuple[int, int] | None = None

    def record(self) -> dict[str, Any]:
        """All of it as plain values, as ``sterna shift --json`` prints it."""
        return {**asdict(self), "sentence": self.sentence()}

    def sentence(self) -> str:
        """The reading and its reasons, for people."""
        error = (1 - self.proxy_a_distance / 2) / 2
        chance = "less than" if self.p_value <= 1 / (1 + self.permutations) else "about"
        sentence = (
            f"{self.reading}: a linear classifier mistakes the domain of {error:.0%} of the rows (50% is a guess), and "
            f"chance alone gives as large an MMD in {chance} {max(self.p_value, 0.001):.1%} of cases"
        )
        if self.groups is None:
            return sentence
        first, second = self.groups
        ways = comb(first + second, first) // (
            2 if first == second else 1
        )  # of two equal halves, which is first is one
        few = f"; with {first} and {second} groups, p cannot fall below {1 / ways:.2g}, whatever the shift"
        return sentence + few if ways * CHANCE <= 1 else sentence


def shift(
    source: Domain | str | Path,
    target: Domain | str | Path,
    *,
    body: Source | str | Any | None = None,
    rows: int = ROWS,
    permutations: int = PERMUTATIONS,
    seed: int = 0,
    device: str = "auto",
    progress: bool = False,
) -> Shift:
    """Measure how far apart the inputs of two domains are; no label is looked at.

    As many rows of one domain as of the other are drawn. Where the domains name groups, whole groups are exchanged for
    the p value and held out from the classifier. Without a body, tables are compared by the columns both have
    (prepared by both), images by their pixels, recordings by log-mel statistics; texts need a body.

    Parameters
    ----------
    source, target
        Domains, or specs for :func:`load_domain`.
    body
        Whose features are compared: a :class:`Source` with a model, a spec for :func:`load_source`, or a module.
    rows
        Most rows of each domain.
    permutations
        Random exchanges of rows that the p value is counted on; 200 or more.
    seed
        Of the sample, the folds and the exchanges.
    device
        Where a body runs.
    progress
        Show a progress bar.

    Returns
    -------
    Shift
        The proxy A-distance, MMD² with its p value, and a reading.

    Raises
    ------
    RequestError
        If the domains are of different kinds, tables share no column, there are too few rows, or texts come without a
        body.
    """
    if rows < FEWEST or permutations < 200:
        raise RequestError(
            f"rows is {rows} and permutations {permutations}; expected at least {FEWEST} rows and 200 permutations."
        )
    first = source if isinstance(source, Domain) else load_domain(source)
    second = target if isinstance(target, Domain) else load_domain(target, schema=first.reading.get("schema"))
    known = load_source(body) if body is not None and not isinstance(body, Source) else body
    with Progress(quiet=not progress) as bar:
        pair = compared(first, second, known, Trainer(seed=seed, device=device, progress=bar), rows)
    count, groups, counts = len(pair.first), pair.groups, pair.counts
    ours, theirs = np.split(pair.x, 2)
    distance = proxy_a_distance(ours, theirs, seed=seed, groups=groups)
    mmd2, p_value = mmd_test(ours, theirs, permutations=permutations, seed=seed, groups=groups)
    return Shift(
        first.name, second.name, count, pair.features, pair.columns, pair.left_out, distance, mmd2, p_value,
        permutations, seed, reading(distance, p_value, min(counts or (count,))), counts,
    )  # fmt: skip


@dataclass(frozen=True, eq=False)
class Compared:
    """As many rows of one domain as of another, as features.

    Attributes
    ----------
    first, second
        The rows that were drawn, n of each.
    x
        Their features, ``(2 n, d)`` float64, those of the first before those of the second.
    features, columns, left_out
        As in :class:`Shift`.
    groups, counts
        The group of each of the 2 n rows, and how many each domain has; ``None`` where neither names groups.
    """

    first: Domain
    second: Domain
    x: Array
    features: str
    columns: tuple[str, ...]
    left_out: tuple[str, ...]
    groups: Array | None
    counts: tuple[int, int] | None


def compared(first: Domain, second: Domain, model: Source | None, trainer: Trainer, rows: int = ROWS) -> Compared:
    """Draw rows of two domains by the trainer's seed, and compute the features they are compared by."""
    _check(first, second)
    columns, left_out = common_columns(first.inputs, second.inputs)
    count, random = min(rows, len(first), len(second)), np.random.default_rng(trainer.seed)
    some = [_drawn(each, count, random) for each in (first, second)]
    groups, counts = _groups(*some)
    ours, theirs = (each.inputs.only(columns) for each in some)
    both = joined_inputs(ours, theirs, first.name, second.name)
    x, features, used = _features(both, model, trainer)
    left_out += tuple(name for name in columns if used and name not in used)
    return Compared(some[0], some[1], x, features, used, left_out, groups, counts)


def reading(distance: float, p_value: float, rows: int) -> str:
    """What a distance and a p value come to, with so many rows (or groups of them) of each domain.

    A distance is small below `SMALL`, or below three of its standard errors: guessing errs in half of the rows with a
    standard error of √(1 / 8n), and the distance has four times that.

    Examples
    --------
    >>> reading(0.05, 0.6, 1000), reading(0.3, 0.01, 1000), reading(1.6, 0.002, 1000)
    ('nearly the same', 'somewhat shifted', 'clearly shifted')
    """
    if distance < max(SMALL, 3 * (2 / rows) ** 0.5) and p_value >= CHANCE:
        return "nearly the same"
    return "clearly shifted" if distance >= LARGE and p_value < CHANCE else "somewhat shifted"


def common_columns(first: Inputs, second: Inputs) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Columns that both tables have with the same kind of values, and the others; nothing for other kinds of inputs."""
    common = first.shared(second)
    if common is None:
        return (), ()
    ours, theirs = first.kinds, second.kinds
    others = tuple(name for name in dict.fromkeys([*ours, *theirs]) if name not in common)
    if not common:
        raise RequestError(
            f"The two tables have no column in common that holds the same kind of values: one has {_some(ours)}, the "
            f"other {_some(theirs)}; rename columns that mean the same."
        )
    return common, others


def _check(first: Domain, second: Domain) -> None:
    if first.kind != second.kind:
        raise RequestError(
            f"{first.name} holds {first.kind}, but {second.name} holds {second.kind}; give two domains of one kind."
        )
    for domain in (first, second):
        if len(domain) < FEWEST:
            raise RequestError(
                f"{domain.name} has {len(domain)} row{'s' * (len(domain) != 1)}; a shift is measured on at least "
                f"{FEWEST} rows of each domain."
            )


def _drawn(domain: Domain, count: int, random: np.random.Generator) -> Domain:
    return domain.take(np.sort(random.choice(len(domain), count, replace=False)))


def _groups(first: Domain, second: Domain) -> tuple[Array | None, tuple[int, int] | None]:
    """The group of each row of both, and how many groups each has; ``None`` where neither names groups."""
    named = joined_groups(first, second)
    if named is None:
        return None, None
    codes = group_codes(named)
    counts = [len(np.unique(some)) for some in np.split(codes, [len(first)])]
    for domain, count in zip((first, second), counts, strict=True):
        if count < 2:
            raise RequestError(
                f"The rows of {domain.name} are all of one group, so chance cannot be told from a shift; give two "
                "groups or more of each domain, or leave group out."
            )
    return codes, (counts[0], counts[1])


def _features(inputs: Inputs, source: Source | None, trainer: Trainer) -> tuple[Array, str, tuple[str, ...]]:
    """What is compared, ``(n, d)`` float64; what to call it; the columns it comes from."""
    if source is not None:
        if source.body is None or not source.body.width:
            raise RequestError(f"The source {source.spec!r} has no model whose features could be compared.")
        found = trainer.features(source.body, source.prepared(inputs), inputs, source.body.outputs, source.views)
        return found.array().astype(np.float64), f"{found.width} features of {source.spec}", ()
    kind = kind_of(inputs.kind)
    vectors = kind.compared(inputs)
    if vectors is None:
        raise RequestError(
            f"{kind.noun.capitalize()} are compared by the features of a model, and none is given; add one, such as "
            "packaged/minilm-l6 (body=load_source('packaged/minilm-l6'))."
        )
    return vectors.of(inputs).astype(np.float64), vectors.called, vectors.columns


def _some(kinds: Mapping[str, str]) -> str:
    named = ", ".join(repr(name) for name in list(kinds)[:6])
    return f"{named}{', ...' if len(kinds) > 6 else ''}"
