"""Texts, one a row."""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Iterable, Sequence
from typing import ClassVar

import numpy as np

from sterna.domains.inputs import Columns, Inputs, Kind, Rows
from sterna.errors import RequestError

TEXT = "text"
"""What rules call the one column of texts."""


LONGEST = 100_000
"""Characters of a text that are read, some 20,000 words; what comes after is left out. Counting the parts of words in
ten million characters takes minutes and gigabytes, and no model here reads as far."""


def cut(texts: Iterable[str]) -> tuple[list[str], list[str]]:
    """Texts as far as they are read, and a note on those that are longer.

    Examples
    --------
    >>> [len(text) for text in cut(["a tern", "a" * 200_000])[0]]
    [6, 100000]
    """
    given = list(texts)
    long = sum(isinstance(text, str) and len(text) > LONGEST for text in given)
    if not long:
        return given, []
    read = [text[:LONGEST] if isinstance(text, str) else text for text in given]
    return read, [f"{long} of {len(given)} texts are longer than the {LONGEST:,} characters that are read; what came "
                  "after was cut off"]  # fmt: skip


class TextInputs(Inputs):
    """Texts held in memory.

    Parameters
    ----------
    texts
        One string a row, ``(n,)``.
    names
        What a person would call each row, ``(n,)``; the row numbers by default.

    Raises
    ------
    RequestError
        If something among them is not a string.

    >>> inputs = TextInputs(["a tern", "a gull"])
    >>> inputs.take(np.array([1]))[0]
    'a gull'
    """

    kind: ClassVar[Kind] = "text"

    def __init__(self, texts: Iterable[str], names: Sequence[str] | None = None) -> None:
        self.texts: tuple[str, ...] = tuple(texts)
        for row, text in enumerate(self.texts):
            if not isinstance(text, str):
                raise RequestError(f"Texts must be strings, but row {row} is {text!r} ({type(text).__name__}).")
        self._names = None if names is None else tuple(names)
        if self._names is not None and len(self._names) != len(self.texts):
            raise RequestError(f"There are {len(self._names)} names for {len(self.texts)} texts; give one name a text.")

    def __len__(self) -> int:
        return len(self.texts)

    def __getitem__(self, row: int) -> str:
        return self.texts[row]

    def __repr__(self) -> str:
        return f"TextInputs({len(self)} texts)"

    def take(self, rows: Rows) -> TextInputs:
        names = self.names()
        chosen = np.asarray(rows).tolist()
        return TextInputs([self.texts[r] for r in chosen], [names[r] for r in chosen])

    def keys(self) -> list[str]:
        return [_hash(text) for text in self.texts]

    def marks(self) -> list[list[str]]:
        return [[_hash(plain_words(text)) for text in self.texts]]

    def contents(self) -> list[str]:
        """A hash of each text without case, spaces, punctuation and forms of its characters."""
        return [_hash(_letters(text)) for text in self.texts]

    def near_pairs(self) -> np.ndarray:
        rows = np.flatnonzero([bool(plain_words(text)) for text in self.texts])  # texts of nothing are no copies
        _, codes = np.unique(np.asarray(self.marks()[0], dtype=str)[rows], return_inverse=True)
        order = np.argsort(codes, kind="stable")
        return np.asarray(rows[np.stack([order[:-1], order[1:]], axis=1)[np.diff(codes[order]) == 0]])

    def row_keys(self) -> list[str]:
        return self.keys()

    def fingerprint(self) -> str:
        digest = hashlib.blake2b(b"text", digest_size=16)
        for text in self.texts:
            encoded = _bytes(text)
            digest.update(len(encoded).to_bytes(8, "little"))
            digest.update(encoded)
        return digest.hexdigest()

    def in_columns(self) -> Columns:
        """One column, ``text``; an empty text counts as missing."""
        import pandas as pd

        texts = pd.Series([text if text.strip() else None for text in self.texts], dtype="str")
        return Columns(pd.DataFrame({TEXT: texts}), {TEXT: "text"}, "a text domain")

    def joined(self, other: Inputs, ours: str, theirs: str) -> TextInputs:
        return TextInputs([inputs[i] for inputs in (self, other) for i in range(len(inputs))])

    def names(self) -> list[str]:
        return [str(i) for i in range(len(self))] if self._names is None else list(self._names)


def plain_words(text: str) -> str:
    r"""A text without case, spaces and forms of its characters (NFKC).

    Examples
    --------
    >>> plain_words("  Ｔern\tSTRASSE ") == plain_words("tern straße")
    True
    """
    return "".join(unicodedata.normalize("NFKC", text).casefold().split())


def _letters(text: str) -> str:
    """The plain words of a text without punctuation, where that leaves anything."""
    words = plain_words(text)
    return "".join(sign for sign in words if not unicodedata.category(sign).startswith("P")) or words


def _hash(text: str) -> str:
    return hashlib.blake2b(_bytes(text), digest_size=16).hexdigest()


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")
