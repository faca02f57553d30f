"""The weights of two networks put together, name by name; plain mathematics on state dicts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, TypeVar

from sterna.errors import RequestError

if TYPE_CHECKING:
    from torch import Tensor, nn

    State = Mapping[str, Tensor]

M = TypeVar("M", bound="nn.Module")

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


def between(module: M, start: nn.Module, share: float, tuned: nn.Module | None = None) -> M:
    """Fill `module` with γ W_tuned + (1 − γ) W_start, and give it back; by default its own weights are the tuned ones.

    With γ = 1 and 0 the weights are exactly the tuned ones and the start's; whole numbers are those of the tuned.
    """
    ends = start.state_dict(), (tuned or module).state_dict()
    module.load_state_dict({name: blended(first, ends[1][name], share) for name, first in ends[0].items()})
    return module


def blended(start: Tensor, tuned: Tensor, share: float) -> Tensor:
    """γ `tuned` + (1 − γ) `start`, exact at both ends."""
    import torch

    if share == 1 or not tuned.is_floating_point():
        return tuned
    return start.to(tuned) if share == 0 else torch.lerp(start.to(tuned), tuned, share)


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
