"""Several networks that answer together: the weighted mean of what they say, as one network."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from sterna.networks.answers import Answers, Mean
from sterna.networks.body import Body
from sterna.networks.freezing import freeze
from sterna.networks.network import Network
from sterna.networks.pair import AnswerBody, PairBody
from sterna.preparations.pair import PairPreparation
from sterna.tasks.task import Task


def committee(networks: Sequence[Network], weights: Sequence[float], task: Task) -> Network:
    """One frozen network whose answer for a row is the mean of the answers of several.

    Parameters
    ----------
    networks
        Each answers `task`; one or more.
    weights
        Of each, above zero; their sum need not be 1.
    """
    if len(networks) == 1:
        return networks[0]
    share = torch.as_tensor(weights, dtype=torch.float32)
    last = networks[-1]
    body: Body = _answering(last, task)
    preparation = last.preparation
    for network in networks[-2::-1]:
        body = PairBody(_answering(network, task), body)
        preparation = PairPreparation(network.preparation, preparation)
    together = Network(preparation, body, Mean(share / share.sum(), task), task=task)
    freeze(together)
    return together


def _answering(network: Network, task: Task) -> AnswerBody:
    """A network as a body that gives its answers."""
    return AnswerBody(
        network.body, Answers(nn.Sequential(network.map, network.head), task), task.outputs, network.views
    )
