"""What a reader gives (`Inputs`) and what a body takes (`Preparation`)."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol

import numpy as np

if TYPE_CHECKING:
    import torch

Kind = Literal["images", "table", "text", "audio"]
"""Kinds of data a Domain can hold."""

Rows = np.ndarray[Any, np.dtype[np.int64]]
"""Row numbers, shape ``(n,)``."""


class Inputs(ABC):
    """The inputs of a Domain, one a row, read lazily where reading is dear."""

    kind: ClassVar[Kind]
    codes_are_classes: ClassVar[bool] = True
    """Whether labels 0, 1, ..., k - 1 are classes, however many; in a table they may as well be counts."""

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def __getitem__(self, row: int) -> Any:
        """One raw input: a PIL image (mode ``L`` or ``RGB``), a ``str``, a ``dict`` of cells, or a `Sound`."""

    @abstractmethod
    def take(self, rows: Rows) -> Inputs:
        """The inputs of these rows only, in this order; the others are no longer reachable."""

    @abstractmethod
    def keys(self) -> list[str]:
        """A content hash for each row: rows with identical content have the same key."""

    @abstractmethod
    def fingerprint(self) -> str:
        """A cheap hash of all rows in order, for caches: equal only if the content is equal."""

    def names(self) -> list[str]:
        """What a person would call each row: a file name, or the row number."""
        return [str(i) for i in range(len(self))]


class Items(Protocol):
    """Prepared inputs: what one row becomes before a batch is made."""

    def __len__(self) -> int: ...

    def __getitem__(self, row: int) -> Any: ...


class Preparation(ABC):
    """A body's own way to turn raw inputs into a batch of tensors."""

    kind: ClassVar[Kind]

    def fit(self, inputs: Inputs) -> Preparation:
        """Learn statistics from these (training) rows only; a fitted copy, or itself where there is nothing to fit."""
        return self

    @abstractmethod
    def items(self, inputs: Inputs) -> Items:
        """Prepare rows: lazily for images and audio (decoded on access), at once for text and tables."""

    def augmented(self, items: Items, row: int, random: np.random.Generator) -> Any:
        """One prepared row, changed at random as training on this kind of data asks; unchanged by default."""
        return items[row]

    @abstractmethod
    def collate(self, items: Sequence[Any]) -> torch.Tensor | Mapping[str, torch.Tensor] | Any:
        """Put prepared rows together into what the body takes."""

    @abstractmethod
    def state(self) -> dict[str, Any]:
        """All it takes to build it again, as JSON: ``{"type": <registered name>, ...}``."""

    def fingerprint(self) -> str:
        """A hash of the state, for caches."""
        import hashlib
        import json

        return hashlib.blake2b(json.dumps(self.state(), sort_keys=True).encode(), digest_size=16).hexdigest()
