"""What a reader gives (`Inputs`) and what a body takes (`Preparation`)."""

from __future__ import annotations

import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, Self

import numpy as np

from sterna.domains.alike import same_contents, same_pictures
from sterna.domains.rows import Columns as Columns
from sterna.domains.rows import Unread as Unread

if TYPE_CHECKING:
    import torch

Kind = str
"""Id of a kind of data: ``images``, ``table``, ``text``, ``audio``, or one that another package adds."""

Rows = np.ndarray[Any, np.dtype[np.int64]]
"""Row numbers, shape ``(n,)``."""

INFERENCE_ROWS = 64
"""Rows that are run at once where nothing is learnt and nothing speaks against it."""


class Inputs(ABC):
    """The inputs of a Domain, one a row, read lazily where reading is dear."""

    kind: ClassVar[Kind]
    unread: tuple[Unread, ...] = ()
    """Files that were asked for beside these rows and could not be read."""
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

    def identifiers(self) -> dict[str, list[str | None]]:
        """Columns that only name the rows, as they stand in the table; none where a row is one thing."""
        return {}

    def row_keys(self) -> list[str]:
        """What tells rows apart in caches: rows of one key are prepared alike, whatever other rows they come with.

        By default only among the same other rows; where :meth:`keys` says all that a row holds, a class gives those.
        """
        whole = self.fingerprint()
        return [f"{whole} {row}" for row in range(len(self))]

    def reading(self) -> dict[str, Any]:
        """What only these rows could tell, and more rows must be read with; names and values for `load_domain`."""
        return {}

    def outlines(self) -> list[str]:
        """What is cheap to tell of each row, and the same in all its forms (an image's size); nothing by default."""
        return [""] * len(self)

    def contents(self) -> list[str]:
        """A hash of each row that does not depend on how it is written: the format of a file, case, spaces."""
        return self.keys()

    def sketches(self) -> list[np.ndarray]:
        """What each row looks like, as `sterna.domains.alike.sketch` has it; nothing where rows are no pictures."""
        return []

    def marks(self) -> list[list[str]]:
        """Hashes by which a run may know each row again; it keeps the first: `contents` where cheap, else `keys`."""
        return [self.keys()]

    def near_copies(self, of: Inputs) -> np.ndarray:
        """Which rows, ``(n,)`` bool, are rows of other inputs of this kind, be it in another form."""
        return same_contents(self, of) | same_pictures(self, of)

    def near_pairs(self) -> np.ndarray:
        """Pairs of rows ``(m, 2)`` that are the same in another form, where that is cheap to tell; none by default."""
        return np.empty((0, 2), dtype=np.int64)

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns; none where a row is one thing."""
        return ()

    @property
    def kinds(self) -> Mapping[str, str]:
        """What each column that a learner may see holds; none where a row is one thing."""
        return {}

    def in_columns(self) -> Columns | None:
        """The rows as rules speak of them; ``None`` where they hold nothing that a rule can speak of."""
        return None

    def covers(self, other: Inputs) -> bool:
        """Whether rows here hold all that those of `other` do: the same kind of data, in a table all its columns."""
        return self.kind == other.kind

    def shared(
        self, other: Inputs, counterpart: Callable[[str], str | None] = str, missing: float | None = None
    ) -> tuple[str, ...] | None:
        """Columns that `other` has, too, with the same kind of values; ``None`` where rows have no columns.

        Parameters
        ----------
        counterpart
            What a column is called there; ``None`` where it has no counterpart.
        missing
            Only columns of which less than this share of the cells of `other` is missing.
        """
        return None

    def compared(self, other: Inputs, ours: str, theirs: str) -> list[str]:
        """What to know of rows of `other` (called `theirs`) that are used as these are; another kind is refused."""
        return []

    def only(self, columns: Sequence[str]) -> Inputs:
        """A table with these columns alone; other inputs as they are."""
        return self

    def joined(self, other: Inputs, ours: str, theirs: str) -> Inputs:
        """These rows, then those of `other`, of the same kind; see :func:`~sterna.domains.joined.joined_inputs`."""
        return JoinedInputs([self, other])


class JoinedInputs(Inputs):
    """Inputs of several places one after the other: a data set and its separate test set.

    Parameters
    ----------
    parts
        The places, of one kind of data; of each, all rows.
    """

    def __init__(self, parts: Sequence[Inputs]) -> None:
        self.kind = parts[0].kind  # type: ignore[misc]  # of each row, not of the class
        self._parts = list(parts)
        self._part = np.repeat(np.arange(len(parts)), [len(part) for part in parts])
        self._row = np.concatenate([np.arange(len(part), dtype=np.int64) for part in parts])
        before = np.cumsum([0, *(len(part) + len(part.unread) for part in parts)])
        moved = ((one, int(start)) for part, start in zip(parts, before, strict=False) for one in part.unread)
        self.unread = tuple(one._replace(place=one.place + start) for one, start in moved)

    def __len__(self) -> int:
        return len(self._part)

    def __getitem__(self, row: int) -> Any:
        return self._parts[self._part[row]][int(self._row[row])]

    def take(self, rows: Rows) -> Self:
        part, row = self._part[rows], self._row[rows]
        taken = type(self)([p.take(row[part == i]) for i, p in enumerate(self._parts)])
        # Each part now holds its rows in the order asked for; the k-th of a part stands where that part is met again.
        taken._part = part
        taken._row = np.empty(len(part), dtype=np.int64)
        for i in range(len(self._parts)):
            taken._row[part == i] = np.arange(int((part == i).sum()))
        return taken

    def keys(self) -> list[str]:
        return self._of_rows([part.keys() for part in self._parts])

    def outlines(self) -> list[str]:
        return self._of_rows([part.outlines() for part in self._parts])

    def sketches(self) -> list[np.ndarray]:
        found = [part.sketches() for part in self._parts]
        return self._of_rows(found) if sum(map(len, found)) == len(self) else []

    def contents(self) -> list[str]:
        return self._of_rows([part.contents() for part in self._parts])

    def row_keys(self) -> list[str]:
        return self.keys()

    def fingerprint(self) -> str:
        order = self._part.astype(np.int64).tobytes() + self._row.tobytes()
        return digest(order + "\n".join(part.fingerprint() for part in self._parts).encode())

    def reading(self) -> dict[str, Any]:
        return {name: value for part in reversed(self._parts) for name, value in part.reading().items()}

    def names(self) -> list[str]:
        return self._of_rows([part.names() for part in self._parts])

    def _of_rows(self, by_part: Sequence[list[Any]]) -> list[Any]:
        return [by_part[int(part)][int(row)] for part, row in zip(self._part, self._row, strict=True)]


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

    def example(self, rows: int = 2) -> Any:
        """A small batch of the shape that the body takes, to try it on; ``None`` where it cannot be told."""
        return None

    def unknown(self, inputs: Inputs) -> list[str]:
        """What of these rows training rows (or the source) never had, so that it counts for nothing, in sentences."""
        return []

    def note(self, items: Any) -> str | None:
        """One sentence on what was left out of these prepared rows (texts that were cut, say), if anything was."""
        return None

    def order(self, items: Any) -> Rows:
        """The order ``(n,)`` that costs a body least, as rows of like length together; as they are by default."""
        return np.arange(len(items))

    def inference_rows(self, on_cpu: bool) -> int:
        """How many rows to run at once where nothing is learnt."""
        return INFERENCE_ROWS

    def suited(self, inputs: Inputs, works: Callable[[Preparation], bool]) -> Preparation:
        """The same for rows like these, where less than the body's own size or length holds all that they say.

        `works` says whether the body is free in the size of its inputs, and gives features for another preparation's.
        """
        return self

    def resized(self, size: int) -> Preparation | None:
        """The same for images of `size` pixels a side; ``None`` where it has no one size."""
        return None

    def recolouring(self) -> Preparation | None:
        """The same for training on grey and on coloured rows at once; ``None`` where it knows no colours."""
        return None

    @abstractmethod
    def state(self) -> dict[str, Any]:
        """All it takes to build it again, as JSON: ``{"type": <registered name>, ...}``."""

    def save_assets(self, folder: Path) -> None:
        """Write what `state` cannot hold (a tokenizer's files) below `folder`, which need not exist before."""
        return None

    @classmethod
    def from_state(cls, state: Mapping[str, Any], folder: Path | None = None) -> Self:
        """Build it again from `state`, also after a round trip through JSON; by default its entries are arguments.

        `folder` is where `save_assets` wrote.
        """
        return cls(**{name: value for name, value in state.items() if name != "type"})

    def fingerprint(self) -> str:
        """A hash of the state, for caches."""
        return digest(json.dumps(self.state(), sort_keys=True).encode())


def digest(data: bytes) -> str:
    """A 128-bit content hash."""
    return hashlib.blake2b(data, digest_size=16).hexdigest()
