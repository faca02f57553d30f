"""Candidates compared on labelled rows that are held out in turn."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import reduce
from itertools import chain
from typing import Any

import numpy as np

from sterna.bench import Bench, Fitted
from sterna.errors import RunError, SternaError, StoppedError, TooLongError, listed
from sterna.kinds.kind import kind_of
from sterna.methods.candidates import Candidate, again
from sterna.methods.tried import BEHIND, FEW, KNOWN, OVER, Tried, keep, kept
from sterna.selection.cross_validation import folds_of, simplest
from sterna.training.search import ENDED, LONG

Array = np.ndarray[Any, Any]

MANY = 1000
"""With so many labelled rows the validation rows choose; with fewer, all of them in turn."""

FOLDS = 5

FEWEST = 20
"""Validation rows by which what trains for long can be told from what does not: it is fitted once, not in every fold.
"""


@dataclass(eq=False)
class ByLabels:
    """Candidates compared by labelled rows that are held out in turn; each only while it may still win.

    Attributes
    ----------
    bench
        Of the whole problem.
    seconds
        What trying the others may take once the first is done.
    at_least
        Whether it may take as long as the first took, where that is longer.
    tried
        So far.
    known
        Whether the model of each source, by its number, saw labels by which candidates are compared.
    too_long
        Seconds that trying what was left would take whose training does not end in the budget, by its name.
    """

    bench: Bench
    seconds: float
    at_least: bool = False
    tried: list[Tried] = field(default_factory=list)
    known: dict[int | None, bool] = field(default_factory=dict)
    too_long: dict[str, int] = field(default_factory=dict)

    def parts(self) -> Sequence[tuple[Array, Array]]:
        """Rows to learn from, and rows held out, of each fold."""
        problem = self.bench.problem
        rows = np.sort(np.concatenate([problem.train, problem.validation]))
        if len(problem.validation) and (len(rows) >= MANY or problem.target.times is not None):
            return [(problem.train, problem.validation)]
        folds = folds_of(problem.targets[rows], problem.task, FOLDS, problem.seed, units=problem.units[rows])
        return [(rows[train], rows[held]) for train, held in folds]

    def best(
        self, found: Sequence[Candidate], more: Callable[[ByLabels], Iterator[Candidate]] | None = None
    ) -> Candidate:
        """The first candidate within one standard error of the lowest loss.

        Parameters
        ----------
        found
            What is tried first.
        more
            Gives what is tried then, one after the other: each may depend on how those before it did.
        """
        problem, trainer = self.bench.problem, self.bench.trainer
        known = again(problem, found, trainer.search.found)
        if known is not None:
            return known
        trainer.progress.start("auto", total=len(found))
        for candidate in chain(found, more(self) if more else ()):
            self.tried.append(Tried(candidate, np.full((len(problem.target), problem.task.outputs), np.nan)))
            try:
                self._try()
            except (KeyboardInterrupt, StoppedError) as stop:
                asked = not isinstance(stop, StoppedError) or stop.by_user
                if not (asked and trainer.search.keeps_best and any(each.done for each in self.tried)):
                    raise
                if not self.tried[-1].done:
                    self.tried[-1].left = ENDED
                name = self.chosen().candidate.name(problem)
                trainer.say(f"The trying was ended; {name} was the best so far, and draws that follow take it.")
                break
        if self.too_long:
            names = listed(f"{name} (about {seconds} s)" for name, seconds in self.too_long.items())
            trainer.say(f"Not tried, since their training takes longer than the budget (budget= gives more): {names}.")
        place = self.tried.index(self.chosen())
        # Processes may round otherwise.
        return self.tried[int(trainer.strategy.shared((float(place),))[0])].candidate

    @property
    def until(self) -> float | None:
        """When the trying ends; ``None`` before anything was tried, since one candidate is tried in any case."""
        first = next((each for each in self.tried if each.done), None)
        if first is None:
            return None
        return first.ended + (max(self.seconds, first.seconds) if self.at_least else self.seconds)

    def over(self) -> bool:
        """Whether what trying may take is used up; all processes say the same."""
        until = self.until
        return self.bench.trainer.strategy.agree(until is not None and time.monotonic() > until)

    def fitted(self, candidate: Candidate) -> Fitted:
        """The candidate, fitted on all labels it may see: what trying made of it, if it is still there."""
        one = next((each for each in self.tried if each.candidate is candidate), None)
        if one is None or one.fitted is None or one.log is None:
            return candidate.fit(self.bench)
        self.bench.trainer.log.messages += one.log.messages
        self.bench.trainer.log.history += one.log.history
        return one.fitted

    def chosen(self) -> Tried:
        """The choice among those that were asked for all rows."""
        done, problem = [each for each in self.tried if each.done], self.bench.problem
        if not done:
            why = "; ".join(f"{each.candidate.name(problem)}: {each.left.rstrip('.')}" for each in self.tried)
            raise RunError(f"auto: none of what fits could be tried ({why}).")
        whole = [each for each in done if not each.part]
        rows = reduce(np.intersect1d, [each.asked for each in whole])  # methods do not ask rows that weigh nothing
        best = whole[simplest({number: each.trial(problem, rows) for number, each in enumerate(whole)})]
        for each in done:
            rows = np.intersect1d(each.asked, best.asked)
            if each.part and not best.trial(problem, rows).is_near(each.trial(problem, rows)):
                best = each
        return best

    def _try(self) -> None:
        """Ask the last candidate for rows that it has not learnt from."""
        each, began = self.tried[-1], time.monotonic()
        name, some = each.candidate.name(self.bench.problem), [one for one in self.tried if one.done]
        leader = f" (so far {self.chosen().candidate.name(self.bench.problem)})" if some else ""
        self.bench.trainer.progress.advance(what=f"auto: {name}{leader}")
        if self.over():
            each.left = OVER
            return
        if each.candidate.about(self.bench.problem) in self.bench.trainer.search.too_long:
            each.left = LONG
            return
        if self._learnt_before(each.candidate):
            each.left = KNOWN
            return
        try:
            parts, trains = self.parts(), each.candidate.method.trains()
            if trains and some and len(parts) > 1 and self._dear(each.candidate):
                each.part, parts = True, [(self.bench.problem.train, self.bench.problem.validation)]
            if each.part and len(parts[0][1]) < FEWEST:
                each.left = FEW
            elif trains or len(parts) == 1 or not self._told(each):
                each.left = self._held_out(each, parts)
        except StoppedError:
            raise
        except TooLongError as error:
            each.left = LONG
            self.too_long[name] = math.ceil(len(parts) * error.seconds)
        except SternaError as error:
            each.left = str(error)
        finally:
            each.ended = time.monotonic()
            each.seconds = each.ended - began
        each.done = not each.left
        best = self.chosen() if some or each.done else None
        for one in self.tried:  # networks may be large
            one.fitted = one.fitted if one is best else None

    def _learnt_before(self, candidate: Candidate) -> bool:
        """Whether the source's model, that of an earlier run, saw labels by which candidates are compared."""
        learnt = None if candidate.source is None else self.bench.problem.sources[candidate.source].source.learnt
        if learnt is None:
            return False
        if candidate.source not in self.known:
            self.known[candidate.source] = bool(learnt.among(self.bench.problem.inputs)[0].any())
        return self.known[candidate.source]

    def _dear(self, candidate: Candidate) -> bool:
        """Whether training takes long: of images and sounds, and of a source's model."""
        problem = candidate.problem(self.bench.problem)
        return kind_of(problem.target.kind).dear or problem.source_body is not None

    def _told(self, each: Tried) -> bool:
        """Fit on all labels; whether the method has held every row out by itself, and what it answered then."""
        bench = self.bench.aside(f"tried/{each.candidate.place(self.bench.problem)}", quiet=True)
        told = kept(bench, each.outputs.shape)
        if told is None:
            each.fitted, each.log = each.candidate.fit(bench), bench.trainer.log
            blind = each.candidate.method.blind
            told = bench.outputs(each.fitted.network) if blind else each.fitted.told if each.fitted.told_fair else None
            if told is None or np.isnan(told[bench.problem.row_weights() > 0]).any():
                return False
            keep(bench, told)
        each.outputs[:] = told
        return True

    def _held_out(self, each: Tried, parts: Sequence[tuple[Array, Array]]) -> str:
        """Answers of fits on the other folds; why they ended, else an empty text."""
        for fold, (train, held) in enumerate(parts):
            bench = self.bench.aside(f"tried/{each.candidate.place(self.bench.problem)}-{fold}", quiet=True)
            bench = replace(bench, trainer=replace(bench.trainer, until=self.until))
            answers = kept(bench, (len(held), bench.task.outputs))
            if answers is None:
                problem = replace(each.candidate.problem(self.bench.problem), train=train, validation=held[:0])
                with bench.trainer.seeded():
                    network = each.candidate.method.run(bench.on(problem)).network
                answers = bench.outputs(network, rows=held)
                keep(bench, answers)
            each.outputs[held] = answers
            if fold + 1 < len(parts) and bench.trainer.strategy.agree(self._behind(each)):
                return BEHIND
        return ""

    def _behind(self, each: Tried) -> bool:
        """Whether a candidate does worse so far than the best before it, by two standard errors."""
        problem, rows = self.bench.problem, each.asked
        if not any(one.done for one in self.tried):
            return False
        best = self.chosen()
        rows = np.intersect1d(rows, best.asked)
        return not each.trial(problem, rows).is_near(best.trial(problem, rows), errors=2.0)
