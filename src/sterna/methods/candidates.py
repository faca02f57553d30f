"""Candidates: a source, a method and its settings, before anything chose between them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sterna.bench import Bench, Fitted, Problem
from sterna.domains.inputs import digest
from sterna.methods.method import Method, fitting, make_method, method_class, method_ids
from sterna.methods.needs import Needs, have

PREFERRED = (
    "feature-extraction", "pooled", "target-only", "source-only", "domain-scaling", "example-weighting", "coral",
    "label-propagation", "prototypes", "task-nesting", "example-mining", "fine-tuning", "joint-training",
)  # fmt: skip
"""Which candidate is preferred among equals: the simpler and the cheaper first; others follow in the order of their
kinds."""

FROM_SOURCE = (
    Needs.SOURCE_MODEL | Needs.SOURCE_ANSWERS | Needs.SOURCE_TASK | Needs.SOURCE_DATA | Needs.RULES | Needs.COMPARABLE
)
"""A method that needs none of it learns the same beside every source."""


@dataclass(frozen=True, eq=False)
class Candidate:
    """What may be chosen.

    Attributes
    ----------
    method
        With its settings.
    source
        Which of the problem's sources it moves knowledge from; ``None`` where it does without.
    """

    method: Method
    source: int | None = None

    def problem(self, problem: Problem) -> Problem:
        """The problem as the candidate sees it: with its own source alone."""
        return replace(problem, sources=() if self.source is None else (problem.sources[self.source],))

    def fit(self, bench: Bench) -> Fitted:
        """What the method alone would make of the problem, of all labels it may see."""
        problem = self.problem(bench.problem)
        again = self.method.refits(problem) and len(problem.validation) > 0
        with bench.trainer.seeded():
            return self.method.run(bench.on(problem.joined() if again else problem))

    def settings(self) -> dict[str, Any]:
        """The settings that are not the method's defaults."""
        return self.method.model_dump(exclude_defaults=True)

    def spec(self, problem: Problem) -> str:
        """The source that it moves knowledge from; empty where it does without."""
        return "" if self.source is None else problem.sources[self.source].source.spec

    def about(self, problem: Problem) -> dict[str, Any]:
        """Method, settings and source, as plain values."""
        return {"method": self.method.id(), "settings": self.settings(), "source": self.spec(problem)}

    def place(self, problem: Problem) -> str:
        """The folder of what is kept of it: another candidate has another, in whatever order they come."""
        return digest(json.dumps(self.about(problem), sort_keys=True).encode())

    def name(self, problem: Problem) -> str:
        """What a progress bar calls it."""
        settings = ", ".join(f"{name}={value}" for name, value in self.settings().items())
        words = f"{self.method.id()} ({settings})" if settings else self.method.id()
        return (
            words
            if self.source is None or len(problem.sources) == 1
            else (f"{words} from {problem.sources[self.source].source.spec}")
        )


def again(problem: Problem, found: Sequence[Candidate], about: Mapping[str, Any] | None) -> Candidate | None:
    """The candidate of this method, source and settings, if that method and source are among those found."""
    for each in found if about else ():
        if about and (each.method.id(), each.spec(problem)) == (about["method"], about["source"]):
            same = each.settings() == about["settings"]
            return each if same else Candidate(make_method(about["method"], about["settings"]), each.source)
    return None


def candidates(problem: Problem, only: Sequence[str] = ()) -> list[Candidate]:
    """Every source with every method that fits, the one to prefer first.

    Parameters
    ----------
    only
        Ids of methods; all if there are none.
    """
    found: dict[tuple[str, int | None], Candidate] = {}
    for number in range(len(problem.sources)) or (None,):
        seen = replace(problem, sources=() if number is None else (problem.sources[number],))
        for name in fitting(have(seen), list(method_ids())):
            key = (name, _moved(method_class(name), seen))
            if method_class(name).kind() != "choice" and (not only or name in only) and key not in found:
                found[key] = Candidate(make_method(name), None if key[1] is None else number)
    return sorted(found.values(), key=_preference)


def _moved(method: type[Method], problem: Problem) -> int | None:
    """Which source a method moves knowledge from, by identity: the model alone where it uses no more."""
    needs, source = (method.needs | method.suits) & FROM_SOURCE, problem.source
    if source is None or not needs:
        return None
    return id(source.body if needs == Needs.SOURCE_MODEL else source)


def _preference(candidate: Candidate) -> tuple[bool, int]:
    name = candidate.method.id()
    return candidate.method.trains(), PREFERRED.index(name) if name in PREFERRED else len(PREFERRED)
