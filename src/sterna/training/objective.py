"""What one training step minimises."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

from torch import Tensor, nn

from sterna.networks.network import Network
from sterna.tasks.task import Task
from sterna.training.batches import Batch
from sterna.training.together import whole_batch


class Objective(nn.Module):
    """A module that turns a batch into named loss terms; the Trainer minimises their sum.

    Attributes
    ----------
    progress
        Share of the training that is done, 0 to 1; the Trainer sets it before each step.
    shared
        Parameters for which the gradients of the terms, where they conflict, are brought together by
        :attr:`aggregator` instead of being summed.
    aggregator
        Of torchjd; ``None`` sums the terms.
    """

    progress: float
    shared: tuple[nn.Parameter, ...]
    aggregator: Any

    def __init__(self) -> None:
        super().__init__()
        self.progress, self.shared, self.aggregator = 0.0, (), None

    @abstractmethod
    def forward(self, batch: Any) -> dict[str, Tensor]:
        """The loss terms of this batch (a :class:`Batch`, or :class:`Batches`), each a scalar."""


class Supervised(Objective):
    """The task's own loss on labelled rows.

    Parameters
    ----------
    network
        Whose parameters are trained.
    task
        Gives the loss.
    label_smoothing
        Share of each label spread evenly over all classes, in [0, 1) (Szegedy et al., 2016).
    """

    def __init__(self, network: Network, task: Task, label_smoothing: float = 0.0) -> None:
        super().__init__()
        self.network = network
        self.task = task
        self.label_smoothing = label_smoothing

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        outputs = self.network(batch.inputs)
        assert isinstance(outputs, Tensor)
        return {"task": self.task.loss(*whole_batch(outputs, batch), label_smoothing=self.label_smoothing)}
