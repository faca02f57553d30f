"""A linear head on the pooled features of a fixed body, and the blocks whose features it sees."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from sterna.bench.fitted import Fitted
from sterna.bench.heads import told_of
from sterna.bench.problem import Array
from sterna.networks.body import LAST
from sterna.networks.freezing import freeze
from sterna.record.choice import Choice
from sterna.selection.cross_validation import Trial, choose_penalty, sample_of
from sterna.training.cache import Features
from sterna.training.linear import fit_layer_on, standardised

if TYPE_CHECKING:
    from sterna.bench.bench import Bench


def probe(bench: Bench, blocks: str | Sequence[str] = "auto", penalty: float | None = None) -> Fitted:
    """A linear head fitted to convergence on the features of the source's body, which stays as it is.

    Parameters
    ----------
    blocks
        Whose features the head sees: ``"last"``, some by name, or ``"auto"``, chosen by cross-validation.
    penalty
        λ on standardised features; chosen by cross-validation if none.
    """
    problem, found = bench.problem, bench.source_body()  # what is frozen here is not the user's
    assert found is not None
    (preparation, body), views = found, problem.source_views
    every = tuple(block.name for block in body.blocks)
    if blocks == "auto":
        names: tuple[str, ...] = (*every, LAST)
    else:
        names = (LAST,) if isinstance(blocks, str) else tuple(body.selecting(blocks).outputs)
    features = bench.features(body, preparation, problem.inputs, names, views)
    chosen, penalty, offset, choices, told = _chosen(bench, features, names, blocks == "auto", penalty)
    seen, weights = only(features, names, chosen), problem.train_weights()
    head = fit_layer_on(seen, problem.targets, bench.task, weights, penalty, offset)
    network = bench.network(preparation, body.selecting(chosen), head, views)
    freeze(network.body)
    return Fitted(network, choices, told=told)


def _chosen(
    bench: Bench, features: Features, names: tuple[str, ...], search: bool, penalty: float | None
) -> tuple[tuple[str, ...], float, Array | float, tuple[Choice, ...], Array | None]:
    """Blocks, penalty, what the intercepts lack, and held-out outputs, of the first set near the lowest loss."""
    problem = bench.problem
    if not search and penalty is not None:
        return names, penalty, 0.0, (), None
    weights = problem.row_weights()
    rows = sample_of(problem.train, problem.targets, bench.task, bench.seed, weights)
    targets, weights, units = problem.targets[rows], weights[rows], problem.units[rows]
    table = by_block(features, names, rows)
    found: dict[tuple[str, ...], Trial] = {}
    for each in block_sets(inner_blocks(table)) if search else [names]:
        x = standardised(np.concatenate([table[name] for name in each], axis=1))[0]
        found[each] = choose_penalty(x, targets, bench.task, weights, bench.seed, units=units)
    blocks, choice = bench.among("blocks", found, len(rows))
    choices = [choice] if search else []
    if penalty is not None:
        return blocks, penalty, 0.0, tuple(choices), None
    best = found[blocks]
    told = told_of(bench, rows, best.outputs)
    choices.append(bench.cross_validated("penalty", best.penalty, len(rows)))
    return blocks, best.penalty, best.offset, tuple(choices), told


def by_block(features: Features, names: Sequence[str], rows: Array | None = None) -> dict[str, Array]:
    """The features of each block for these rows, or all, ``(n, width)`` each."""
    parts = np.split(features.array(rows), np.cumsum(features.widths)[:-1], axis=1)
    return dict(zip(names, parts, strict=True))


def deepest(table: Mapping[str, Array]) -> tuple[str, ...]:
    """The deepest quarter of the blocks, and the last features: the first of :func:`block_sets`."""
    return block_sets(inner_blocks(table))[0]


def inner_blocks(table: Mapping[str, Array]) -> list[str]:
    """The blocks whose features are not the last ones under another name, in depth order."""
    last = table[LAST]
    return [
        n for n, x in table.items() if n != LAST and not (x.shape == last.shape and np.allclose(x, last, atol=1e-5))
    ]


def only(features: Features, names: tuple[str, ...], wanted: tuple[str, ...]) -> Features:
    """The features of some of the blocks."""
    index = [names.index(name) for name in wanted]
    return Features(tuple(features.files[i] for i in index), features.rows, tuple(features.widths[i] for i in index))


def block_sets(names: list[str]) -> list[tuple[str, ...]]:
    """Sets of blocks worth trying, the one to prefer among equals first.

    First the last features with the deepest quarter of the blocks: on photographs, several sets of blocks are often
    as good as each other by cross-validation, and adding some depth was then the safest on test rows
    (``benchmarks/``, ants and bees, flowers). Then with more of the depth, every other block alone, and the last
    features alone.

    Examples
    --------
    >>> block_sets(["a", "b", "c", "d"])  # doctest: +NORMALIZE_WHITESPACE
    [('d', 'last'), ('c', 'd', 'last'), ('b', 'c', 'd', 'last'), ('a', 'b', 'c', 'd', 'last'), ('b', 'd'), ('last',)]
    """
    count = len(names)
    deep = [(*names[count * part // 4 :], LAST) for part in (3, 2, 1, 0)]
    return list(dict.fromkeys(s for s in (*deep, tuple(names[1::2]), (LAST,)) if s))
