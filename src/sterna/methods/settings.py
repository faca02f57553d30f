"""Settings of methods: their ranges, and what Optuna suggests within them."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from sterna.errors import RequestError, require
from sterna.methods.by_labels import ByLabels
from sterna.methods.candidates import Candidate
from sterna.methods.journal import described, keep, quiet, starts
from sterna.methods.method import Method, make_method, properties
from sterna.methods.tried import BEHIND, Tried

METHODS, ERRORS = 3, 2.0
"""So many methods are searched, the best of those within so many standard errors of the best."""

FACTOR = 30.0
"""A number without useful bounds is searched from its default, or from what stands for it, by this factor both ways."""

RANDOM = 4
"""Trials of a method before its suggestions follow from how earlier ones did."""

MISSES = 20
"""Suggestions in a row that were tried before, or go together with no other, after which a method has no more."""

BUDGETS = re.compile("epochs|steps|seconds|patience")
"""Settings by whose names how long a training takes."""

NUMBER = "a number"

STATES = ("COMPLETE", "PRUNED", "FAIL")
"""Of Optuna's trials: all rows were asked, it was left because it was behind, or it failed."""


@dataclass(frozen=True)
class Range:
    """The values of a setting that are searched.

    Attributes
    ----------
    values
        Those that can be listed.
    low, high
        Bounds of the numbers beside them, both among them; NaN where there are none.
    log, whole
        Whether numbers are drawn evenly by their logarithm, and whether they are whole.
    """

    values: tuple[Any, ...] = ()
    low: float = math.nan
    high: float = math.nan
    log: bool = False
    whole: bool = False

    def suggested(self, name: str, trial: Any) -> Any:
        """A value for an Optuna trial; a number has three digits, so that a person can write it down."""
        kinds = [*self.values, *([] if math.isnan(self.low) else [NUMBER])]
        value = kinds[0] if len(kinds) == 1 else trial.suggest_categorical(name, kinds)
        if value != NUMBER:
            return value
        if self.whole:
            return trial.suggest_int(f"{name}, {NUMBER}", int(self.low), int(self.high), log=self.log)
        found = trial.suggest_float(f"{name}, {NUMBER}", self.low, self.high, log=self.log)
        short = float(f"{found:.3g}")
        return short if self.low <= short <= self.high else found

    def fixed(self, name: str, value: Any) -> dict[str, Any]:
        """What an Optuna trial suggests where this value is wanted; nothing where it is not in the range."""
        if any(value is each or (type(value) is type(each) and value == each) for each in self.values):
            return {name: value}
        number = type(value) in ((int,) if self.whole else (int, float)) and self.low <= value <= self.high
        return {name: NUMBER, f"{name}, {NUMBER}": value} if number else {}


def ranges(method: type[Method]) -> dict[str, Range]:
    """What is searched of a method's settings: those that are no budgets, and whose values can be drawn."""
    found = {name: _range(about) for name, about in properties(method).items() if not BUDGETS.search(name)}
    return {name: each for name, each in found.items() if len(each.values) > 1 or each.low < each.high}


def _range(about: Mapping[str, Any]) -> Range:
    """The range of a setting, by the JSON schema of its field."""
    values: list[Any] = []
    numbers: dict[str, Any] = {}
    for part in about.get("anyOf", [about]):
        if "enum" in part or "const" in part:
            values += part.get("enum", [part.get("const")])
        elif part.get("type") in ("null", "boolean"):
            values += [None] if part["type"] == "null" else [False, True]
        elif part.get("type") in ("number", "integer"):
            numbers = _numbers(part, about.get("default"))
    return Range(tuple(values), **numbers)


def _numbers(part: Mapping[str, Any], default: Any) -> dict[str, Any]:
    """Bounds and scale: by the logarithm around the default, or from bound to bound where a number may be zero."""
    whole = part["type"] == "integer"
    above, below = part.get("exclusiveMinimum", -math.inf), part.get("exclusiveMaximum", math.inf)
    low = max(part.get("minimum", -math.inf), above + 1 if whole else math.nextafter(above, math.inf))
    high = min(part.get("maximum", math.inf), below - 1 if whole else math.nextafter(below, -math.inf))
    middle = min(1.0, high / 1000) if above == 0 else 0.0
    if isinstance(default, int | float) and not isinstance(default, bool):
        middle = default
    low, high = max(low, middle / FACTOR if middle > 0 else -FACTOR), min(high, (middle or 1.0) * FACTOR)
    if whole:
        low, high = math.ceil(low), math.floor(high)
    return {"low": low, "high": high, "log": middle > 0, "whole": whole}


