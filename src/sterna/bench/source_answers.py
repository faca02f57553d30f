"""The source's own network, where it has one that answers."""

from __future__ import annotations

import copy

from torch import nn

from sterna.domains.inputs import Inputs
from sterna.networks.network import Network
from sterna.networks.saved_parts import Columns
from sterna.sources.source import Source
from sterna.tasks.task import Task


def answers(source: Source | None, task: Task) -> bool:
    """Whether the source's head already answers this task."""
    if source is None or source.head is None or source.task is None or source.task.id != task.id:
        return False
    return task.id == "regression" or set(task.classes) <= set(source.task.classes)


def network_of(source: Source, inputs: Inputs) -> Network:
    """The source's own network for these inputs; none of its parts is the source's."""
    assert source.body is not None and source.head is not None and source.task is not None
    return Network(source.prepared(inputs), source.body.copied(), copy.deepcopy(source.head), task=source.task)


def in_terms_of(task: Task, network: Network) -> Network:
    """A network that answers these classes and perhaps others, with the task's classes alone, in the task's order."""
    own = network.task
    assert own is not None
    if own.classes:
        order = Columns([own.classes.index(name) for name in task.classes])
        network.head, network.task = nn.Sequential(network.head, order), task
    return network
