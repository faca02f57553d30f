"""Where the rules of a method come from: written by someone, or extracted from the source; on the target's columns."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from pydantic import BaseModel, BeforeValidator, Field

from sterna.bench.problem import Array, Problem
from sterna.bench.source_answers import answers
from sterna.domains.groups import unit_ids
from sterna.domains.inputs import Inputs
from sterna.domains.learnt import Learnt
from sterna.domains.text import TEXT
from sterna.errors import RequestError
from sterna.preparations.rules import BY_KIND
from sterna.record.choice import Choice
from sterna.rules.extraction import extract_rules
from sterna.rules.firing import fires
from sterna.rules.grammar import parse_rules, rules_text
from sterna.rules.origin import origin_of, origin_text
from sterna.rules.renaming import check_names, column_map, counterpart, translated
from sterna.rules.ruleset import RuleSet
from sterna.rules.voting import Votes, calibrated, votes_of
from sterna.tasks.task import Task

if TYPE_CHECKING:
    from sterna.bench.bench import Bench

MOSTLY = 0.5
"""Rules are extracted from columns that have a value in more than this share of the target's rows."""

_RULES = re.compile(r"\s*(IF|OTHERWISE)\b", re.IGNORECASE)


def _rules_text(value: Any) -> Any:
    """The rules themselves, whatever they came as: what a run was asked must not hang on a file that may change.

    Of their comments those stay that say which rows they were extracted from.
    """
    if isinstance(value, RuleSet):
        return str(value)
    if not isinstance(value, str):
        return value
    given = "\n" in value or _RULES.match(value) is not None
    text = value if given else rules_text(value)
    read = parse_rules(text) if given else parse_rules(text, Path(value).name)
    learnt = origin_of(text)
    return str(read) if learnt is None else f"{read}\n{origin_text(learnt)}"


def _column_names(value: Any) -> Any:
    return column_map(value) if isinstance(value, str | Mapping) else value


class RuleSettings(BaseModel):
    """The settings of a method that works with rules: a class that a method derives from beside `Method`."""

    rules: Annotated[str | None, BeforeValidator(_rules_text)] = Field(
        None,
        description="a file of rules, or the rules themselves; extracted from the source's data or model if none",
    )
    columns: Annotated[dict[str, str] | None, BeforeValidator(_column_names)] = Field(
        None, description="what the target calls the source's columns: OURS=THEIRS,... or a JSON or YAML file"
    )
    depth: int = Field(4, ge=1, le=20, description="most conditions of a rule that is extracted from the source")
    leaves: int = Field(
        16, ge=2, le=500, description="most leaves of the tree that rules are extracted from the source with"
    )

    def learnt_before(self) -> Learnt | None:
        """The rows that its rules were extracted from, where they say so."""
        return origin_of(self.rules)


@dataclass(frozen=True, eq=False)
class RulesFound:
    """The rules a method works with.

    Attributes
    ----------
    rules
        On the target's columns.
    choices
        What labels chose of them, and of the network they were extracted from.
    overlap
        How far those that fire together repeat each other; see `calibrated`.
    written
        Whether their confidences speak of the target's rows, and not of those that they were extracted from.
    """

    rules: RuleSet
    choices: tuple[Choice, ...] = ()
    overlap: float = 0.0
    written: bool = True

    def votes(self, bench: Bench) -> Votes:
        """How they count in the target's task, of which the training labels give the share of each class.

        Where none fires, the rows count with their weights. Rules that were drawn from others count as there: on a row
        one of them fires at most, which gives back its confidence.
        """
        problem = bench.problem
        if not problem.task.one_class or not len(problem.train):
            return votes_of(self.rules, problem.task)
        codes, weights = problem.targets[problem.train], problem.row_weights()[problem.train]
        shares, silent = (log_shares(codes, problem.task.outputs, each) for each in (None, weights))
        votes = votes_of(self.rules, problem.task, shares if self.written else None, silent)
        return replace(votes, overlap=self.overlap)

    def calibrated(self, bench: Bench) -> RulesFound:
        """The same with the overlap that the target's training labels speak for, where two rules fire."""
        problem = bench.problem
        if not problem.task.one_class or not len(problem.train):
            return self
        fired = fires(self.rules, problem.inputs.take(problem.train))
        votes, rows = calibrated(self.votes(bench), fired, problem.targets[problem.train])
        if not rows:
            return self
        choice = Choice("overlap of rules", votes.overlap, "log loss", rows)
        return replace(self, overlap=votes.overlap, choices=(*self.choices, choice))

    def firing(self, inputs: Inputs) -> tuple[Array, Array]:
        """Numbers of the rows on which some rule fires ``(m,)``, and which do ``(m, r)``."""
        fired = fires(self.rules, inputs)
        rows = np.flatnonzero(fired.any(axis=1))
        return rows, fired[rows]