@dataclass(eq=False)
class Suggestions:
    """What Optuna suggests for one method and source, by how it did before.

    Attributes
    ----------
    candidate
        With its default settings.
    seed
        Of what is drawn.
    told
        The loss of all settings so far, and the state of their trial.
    """

    candidate: Candidate
    seed: int
    told: dict[str, tuple[float, str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.method = type(self.candidate.method)
        self.ranges = ranges(self.method)
        with quiet() as optuna:
            sampler = optuna.samplers.TPESampler(seed=self.seed, n_startup_trials=RANDOM)
            self.study = optuna.create_study(sampler=sampler)
        self._trial: Any = None

    def start(self, settings: Mapping[str, Any]) -> None:
        """Suggest these settings before others; what they do not name has its default."""
        whole = {**self.method().model_dump(), **settings}
        fixed = [self.ranges[name].fixed(name, value) for name, value in whole.items() if name in self.ranges]
        self.study.enqueue_trial({name: value for each in fixed for name, value in each.items()})

    def ask(self) -> Candidate | None:
        """A candidate that was not suggested before; ``None`` where no more are found."""
        for _ in range(MISSES):
            self._trial = self.study.ask()
            settings = {name: each.suggested(name, self._trial) for name, each in self.ranges.items()}
            try:
                found = Candidate(make_method(self.method.id(), settings), self.candidate.source)
            except RequestError:  # settings that do not go together
                self.study.tell(self._trial, state=_state(STATES[2]))
                continue
            if (text := _text(found)) not in self.told:
                return found
            self._tell(*self.told[text])
        return None

    def best(self) -> dict[str, Any]:
        """What did best, and how the defaults did, which were told first."""
        losses = {text: loss for text, (loss, state) in self.told.items() if state == STATES[0]}
        text = min(losses, key=lambda text: losses[text])
        return {"settings": json.loads(text), "loss": losses[text], "default": next(iter(losses.values()))}

    def tell(self, candidate: Candidate, loss: float, state: str) -> None:
        """How the candidate that was asked for did."""
        self.told[_text(candidate)] = loss, state
        self._tell(loss, state)

    def _tell(self, loss: float, state: str) -> None:
        if state == STATES[1]:
            self._trial.report(loss, 1)
        self.study.tell(self._trial, loss if state == STATES[0] else None, _state(state))


def _state(name: str) -> Any:
    return require("optuna", "tune").trial.TrialState[name]


def _text(candidate: Candidate) -> str:
    return json.dumps(candidate.settings(), sort_keys=True)


def searched(board: ByLabels, trials: int) -> Iterator[Candidate]:
    """Candidates with other settings for the best methods in turn, so many in all, while the budget lasts.

    Each is tried before the next is asked for. What did best on similar problems before comes first, and what did best
    here is kept for problems to come.
    """
    bench, first = board.bench, leading(board)
    here = described(bench.problem, [each.candidate for each in first])
    before, searches = starts(bench, here), []
    for each in first:
        search = Suggestions(each.candidate, bench.seed)
        for settings in ({}, *before.settings.get(each.candidate.method.id(), ())):
            search.start(settings)
        search.tell(search.ask() or each.candidate, *how(board, each))
        searches.append(search)
    left, made = list(searches), 0
    while left and made < trials and not board.over():
        search = left.pop(0)
        candidate = search.ask()
        if candidate is not None:
            yield candidate
            search.tell(candidate, *how(board, board.tried[-1]))
            left.append(search)
            made += 1
    if made < trials:
        why = "the budget was over (budget= gives more)" if left else "the best methods have no more settings to try"
        bench.say(f"{made} of {trials} trials were made: {why}.")
    if made and before.works:
        keep(bench, [replace(entry, **search.best()) for entry, search in zip(here, searches, strict=True)])


def leading(board: ByLabels) -> list[Tried]:
    """The best candidates that have settings to search, one for each method; all processes take the same."""
    problem, found = board.bench.problem, dict[str, tuple[float, int]]()
    for each in (each for each in board.tried if each.done):
        best = board.chosen()
        rows = np.intersect1d(each.asked, best.asked)
        mine, other = each.trial(problem, rows), best.trial(problem, rows)
        if mine.is_near(other, ERRORS) and ranges(type(each.candidate.method)):
            name, place = each.candidate.method.id(), (mine.loss - other.loss, board.tried.index(each))
            found[name] = min(place, found.get(name, place))
    places = [float(place) for _, place in sorted(found.values())[:METHODS]]
    places += [-1.0] * (METHODS - len(places))
    shared = board.bench.trainer.strategy.shared(tuple(places))
    return [board.tried[int(place)] for place in shared if place >= 0]


def how(board: ByLabels, each: Tried) -> tuple[float, str]:
    """The loss of a candidate on held-out labels, and the state of its trial; all processes say the same."""
    loss = each.trial(board.bench.problem, each.asked).loss if len(each.asked) else math.nan
    state = 0 if each.done else 1 if each.left == BEHIND else 2
    loss, place = board.bench.trainer.strategy.shared((loss, float(state)))
    return loss, STATES[int(place) if math.isfinite(loss) else 2]
