"""feature-extraction: the body stays, a head is fitted on its features."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from sterna.methods.method import Method, Needs
from sterna.methods.problem import Array, Problem
from sterna.networks.body import LAST, Body
from sterna.networks.freezing import freeze
from sterna.networks.network import Network
from sterna.training.cache import Features
from sterna.training.linear import Choice, choose_penalty, fit_head, moments, sample_of
from sterna.training.trainer import Trainer


class FeatureExtraction(Method):
    """The body stays as it is; a linear head is fitted to convergence on its features.

    What moves: every weight of the source's body, unchanged. The head minimises the task's mean loss on the
    labelled target rows plus λ/2 ‖W‖², on standardised features: logistic regression for classes, ridge for
    numbers. λ is chosen by cross-validation on the training labels, and so are the blocks whose pooled features
    the head sees: knowledge that a distant target can use often sits in the middle of the body.

    When to use it: few labels (up to some hundreds), little time, or a body that must not change. When it hurts:
    many labels and a target far from the source; then ``fine-tuning`` goes further.

    Each row goes through the body once, whatever the number of candidates, and its features are kept on disk.

    References
    ----------
    Kornblith, Shlens and Le, "Do better ImageNet models transfer better?", CVPR 2019 (linear heads on fixed
    features). Evci et al., "Head2Toe: utilizing intermediate representations", ICML 2022 (several blocks).
    """

    needs: ClassVar[Needs] = Needs.SOURCE_MODEL | Needs.TARGET_LABELS

    blocks: Literal["last", "auto"] | tuple[str, ...] = Field(
        "auto", description="whose pooled features the head sees: the last, some by name, or chosen by cross-validation"
    )
    penalty: float | None = Field(
        None, gt=0, description="L2 penalty of the head on standardised features; chosen by cross-validation if none"
    )

    def refits_on(self, problem: Problem) -> bool:
        return True

    def run(self, problem: Problem, trainer: Trainer) -> Network:
        assert problem.source is not None and problem.source_body is not None
        body, preparation = problem.source_body, problem.source.prepared(problem.inputs)
        views = problem.source_views
        names = self._names(body)
        features = trainer.features(body, preparation, problem.inputs, names, views)
        blocks, penalty = self._choose(names, features, problem, trainer)
        head = fit_head(only(features, names, blocks), problem.targets, problem.task, problem.train_weights(), penalty)
        chosen = body.copied().selecting(blocks)  # what is frozen here is not the user's
        freeze(chosen)
        return Network(preparation, chosen, head, task=problem.task, views=views)

    def _names(self, body: Body) -> tuple[str, ...]:
        """Blocks whose features are needed."""
        every = tuple(block.name for block in body.blocks)
        if self.blocks == "last":
            return (LAST,)
        return (*every, LAST) if self.blocks == "auto" else tuple(body.selecting(self.blocks).outputs)

    def _choose(
        self, names: tuple[str, ...], features: Features, problem: Problem, trainer: Trainer
    ) -> tuple[tuple[str, ...], float]:
        """The blocks and the penalty: the first set whose loss is within one standard error of the lowest."""
        if self.blocks != "auto" and self.penalty is not None:
            return names, self.penalty
        rows = sample_of(problem.train, problem.targets, problem.task, problem.seed)
        targets, weights = problem.targets[rows], problem.row_weights()[rows]
        table = by_block(features, names, rows)
        sets = block_sets(inner_blocks(table)) if self.blocks == "auto" else [names]
        found: dict[tuple[str, ...], Choice] = {}
        for each in sets:
            x = standardised(np.concatenate([table[name] for name in each], axis=1))
            found[each] = choose_penalty(x, targets, problem.task, weights, problem.seed)
        best = min(found.values(), key=lambda choice: choice.loss)
        blocks = next(each for each in sets if is_near(found[each], best))
        if self.blocks == "auto":
            trainer.log.choose("cross-validation", len(rows), "blocks", list(blocks), problem.labels_of)
        if self.penalty is None:
            trainer.log.choose("cross-validation", len(rows), "penalty", found[blocks].penalty, problem.labels_of)
        return blocks, self.penalty or found[blocks].penalty


def is_near(choice: Choice, best: Choice) -> bool:
    """Whether a loss is within one standard error of the best, row by row (Breiman et al., 1984)."""
    difference = choice.losses - best.losses
    return bool(difference.mean() <= difference.std() / np.sqrt(len(difference)))


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


def standardised(features: Array) -> Array:
    """Features with mean 0 and deviation 1, each, ``(n, width)`` float64."""
    mean, scale = moments(lambda: iter([(0, features)]), np.ones(len(features)))
    return np.asarray((features - mean) / scale)


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
