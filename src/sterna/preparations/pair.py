"""Every row prepared twice, for two bodies side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch

from sterna.domains.inputs import Inputs, Items, Preparation, Rows
from sterna.errors import RequestError
from sterna.preparations.saved import preparation_from_state

FIRST, SECOND = KEYS = ("first", "second")
"""Names of the two halves: in batches, in the names of blocks, and on disk."""


class PairInputs(Inputs):
    """The same rows in two forms, one for each half of a :class:`PairPreparation`.

    Parameters
    ----------
    first, second
        As many rows each. Where one of the two is the raw inputs, it is the second.
    """

    def __init__(self, first: Inputs, second: Inputs) -> None:
        self.kind = second.kind  # type: ignore[misc]
        self.first, self.second = first, second

    def __len__(self) -> int:
        return len(self.second)

    def __getitem__(self, row: int) -> Any:
        return self.second[row]

    def take(self, rows: Rows) -> PairInputs:
        return PairInputs(self.first.take(rows), self.second.take(rows))

    def keys(self) -> list[str]:
        pairs = zip(self.first.keys(), self.second.keys(), strict=True)
        return [first if first == second else f"{first}-{second}" for first, second in pairs]

    def fingerprint(self) -> str:
        return f"{self.first.fingerprint()}-{self.second.fingerprint()}"


class PairItems:
    """Prepared rows: what each half gets of a row."""

    def __init__(self, first: Items, second: Items) -> None:
        self.first, self.second = first, second

    def __len__(self) -> int:
        return len(self.first)

    def __getitem__(self, row: int) -> tuple[Any, Any]:
        return self.first[row], self.second[row]


class PairPreparation(Preparation):
    """Every row prepared twice, for two bodies that take it differently.

    Parameters
    ----------
    first, second
        Preparations for one kind of data.

    Raises
    ------
    RequestError
        If they are for different kinds.
    """

    def __init__(self, first: Preparation, second: Preparation) -> None:
        if first.kind != second.kind:
            raise RequestError(
                f"A pair needs two preparations of one kind, but the first takes {first.kind} and the second "
                f"{second.kind}; choose a source of the target's kind."
            )
        self.kind = first.kind  # type: ignore[misc]
        self.first, self.second = first, second

    def fit(self, inputs: Inputs) -> PairPreparation:
        return PairPreparation(self.first.fit(inputs), self.second.fit(inputs))

    def items(self, inputs: Inputs) -> PairItems:
        """Rows for both halves."""
        ours, theirs = (inputs.first, inputs.second) if isinstance(inputs, PairInputs) else (inputs, inputs)
        return PairItems(self.first.items(ours), self.second.items(theirs))

    def unknown(self, inputs: Inputs) -> list[str]:
        ours, theirs = (inputs.first, inputs.second) if isinstance(inputs, PairInputs) else (inputs, inputs)
        return list(dict.fromkeys([*self.first.unknown(ours), *self.second.unknown(theirs)]))

    def note(self, items: PairItems) -> str | None:
        """What the halves say of their rows, each sentence once."""
        notes = [self.first.note(items.first), self.second.note(items.second)]
        return " ".join(dict.fromkeys(note for note in notes if note)) or None

    def order(self, items: PairItems) -> Rows:
        return self.second.order(items.second)

    def inference_rows(self, on_cpu: bool) -> int:
        return min(self.first.inference_rows(on_cpu), self.second.inference_rows(on_cpu))

    def augmented(self, items: Any, row: int, random: np.random.Generator) -> tuple[Any, Any]:
        """One row changed at random, for both halves by the same random numbers."""
        seed = int(random.integers(2**63))
        pairs = ((self.first, items.first), (self.second, items.second))
        ours, theirs = (half.augmented(own, row, np.random.default_rng(seed)) for half, own in pairs)
        return ours, theirs

    def collate(self, items: Sequence[Any]) -> dict[str, Any]:
        """A batch for each half, by the names in `KEYS`."""
        ours, theirs = zip(*items, strict=True)
        return {FIRST: self.first.collate(list(ours)), SECOND: self.second.collate(list(theirs))}

    def state(self) -> dict[str, Any]:
        return {"type": "pair", FIRST: self.first.state(), SECOND: self.second.state()}

    def save_assets(self, folder: Path) -> None:
        """Write the files that the halves need (a tokenizer's) into a folder for each."""
        for key, half in ((FIRST, self.first), (SECOND, self.second)):
            half.save_assets(folder / key)

    @classmethod
    def from_state(cls, state: Mapping[str, Any], folder: Path | None = None) -> Self:
        halves = [preparation_from_state(state[key], None if folder is None else folder / key) for key in KEYS]
        return cls(*halves)

    def __repr__(self) -> str:
        return f"PairPreparation({self.first!r}, {self.second!r})"


def two_rows(preparation: Preparation) -> Any:
    """Two rows of zeros as a preparation of numbers gives them, for a pair of such ones in each half; else ``None``."""
    if isinstance(preparation, PairPreparation):
        halves = {FIRST: two_rows(preparation.first), SECOND: two_rows(preparation.second)}
        return None if any(half is None for half in halves.values()) else halves
    width = getattr(preparation, "width", None)
    return torch.zeros(2, width) if isinstance(width, int) else None
