"""A table as it was read: whoever asks for a column (labels, splits, groups, inputs) gets what was cleaned once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from functools import cache, cached_property
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from sterna.domains import table_cells
from sterna.domains.inputs import Rows
from sterna.domains.number_forms import Marks, NumberForm, Numbers, decimal_of, read_numbers
from sterna.errors import RequestError, closest, quoted


class RawColumn:
    """One column as it was read; each of its forms is made when it is first asked for, and kept.

    Parameters
    ----------
    values
        Its cells, ``(n,)``: strings as in a file, or typed.
    where
        How an error names it: ``"column 'age' of heart.csv"``.
    marks
        Gives what the rest of its file says about numbers.
    """

    def __init__(self, values: pd.Series[Any], where: str, marks: Callable[[], Marks] = Marks) -> None:
        self.values, self.where, self.marks = values, where, marks

    @property
    def name(self) -> str:
        """As in the file."""
        return str(self.values.name)

    @property
    def named(self) -> str:
        """`where`, at the start of a sentence."""
        return self.where[:1].upper() + self.where[1:]

    @cached_property
    def plain(self) -> pd.Series[Any]:
        """Strings, float64 or naive dates; see `table_cells.plain`."""
        return table_cells.plain(self.values, self.where)

    @property
    def is_words(self) -> bool:
        """Whether its plain cells are strings."""
        return bool(self.plain.dtype == "str")

    @cached_property
    def cells(self) -> pa.Array:
        """Of a column of strings: trimmed ones, null where missing."""
        return table_cells.clean(self.plain)

    def numbers(self, known: str = "") -> Numbers:
        """Of a column of strings: read as numbers, in the form that an earlier table writes them in, or their own."""
        return read_numbers(self.cells, self.marks, NumberForm.of(known) if known else None)

    @cached_property
    def words(self) -> pd.Series[Any]:
        """Each cell as a word, whatever stands beside it; see `table_cells.words`."""
        if not self.is_words:
            return table_cells.words(self.plain)
        return table_cells.named(table_cells.series(self.cells, self.plain.index, str(self.plain.name)))

    @property
    def strings(self) -> pd.Series[Any]:
        """Its texts as they stand in the file; what is no string as words."""
        return self.plain if self.is_words else self.words

    def take(self, rows: Rows) -> RawColumn:
        """These rows, with what was already read of them."""
        taken = RawColumn(self.values.iloc[rows], self.where, self.marks)
        for form in ("plain", "words"):
            if form in self.__dict__:
                taken.__dict__[form] = self.__dict__[form].iloc[rows]
        if "cells" in self.__dict__:
            taken.__dict__["cells"] = self.cells.take(pa.array(rows))
        return taken


class RawTable:
    """Columns by name, each cleaned at most once, and only if somebody asks for it.

    Parameters
    ----------
    frame
        The columns, ``(n, d)``: strings as in the file, or typed; its index names the rows.
    name
        How errors name the table.
    forms
        How an earlier table writes the numbers of columns; see `NumberForm`.

    Raises
    ------
    RequestError
        If two columns have one name.
    """

    def __init__(self, frame: pd.DataFrame, name: str, forms: Mapping[str, str] | None = None) -> None:
        names = [str(c) for c in frame.columns]
        if len(set(names)) < len(names):
            twice = sorted(n for n, count in Counter(names).items() if count > 1)
            raise RequestError(f"{name} has more than one column named {quoted(twice, 30)}; give each its own name.")
        self.name = name
        self._frame = frame.set_axis(names, axis=1)
        self._columns: dict[str, RawColumn] = {}
        self.marks: Callable[[], Marks] = cache(lambda: _marks(frame, forms or {}))
        """What all columns of the file together say about the numbers in them."""

    def __len__(self) -> int:
        return len(self._frame)

    def __contains__(self, name: object) -> bool:
        return name in self._frame.columns

    @property
    def names(self) -> list[str]:
        """All column names in order."""
        return list(self._frame.columns)

    @property
    def index(self) -> pd.Index[Any]:
        """What the rows are called, ``(n,)``."""
        return self._frame.index

    def need(self, name: str, argument: str) -> None:
        """Refuse a column that the table has not."""
        if name not in self:
            raise RequestError(
                f"{argument}={name!r}: {self.name} has no such column.{closest(name, self.names)} "
                f"It has {quoted(self.names, 30)}."
            )

    def column(self, name: str, use: str = "") -> RawColumn:
        """One column; `use` says what for in an error (``"label"``)."""
        if name not in self._columns:
            where = f"{use} column {name!r} of {self.name}".strip()
            self._columns[name] = RawColumn(self._frame[name], where, self.marks)
        return self._columns[name]

    def last(self, name: str) -> RawColumn:
        """One column, for whoever asks last: the table forgets what was read of it, which may be large."""
        column = self.column(name)
        del self._columns[name]
        return column

    def take(self, rows: Rows, name: str | None = None) -> RawTable:
        """These rows only, in this order, perhaps under another name."""
        taken = RawTable(self._frame.iloc[rows], name or self.name)
        taken.marks = self.marks
        taken._columns = {column: read.take(rows) for column, read in self._columns.items()}
        return taken

    def without(self, names: Iterable[str | None]) -> RawTable:
        """All columns but these."""
        left = {*names}
        kept = RawTable(self._frame.drop(columns=[c for c in self.names if c in left]), self.name)
        kept.marks = self.marks
        kept._columns = {name: column for name, column in self._columns.items() if name not in left}
        return kept


def _marks(frame: pd.DataFrame, forms: Mapping[str, str]) -> Marks:
    words = {str(name): column for name, column in frame.items() if column.dtype == "str"}
    found = {name: mark for name, column in words.items() if (mark := decimal_of(table_cells.clean(column)))}
    alike = len(set(found.values())) == 1
    elsewhere = any(NumberForm.of(forms[name]).decimal != mark for name, mark in found.items() if name in forms)
    return Marks(next(iter(found.values())) if alike else "", frame.attrs.get("separator") == ";", alike and elsewhere)


def row_called(column: RawColumn, chosen: np.ndarray) -> str:
    """What the first chosen row is called: its number in the file, from 0 after the header."""
    return f"row {column.values.index[int(np.argmax(chosen))]}"
