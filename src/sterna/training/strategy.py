"""How a fit is spread: over this process alone, or over those that torchrun started."""

from __future__ import annotations

import os
import re
from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import Any

import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from sterna.errors import RequestError
from sterna.training.together import normalised_together

_BROKEN = re.compile(r"gloo|nccl|closed by peer|connection (re|was|timed)|store|process group", re.IGNORECASE)
"""What torch.distributed speaks of when another process is gone."""


class Strategy(ABC):
    """What the training loop asks where there may be several processes; the loop itself knows none of them.

    Parameters
    ----------
    device
        Where this process computes.

    Attributes
    ----------
    rank, world
        This process's number, and how many there are.
    """

    rank = 0
    world = 1

    def __init__(self, device: torch.device) -> None:
        self.device = device

    @abstractmethod
    def wrapped(self, objective: nn.Module) -> nn.Module:
        """The objective with its gradients averaged over all processes; anew where what is frozen has changed."""

    @abstractmethod
    def agree(self, flag: bool) -> bool:
        """Whether any process says so: all must take the same turn (to stop, say)."""

    @abstractmethod
    def shared(self, values: tuple[float, ...]) -> tuple[float, ...]:
        """The first process's numbers: others hold other running statistics, and all must choose alike."""

    @abstractmethod
    def average(self, tensors: Iterable[torch.Tensor]) -> None:
        """Their mean over all processes, in place: of gradients that :meth:`wrapped` does not see."""

    @property
    def leads(self) -> bool:
        """Whether this process is the one that writes."""
        return self.rank == 0

    def wait(self) -> None:
        """Until all processes are here."""
        self.agree(False)

    def lost(self, error: BaseException) -> bool:
        """Whether an error means that another process has ended or is not reached."""
        return False

    @abstractmethod
    def leave(self) -> None:
        """Take leave of the other processes."""


class OneProcess(Strategy):
    """This process alone."""

    def wrapped(self, objective: nn.Module) -> nn.Module:
        return objective

    def agree(self, flag: bool) -> bool:
        return flag

    def shared(self, values: tuple[float, ...]) -> tuple[float, ...]:
        return values

    def average(self, tensors: Iterable[torch.Tensor]) -> None:
        """Of one process it is what it is."""

    def leave(self) -> None:
        """There is nobody to leave."""


class ManyProcesses(Strategy):
    """The processes that torchrun started, each with a copy of the parameters and its share of every batch."""

    def __init__(self, device: torch.device) -> None:
        super().__init__(device)
        self.rank, self.world = _started()
        if not dist.is_initialized():
            nccl = device.type == "cuda" and dist.is_nccl_available()  # not on Windows
            try:
                dist.init_process_group("nccl" if nccl else "gloo")
            except (ValueError, RuntimeError) as error:  # of torch.distributed are all kinds of RuntimeError
                raise RequestError(
                    f"RANK and WORLD_SIZE say that this is process {self.rank} of {self.world}, but the others cannot "
                    f"be joined ({' '.join(str(error).split())[:150]}); start with torchrun --nproc-per-node "
                    f"{self.world} -m sterna ..., or unset RANK and WORLD_SIZE."
                ) from error

    def wrapped(self, objective: nn.Module) -> nn.Module:
        return _Together(objective)

    def agree(self, flag: bool) -> bool:
        votes = torch.tensor(int(flag), device=self.device)
        dist.all_reduce(votes, op=dist.ReduceOp.MAX)
        return bool(votes.item())

    def shared(self, values: tuple[float, ...]) -> tuple[float, ...]:
        numbers = torch.tensor(values, dtype=torch.float64, device=self.device)
        dist.broadcast(numbers, src=0)
        return tuple(numbers.tolist())

    def average(self, tensors: Iterable[torch.Tensor]) -> None:
        for tensor in tensors:
            dist.all_reduce(tensor)
            tensor /= self.world

    def lost(self, error: BaseException) -> bool:
        return isinstance(error, RuntimeError) and _BROKEN.search(str(error)) is not None

    def leave(self) -> None:
        if dist.is_initialized():
            dist.destroy_process_group()


class _Together(DistributedDataParallel):
    """A module whose batches are shared among processes, as if one had them whole."""

    def forward(self, *inputs: Any, **named: Any) -> Any:
        with normalised_together():
            return super().forward(*inputs, **named)  # type: ignore[no-untyped-call]


def strategy_on(device: torch.device) -> Strategy:
    """That of this program: many processes where torchrun started it, else one."""
    return ManyProcesses(device) if _started()[1] > 1 else OneProcess(device)


def leads() -> bool:
    """Whether this process is the one that writes and speaks, as torchrun says."""
    return _started()[0] == 0


def _started() -> tuple[int, int]:
    """This process's number and how many there are, by torchrun; ``(0, 1)`` without it."""
    named = [os.environ.get("RANK", "0"), os.environ.get("WORLD_SIZE", "1")]
    if not all(number.isdecimal() for number in named):
        raise RequestError(f"RANK is {named[0]!r} and WORLD_SIZE {named[1]!r}; whole numbers were expected.")
    return int(named[0]), int(named[1])
