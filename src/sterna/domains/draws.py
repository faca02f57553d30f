"""Stratified draws of whole units: the mathematics of splits."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from sterna.domains.inputs import Rows
from sterna.errors import RequestError

QUANTILES = 10
_TRIES = 200
_MOST_WORK = 20_000_000


def strata_of(targets: np.ndarray, units: np.ndarray | None = None) -> np.ndarray:
    """What a draw is balanced over, one number a row.

    Parameters
    ----------
    targets
        Labelled rows only: int ``(n,)``, float ``(n,)`` or float ``(n, k)``.
    units
        ``(n,)`` int; rows of one unit stay together.

    Returns
    -------
    ``(n,)`` int64: the class; of numbers, the quantile bin (up to 10, of at least 5 rows, or 5 units where each has one
    number, as patients have an age); of several labels, the rarest one that the row has (``k`` for none).
    """
    if targets.dtype.kind in "iu":
        return targets.astype(np.int64)
    if targets.ndim == 1:
        strata = _bins(targets, len(targets) // 5)
        whole = len(targets) if units is None else len(np.unique(units))
        if units is not None and whole // 5 < QUANTILES and len(np.unique([units, strata], axis=1).T) == whole:
            return _bins(targets, whole // 5)
        return strata
    has = np.nan_to_num(targets) > 0.5
    order = np.argsort(has.sum(axis=0), kind="stable")
    rarest = order[np.argmax(has[:, order], axis=1)]
    return np.asarray(np.where(has.any(axis=1), rarest, targets.shape[1]), dtype=np.int64)


def _bins(targets: np.ndarray, most: int) -> np.ndarray:
    bins = int(np.clip(most, 1, QUANTILES))
    edges = np.quantile(targets, np.arange(1, bins) / bins) if bins > 1 else np.empty(0)
    return np.searchsorted(np.unique(edges), targets, side="left").astype(np.int64)


def draw_side(strata: np.ndarray, units: np.ndarray, fraction: float, random: np.random.Generator) -> np.ndarray:
    """Choose whole units so that about this fraction of every stratum's rows is chosen.

    Parameters
    ----------
    strata
        ``(n,)`` int.
    units
        ``(n,)`` int; rows of one unit stay together.
    fraction
        Of the rows of each stratum. Of a stratum with two or more units, at least one is chosen and one is not.
    random
        Draws.

    Returns
    -------
    ``(n,)`` bool: chosen rows.
    """
    _, unit = np.unique(units, return_inverse=True)
    _, stratum = np.unique(strata, return_inverse=True)
    n_units, n_strata = unit.max() + 1, stratum.max() + 1
    pairs, counts = np.unique(unit * n_strata + stratum, return_counts=True)
    pair_unit, pair_stratum = pairs // n_strata, pairs % n_strata
    # The stratum that a unit is counted under is the one with most of its rows.
    order = np.lexsort((counts, pair_unit))
    last = np.flatnonzero(np.r_[np.diff(pair_unit[order]) > 0, True])
    own = pair_stratum[order][last]
    sizes = np.bincount(unit, minlength=n_units)

    chosen = _by_stratum(own, sizes, fraction, random)
    if len(pairs) == n_units:
        return np.asarray(chosen[unit])
    # Units of mixed strata: a stratified draw can be far off when they are few and large, so the best of many is taken.
    totals = np.bincount(pair_stratum, weights=counts, minlength=n_strata)
    spread = np.bincount(pair_stratum, minlength=n_strata) >= 2

    def cost(side: np.ndarray) -> float:
        inside = np.bincount(pair_stratum, weights=counts * side[pair_unit], minlength=n_strata)
        absent = spread & ((inside == 0) | (inside == totals))
        return float(np.abs(inside - fraction * totals).sum() / totals.sum() + absent.sum())

    best = (cost(chosen), chosen)
    for _ in range(int(np.clip(_MOST_WORK // n_units, 5, _TRIES))):
        side = _by_stratum(np.zeros(n_units, dtype=np.int64), sizes, fraction, random)
        candidate = (cost(side), side)
        best = min(best, candidate, key=lambda pair: pair[0])
    return np.asarray(best[1][unit])


def _by_stratum(own: np.ndarray, sizes: np.ndarray, fraction: float, random: np.random.Generator) -> np.ndarray:
    """Units in random order within their stratum, taken until their rows come nearest to the fraction."""
    order = np.lexsort((random.permutation(len(own)), own))
    chosen = np.zeros(len(own), dtype=bool)
    starts = np.flatnonzero(np.r_[True, np.diff(own[order]) > 0])
    for start, end in zip(starts, np.r_[starts[1:], len(order)], strict=True):
        members = order[start:end]
        if len(members) == 1:
            continue
        rows = np.cumsum(sizes[members])
        count = 1 + int(np.abs(rows[:-1] - fraction * rows[-1]).argmin())
        chosen[members[:count]] = True
    return chosen


def deal_whole(strata: np.ndarray, units: np.ndarray, parts: int, random: np.random.Generator) -> np.ndarray:
    """Deal whole units to parts, the largest first, each to the part that has least of what it brings.

    Parameters
    ----------
    strata
        ``(n,)`` int; each part gets about its share of every stratum.
    units
        ``(n,)`` int; rows of one unit stay together.
    parts
        How many; no more than there are units.
    random
        The order among units of one size.

    Returns
    -------
    ``(n,)`` int64: the part of each row, from 0 on.
    """
    _, unit = np.unique(units, return_inverse=True)
    _, stratum = np.unique(strata, return_inverse=True)
    counts = np.zeros((unit.max() + 1, stratum.max() + 1))
    np.add.at(counts, (unit, stratum), 1)
    shares, sizes = counts / counts.sum(axis=0), counts.sum(axis=1)
    order = random.permutation(len(counts))
    order = order[np.argsort(-sizes[order], kind="stable")]
    filled, rows = np.zeros((parts, counts.shape[1])), np.zeros(parts)
    part_of = np.empty(len(counts), dtype=np.int64)
    for each in order:
        part = np.lexsort((rows, (filled * shares[each]).sum(axis=1)))[0]
        part_of[each] = part
        filled[part] += counts[each]
        rows[part] += sizes[each]
    return np.asarray(part_of[unit])


def draw_rows(pool: Rows, targets: np.ndarray, units: Callable[[Rows], np.ndarray], fraction: float, seed: int) -> Rows:
    """About this fraction of the rows of a pool, sorted; `targets` are those of all rows."""
    if fraction == 0 or not len(pool):
        return np.empty(0, dtype=np.int64)
    whole = units(pool)
    side = draw_side(strata_of(targets[pool], whole), whole, fraction, np.random.default_rng([seed, 0]))
    return np.sort(pool[side])


def draw_apart(
    pool: Rows,
    targets: np.ndarray,
    units: Callable[[Rows], np.ndarray],
    fraction: float,
    seed: int,
    draws: int,
    number: int,
) -> Rows:
    """One of several draws without common rows, each of about this fraction of the pool.

    The first is that of :func:`draw_rows`; each is drawn from the rows that none before it has, which may be none.
    Where each class has one unit left, they are the next draw: of three groups each is drawn once.
    """
    drawn, rest = draw_rows(pool, targets, units, fraction, seed), pool
    for before in range(1, number + 1):
        rest = np.setdiff1d(rest, drawn)
        # What is left to draw is shared out again: whole units make draws larger or smaller than asked.
        left = fraction * draws * len(pool) - (len(pool) - len(rest))
        part = max(left / (draws - before) / max(len(rest), 1), 1e-9)
        drawn = rest if part > 1 - 1e-9 else draw_rows(rest, targets, units, part, seed)
        drawn = drawn if len(drawn) else rest
    return drawn


def draw_labels(
    pool: Rows,
    targets: np.ndarray,
    units: Callable[[Rows], np.ndarray],
    per_class: int | None,
    total: int | None,
    random: np.random.Generator,
) -> Rows:
    """The rows of the pool whose labels are kept: so many a class, or so many in all.

    Rows come one from each unit before any unit gives a second, so that few labels are not spent on copies.

    Parameters
    ----------
    pool
        Labelled rows, ``(m,)``.
    targets
        Of all rows.
    units
        Gives the unit of each row.
    per_class
        Labels of each class; with several labels a row, at least so many rows of each (all where it has fewer).
    total
        Labels in all, spread over the strata in proportion, at least one each where it reaches.
    random
        Draws.

    Returns
    -------
    Sorted rows.

    Raises
    ------
    RequestError
        If the pool has fewer than `total`.
    """
    if total is not None and total > len(pool):
        raise RequestError(
            f"labels={total} were asked for, but only {len(pool)} labelled rows are not test rows; lower it."
        )
    if total == 0 or not len(pool):
        return np.empty(0, dtype=np.int64)
    order = _spread(pool, units(pool), random)
    if per_class is not None and targets.ndim == 2:
        return _each_label(order, np.nan_to_num(targets[order]) > 0.5, per_class)
    strata = strata_of(targets[order])
    _, stratum, counts = np.unique(strata, return_inverse=True, return_counts=True)
    wanted = np.full(len(counts), per_class) if per_class is not None else _shares(counts, int(total or 0), random)
    kept = [order[stratum == i][: wanted[i]] for i in range(len(counts))]
    return np.sort(np.concatenate(kept))


def _spread(pool: Rows, unit: np.ndarray, random: np.random.Generator) -> Rows:
    """The pool in random order, first rows of all units before second ones."""
    shuffled = random.permutation(len(pool))
    by_unit = shuffled[np.argsort(unit[shuffled], kind="stable")]
    starts = np.r_[True, np.diff(unit[by_unit]) != 0]
    place = np.arange(len(by_unit)) - np.flatnonzero(starts)[np.cumsum(starts) - 1]
    turn = np.empty(len(pool), dtype=np.int64)
    turn[by_unit] = place
    return np.asarray(pool[shuffled[np.argsort(turn[shuffled], kind="stable")]])


def _shares(counts: np.ndarray, total: int, random: np.random.Generator) -> np.ndarray:
    """`total` shared out in proportion to the counts by largest remainder, one each first where it reaches."""
    if total <= len(counts):
        shares = np.zeros(len(counts), dtype=np.int64)
        shares[random.permutation(len(counts))[:total]] = 1
        return shares
    ideal = (total - len(counts)) * (counts - 1) / max(1, (counts - 1).sum())
    shares = np.floor(ideal).astype(np.int64)
    left = total - len(counts) - int(shares.sum())
    shares[np.argsort(shares - ideal, kind="stable")[:left]] += 1
    return np.asarray(shares + 1)


def _each_label(order: Rows, has: np.ndarray, per_class: int) -> Rows:
    kept = np.zeros(len(order), dtype=bool)
    for label in np.argsort(has.sum(axis=0), kind="stable"):
        missing = per_class - int((kept & has[:, label]).sum())
        kept[np.flatnonzero(has[:, label] & ~kept)[: max(0, missing)]] = True
    return np.sort(order[kept])