def log_shares(codes: Array, classes: int, weights: Array | None = None) -> Array:
    """Logarithms of the share of each class ``(k,)``, each counted once more than it occurs (Laplace)."""
    counts = np.bincount(codes, weights=weights, minlength=classes)
    return np.asarray(np.log((counts + 1) / (counts.sum() + classes)))


def rules_for(bench: Bench, asked: RuleSettings) -> RulesFound:
    """The rules a method works with, on the target's columns; the user is told where they come from.

    Written rules are taken as they are. Without any they are extracted from the source: a small tree learns its model's
    predictions, or those of the simplest learner on its data, on the source's own rows (on the target's, without their
    labels, where the source is a model alone).

    Raises
    ------
    RequestError
        If there are neither rules nor anything to extract them from, or none fits the target's columns.
    """
    problem = bench.problem
    if problem.target.kind not in BY_KIND:
        raise RequestError(f"Rules speak of table columns and of texts, but the target holds {problem.target.kind}.")
    names = dict(asked.columns or {})
    theirs = columns_of(problem.inputs)
    if asked.rules is None:
        return _drawn(bench, names, asked.depth, asked.leaves)
    written = parse_rules(asked.rules)
    ours = list(written.columns) + ([] if problem.known is None else columns_of(problem.known.inputs))
    check_names(names, ours, theirs)
    found = translated(written, names, theirs)
    note = found.note()
    if note is not None:
        bench.say(note)
    return RulesFound(found.rules).calibrated(bench)


def columns_of(inputs: Inputs) -> list[str]:
    """What rules can speak of: the columns of a table, ``text`` of texts."""
    return list(inputs.columns) or [TEXT]


def _drawn(bench: Bench, names: dict[str, str], depth: int, leaves: int) -> RulesFound:
    """Rules that answer as the source's model does."""
    problem = bench.problem
    inputs = problem.known.inputs if problem.known is not None else problem.target_inputs()
    _check_drawable(problem)
    shared = _asked_columns(inputs, problem, names, bench)
    answered = bench.component("source-only")
    network = answered.network
    assert network.task is not None
    outputs = bench.outputs(network, inputs)
    targets = network.task.encode(network.task.answers(outputs))
    ours = (problem.unlabelled, problem.target.take(problem.train))
    units = unit_ids(*ours) if problem.known is None else unit_ids(problem.known.domain)
    found = extract_rules(
        inputs, targets, network.task, depth=depth, leaves=leaves, columns=shared, seed=bench.seed, units=units
    )
    where = "source" if problem.known is not None else "target"
    bench.say(f"{len(found.rules)} rules were extracted from the source's model; {found.words(where)}.")
    moved = translated(found.rules, names, columns_of(problem.inputs)).rules
    return RulesFound(moved, answered.choices, written=False)


def _check_drawable(problem: Problem) -> None:
    """Refuse a source that answers something else than the target asks, and none at all."""
    source, task, known = problem.source, problem.task, problem.known
    own = known.task if known is not None else source.task if source is not None else None
    if own is None:
        raise RequestError(
            "There are no rules, and no source to extract them from: give a file of rules "
            "(settings={'rules': 'FILE'}), labelled source data (source=load_domain(...)), or a "
            "source model that does this task."
        )
    same = known is not None and known.same_task
    if not same and not answers(source, task):
        raise RequestError(
            f"No rules can be extracted: the source predicts {_answered(own)}, the target asks for {_answered(task)}; "
            "write rules that predict these (settings={'rules': 'FILE'})."
        )


def _answered(task: Task) -> str:
    return ", ".join(task.classes[:8]) or "numbers"


def _asked_columns(inputs: Inputs, problem: Problem, names: dict[str, str], bench: Bench) -> list[str] | None:
    """The columns of the source that rules are extracted from; the user is told how many are left aside."""
    ours = columns_of(inputs)
    check_names(names, ours, columns_of(problem.inputs))
    shared = shared_columns(inputs, problem.target_inputs(), names)
    if shared is None or len(shared) == len(ours):
        return shared
    if not shared:
        raise RequestError(
            "No column of the source has a counterpart in the target, so no rule can move; map the names, such as "
            "settings={'columns': 'AGE=age,SEX=sex'}."
        )
    bench.say(
        f"Rules are extracted from {len(shared)} columns of the source; {len(ours) - len(shared)} others have no "
        "counterpart in the target, hold another kind of value there, or are missing in half of its rows or more."
    )
    return shared


def shared_columns(ours: Inputs, theirs: Inputs, names: Mapping[str, str]) -> list[str] | None:
    """Columns of the source that the target has too, of the same kind and mostly filled; ``None`` for texts.

    Parameters
    ----------
    ours
        Rows of the source.
    theirs
        Rows of the target that may be seen.
    names
        From the source's columns to the target's.
    """
    found = ours.shared(theirs, lambda name: counterpart(name, names), missing=MOSTLY)
    return None if found is None else list(found)
