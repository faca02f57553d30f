"""auto: the best of what fits, chosen by the labels there are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from pydantic import Field

from sterna.bench import Bench, Fitted, Problem
from sterna.kinds.kind import kind_of
from sterna.methods.by_labels import ByLabels
from sterna.methods.candidates import Candidate, candidates
from sterna.methods.method import Method, Needs, make_method
from sterna.methods.settings import searched
from sterna.record.choice import Choice

SECONDS, DEAR_SECONDS = 60.0, 120.0
"""What trying may take for each draw of the labels: of tables and texts, and of images and sounds."""


class Auto(Method):
    """Every source with every method that fits is tried, and the best is taken.

    What moves: what the chosen method moves.

    With target labels each candidate answers for labelled rows that it has not learnt from. A method that holds rows
    out itself, to choose a penalty by, is fitted once, and what it answered for these counts. Others are fitted on four
    fifths in turn, while they are not behind by two standard errors; what trains a network of images or sounds, or a
    source's, is fitted on the training rows alone, and only where 20 rows or more validate. From 1,000 labels on the
    validation rows choose. Of the
    candidates whose loss is within one standard error of the lowest, the first in the order of preference is taken:
    the simpler and the cheaper before the other. The test rows are not looked at. Without target labels domain-scaling
    is taken where it fits, else source-only.

    When to use it: where no one knows which method suits, which is nearly always.

    References
    ----------
    Breiman, Friedman, Olshen and Stone, "Classification and regression trees", 1984 (one standard error).
    """

    needs = Needs.ANSWERED
    several = True
    validation = "kept"

    methods: tuple[str, ...] = Field((), description="ids of the methods to try; all that fit if none")
    budget: float | None = Field(
        None, gt=0, description="seconds that trying may take, for each draw of the labels; by the kind of data if none"
    )
    trials: int = Field(0, ge=0, description="settings of the best methods that Optuna suggests, for each draw")

    def run(self, bench: Bench) -> Fitted:
        problem = bench.problem
        found = candidates(problem, self.methods)
        board = ByLabels(bench, self.budget or (DEAR_SECONDS if kind_of(problem.target.kind).dear else SECONDS))
        if self.trials and not len(problem.train):
            bench.say("trials= compares settings by target labels, and there are none: no settings were searched.")
        search = partial(searched, trials=self.trials) if self.trials else None
        chosen = board.best(found, search) if len(problem.train) else without_labels(found)
        fitted = board.fitted(chosen)
        lines = tuple(each.line(problem, chosen) for each in board.tried)
        return replace(fitted, choices=(*named(bench, chosen, board), *fitted.choices), candidates=lines)

    def beside(self, problem: Problem, chosen: Mapping[str, Any]) -> tuple[Method, Problem]:
        settings = chosen.get("settings") or {}
        specs = [known.source.spec for known in problem.sources]
        source = specs.index(chosen["source"]) if "source" in chosen else 0 if specs else None
        candidate = Candidate(make_method(chosen["method"], settings), source)
        return candidate.method, candidate.problem(problem)


WITHOUT = ("domain-scaling", "source-only")
"""What is taken where no label can tell, the first that fits."""


def without_labels(found: Sequence[Candidate]) -> Candidate:
    """The candidate to take where there are no labels to compare any by: that of the first source."""
    order = {name: place for place, name in enumerate(WITHOUT)}
    return min(found, key=lambda each: order.get(each.method.id(), len(order)))


def named(bench: Bench, chosen: Candidate, board: ByLabels) -> list[Choice]:
    """Which method and which source, as choices."""
    parts = board.parts() if len(bench.problem.train) else []
    by = "validation" if len(parts) == 1 else "cross-validation"
    if not board.tried and parts:
        by += " on another draw"
    rows = sum(len(held) for _, held in parts)
    found: dict[str, Any] = {"method": chosen.method.id()}
    if chosen.settings():
        found["settings"] = chosen.settings()
    if len(bench.problem.sources) > 1 and chosen.source is not None:
        found["source"] = chosen.spec(bench.problem)
    return [Choice(what, value, by, rows, bench.problem.labels_of) for what, value in found.items()]
