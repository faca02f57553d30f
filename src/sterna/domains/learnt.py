"""Which rows a model learnt from, by hashes: enough to know them again, not what they hold."""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from sterna.domains.inputs import Inputs
from sterna.files import atomic
from sterna.record.reading import AGAIN, reading
from sterna.untrusted import check_unpacked

LEARNT = "learnt.npz"
"""The file of a run folder that keeps them."""

Hashes = np.ndarray[Any, np.dtype[np.uint64]]


def hashes_of(inputs: Inputs) -> list[Hashes]:
    """Hashes of 64 bits for each row, ``(n,)``, the one that a run keeps first; see :meth:`Inputs.marks`."""
    return [np.array([_hash(f"{inputs.kind} {mark}") for mark in marks], dtype=np.uint64) for marks in inputs.marks()]


@dataclass(frozen=True, eq=False)
class Learnt:
    """Rows that a model learnt from.

    Attributes
    ----------
    labelled
        Hashes of those whose labels it saw, sorted, each once.
    unlabelled
        Of those it saw without their labels.
    columns
        The columns of each table that is among them: other tables are looked at by these.
    """

    labelled: Hashes
    unlabelled: Hashes
    columns: frozenset[tuple[str, ...]] = frozenset()

    @classmethod
    def of(cls, labelled: Iterable[Inputs], unlabelled: Iterable[Inputs], earlier: Learnt | None = None) -> Learnt:
        """What was learnt now, and what was learnt `earlier` by the model it began with."""
        seen, hidden = list(labelled), list(unlabelled)
        columns = frozenset(tuple(sorted(each.kinds)) for each in [*seen, *hidden] if each.kinds)
        kept = [[hashes_of(each)[0] for each in some] for some in (seen, hidden)]
        now = cls(_every(kept[0]), _every(kept[1]), columns)
        return now.joined(earlier or cls(_every([]), _every([])))

    def joined(self, other: Learnt) -> Learnt:
        """What either learnt from."""
        labelled = np.union1d(self.labelled, other.labelled)
        unlabelled = np.setdiff1d(np.union1d(self.unlabelled, other.unlabelled), labelled)
        return Learnt(labelled, unlabelled, self.columns | other.columns)

    def among(self, inputs: Inputs) -> tuple[np.ndarray, np.ndarray]:
        """Which of these rows it learnt from, ``(n,)`` bool: with their labels, and without."""
        known = [names for names in self.columns if set(names) <= set(inputs.kinds)]
        forms = [inputs.only(names) for names in known] if inputs.kinds else [inputs]
        seen, hidden = np.zeros(len(inputs), dtype=bool), np.zeros(len(inputs), dtype=bool)
        for hashes in chain.from_iterable(map(hashes_of, forms)):
            seen |= np.isin(hashes, self.labelled)
            hidden |= np.isin(hashes, self.unlabelled)
        return seen, hidden & ~seen

    def save(self, folder: Path) -> None:
        """Keep it in a run folder."""
        with atomic(folder / LEARNT) as temporary, temporary.open("wb") as file:
            columns = np.array(json.dumps(sorted(self.columns)))
            np.savez(file, labelled=self.labelled, unlabelled=self.unlabelled, columns=columns)


def read_learnt(folder: Path) -> Learnt | None:
    """What a run learnt from; ``None`` where its folder does not say, as those of older versions do not."""
    path = folder / LEARNT
    if not path.exists():
        return None
    with reading(path), zipfile.ZipFile(path) as archive:
        size = sum(member.file_size for member in archive.infolist())
        check_unpacked(repr(str(path)), path.stat().st_size, size, AGAIN)
    with reading(path), np.load(path, allow_pickle=False) as found:
        parts = [found[name] for name in ("labelled", "unlabelled")]
        if any(part.dtype != np.uint64 or part.ndim != 1 for part in parts):
            raise ValueError("hashes of 64 bits were expected")
        return Learnt(parts[0], parts[1], frozenset(tuple(names) for names in json.loads(str(found["columns"]))))


def _every(hashes: Iterable[Hashes]) -> Hashes:
    return np.unique(np.concatenate([np.empty(0, dtype=np.uint64), *hashes]))


def _hash(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little")
