"""Batch normalisation: what its layers are, how they are held as they are, and their statistics anew."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm as _Norm

from sterna.networks.freezing import freeze


def norms(module: nn.Module) -> list[_Norm]:
    """The parts that normalise by the batch, in the module's order."""
    return [part for part in module.modules() if isinstance(part, _Norm)]


def hold_statistics(module: nn.Module) -> None:
    """Keep batch normalisation whole as it is, factor and offset too, in place.

    Statistics of small batches are worse than a source model's.
    """
    for part in norms(module):
        freeze(part)


@contextmanager
def statistics_held(module: nn.Module) -> Iterator[None]:
    """Batch normalisation still normalises by the batch, but its running statistics do not move."""
    parts = [part for part in norms(module) if part.track_running_stats]
    for part in parts:
        part.track_running_stats = False
    try:
        yield
    finally:
        for part in parts:
            part.track_running_stats = True


@dataclass(frozen=True)
class Standing:
    r"""How what a batch normalisation gives stands to standard values, before its own factor and offset.

    Attributes
    ----------
    shift
        Mean of each channel, ``(c,)``, where standard values have 0: :math:`d = (m - \mu) / \sigma` with the inputs'
        mean m and the statistics :math:`\mu, \sigma^2` that the layer keeps.
    ratio
        Variance of each channel, ``(c,)``, where standard values have 1: :math:`r = v / \sigma^2`.
    """

    shift: Tensor
    ratio: Tensor

    def mixed(self, other: Standing, share: float) -> Standing:
        """Weighted mean, `share` of it this one."""
        rest = 1 - share
        return Standing(share * self.shift + rest * other.shift, share * self.ratio + rest * other.ratio)


def recalibrate(module: nn.Module, batches: Iterable[Any], goals: Sequence[Standing] | None = None) -> int:
    r"""Batch normalisation's running statistics anew, from these batches, in place.

    Averaged weights give activations of another mean and spread than either network's, so statistics averaged with
    them are wrong (Izmailov et al., 2018; Jordan et al., 2023). The statistics become the cumulative mean of those of
    the batches, whatever they were before; so each layer gives standard values. With `goals` they are
    :math:`\sigma^2 = v / r` and :math:`\mu = m - d \sigma` instead, so that each gives values of that mean and spread:
    a network that was fitted under statistics which are not those of these inputs has learnt to work with that.

    Parameters
    ----------
    module
        Runs, and ends, in evaluation mode; parameters and counters of batches stay as they are.
    batches
        What `module` takes, each of several rows; where there are none, everything stays as it is.
    goals
        For each part that keeps statistics, in the module's order.

    Returns
    -------
    int
        How many parts have new statistics.
    """
    wanted = dict(zip(_measurable(module), goals, strict=True)) if goals is not None else {}

    def put(part: _Norm, mean: Tensor, variance: Tensor) -> None:
        if part in wanted:
            spread = (variance + part.eps) / wanted[part].ratio
            mean, variance = mean - wanted[part].shift * spread.sqrt(), (spread - part.eps).clamp_min(0)
        assert part.running_mean is not None and part.running_var is not None
        part.running_mean.copy_(mean)
        part.running_var.copy_(variance)

    return len(_measured(module, batches, put))


def standings(module: nn.Module, batches: Iterable[Any]) -> list[Standing]:
    """How the layers of a network as it is stand on these batches; none where there is no batch, or nothing to say.

    The goals that leave :func:`recalibrate` without anything to change.
    """
    found = _measured(module, batches, lambda part, mean, variance: None)
    if not found:
        return []
    result = []
    for part in _measurable(module):
        assert part.running_mean is not None and part.running_var is not None
        kept = (part.running_mean, part.running_var)
        mean, variance = found.get(part, kept)  # a part that does not run gives nothing
        spread = kept[1] + part.eps
        result.append(Standing((mean - kept[0]) / spread.sqrt(), (variance + part.eps) / spread))
    return result


def _measured(
    module: nn.Module, batches: Iterable[Any], see: Callable[[_Norm, Tensor, Tensor], None]
) -> dict[_Norm, tuple[Tensor, Tensor]]:
    """Mean and variance of what each batch normalisation is given; `see` is told before the part itself runs."""
    counts: dict[_Norm, int] = {}
    found: dict[_Norm, tuple[Tensor, Tensor]] = {}

    def hook(part: Any, arguments: tuple[Any, ...]) -> None:
        inputs = arguments[0].float().transpose(0, 1).flatten(1)
        mean, freedom = inputs.mean(1, keepdim=True), max(inputs.shape[1] - 1, 1)
        # Tensor.var is several times slower on CPUs.
        new = mean.squeeze(1), (inputs - mean).square().sum(1) / freedom
        counts[part] = count = counts.get(part, 0) + 1
        old = found.get(part, new)
        found[part] = old[0] + (new[0] - old[0]) / count, old[1] + (new[1] - old[1]) / count
        see(part, *found[part])

    parts = _measurable(module)
    if not parts:
        return {}
    module.eval()
    handles = [part.register_forward_pre_hook(hook) for part in parts]
    try:
        with torch.no_grad():
            for batch in batches:
                module(batch)
    finally:
        for handle in handles:
            handle.remove()
    return found


def _measurable(module: nn.Module) -> list[_Norm]:
    """Those that keep statistics."""
    return [part for part in norms(module) if part.running_mean is not None]
