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
    if source is None or source.head is None or source.task is None:
        return False
    return task.answered_by(source.task) is not None


def network_of(source: Source, inputs: Inputs) -> Network:
    """The source's own network for these inputs; none of its parts is the source's."""
    assert source.body is not None and source.head is not None
    body, head = source.body.copied(), copy.deepcopy(source.head)
    return Network(source.prepared(inputs), body, head, task=source.task, views=source.views)


def in_terms_of(task: Task, network: Network) -> Network:
    """A network that answers this task and perhaps more, with the task's answers alone, in the task's order."""
    assert network.task is not None
    columns = task.answered_by(network.task)
    assert columns is not None
    network.head, network.task = nn.Sequential(network.head, Columns(list(columns))), task
    return network
