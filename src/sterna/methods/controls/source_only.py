"""source-only: the source as it is."""

from __future__ import annotations

from typing import ClassVar

from sterna.bench import Bench, Fitted
from sterna.bench.source_answers import answers, in_terms_of, network_of
from sterna.errors import RequestError
from sterna.methods.method import Method, Needs, ValidationUse
from sterna.networks.freezing import freeze
from sterna.tasks.task import Task


class SourceOnly(Method):
    """The source's own model answers for the target, unchanged; no target label is used.

    It fits where the source already answers the task: the same classes (in any order), or a number. A source that
    has no such model but labelled data gets one first, from its data alone: a linear head on the features of its
    body, if it has one; else a small network for images, and for tables, texts and audio the best cheap learner.
    """

    needs: ClassVar[Needs] = Needs.SOURCE_ANSWERS
    validation: ClassVar[ValidationUse] = ValidationUse.KEPT

    def run(self, bench: Bench) -> Fitted:
        problem, task = bench.problem, bench.task
        source, known = problem.source, problem.known
        if not answers(source, task) and known is not None:
            found = bench.on(problem.on_source()).learn()
            freeze(found.network)
            return found
        assert source is not None and source.task is not None
        if not answers(source, task):
            raise RequestError(
                f"source-only: the source answers {_classes(source.task)}, the target asks for {_classes(task)}; "
                "choose a method that fits a new head, such as feature-extraction."
            )
        network = in_terms_of(task, network_of(source, problem.inputs))
        freeze(network)
        return Fitted(network)


def _classes(task: Task) -> str:
    return f"{task.id} of {', '.join(task.classes[:8])}" if task.classes else task.id
