"""source-only: the source as it is."""

from __future__ import annotations

from dataclasses import replace

from sterna.bench import Bench, Fitted
from sterna.errors import RequestError
from sterna.methods.method import Method, Needs
from sterna.networks.freezing import freeze
from sterna.tasks.task import Task


class SourceOnly(Method):
    """The source's own model predicts for the target, unchanged; no target label is used.

    It fits where the source already does the task: the same classes (in any order), or a number. A source that
    has no such model but labelled data gets one first, from its data alone: a linear head on the features of its
    body, if it has one; else a small network for images, and for tables, texts and audio the best cheap learner.
    """

    needs = Needs.SOURCE_ANSWERS
    validation = "kept"
    blind = True

    def run(self, bench: Bench) -> Fitted:
        problem, network = bench.problem, bench.answering()
        if network is not None:
            found = Fitted(network)
        elif problem.known is not None:
            learnt = bench.on(problem.on_source()).learn()
            found = replace(learnt, told=None, told_source=learnt.told)
        else:
            own = None if problem.source is None else problem.source.task
            assert own is not None
            raise RequestError(
                f"source-only: the source predicts {_classes(own)}, the target asks for {_classes(bench.task)}; "
                "choose a method that fits a new head, such as feature-extraction."
            )
        freeze(found.network)
        return found


def _classes(task: Task) -> str:
    return f"{task.id} of {', '.join(task.classes[:8])}" if task.classes else task.id
