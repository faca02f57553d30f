"""example-mining: the source examples that help this target, and no others."""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np
import torch
from pydantic import Field

from sterna.kinds.kind import kind_of
from sterna.methods.method import Method, Needs
from sterna.methods.odds import Meeting, drawn, likeness, meeting, nearest_distances
from sterna.methods.parameters.feature_extraction import is_near
from sterna.methods.problem import Array, Labelled, Problem
from sterna.networks.network import Network
from sterna.tasks.task import Task
from sterna.training.linear import Choice, fit_head_on, folds_of, sample_of
from sterna.training.trainer import Trainer

SHARES = (1.0, 0.75, 0.5, 0.25, 0.1, 0.0)
"""Shares of the source's rows that are tried, the one to prefer among equals first."""

FOLDS = 5

NAMED = 3
"""Rows that a message names."""


class ExampleMining(Method):
    """The source's examples that are most like the target's are kept, and a head learns from them and the target's.

    What moves: some of the source's labelled rows. Each gets a score in the body's features, by one of

        neighbours   minus its mean distance to its 5 nearest target rows, on standardised features
        odds         p(target | x) / p(source | x) by a logistic regression that tells the domains apart, cross-fitted:
                     no row is scored by a classifier that saw it

    and the share with the highest scores is kept. A linear head is then fitted on these and on the labelled target
    rows together, each row counting once. Share 0 is the target alone, share 1 is ``pooled``. Of the shares 1, 0.75,
    0.5, 0.25, 0.1 and 0 the largest is taken whose loss on held-out target rows (cross-validation over the target's
    labels) is within one standard error of the lowest: among equals, more rows are the safer choice.

    When to use it: a large source of which only a part is like the target. When it hurts: a source whose rows are all
    equally far, where the choice of the share only adds noise; a handful of target labels, which choose badly.

    References
    ----------
    Ge and Yu, "Borrowing treasures from the wealthy: deep transfer learning through selective joint fine-tuning", CVPR
    2017 (nearest source examples). Bickel, Brückner and Scheffer, "Discriminative learning for differing training and
    test distributions", ICML 2007 (a domain classifier's odds).
    """

    needs: ClassVar[Needs] = Needs.SOURCE_DATA | Needs.SAME_TASK | Needs.SAME_INPUTS | Needs.TARGET_LABELS

    by: Literal["neighbours", "odds"] = Field(
        "neighbours", description="what scores a source row: its nearest target rows, or a domain classifier's odds"
    )
    share: float | None = Field(
        None, ge=0, le=1, description="share of the source's rows to keep; chosen by cross-validation if none"
    )

    def refits_on(self, problem: Problem) -> bool:
        return True

    def run(self, problem: Problem, trainer: Trainer) -> Network:
        known, task = problem.known, problem.task
        assert known is not None
        met = meeting(problem, trainer)
        ranked = ranking(scores_of(met, self.by, problem.seed))
        share, penalty = self.share, None
        if share is None:
            share, penalty = _choose(met, ranked, problem, trainer)
        kept = ranked[: kept_rows(share, len(ranked))]
        x, targets, weights = together(met, kept)
        head, penalty = fit_head_on(x, targets, task, weights, penalty=penalty, seed=problem.seed)
        rows = len(sample_of(np.arange(len(x)), targets, task, problem.seed))
        of = "source and target" if len(kept) else problem.labels_of
        trainer.log.choose("cross-validation", rows, "penalty", penalty, of)
        trainer.say(_told(met.order[kept], known))
        return met.space.network(head, task)


def scores_of(met: Meeting, by: str, seed: int) -> Array:
    """A score for each source row, ``(n,)``: the higher, the more like the target's rows."""
    return likeness(met, seed) if by == "odds" else -nearest_distances(*met.standardised(), seed)


def ranking(scores: Array) -> Array:
    """Row numbers by falling score, ``(n,)``; among equals the first comes first."""
    return np.argsort(-scores, kind="stable")


def kept_rows(share: float, rows: int) -> int:
    """How many rows a share is, to the nearest.

    Examples
    --------
    >>> [kept_rows(share, 10) for share in (0, 0.25, 1)]
    [0, 3, 10]
    """
    return int(np.floor(share * rows + 0.5))


def together(met: Meeting, kept: Array, rows: Array | None = None, weight: float = 1.0) -> tuple[Array, Array, Array]:
    """Labelled target rows (all, or some) and source rows below them: features, encoded labels and weights."""
    rows = np.arange(len(met.labelled)) if rows is None else rows
    return (
        np.concatenate([met.labelled[rows], met.source[kept]]),
        np.concatenate([met.targets[rows], met.source_targets[kept]]),
        np.concatenate([met.weights[rows], np.full(len(kept), weight)]),
    )


def trial(met: Meeting, kept: Array, rows: Array, task: Task, seed: int, weight: float = 1.0) -> Choice:
    """How well these source rows help: the loss of each of these target rows when it is held out."""
    x, targets, weights = together(met, kept, rows, weight)
    penalty = fit_head_on(x, targets, task, weights, seed=seed)[1]
    losses = np.empty(len(rows))
    for train, held in folds_of(met.targets[rows], task, FOLDS, seed):
        x, targets, weights = together(met, kept, rows[train], weight)
        head = fit_head_on(x, targets, task, weights, penalty=penalty)[0].double()
        outputs = head(torch.from_numpy(met.labelled[rows[held]])).detach()
        wanted = torch.as_tensor(met.targets[rows[held]])
        losses[held] = task.losses(outputs, wanted).numpy()
    return Choice(penalty, losses, float(np.average(losses, weights=met.weights[rows])))


def preferred(found: dict[float, Choice]) -> float:
    """The first share whose loss is within one standard error of the lowest."""
    best = min(found.values(), key=lambda choice: choice.loss)
    return next(share for share, choice in found.items() if is_near(choice, best))


def _choose(met: Meeting, ranked: Array, problem: Problem, trainer: Trainer) -> tuple[float, float | None]:
    """Share and penalty; of a large source some rows are tried, each in the place of several."""
    rows = sample_of(np.arange(len(met.labelled)), met.targets, problem.task, problem.seed)
    if len(rows) < 2:  # none can be held out to compare by
        return 1.0, None
    tried = drawn(len(ranked), problem.seed)
    found = {}
    for share in SHARES:
        kept = ranked[tried[tried < kept_rows(share, len(ranked))]]
        found[share] = trial(met, kept, rows, problem.task, problem.seed, len(ranked) / len(tried))
    share = preferred(found)
    trainer.log.choose("cross-validation", len(rows), "share of the source's rows", share, problem.labels_of)
    return share, found[share].penalty


def _told(kept: Array, known: Labelled) -> str:
    """How many rows were kept and, where rows have names, the first of them."""
    sentence = f"Kept {len(kept):,} of {len(known):,} source rows"
    names = kind_of(known.domain.kind).told(known.inputs, [int(row) for row in kept[:NAMED]])
    if not names:
        return f"{sentence}."
    return f"{sentence}; the most like the target's: {', '.join(names)}."
