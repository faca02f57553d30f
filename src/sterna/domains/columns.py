"""What each column of a table holds, said out loud, and what the user may say instead."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal

import numpy as np
import pandas as pd

ColumnKind = Literal["number", "category", "date", "text", "empty"]
"""What a column can hold; ``empty`` when no row has a value."""


@dataclass(frozen=True)
class Column:
    """One column.

    Attributes
    ----------
    name
        As in the file.
    kind
        What it holds.
    missing
        How many rows have no value.
    summary
        Its range or its values, for a person.
    identifier
        Whether its values look like row identifiers; then no learner sees it.
    given
        Whether the user said what it holds.
    form
        How its numbers or dates are written, where they are strings: ``"1.234,5"``, ``"%d/%m/%Y"``.
    """

    name: str
    kind: ColumnKind
    missing: int
    summary: str = ""
    identifier: bool = False
    given: bool = False
    form: str = ""


@dataclass(frozen=True)
class Schema:
    """The columns of a table in order.

    >>> print(Schema((Column("age", "number", 0, "29 to 77"),), rows=303))
    column  kind    missing  values
    age     number  0        29 to 77
    """

    columns: tuple[Column, ...]
    rows: int

    def __iter__(self) -> Iterator[Column]:
        return iter(self.columns)

    def __getitem__(self, name: str) -> Column:
        return self._by_name[name]

    @cached_property
    def _by_name(self) -> dict[str, Column]:
        return {c.name: c for c in self.columns}

    @property
    def names(self) -> list[str]:
        """All column names in order."""
        return [c.name for c in self.columns]

    @property
    def used(self) -> list[str]:
        """The columns a learner may see: all but identifiers."""
        return [c.name for c in self.columns if not c.identifier]

    @property
    def number_forms(self) -> dict[str, str]:
        """How columns of numbers are written, by their names; those that were typed are not."""
        return {c.name: c.form for c in self if c.kind == "number" and c.form}

    def state(self) -> dict[str, dict[str, Any]]:
        """How each column is read, as JSON: what another table needs to be read alike."""
        facts = {c.name: {"kind": c.kind, "form": c.form, "identifier": c.identifier} for c in self}
        return {name: {key: value for key, value in held.items() if value} for name, held in facts.items()}

    @classmethod
    def from_state(cls, state: Mapping[str, Mapping[str, Any]]) -> Schema:
        """The kinds alone, from what `state` gave, also after a round trip through JSON."""
        return cls(tuple(Column(name, missing=0, **facts) for name, facts in state.items()), rows=-1)

    def bare(self) -> Schema:
        """The kinds alone: no count and no value of any row."""
        return Schema(tuple(replace(c, missing=0, summary="") for c in self.columns), rows=-1)

    def of(self, frame: pd.DataFrame) -> Schema:
        """The same kinds, with the counts and values of other typed rows ``(n, d)``."""
        found = [
            replace(c, missing=int(frame[c.name].isna().sum()), summary=summary(frame[c.name], c.kind)) for c in self
        ]
        return Schema(tuple(found), len(frame))

    def describe(self, limit: int = 60) -> str:
        """The schema as a plain text table, of at most `limit` columns."""
        lines = [("column", "kind", "missing", "values")]
        for c in self.columns[:limit]:
            kind = "identifier" if c.identifier else c.kind
            lines.append((c.name, kind + " (given)" * c.given, str(c.missing), c.summary))
        widths = [max(len(line[i]) for line in lines) for i in range(3)]
        rows = ["  ".join([*(cell.ljust(w) for cell, w in zip(line, widths, strict=False)), line[3]]) for line in lines]
        more = len(self.columns) - limit
        return "\n".join([row.rstrip() for row in rows] + ([f"... and {more} more columns"] if more > 0 else []))

    def __str__(self) -> str:
        return self.describe()


def summary(values: pd.Series[Any], kind: ColumnKind) -> str:
    """The range or the values of a typed column ``(n,)``, for a person."""
    if values.isna().all():
        return ""
    if kind == "number":
        numbers = values.to_numpy(np.float64)
        return f"{np.nanmin(numbers):.6g} to {np.nanmax(numbers):.6g}"
    if kind == "date":
        days = values.dropna().to_numpy("datetime64[D]")  # pandas cannot write years beyond 9999, nor before 1
        return f"{days.min()} to {days.max()}"
    if kind == "category":
        counts = values.value_counts()
        return (
            f"{len(counts)}: {', '.join(_short(str(v)) for v in counts.index[:5])}{', ...' if len(counts) > 5 else ''}"
        )
    return repr(_short(str(values.dropna().iloc[0]), 40)) if kind == "text" else ""


def _short(word: str, length: int = 20) -> str:
    return word if len(word) <= length else word[: length - 3] + "..."
