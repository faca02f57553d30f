"""Whether the columns of two tables hold the same kinds of values and the same words, in sentences."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

import pandas as pd

from sterna.domains.column_kinds import as_kind
from sterna.domains.columns import ColumnKind
from sterna.domains.table_cells import arrow, number_like
from sterna.errors import RequestError

_HELD: dict[str, str] = {"number": "numbers", "category": "words", "date": "dates"}


class Typed(NamedTuple):
    """A table: its typed columns, what those that a learner may see hold, and what to call it."""

    frame: pd.DataFrame
    kinds: Mapping[str, ColumnKind]
    called: str


def compared(first: Typed, second: Typed) -> list[str]:
    """What a person should know of the columns that a table shares with the first, which decides.

    Raises
    ------
    RequestError
        If a column holds numbers, words or dates in the one, and others of these in the other.
    """
    notes: list[str] = []
    for name, kind in first.kinds.items():
        other = second.kinds.get(name)
        if kind not in _HELD or other not in _HELD:
            continue
        ours, theirs = first.frame[name], second.frame[name]
        if kind != other and not _codes(ours, kind, theirs, other):
            raise RequestError(
                f"Column {name!r} holds {_HELD[other]} in {second.called} (such as {_such(theirs)}), but {_HELD[kind]} "
                f"in {first.called} (such as {_such(ours)}); write both alike, or leave it out with drop={name!r}."
            )
        if kind == "category":
            words = theirs if kind == other else as_kind(theirs, kind, f"column {name!r} of {second.called}")
            found = unknown_words(words, set(ours.dropna().unique()))
            if found is not None:
                notes.append(
                    f"column {name!r} of {second.called}: {found[0]} values that {first.called} never has, {found[1]}"
                )
    return notes


def unknown_words(words: pd.Series[Any], known: Collection[str]) -> tuple[int, str] | None:
    """How many cells ``(n,)`` hold a word that is not known, and such a word, with a known one that differs in case."""
    counts = words.value_counts()
    odd = counts[[word not in known for word in counts.index]]
    if not len(odd):
        return None
    folded = {_folded(word): word for word in known}
    alike = next((word for word in odd.index if _folded(word) in folded), None)
    word = odd.index[0] if alike is None else alike
    near = "" if alike is None else f" (as against {folded[_folded(alike)]!r})"
    return int(odd.sum()), f"such as {word!r}{near}"


def _folded(word: str) -> str:
    return "".join(str(word).casefold().split())


def _codes(first: pd.Series[Any], kind: ColumnKind, second: pd.Series[Any], other: ColumnKind) -> bool:
    """Whether one column holds numbers and the other words that are mostly numbers, too."""
    if {kind, other} != {"number", "category"}:
        return False
    words = first if kind == "category" else second
    distinct = arrow(words.dropna().unique())
    return bool(number_like(distinct).mean() > 0.5)


def _such(column: pd.Series[Any]) -> str:
    cell = column.dropna().iloc[0]
    return repr(cell) if isinstance(cell, str) else f"{cell:g}" if isinstance(cell, float) else str(cell)[:10]
