"""Trying candidates on labelled rows that are held out in turn."""

from __future__ import annotations

import io
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from sterna.bench import Bench, Problem
from sterna.errors import RunError, SternaError
from sterna.files import atomic
from sterna.methods.candidates import Candidate
from sterna.selection.cross_validation import Trial, folds_of, simplest

Array = np.ndarray[Any, Any]

MANY = 1000
"""With so many labelled rows the validation rows choose; with fewer, all of them in turn."""

FOLDS = 5

OVER, BEHIND, ENDED = "the budget was over", "behind the best of before", "the trying was ended"


@dataclass(eq=False)
class Tried:
    """A candidate, and how it did on rows whose labels it had not seen.

    Attributes
    ----------
    candidate
        What was tried.
    outputs
        For every labelled row, ``(n, o)``; NaN where it was not asked.
    seconds
        How long it took.
    left
        Why it was left before all rows were asked; empty if it was not.
    done
        Whether it was asked for all rows.
    """

    candidate: Candidate
    outputs: Array
    seconds: float = 0.0
    left: str = ""
    done: bool = False

    @property
    def asked(self) -> Array:
        """The rows that it was asked for."""
        return np.flatnonzero(~np.isnan(self.outputs).any(axis=1))

    def trial(self, problem: Problem, rows: Array) -> Trial:
        """Its losses of these rows."""
        task, targets = problem.task, problem.targets[rows]
        losses = task.losses(torch.from_numpy(self.outputs[rows]), torch.as_tensor(targets)).numpy()
        return Trial(0.0, losses, problem.row_weights()[rows], problem.units[rows])

    def line(self, problem: Problem, chosen: Candidate) -> dict[str, Any]:
        """What a leader board says of it."""
        task, rows = problem.task, self.asked
        found = {
            "method": self.candidate.method.id(), "settings": self.candidate.settings(),
            "source": self.candidate.spec(problem), "seconds": round(self.seconds, 3), "rows": len(rows),
            "score": None, "loss": None, "chosen": self.candidate is chosen, "left": self.left,
        }  # fmt: skip
        if not len(rows):
            return found
        statistics = task.statistics(self.outputs[rows], problem.targets[rows])
        score = task.metrics(statistics, problem.given_weights[rows][None])[task.metric][0]
        return {**found, "score": float(score), "loss": self.trial(problem, rows).loss}


@dataclass(eq=False)
class ByLabels:
    """Candidates compared by labelled rows that are held out in turn; each only while it may still win.

    Attributes
    ----------
    bench
        Of the whole problem.
    seconds
        What trying may take.
    """

    bench: Bench
    seconds: float
    tried: list[Tried] = field(default_factory=list)

    def parts(self) -> Sequence[tuple[Array, Array]]:
        """Rows to learn from, and rows held out, of each fold."""
        problem = self.bench.problem
        rows = np.sort(np.concatenate([problem.train, problem.validation]))
        if len(problem.validation) and (len(rows) >= MANY or problem.target.times is not None):
            return [(problem.train, problem.validation)]
        folds = folds_of(problem.targets[rows], problem.task, FOLDS, problem.seed, units=problem.units[rows])
        return [(rows[train], rows[held]) for train, held in folds]

    def best(self, found: Sequence[Candidate]) -> Candidate:
        """The first candidate within one standard error of the lowest loss."""
        problem, trainer, started = self.bench.problem, self.bench.trainer, time.monotonic()
        if (known := trainer.search.found) is not None:
            return next(each for each in found if each.about(problem) == known)
        trainer.progress.start("auto", total=len(found) * len(self.parts()))
        for number, candidate in enumerate(found):
            self.tried.append(Tried(candidate, np.full((len(problem.target), problem.task.outputs), np.nan)))
            try:
                self._try(number, started)
            except KeyboardInterrupt:
                self.tried[-1].left = ENDED
                if not trainer.search.keeps_best or not self._whole():
                    raise
                trainer.search.found = self.chosen().about(problem)
                trainer.say(f"The trying was ended; {self.chosen().name(problem)} was the best so far.")
                break
        place = [one.candidate for one in self.tried].index(self.chosen())
        # Processes may round otherwise.
        return self.tried[int(trainer.strategy.shared((float(place),))[0])].candidate

    def _try(self, number: int, started: float) -> None:
        """Ask the last candidate for the rows of each fold, while it may still win."""
        each, began, parts = self.tried[-1], time.monotonic(), self.parts()
        leader = f" (so far {self.chosen().name(self.bench.problem)})" if self._whole() else ""
        for fold, (train, held) in enumerate(parts):
            self.bench.trainer.progress.advance(what=f"auto: {each.candidate.name(self.bench.problem)}{leader}")
            each.left = self._ask(each, train, held, f"{number}-{fold}", began - started)
            if each.left:
                break
            if fold + 1 < len(parts) and self.bench.trainer.strategy.agree(self._behind(each)):
                each.left = BEHIND
                break
        each.seconds, each.done = time.monotonic() - began, not each.left

    def _whole(self) -> list[Tried]:
        """Those that were asked for all rows."""
        return [each for each in self.tried if each.done]

    def chosen(self) -> Candidate:
        """The choice among those that were asked for all rows."""
        whole = self._whole()
        if not whole:
            why = "; ".join(
                f"{each.candidate.name(self.bench.problem)}: {each.left.rstrip('.')}" for each in self.tried
            )
            raise RunError(f"auto: none of what fits could be tried ({why}).")
        trials = {number: each.trial(self.bench.problem, each.asked) for number, each in enumerate(whole)}
        return whole[simplest(trials)].candidate

    def _ask(self, each: Tried, train: Array, held: Array, name: str, spent: float) -> str:
        """Answers of a fit that has not seen the held-out rows; why there are none, else an empty text."""
        over = spent > self.seconds and bool(self._whole())
        if self.bench.trainer.strategy.agree(over):
            return OVER
        bench, candidate = self.bench.aside(f"tried/{name}", quiet=True), each.candidate
        kept = None if bench.trainer.folder is None else bench.trainer.folder / "outputs.npy"
        again = _kept(kept, (len(held), bench.task.outputs)) if bench.trainer.resume else None
        try:
            if again is None:
                problem = replace(candidate.problem(self.bench.problem), train=train, validation=held[:0])
                again = bench.outputs(candidate.method.run(bench.on(problem)).network, rows=held)
                _keep(kept, again)
        except SternaError as error:
            return str(error)
        each.outputs[held] = again
        return ""

    def _behind(self, each: Tried) -> bool:
        """Whether a candidate does worse so far than the best before it, by two standard errors."""
        problem, rows = self.bench.problem, each.asked
        trials = [one.trial(problem, rows) for one in self._whole()]
        best = min(trials, key=lambda trial: trial.loss, default=None)
        return best is not None and not each.trial(problem, rows).is_near(best, errors=2.0)


def _keep(path: Path | None, outputs: Array) -> None:
    """Write answers, so that a resumed run need not ask again."""
    if path is not None:
        written = io.BytesIO()
        np.save(written, outputs)
        with atomic(path) as temporary:
            temporary.write_bytes(written.getbuffer())


def _kept(path: Path | None, shape: tuple[int, int]) -> Array | None:
    """The answers that an interrupted run kept; ``None`` where there are none of this shape."""
    if path is None or not path.is_file():
        return None
    try:
        found = np.load(path, allow_pickle=False)
    except (OSError, ValueError):
        return None
    return found if found.shape == shape and found.dtype.kind == "f" else None
