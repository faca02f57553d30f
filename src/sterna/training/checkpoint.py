"""The state of a fit on disk: whole or not there, and enough to go on exactly."""

from __future__ import annotations

import hashlib
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any, BinaryIO, ClassVar

import torch
from pydantic import ConfigDict, TypeAdapter
from torch import Tensor

from sterna.files import atomic
from sterna.record.reading import reading

Weights = dict[str, Tensor]


@dataclass
class State:
    """Where a fit stands.

    The random numbers of a step are a function of the seed and the step's number, so no generator is kept.

    Attributes
    ----------
    step
        Optimiser steps done.
    micro
        Parts a batch is cut into (it doubles when memory runs out).
    best, best_score
        Weights of the best epoch by validation, and ``(metric, -loss)`` there.
    average, averaged
        Mean of the weights over the last epochs, and over how many.
    stale
        Epochs since the best one.
    done
        The fit has ended, its final weights are in `objective`.
    kept
        Whose weights these are, in words.
    """

    __pydantic_config__: ClassVar = ConfigDict(arbitrary_types_allowed=True)

    step: int = 0
    micro: int = 1
    best: Weights | None = None
    best_score: tuple[float, ...] | None = None
    best_epoch: int = 0
    average: Weights | None = None
    averaged: int = 0
    stale: int = 0
    seconds: float = 0.0
    done: bool = False
    kept: str = ""
    frozen: list[str] = field(default_factory=list)
    history: list[dict[str, Any]] = field(default_factory=list)
    sums: dict[str, float] = field(default_factory=dict)


def copied(weights: dict[str, Tensor]) -> Weights:
    """Weights that later training does not change."""
    return {name: tensor.detach().clone() for name, tensor in weights.items()}


def averaged(mean: Weights | None, new: dict[str, Tensor], count: int) -> Weights:
    """The mean of `count` weights, given the mean of the first ``count - 1`` (Izmailov et al., 2018).

    A tensor that never changed stays bit for bit; integer buffers take the newest value.
    """
    if mean is None:
        return copied(new)
    return {
        name: mean[name] + (tensor.detach() - mean[name]) / count if tensor.is_floating_point() else tensor.clone()
        for name, tensor in new.items()
    }


def save(path: Path, state: State, objective: Weights, optimizer: dict[str, Any]) -> None:
    """Write all of it, atomically; a hash of it stands behind it."""
    with atomic(path) as temporary, temporary.open("w+b") as file:
        try:
            torch.save({"state": vars(state), "objective": objective, "optimizer": optimizer}, file)
        except RuntimeError as error:
            if isinstance(error.__context__, OSError):  # torch hides what the file said (no space left, say)
                raise error.__context__ from None
            raise
        file.write(_hash(file, file.seek(0, os.SEEK_END)) + _SEAL)


def load(path: Path) -> tuple[State, Weights, dict[str, Any]]:
    """Read it back; nothing is unpickled."""
    with reading(path, "delete it and go on with resume=True: this fit then begins anew"), path.open("rb") as file:
        size = file.seek(0, os.SEEK_END) - _HASH - len(_SEAL)
        file.seek(max(0, size))
        kept, seal = file.read(_HASH), file.read()
        if seal == _SEAL and kept != _hash(file, size):  # version 0.1.0 wrote none
            raise ValueError("its hash is not that of what it holds")
        file.seek(0)
        found = torch.load(file, weights_only=True, map_location="cpu")
        return TypeAdapter(State).validate_python(found["state"]), found["objective"], found["optimizer"]


_SEAL, _HASH = b"sterna-1", 32
"""What a checkpoint ends with, behind 32 bytes of SHA-256."""


def _hash(file: BinaryIO, size: int) -> bytes:
    """The SHA-256 of the first bytes of a file."""
    digest = hashlib.sha256()
    file.seek(0)
    while size > 0 and (part := file.read(min(size, 2**20))):
        digest.update(part)
        size -= len(part)
    return digest.digest()


class Interruption:
    """Whether Ctrl-C, or the system, asked to stop."""

    requested = False
    by_user = False


@contextmanager
def interruptible() -> Iterator[Interruption]:
    """Let a step end before Ctrl-C or SIGTERM takes effect; a second Ctrl-C stops at once.

    A signal that the program was started to ignore (``nohup``, ``&`` in a script) stays ignored.
    """
    interruption = Interruption()
    if threading.current_thread() is not threading.main_thread():
        yield interruption
        return
    asked = {name: signal.getsignal(name) for name in (signal.SIGINT, signal.SIGTERM)}
    # None is a handler of a host's, not Python's own.
    kept = {name: handler for name, handler in asked.items() if handler not in (None, signal.SIG_IGN)}

    def ask(number: int, frame: FrameType | None) -> None:
        interruption.requested, interruption.by_user = True, number == signal.SIGINT
        if signal.SIGINT in kept:
            signal.signal(signal.SIGINT, signal.default_int_handler)

    for name in kept:
        signal.signal(name, ask)
    try:
        yield interruption
    finally:
        for name, handler in kept.items():
            signal.signal(name, handler)
