"""auto: the best of what fits, chosen by the labels there are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from pydantic import Field

from sterna.bench import Bench, Fitted, Problem
from sterna.kinds.kind import kind_of
from sterna.methods.by_labels import ByLabels
from sterna.methods.candidates import Candidate, candidates
from sterna.methods.method import Method, Needs, make_method, method_ids
from sterna.methods.settings import searched
from sterna.methods.without_labels import WithoutLabels
from sterna.record.choice import Choice

SECONDS, DEAR_SECONDS = 10.0, 30.0
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
    the simpler and the cheaper before the other. The test rows are not looked at.

    Without target labels domain-scaling and coral answer together with the source's own model: the mean of their
    probabilities is taken. What does worse than that model on the source's held-out rows has no part in it.

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
        if not len(problem.train):
            if self.trials:
                bench.say("trials= compares settings by target labels, and there are none: no settings were searched.")
            return WithoutLabels(bench).fitted(found)
        usual = DEAR_SECONDS if kind_of(problem.target.kind).dear else SECONDS
        board = ByLabels(bench, self.budget or usual, at_least=self.budget is None)
        chosen = board.best(found, partial(searched, trials=self.trials) if self.trials else None)
        fitted = board.fitted(chosen)
        lines = tuple(each.line(problem, chosen) for each in board.tried)
        return replace(fitted, choices=(*named(bench, chosen, board), *fitted.choices), candidates=lines)

    def beside(self, problem: Problem, chosen: Mapping[str, Any]) -> tuple[Method, Problem]:
        specs = [known.source.spec for known in problem.sources]
        source = specs.index(chosen["source"]) if "source" in chosen else 0 if specs else None
        known = chosen["method"] in method_ids()  # the mean of several is no method
        method = make_method(chosen["method"], chosen.get("settings") or {}) if known else self
        return method, Candidate(method, source).problem(problem)


def named(bench: Bench, chosen: Candidate, board: ByLabels) -> list[Choice]:
    """Which method and which source, as choices."""
    parts = board.parts()
    by = "validation" if len(parts) == 1 else "cross-validation"
    if not board.tried:
        by += " on another draw"
    rows = sum(len(held) for _, held in parts)
    found: dict[str, Any] = {"method": chosen.method.id()}
    if chosen.settings():
        found["settings"] = chosen.settings()
    if len(bench.problem.sources) > 1 and chosen.source is not None:
        found["source"] = chosen.spec(bench.problem)
    return [Choice(what, value, by, rows, bench.problem.labels_of) for what, value in found.items()]
