"""The gate: what to take where no label of the target can compare candidates."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from sterna.bench import Bench, Fitted
from sterna.bench.density_ratio import drawn
from sterna.domains.groups import unit_ids
from sterna.errors import RequestError, RunError, SternaError, StoppedError, listed
from sterna.methods.candidates import Candidate
from sterna.networks.committee import committee
from sterna.record.choice import Choice
from sterna.selection.cross_validation import Trial
from sterna.selection.label_free import Answers, Beside, confidence_difference
from sterna.tasks.task import Task
from sterna.training.log import Log

Array = np.ndarray[Any, Any]

SOURCE = "source-only"

MEMBERS = {"domain-scaling": 1.0, "coral": 1.0}
"""Methods that answer together with the source's own model, and how much each counts beside it."""

OWN = 0.5
"""What the source's own model counts."""

ERRORS = 2.0
"""Standard errors by which a method may do worse than the source's model on the source's held-out rows."""

ROWS = 1000
"""Rows of the target that say how sure the answers are."""

WORSE = "worse than the source's model on held-out rows of the source"
ELSEWHERE = "another source seems nearer"


@dataclass(eq=False)
class Member:
    """A candidate that was fitted, and what it answered for the source's labelled rows.

    Attributes
    ----------
    outputs
        ``(n_s, o)``, by fits that had not seen their labels, NaN for rows that were not held out; ``None`` where none
        were.
    seconds
        What the fit took.
    log
        What was said.
    left
        Why it has no part in the answer; empty if it has.
    """

    candidate: Candidate
    fitted: Fitted
    outputs: Array | None
    seconds: float
    log: Log
    left: str = ""

    @property
    def weight(self) -> float:
        """How much it counts in the mean of the answers."""
        return MEMBERS.get(self.candidate.method.id(), OWN)


@dataclass(eq=False)
class Group:
    """What was fitted with one source.

    Attributes
    ----------
    members
        The source's own model first.
    accuracy
        Estimated share of the target's rows that the mean of those that are not left answers rightly; NaN where nothing
        tells.
    rows
        How many labelled rows of the source compared them.
    """

    members: list[Member]
    accuracy: float = math.nan
    rows: int = 0

    @property
    def kept(self) -> list[Member]:
        """Those that answer."""
        return [each for each in self.members if not each.left]


