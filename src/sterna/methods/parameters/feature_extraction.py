"""feature-extraction: the body stays, a head is fitted on its features."""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from sterna.errors import RequestError, closest
from sterna.methods.method import Array, Method, Needs, Problem
from sterna.networks.body import Body
from sterna.networks.freezing import freeze
from sterna.networks.network import Network
from sterna.training.cache import Features
from sterna.training.linear import Choice, choose_penalty, fit_head, moments, sample_of
from sterna.training.trainer import Trainer

LAST = ("last",)


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
        assert problem.source is not None and problem.source.body is not None
        body, preparation = problem.source.body, problem.source.prepared(problem.inputs)
        candidates = self._candidates(body)
        every = tuple(dict.fromkeys(name for candidate in candidates for name in candidate))
        features = trainer.features(body, preparation, problem.inputs, every)
        blocks, penalty = self._choose(candidates, only(features, every, every), every, problem, trainer)
        head = fit_head(only(features, every, blocks), problem.targets, problem.task, problem.train_weights(), penalty)
        chosen = body.selecting(blocks)
        freeze(chosen)
        return Network(preparation, chosen, head, task=problem.task)

    def _candidates(self, body: Body) -> list[tuple[str, ...]]:
        names = [block.name for block in body.blocks]
        if self.blocks == "last":
            return [LAST]
        if self.blocks == "auto":
            return block_sets(names)
        for name in self.blocks:
            if name not in (*names, *LAST):
                raise RequestError(
                    f"feature-extraction: the body has no block {name!r}.{closest(name, names)} "
                    f"Its blocks, in depth order: {', '.join(names)}, last."
                )
        return [self.blocks]

    def _choose(
        self, candidates: list[tuple[str, ...]], features: Features, every: tuple[str, ...], problem: Problem,
        trainer: Trainer,
    ) -> tuple[tuple[str, ...], float]:  # fmt: skip
        if len(candidates) == 1 and self.penalty is not None:
            return candidates[0], self.penalty
        rows = sample_of(problem.train, problem.targets, problem.task, problem.seed)
        targets, weights = problem.targets[rows], problem.weights[rows]
        table = features.array(rows)
        starts = dict(zip(every, np.cumsum((0, *features.widths)), strict=False))
        widths = dict(zip(every, features.widths, strict=True))
        found: dict[tuple[str, ...], Choice] = {}
        seen: list[tuple[int, bytes]] = []
        for candidate in candidates:
            x = np.concatenate([table[:, starts[n] : starts[n] + widths[n]] for n in candidate], axis=1)
            mark = (x.shape[1], np.float32(x[:8]).tobytes())
            if mark not in seen:  # a body's deepest block often is its last features under another name
                seen.append(mark)
                found[candidate] = choose_penalty(standardised(x), targets, problem.task, weights, problem.seed)
        best = min(found, key=lambda c: found[c].loss)
        what = "cross-validation"
        if len(candidates) > 1:
            trainer.log.choose(what, len(rows), "blocks", list(best))
        penalty = self.penalty
        if penalty is None:
            penalty = found[best].penalty
            trainer.log.choose(what, len(rows), "penalty", penalty)
        return best, penalty


def standardised(features: Array) -> Array:
    """Features with mean 0 and deviation 1, each, ``(n, width)`` float64."""
    mean, scale = moments(lambda: iter([(0, features)]), np.ones(len(features)))
    return np.asarray((features - mean) / scale)


def only(features: Features, names: tuple[str, ...], wanted: tuple[str, ...]) -> Features:
    """The features of some of the blocks."""
    index = [names.index(name) for name in wanted]
    return Features(tuple(features.files[i] for i in index), features.rows, tuple(features.widths[i] for i in index))


def block_sets(names: list[str]) -> list[tuple[str, ...]]:
    """Sets of blocks worth trying, simplest first: the last features, then with more and more of the depth.

    Examples
    --------
    >>> block_sets(["a", "b", "c", "d"])  # doctest: +NORMALIZE_WHITESPACE
    [('last',), ('d', 'last'), ('c', 'd'), ('c', 'd', 'last'), ('b', 'd'), ('a', 'b', 'c', 'd', 'last')]
    """
    half = tuple(names[len(names) // 2 :])
    sets = [LAST, (names[-1], *LAST), half, (*half, *LAST), tuple(names[1::2]), (*names, *LAST)]
    return list(dict.fromkeys(s for s in sets if s))
