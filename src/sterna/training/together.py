"""A batch whose rows are spread over the processes that torchrun started gives what it gives in one process."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from sterna.tasks.losses import at_least_float32

if TYPE_CHECKING:
    from sterna.training.batches import Batch


def whole(rows: Tensor) -> Tensor:
    """The rows of all processes, ``(N, ...)``, of those of this one, ``(n, ...)``; n may differ from one to another.

    A loss of all rows is the same in each process, and each sends its gradient to its own rows alone, as many-fold as
    there are processes: the mean over them, which DistributedDataParallel takes, is then the gradient of one process.
    """
    found: Tensor = _Whole.apply(rows) if _several() else rows
    return found


def whole_batch(outputs: Tensor, batch: Batch) -> tuple[Tensor, Tensor, Tensor | None]:
    """Outputs, targets and weights of all processes, what the loss of a labelled batch is the mean of."""
    assert batch.targets is not None
    weights = None if batch.weights is None else whole(batch.weights)
    return whole(outputs), whole(batch.targets), weights


@contextmanager
def normalised_together() -> Iterator[None]:
    """Batch normalisation takes mean and variance over the rows of all processes."""
    alone = nn.functional.batch_norm

    def together(
        input: Tensor, running_mean: Tensor | None, running_var: Tensor | None, weight: Tensor | None = None,
        bias: Tensor | None = None, training: bool = False, momentum: float = 0.1, eps: float = 1e-5,
    ) -> Tensor:  # fmt: skip
        if not training:
            return alone(input, running_mean, running_var, weight, bias, training, momentum, eps)
        return _batch_norm(input, running_mean, running_var, weight, bias, momentum, eps)

    nn.functional.batch_norm = together  # modules of torch and timm both call it by this name
    try:
        yield
    finally:
        nn.functional.batch_norm = alone


def _batch_norm(
    inputs: Tensor, running_mean: Tensor | None, running_var: Tensor | None, weight: Tensor | None,
    bias: Tensor | None, momentum: float, eps: float,
) -> Tensor:  # fmt: skip
    x = at_least_float32(inputs)
    over, shape = [0, *range(2, x.ndim)], [1, -1, *[1] * (x.ndim - 2)]
    count = _summed(x.new_tensor(x.numel() / x.shape[1]))
    mean = _summed(x.sum(over)) / count
    centred = x - mean.view(shape)
    variance = _summed(centred.square().sum(over)) / count
    with torch.no_grad():
        if running_mean is not None and running_var is not None:
            running_mean.lerp_(mean.to(running_mean.dtype), momentum)
            running_var.lerp_((variance * count / (count - 1)).to(running_var.dtype), momentum)
    found = centred * torch.rsqrt(variance + eps).view(shape)
    if weight is not None:
        found = found * weight.view(shape)
    return (found if bias is None else found + bias.view(shape)).to(inputs.dtype)


def _several() -> bool:
    return dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1


def _summed(x: Tensor) -> Tensor:
    """The sum over all processes; what each does with it comes back as one gradient."""
    found: Tensor = _Summed.apply(x)
    return found


class _Summed(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        total = x.contiguous().clone()
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        total = gradient.contiguous().clone()
        dist.all_reduce(total)
        return total


class _Whole(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, rows: Tensor) -> Tensor:
        rank, world = dist.get_rank(), dist.get_world_size()
        counts = torch.zeros(world, dtype=torch.int64, device=rows.device)
        counts[rank] = len(rows)
        dist.all_reduce(counts)
        sizes = counts.tolist()
        padded = rows.new_zeros(max(sizes), *rows.shape[1:])
        padded[: len(rows)] = rows
        parts = [torch.empty_like(padded) for _ in range(world)]
        dist.all_gather(parts, padded)
        ctx.own = slice(sum(sizes[:rank]), sum(sizes[: rank + 1]))
        return torch.cat([part[:size] for part, size in zip(parts, sizes, strict=True)])

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return gradient[ctx.own] * dist.get_world_size()
