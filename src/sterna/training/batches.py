"""Rows in an order that depends on nothing but the seed, put together into batches."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from sterna.domains.inputs import Items, Preparation
from sterna.errors import SternaError


@dataclass(frozen=True)
class Batch:
    """Some rows, prepared.

    Attributes
    ----------
    inputs
        What the body takes: a tensor ``(b, ...)``, a mapping of such tensors, or a list.
    targets
        Encoded labels, ``(b,)`` or ``(b, k)``; ``None`` for unlabelled rows.
    weights
        A weight for each row, ``(b,)``, or ``None`` where all count alike.
    rows
        Row numbers in the stream, ``(b,)``.
    """

    inputs: Any
    targets: Tensor | None
    weights: Tensor | None
    rows: Tensor

    def __len__(self) -> int:
        return len(self.rows)

    def to(self, device: torch.device) -> Batch:
        return Batch(*(move(part, device) for part in (self.inputs, self.targets, self.weights, self.rows)))

    def parts(self, count: int) -> list[Batch]:
        """The batch cut into `count` nearly equal parts."""
        cuts = [c for c in np.array_split(np.arange(len(self)), count) if len(c)]
        return [
            Batch(*(rows_of(part, c) for part in (self.inputs, self.targets, self.weights, self.rows))) for c in cuts
        ]


def move(value: Any, device: torch.device) -> Any:
    """Send tensors, and mappings of tensors, to a device."""
    if isinstance(value, Tensor):
        return value.to(device, non_blocking=True)
    return {k: move(v, device) for k, v in value.items()} if isinstance(value, Mapping) else value


def rows_of(value: Any, rows: np.ndarray[Any, Any]) -> Any:
    """Some rows of a tensor, of each tensor of a mapping, or of a list."""
    if value is None:
        return None
    if isinstance(value, Mapping):
        return {k: rows_of(v, rows) for k, v in value.items()}
    return value[rows] if isinstance(value, Tensor) else [value[i] for i in rows]


class _Prepared(Dataset[tuple[int, Any]]):
    """Rows by number and epoch: the random change to a row depends on the seed, the epoch and the row alone."""

    def __init__(self, preparation: Preparation, items: Items, seed: int, augment: bool) -> None:
        self.preparation, self.items, self.seed, self.augment = preparation, items, seed, augment

    def __getitem__(self, key: tuple[int, int]) -> tuple[int, Any]:
        row, epoch = key
        if not self.augment:
            return row, self.items[row]
        random = np.random.default_rng([self.seed, epoch, row])
        return row, self.preparation.augmented(self.items, row, random)

    def collate(self, pairs: list[tuple[int, Any]]) -> tuple[list[int], Any]:
        return [row for row, _ in pairs], self.preparation.collate([item for _, item in pairs])


class _Plan:
    """The batches of one epoch, set anew before each: workers persist, the order does not."""

    def __init__(self) -> None:
        self.batches: list[list[tuple[int, int]]] = []

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        return iter(self.batches)

    def __len__(self) -> int:
        return len(self.batches)


class Stream:
    """Prepared rows, epoch after epoch.

    Parameters
    ----------
    preparation, items
        The body's preparation and the rows it prepared.
    targets
        Encoded labels of all rows, ``(n,)`` or ``(n, k)``, or ``None``.
    rows
        Which rows to use; all by default.
    weights
        A weight for each of the n rows.
    draw
        Probabilities ``(len(rows),)`` to draw rows with replacement; each row once an epoch by default.
    rank, world
        This process and how many there are: each takes its share of every batch.
    """

    def __init__(
        self,
        preparation: Preparation,
        items: Items,
        targets: np.ndarray[Any, Any] | None = None,
        *,
        rows: np.ndarray[Any, Any] | None = None,
        weights: np.ndarray[Any, Any] | None = None,
        draw: np.ndarray[Any, Any] | None = None,
        batch_size: int = 32,
        seed: int = 0,
        augment: bool = False,
        shuffle: bool = True,
        workers: int = 0,
        rank: int = 0,
        world: int = 1,
    ) -> None:
        self.rows = np.arange(len(items)) if rows is None else np.asarray(rows)
        self.targets = None if targets is None else torch.as_tensor(targets)
        self.weights = None if weights is None else torch.as_tensor(weights, dtype=torch.float32)
        self.draw, self.seed, self.shuffle = draw, seed, shuffle
        self.batch_size, self.rank, self.world = batch_size, rank, world
        self._plan = _Plan()
        prepared = _Prepared(preparation, items, seed, augment)
        self._loader: DataLoader[Any] = DataLoader(
            prepared,
            batch_sampler=self._plan,
            collate_fn=prepared.collate,
            num_workers=workers,
            persistent_workers=workers > 0,
            prefetch_factor=4 if workers else None,
        )

    @property
    def steps(self) -> int:
        """Batches in an epoch."""
        return math.ceil(len(self.rows) / self.batch_size)

    def order(self, epoch: int) -> np.ndarray[Any, Any]:
        """The rows of this epoch, in order."""
        if not self.shuffle:
            return self.rows
        random = np.random.default_rng([self.seed, epoch])
        if self.draw is not None:
            return random.choice(self.rows, len(self.rows), p=self.draw / self.draw.sum())
        return random.permutation(self.rows)

    def epoch(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        """The batches of an epoch from number `start` on, of nearly equal size (no tiny last one)."""
        batches = np.array_split(self.order(epoch), self.steps)[start:]
        if self.world > 1:  # of fewer rows than processes, each process has as many: each row counts as often
            each = [b if len(b) >= self.world else np.tile(b, self.world) for b in batches]
            batches = [b[self.rank :: self.world] for b in each]
        self._plan.batches = [[(int(row), epoch) for row in b] for b in batches]
        for rows, inputs in self._loaded():
            index = torch.as_tensor(rows)
            yield Batch(
                inputs,
                None if self.targets is None else self.targets[index],
                None if self.weights is None else self.weights[index],
                index,
            )

    def _loaded(self) -> Iterator[Any]:
        try:
            yield from self._loader
        except SternaError as error:  # of a worker process: its sentence stands behind the worker's traceback
            said = str(error).rpartition(f"{type(error).__name__}: ")[2].strip()
            raise type(error)(said) from error


@dataclass(frozen=True)
class Batches:
    """A batch of each of several streams: what an objective that looks at two domains is given.

    Attributes
    ----------
    of
        By the names the streams were given; the first leads.
    """

    of: Mapping[str, Batch]

    def __getitem__(self, name: str) -> Batch:
        return self.of[name]

    def __len__(self) -> int:
        return len(next(iter(self.of.values())))

    def to(self, device: torch.device) -> Batches:
        return Batches({name: batch.to(device) for name, batch in self.of.items()})

    def parts(self, count: int) -> list[Batches]:
        """Each batch cut into as many parts as all can be cut into, at most `count`."""
        count = min(count, *(len(batch) for batch in self.of.values()))
        cut = {name: batch.parts(count) for name, batch in self.of.items()}
        return [Batches({name: cut[name][i] for name in cut}) for i in range(count)]


class Streams:
    """Several streams side by side: an epoch is one of the first, the others go round at their own pace.

    Parameters
    ----------
    streams
        By name; the first leads.
    """

    def __init__(self, **streams: Stream) -> None:
        self.streams = streams
        self._lead = next(iter(streams.values()))

    @property
    def steps(self) -> int:
        """Batches in an epoch of the first."""
        return self._lead.steps

    @property
    def batch_size(self) -> int:
        """Rows of the first in a batch."""
        return self._lead.batch_size

    def epoch(self, epoch: int, start: int = 0) -> Iterator[Batches]:
        """The batches of an epoch from number `start` on; where the others stand follows from the step alone."""
        done = epoch * self.steps + start
        others = {n: _endless(s, done) for n, s in self.streams.items() if s is not self._lead}
        name = next(iter(self.streams))
        for batch in self._lead.epoch(epoch, start):
            yield Batches({name: batch, **{n: next(batches) for n, batches in others.items()}})


def _endless(stream: Stream, done: int) -> Iterator[Batch]:
    """The batches of a stream from number `done` on, epoch after epoch."""
    epoch, start = divmod(done, stream.steps)
    while True:
        yield from stream.epoch(epoch, start)
        epoch, start = epoch + 1, 0