@dataclass(eq=False)
class WithoutLabels:
    """Methods that bring a source to the target, compared by the source's labels alone.

    Attributes
    ----------
    bench
        Of the whole problem.
    lines
        Of the leader board.
    """

    bench: Bench
    lines: list[dict[str, Any]] = field(default_factory=list)

    def fitted(self, found: Sequence[Candidate]) -> Fitted:
        """The mean of what passed, with the source by which the answers seem right the most often."""
        by_source: dict[int | None, list[Candidate]] = {}
        for each in found:
            if each.method.id() in (SOURCE, *MEMBERS):
                by_source.setdefault(each.source, []).append(each)
        groups = [group for some in by_source.values() if (group := self._group(some))]
        if not groups and not self.lines:
            raise RequestError(f"auto: without target labels methods= must name {SOURCE}, beside which others stand.")
        if not groups:
            why = "; ".join(f"{line['method']}: {line['left'].rstrip('.')}" for line in self.lines)
            raise RunError(f"auto: none of what fits without target labels could be fitted ({why}).")
        best = groups[self._best(groups)]
        for group in groups:
            for member in group.members:
                if group is not best and not member.left:
                    member.left = ELSEWHERE
                self.lines.append(self._line(member, group))
        self._say(best)
        log = self.bench.trainer.log
        for member in best.kept:
            log.messages += member.log.messages
            log.history += member.log.history
        network = committee([e.fitted.network for e in best.kept], [e.weight for e in best.kept], self.bench.task)
        choices = [choice for each in best.kept for choice in each.fitted.choices]
        return Fitted(network, (*self._choices(best), *choices), candidates=tuple(self.lines))

    def _group(self, some: Sequence[Candidate]) -> Group | None:
        """All candidates of a source, fitted; ``None`` where the source's own model cannot be."""
        members: list[Member] = []
        for candidate in sorted(some, key=lambda one: one.method.id() != SOURCE):
            if members or candidate.method.id() == SOURCE:
                fitted = self._fit(candidate)
                members += [fitted] if fitted is not None else []
        if not members:
            return None
        group, own = Group(members), members[0]
        told = [each.outputs for each in members if each.outputs is not None]
        rows = np.flatnonzero(~np.isnan(np.concatenate(told, axis=1)).any(axis=1)) if told else np.zeros(0, int)
        for each in members[1:]:
            if own.outputs is not None and each.outputs is not None and len(rows):
                near = self._trial(each, rows).is_near(self._trial(own, rows), ERRORS)
                each.left = "" if self.bench.trainer.strategy.agree(near) else WORSE
        group.rows = len(rows)
        if len(rows) and all(each.outputs is not None for each in group.kept):
            group.accuracy = self._accuracy(group.kept, rows)
        return group

    def _fit(self, candidate: Candidate) -> Member | None:
        """The candidate on the whole problem."""
        place, began = candidate.place(self.bench.problem), time.monotonic()
        bench = self.bench.aside(f"tried/{place}", quiet=True)
        self.bench.trainer.progress.start(f"auto: {candidate.name(self.bench.problem)}", total=1)
        try:
            fitted = candidate.fit(bench)
        except StoppedError:
            raise
        except SternaError as error:
            self.lines.append({**self._about(candidate, time.monotonic() - began), "left": str(error)})
            return None
        return Member(candidate, fitted, fitted.told_source, time.monotonic() - began, bench.trainer.log)

    def _trial(self, member: Member, rows: Array) -> Trial:
        """Its losses on these rows of the source."""
        known = member.candidate.problem(self.bench.problem).known
        assert known is not None and member.outputs is not None
        targets = torch.as_tensor(known.targets[rows])
        losses = self.bench.task.losses(torch.from_numpy(member.outputs[rows]), targets).numpy()
        return Trial(0.0, losses, known.weights[rows], unit_ids(known.domain)[rows])

    def _accuracy(self, kept: Sequence[Member], rows: Array) -> float:
        """That on the source's held-out rows, less by how much less sure the answers for the target are."""
        task, problem = self.bench.task, self.bench.problem
        known = kept[0].candidate.problem(problem).known
        if not task.one_class or known is None:
            return math.nan
        inputs = problem.unlabelled.inputs
        some = drawn(len(inputs), problem.seed, ROWS)
        theirs = mean_of(kept, [each.outputs[rows] for each in kept if each.outputs is not None], task)
        ours = mean_of(kept, [self.bench.outputs(each.fitted.network, inputs, some) for each in kept], task)
        source, target = task.probabilities(theirs), task.probabilities(ours)
        right = source.argmax(1) == known.targets[rows]
        found = confidence_difference([Answers(np.zeros(len(rows)), right, source, target)], Beside(np.ones(len(rows))))
        return float(np.clip(found[0], 0, 1))

    def _best(self, groups: Sequence[Group]) -> int:
        """Which has the highest estimate; the first where nothing tells. Processes may round otherwise."""
        estimates = [-1.0 if math.isnan(each.accuracy) else each.accuracy for each in groups]
        return int(self.bench.trainer.strategy.shared((float(np.argmax(estimates)),))[0])

    def _about(self, candidate: Candidate, seconds: float) -> dict[str, Any]:
        return {
            **candidate.about(self.bench.problem), "seconds": round(seconds, 3), "rows": 0, "score": None, "loss": None,
            "chosen": False, "left": "",
        }  # fmt: skip

    def _line(self, member: Member, group: Group) -> dict[str, Any]:
        """What a leader board says of it: how it did on the source's held-out rows."""
        found = {**self._about(member.candidate, member.seconds), "chosen": not member.left, "left": member.left}
        known = member.candidate.problem(self.bench.problem).known
        if member.outputs is None or known is None or not group.rows:
            return found
        rows, task = np.flatnonzero(~np.isnan(member.outputs).any(axis=1)), self.bench.task
        statistics = task.statistics(member.outputs[rows], known.targets[rows])
        score = task.metrics(statistics, known.weights[rows][None])[task.metric][0]
        return {**found, "rows": len(rows), "score": float(score), "loss": self._trial(member, rows).loss}

    def _choices(self, group: Group) -> list[Choice]:
        kept, by = group.kept, "cross-validation"
        name = SOURCE if len(kept) == 1 else f"mean of {listed(each.candidate.method.id() for each in kept)}"
        found = [Choice("method", name, by, group.rows, "source")]
        if len(self.bench.problem.sources) > 1:
            found.append(Choice("source", kept[0].candidate.spec(self.bench.problem), by, group.rows, "source"))
        return found

    def _say(self, group: Group) -> None:
        """What was taken and why, and what is known of how good it is."""
        names = [each.candidate.method.id() for each in group.kept[1:]]
        worse = [each.candidate.method.id() for each in group.members if each.left == WORSE]
        if names:
            also = f"; {' and '.join(worse)} did worse there" if worse else ""
            why = f"as good as it on its held-out rows{also}"
            if not group.rows or group.members[0].outputs is None:
                why = "untested: that model may have learnt from every labelled row of the source"
            self.bench.say(
                f"adapted: {' and '.join(names)} answer{'s' * (len(names) == 1)} together with the source's own model, "
                f"{why}."
            )
        else:
            why = f"{' and '.join(worse)} did worse on its held-out rows" if worse else "nothing else fits"
            self.bench.say(f"kept the source: {why}.")
        if not math.isnan(group.accuracy):
            self.bench.say(
                f"The target's accuracy is estimated as {group.accuracy:.2f}, by how sure the answers are. No interval "
                "is justified where domains differ: a few labels would tell (curve=[0, 1, 3, 5])."
            )


def mean_of(members: Sequence[Member], outputs: Sequence[Array], task: Task) -> Array:
    """What members answer together, ``(n, o)``, of what each answers."""
    weights = torch.tensor([[each.weight] for each in members], dtype=torch.float64)
    answers = torch.stack([task.as_features(torch.from_numpy(each)) for each in outputs], dim=1)
    return np.asarray(task.mean_of(answers, weights / weights.sum()).numpy())
