"""The weights of two networks put together, name by name; plain mathematics on state dicts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sterna.errors import RequestError

if TYPE_CHECKING:
    from torch import Tensor, nn
    from torch.nn.modules.batchnorm import _BatchNorm as _Norm

    State = Mapping[str, Tensor]

_SHOWN = 3


def check_share(alpha: float) -> None:
    """Refuse a share of the source that is not between 0 and 1."""
    if not 0 <= alpha <= 1:
        raise RequestError(f"alpha is {alpha:g}; expected a number from 0 (all target) to 1 (all source).")


def check_alike(
    source: Mapping[str, tuple[tuple[int, ...], str]],
    target: Mapping[str, tuple[tuple[int, ...], str]],
    real: frozenset[str],
    names: tuple[str, str] = ("the source", "the target"),
) -> None:
    """Refuse weights that are not of one architecture.

    Parameters
    ----------
    source, target
        Shape and number type of each tensor.
    real
        The number types of which two may differ; others must be the same.
    names
        What a person calls the two.

    Raises
    ------
    RequestError
        Says how many tensors are on one side only, of another shape or of another type, and names the first.
    """
    missing, extra = [n for n in target if n not in source], [n for n in source if n not in target]
    shared = [(n, source[n], target[n]) for n in target if n in source]
    shapes = [f"{n} {a[0]} and {b[0]}" for n, a, b in shared if a[0] != b[0]]
    kinds = [f"{n} {a[1]} and {b[1]}" for n, a, b in shared if a[1] != b[1] and not {a[1], b[1]} <= real]
    problems = [
        f"{len(found)} {words} ({_few(found)})"
        for found, words in (
            (missing, f"of {names[1]} are not in {names[0]}"),
            (extra, f"of {names[0]} are not in {names[1]}"),
            (shapes, "differ in shape"),
            (kinds, "differ in number type"),
        )
        if found
    ]
    if problems:
        raise RequestError(
            f"Weights of {names[0]} and {names[1]} cannot be fused, tensor by tensor: {'; '.join(problems)}; "
            "give two of the same architecture."
        )


def _few(names: list[str]) -> str:
    return "first: " * (len(names) > 1) + ", ".join(names[:_SHOWN]) + ", ..." * (len(names) > _SHOWN)


def fuse_states(source: State, target: State, alpha: float) -> dict[str, Tensor]:
    r"""Weighted mean of two sets of weights, :math:`W_f = \alpha W_s + (1 - \alpha) W_t`.

    Parameters
    ----------
    source, target
        Tensors by name, of the same names and shapes. Types of real numbers may differ; the mean is
        computed in float32 or wider, and comes in the target's type on the target's device.
    alpha
        Share of the source. At 0 and 1 every tensor is that of the target, or of the source, bit for bit (where their
        types are the same); in between, whole numbers (counters, positions) are the target's.

    Returns
    -------
    dict of str to Tensor
        New tensors, in the target's order.

    Raises
    ------
    RequestError
        If `alpha` is out of bounds, or names, shapes or types do not match.

    Examples
    --------
    >>> import torch
    >>> fuse_states({"w": torch.tensor([1.0, 2.0])}, {"w": torch.tensor([3.0, 6.0])}, 0.25)
    {'w': tensor([2.5000, 5.0000])}
    """
    check_share(alpha)
    _check(source, target)
    if alpha in (0, 1):
        end = source if alpha else target
        return {n: end[n].detach().to(t.device, t.dtype, copy=True) for n, t in target.items()}
    return {name: _combined(source[name], tensor, alpha, 1 - alpha) for name, tensor in target.items()}


def add_states(source: State, target: State, beta: float) -> dict[str, Tensor]:
    r"""The source's weights added to the target's, :math:`W_t + \beta W_s`.

    It is :math:`1 + \beta` times the weighted mean of :func:`fuse_states` with
    :math:`\alpha = \beta / (1 + \beta)`, so it is for parameters: statistics and fixed tables should not be scaled.

    Parameters
    ----------
    source, target
        Tensors by name, as for :func:`fuse_states`.
    beta
        Factor of the source; at 0 every tensor is the target's, bit for bit.

    Returns
    -------
    dict of str to Tensor
        New tensors, in the target's order; whole numbers are the target's.

    Raises
    ------
    RequestError
        If names, shapes or types do not match.
    """
    _check(source, target)
    if beta == 0:
        return {name: tensor.detach().clone() for name, tensor in target.items()}
    return {name: _combined(source[name], tensor, beta, 1.0) for name, tensor in target.items()}


def _combined(source: Tensor, target: Tensor, a: float, b: float) -> Tensor:
    """``a * source + b * target``."""
    import torch

    if not _is_real(target):
        return target.detach().clone()
    wide = torch.promote_types(torch.promote_types(source.dtype, target.dtype), torch.float32)
    mean = source.detach().to(target.device, wide) * a + target.detach().to(wide) * b
    return mean.to(target.dtype)


def _is_real(tensor: Tensor) -> bool:
    return tensor.is_floating_point() or tensor.is_complex()


def _check(source: State, target: State) -> None:
    both = [{n: (tuple(t.shape), str(t.dtype).removeprefix("torch.")) for n, t in s.items()} for s in (source, target)]
    tensors = (*source.values(), *target.values())
    real = frozenset(str(t.dtype).removeprefix("torch.") for t in tensors if t.is_floating_point())
    check_alike(both[0], both[1], real)


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
    wanted = dict(zip(_norms(module), goals, strict=True)) if goals is not None else {}

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
    for part in _norms(module):
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
    import torch

    counts: dict[_Norm, int] = {}
    found: dict[_Norm, tuple[Tensor, Tensor]] = {}

    def hook(part: Any, arguments: tuple[Any, ...]) -> None:
        inputs = arguments[0].float().transpose(0, 1).flatten(1)
        new = inputs.mean(1), inputs.var(1, correction=min(1, inputs.shape[1] - 1))
        counts[part] = count = counts.get(part, 0) + 1
        old = found.get(part, new)
        found[part] = old[0] + (new[0] - old[0]) / count, old[1] + (new[1] - old[1]) / count
        see(part, *found[part])

    parts = _norms(module)
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


def _norms(module: nn.Module) -> list[_Norm]:
    from torch.nn.modules.batchnorm import _BatchNorm

    return [part for part in module.modules() if isinstance(part, _BatchNorm) and part.running_mean is not None]
