"""What torchrun says about this process."""

from __future__ import annotations

import os

import torch
import torch.distributed as dist


def rank_and_world() -> tuple[int, int]:
    """This process's number and how many there are; ``(0, 1)`` when not started by torchrun."""
    return int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))


def join(device: torch.device) -> None:
    """Meet the other processes, once."""
    if rank_and_world()[1] > 1 and not dist.is_initialized():
        nccl = device.type == "cuda" and dist.is_nccl_available()  # not on Windows
        dist.init_process_group("nccl" if nccl else "gloo")


def leave() -> None:
    """Take leave of the other processes."""
    if dist.is_available() and dist.is_initialized():
        dist.destroy_process_group()


def agree(flag: bool, device: torch.device) -> bool:
    """Whether any process says so: all must take the same turn (to stop, say)."""
    if not (dist.is_available() and dist.is_initialized()):
        return flag
    votes = torch.tensor(int(flag), device=device)
    dist.all_reduce(votes, op=dist.ReduceOp.MAX)
    return bool(votes.item())


def shared(values: tuple[float, ...], device: torch.device) -> tuple[float, ...]:
    """The first process's numbers: others hold other running statistics, and all must choose alike."""
    if not (dist.is_available() and dist.is_initialized()):
        return values
    numbers = torch.tensor(values, dtype=torch.float64, device=device)
    dist.broadcast(numbers, src=0)
    return tuple(numbers.tolist())


def wait(device: torch.device) -> None:
    """Until all processes are here."""
    agree(False, device)
