"""From whatever a module gives to one vector a row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn


def mask_of(inputs: Any) -> Tensor | None:
    """Which tokens ``(n, t)`` of a batch are real, if it says so; of recordings, which frames of the features."""
    return inputs.get("frame_mask", inputs.get("attention_mask")) if isinstance(inputs, Mapping) else None


def tensor_of(output: Any) -> Tensor:
    """The tensor of features in a module's output: itself, the first of a tuple, ``last_hidden_state`` of a mapping.

    Raises
    ------
    TypeError
        If there is none.
    """
    if isinstance(output, Tensor):
        return output
    if isinstance(output, Mapping):
        for name in ("last_hidden_state", "sentence_embedding", "token_embeddings", "logits"):
            if isinstance(output.get(name), Tensor):
                return tensor_of(output[name])
        output = tuple(output.values())
    if isinstance(output, (tuple, list)):
        for part in output:
            if isinstance(part, Tensor):
                return part
    raise TypeError(f"it gives a {type(output).__name__} without a tensor of features in it")


def pooled(output: Any, mask: Tensor | None, channels_at_end: bool = False, one_d: bool = False) -> Tensor:
    """Pool what a block gives.

    Parameters
    ----------
    output
        ``(n, c)``: as it is. ``(n, c, h, w)`` (``(n, h, w, c)`` with `channels_at_end`): mean over places.
        ``(n, t, c)``: mean over tokens, those under the mask where it fits.
    mask
        1 for tokens, 0 for padding, ``(n, t)``.
    one_d
        ``(n, c, t)`` instead of ``(n, t, c)``, as one-dimensional convolutions give.

    Returns
    -------
    Tensor, shape (n, c)
    """
    features = tensor_of(output)
    if features.ndim < 2:
        return features.reshape(-1, 1)
    if features.ndim == 2:
        return features
    if features.ndim == 3:
        tokens = features.transpose(1, 2) if one_d else features
        if mask is not None and tokens.shape[1] % mask.shape[1] == 0:  # before a convolution that takes every other one
            mask = mask.repeat_interleave(tokens.shape[1] // mask.shape[1], dim=1)
        if mask is not None and mask.shape == tokens.shape[:2]:
            return masked_mean(tokens, mask)
        return tokens.mean(1)
    return features.flatten(1, -2).mean(1) if channels_at_end else features.flatten(2).mean(2)


def masked_mean(tokens: Tensor, mask: Tensor) -> Tensor:
    """Mean over the tokens ``(n, t, c)`` that the mask ``(n, t)`` lets through, ``(n, c)``."""
    weights = mask.to(tokens.dtype).unsqueeze(2)
    return (tokens * weights).sum(1) / weights.sum(1).clamp_min(1e-9)


def last(result: Any, mask: Tensor | None, how: str, channels_at_end: bool = False, one_d: bool = False) -> Tensor:
    """A module's own features ``(n, c)``.

    Parameters
    ----------
    how
        ``"mean"`` over places or tokens, ``"cls"`` (the first token), or ``"pooler"`` (what the module's own pooler
        gives, where it has one).
    """
    pooler = result.get("pooler_output") if isinstance(result, Mapping) else None
    if how == "pooler" and isinstance(pooler, Tensor):
        return pooler.flatten(1)
    features = tensor_of(result)
    if how == "cls" and features.ndim == 3:
        return features[:, 0]
    return pooled(features, mask, channels_at_end, one_d)


def is_one_d(parts: Sequence[nn.Module], output: Any = None, frames: int | None = None) -> bool:
    """Whether parts give ``(n, c, t)``.

    Where the number of frames is known, their output on an example shows it; else their last layer with weights is a
    one-dimensional convolution or its norm.
    """
    shape = tensor_of(output).shape if frames is not None else ()
    if len(shape) == 3 and (shape[1] == frames) != (shape[2] == frames):
        return bool(shape[2] == frames)
    weighty = [m for part in parts for m in part.modules() if any(p is not None for p in m._parameters.values())]
    kinds = (nn.Conv1d, nn.BatchNorm1d, torch.nn.InstanceNorm1d)
    return bool(weighty) and isinstance(weighty[-1], kinds)


def side_by_side(parts: Sequence[Tensor]) -> Tensor:
    """Features of the same rows in one tensor ``(n, d₁ + d₂ + …)``; an estimator's come from another device."""
    if len(parts) == 1:
        return parts[0]
    device = next((part.device for part in parts if part.device.type != "cpu"), torch.device("cpu"))
    return torch.cat([part.to(device) for part in parts], dim=1)
