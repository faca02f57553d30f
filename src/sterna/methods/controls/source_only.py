"""source-only: the source as it is."""

from __future__ import annotations

import copy
from typing import ClassVar

from torch import nn

from sterna.errors import RequestError
from sterna.methods.method import Method, Needs
from sterna.methods.problem import Problem
from sterna.methods.simple import learn
from sterna.networks.freezing import freeze
from sterna.networks.network import Network
from sterna.networks.saved_parts import Columns
from sterna.sources.source import Source
from sterna.tasks.task import Task
from sterna.training.trainer import Trainer


class SourceOnly(Method):
    """The source's own model answers for the target, unchanged; no target label is used.

    It fits where the source already answers the task: the same classes (in any order), or a number. A source that
    has no such model but labelled data gets one first, from its data alone: a linear head on the features of its
    body, if it has one; else a small network for images, and for tables, texts and audio the best cheap learner.
    """

    needs: ClassVar[Needs] = Needs.SOURCE_ANSWERS

    def run(self, problem: Problem, trainer: Trainer) -> Network:
        source, task = problem.source, problem.task
        if not answers(source, task) and problem.known is not None:
            network = learn(problem.on_source(), trainer)
            freeze(network)
            return network
        assert source is not None and source.body is not None and source.head is not None and source.task is not None
        if not answers(source, task):
            raise RequestError(
                f"source-only: the source answers {_classes(source.task)}, the target asks for {_classes(task)}; "
                "choose a method that fits a new head, such as feature-extraction."
            )
        body = source.body.copied()
        columns = task.answered_by(source.task)
        assert columns is not None
        head = nn.Sequential(copy.deepcopy(source.head), Columns(list(columns)))  # what is frozen is not the user's
        network = Network(source.prepared(problem.inputs), body, head, task=task)
        freeze(network)
        return network


def answers(source: Source | None, task: Task) -> bool:
    """Whether the source's head already answers this task."""
    if source is None or source.head is None or source.task is None:
        return False
    return task.answered_by(source.task) is not None


def _classes(task: Task) -> str:
    return f"{task.id} of {', '.join(task.classes[:8])}" if task.classes else task.id
