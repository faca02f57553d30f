"""example-mining: the source examples that help this target, and no others."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import numpy as np
import torch
from pydantic import Field

from sterna.bench import Bench, Fitted, Labelled
from sterna.bench.density_ratio import BothDomains, both_domains, drawn, likeness, nearest_distances
from sterna.bench.heads import fit_on_head
from sterna.bench.problem import Array
from sterna.kinds.kind import kind_of
from sterna.methods.method import Method, Needs
from sterna.record.choice import Choice
from sterna.selection.calibration import calibration, of_known_classes
from sterna.selection.cross_validation import Trial, fit_head, folds_of, sample_of
from sterna.tasks.task import Task
from sterna.training.linear import fit_layer

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

    needs = Needs.SOURCE_DATA | Needs.SAME_TASK | Needs.SAME_INPUTS | Needs.TARGET_LABELS
    suits = Needs.COMPARABLE

    by: Literal["neighbours", "odds"] = Field(
        "neighbours", description="what scores a source row: its nearest target rows, or a domain classifier's odds"
    )
    share: float | None = Field(
        None, ge=0, le=1, description="share of the source's rows to keep; chosen by cross-validation if none"
    )

    def ablated(self) -> ExampleMining:
        return self.model_copy(update={"share": 0.0})

    def run(self, bench: Bench) -> Fitted:
        known = bench.problem.known
        assert known is not None
        both = both_domains(bench)
        ranked = ranking(scores_of(both, self.by, bench.seed))
        share, choices = (self.share, ()) if self.share is not None else _choose(both, ranked, bench)
        kept = ranked[: kept_rows(share, len(ranked))]
        of = "source and target" if len(kept) else None
        units = np.concatenate([both.labelled_units, both.source_units[kept]])
        fitted = fit_on_head(bench, both.vectors.network, *together(both, kept), of, units)
        bench.say(_kept(both.order[kept], known))
        return replace(fitted, choices=(*choices, *fitted.choices))


def scores_of(both: BothDomains, by: str, seed: int) -> Array:
    """A score for each source row, ``(n,)``: the higher, the more like the target's rows."""
    return likeness(both, seed) if by == "odds" else -nearest_distances(*both.standardised(), seed)


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


def together(
    both: BothDomains, kept: Array, rows: Array | None = None, weight: float = 1.0
) -> tuple[Array, Array, Array]:
    """Labelled target rows (all, or some) and source rows below them: features, encoded labels and weights."""
    rows = np.arange(len(both.labelled)) if rows is None else rows
    return (
        np.concatenate([both.labelled[rows], both.source[kept]]),
        np.concatenate([both.targets[rows], both.source_targets[kept]]),
        np.concatenate([both.weights[rows], weight * both.source_weights[kept]]),
    )


def trial(both: BothDomains, kept: Array, rows: Array, task: Task, seed: int, weight: float = 1.0) -> Trial:
    """How well these source rows help: the loss of each of these target rows when it is held out."""
    x, targets, weights = together(both, kept, rows, weight)
    ours = both.labelled_units[rows]
    units = np.concatenate([ours, both.source_units[kept]])
    penalty = fit_head(x, targets, task, weights, seed=seed, units=units)[1]
    outputs = torch.zeros((len(rows), task.outputs), dtype=torch.float64)
    folds = folds_of(both.targets[rows], task, FOLDS, seed, units=ours)
    for train, held in folds:
        x, targets, weights = together(both, kept, rows[train], weight)
        head = fit_layer(x, targets, task, weights, penalty).double()
        outputs[held] = head(torch.from_numpy(both.labelled[rows[held]])).detach()
    targets, weights = both.targets[rows], both.weights[rows]
    known = of_known_classes(targets, folds, task)
    outputs = calibration(outputs.numpy(), targets, weights, task, usable=known).of(outputs)
    losses = task.losses(outputs, torch.as_tensor(targets)).numpy()
    return Trial(penalty, losses, weights, ours)


def _choose(both: BothDomains, ranked: Array, bench: Bench) -> tuple[float, tuple[Choice, ...]]:
    """The share; of a large source some rows are tried, each in the place of several."""
    task, seed = bench.task, bench.seed
    rows = sample_of(np.arange(len(both.labelled)), both.targets, task, seed, both.weights)
    if len(rows) < 2:  # none can be held out to compare by
        return 1.0, ()
    tried = drawn(len(ranked), seed)
    found = {}
    for share in SHARES:
        kept = ranked[tried[tried < kept_rows(share, len(ranked))]]
        found[share] = trial(both, kept, rows, task, seed, len(ranked) / len(tried))
    share, choice = bench.among("share of the source's rows", found, len(rows))
    return share, (choice,)


def _kept(kept: Array, known: Labelled) -> str:
    """How many rows were kept and, where rows have names, the first of them."""
    sentence = f"Kept {len(kept):,} of {len(known):,} source rows"
    names = kind_of(known.domain.kind).told(known.inputs, [int(row) for row in kept[:NAMED]])
    if not names:
        return f"{sentence}."
    return f"{sentence}; the most like the target's: {', '.join(names)}."
