"""What a method cannot do without, and what of it a problem has."""

from __future__ import annotations

from dataclasses import replace
from enum import Flag, auto
from functools import reduce
from operator import or_

from sterna.bench.problem import Problem
from sterna.bench.source_answers import answers
from sterna.kinds.kind import kind_of


class Needs(Flag):
    """What a method cannot do without."""

    NOTHING = 0
    SOURCE_MODEL = auto()
    SOURCE_ANSWERS = auto()
    SOURCE_TASK = auto()
    SOURCE_DATA = auto()
    TARGET_LABELS = auto()
    UNLABELLED_TARGET = auto()
    SAME_TASK = auto()
    SAME_INPUTS = auto()
    LABELS = auto()
    ANSWERED = auto()
    RULES = auto()
    COMPARABLE = auto()
    CLASSES = auto()
    LIKE_SOURCE = SOURCE_DATA | SAME_TASK | SAME_INPUTS | UNLABELLED_TARGET
    """What methods need that make the source's features look like the target's."""

    def words(self) -> list[str]:
        """The needs in words."""
        return [_NEED_WORDS[need] for need in Needs if need in self]

    def lacking(self) -> str:
        """Needs that are not met, in words: what data of a source would have to be is not said where there are none."""
        rest = self & ~(Needs.SAME_TASK | Needs.SAME_INPUTS) if Needs.SOURCE_DATA in self else self
        return " and ".join(rest.words())


_NEED_WORDS = {
    Needs.SOURCE_MODEL: "a source model (source=)",
    Needs.SOURCE_ANSWERS: "a source that already does this task: a model, or labelled data, with the same classes",
    Needs.SOURCE_TASK: "a source model with a head (run:FOLDER) or labelled source data (source=load_domain(...))",
    Needs.SOURCE_DATA: "labelled source data (source=load_domain(...))",
    Needs.TARGET_LABELS: "labelled target examples",
    Needs.UNLABELLED_TARGET: "unlabelled target examples",
    Needs.SAME_TASK: "source data labelled as the target is (the same classes, or numbers)",
    Needs.SAME_INPUTS: "source data of the target's kind (in a table, with its columns)",
    Needs.RULES: "inputs that rules can speak of, and a source that does this task to extract them from",
    Needs.COMPARABLE: "inputs that can be compared as they are, or by a source model",
    Needs.CLASSES: "a task of one class a row",
    Needs.ANSWERED: "labelled examples, or a source that already does this task",
    Needs.LABELS: "labelled examples, of the target or of source data like it (the same classes and columns)",
}


def have(problem: Problem) -> Needs:
    """What there is, in terms of what methods need; of several sources, what one or another has."""
    if len(problem.sources) > 1:
        return reduce(or_, (have(replace(problem, sources=(each,))) for each in problem.sources))
    found, source, rows = Needs.NOTHING, problem.source, problem.known
    answered = answers(source, problem.task)
    if source is not None and source.body is not None and source.body.width:
        found |= Needs.SOURCE_MODEL
    if rows is not None:
        found |= Needs.SOURCE_DATA
        found |= Needs.SAME_TASK if rows.same_task else Needs.NOTHING
        found |= Needs.SAME_INPUTS if rows.same_inputs else Needs.NOTHING
    if source is not None and (rows is not None or None not in (source.body, source.head, source.task)):
        found |= Needs.SOURCE_TASK
    if answered or Needs.SAME_TASK | Needs.SAME_INPUTS in found:
        found |= Needs.SOURCE_ANSWERS
    if len(problem.train):
        found |= Needs.TARGET_LABELS
    if len(problem.train) or Needs.SAME_TASK | Needs.SAME_INPUTS in found:
        found |= Needs.LABELS
    if found & (Needs.LABELS | Needs.SOURCE_ANSWERS):
        found |= Needs.ANSWERED
    if len(problem.unlabelled) or len(problem.train):
        found |= Needs.UNLABELLED_TARGET
    if problem.inputs.in_columns() is not None and (answered or Needs.SAME_TASK in found):
        found |= Needs.RULES
    if kind_of(problem.target.kind).compares or Needs.SOURCE_MODEL in found:
        found |= Needs.COMPARABLE
    if problem.task.one_class:
        found |= Needs.CLASSES
    return found
