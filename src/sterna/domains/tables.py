"""Tables: the inputs of a table Domain, typed as its schema says."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
import pandas as pd

from sterna.domains.agreement import Typed, compared
from sterna.domains.column_kinds import as_kind
from sterna.domains.columns import ColumnKind, Schema
from sterna.domains.inputs import Columns, Inputs, Kind, Rows
from sterna.domains.near_rows import near_pairs, near_rows, plain_column, told_apart
from sterna.domains.raw_table import RawTable
from sterna.domains.schema_inference import type_columns
from sterna.domains.table_cells import words
from sterna.domains.text import TextInputs, cut
from sterna.domains.weights import weight_hint, weights_in
from sterna.errors import RequestError, closest, quoted


class TableInputs(Inputs):
    """The input columns of a table, typed as its schema says.

    Parameters
    ----------
    frame
        ``(n, d)`` as `infer_schema` gives it; its index names the rows.
    schema
        What each column holds.

    Raises
    ------
    RequestError
        If the schema names other columns than the frame has.
    """

    kind: ClassVar[Kind] = "table"
    codes_are_classes: ClassVar[bool] = False

    def __init__(self, frame: pd.DataFrame, schema: Schema) -> None:
        if list(frame.columns) != schema.names:
            raise RequestError(f"The schema describes {schema.names}, but the table has {list(frame.columns)}.")
        self.frame, self._schema = frame, schema

    @property
    def schema(self) -> Schema:
        """What each column holds, with the counts and values of these rows."""
        if self._schema.rows != len(self.frame):
            self._schema = self._schema.of(self.frame)
        return self._schema

    @property
    def kinds(self) -> dict[str, ColumnKind]:
        """What each column that a learner may see holds; dearer facts are in `schema`."""
        return {c.name: c.kind for c in self._schema if not c.identifier}

    def __len__(self) -> int:
        return len(self.frame)

    def __getitem__(self, row: int) -> dict[str, Any]:
        """The cells of a row that a learner may see; ``None`` where missing."""
        cells = {name: self.frame[name].iloc[row] for name in self._schema.used}
        return {k: None if pd.isna(c) else float(c) if isinstance(c, float) else c for k, c in cells.items()}

    def __repr__(self) -> str:
        return f"TableInputs({len(self)} rows, {len(self._schema.used)} columns)"

    def take(self, rows: Rows) -> TableInputs:
        return TableInputs(self.frame.take(np.asarray(rows, dtype=np.int64)), self._schema.bare())

    def column(self, name: str, kind: ColumnKind, where: str) -> pd.Series[Any]:
        """A typed column ``(n,)`` as the kind that another table has it in; itself where both agree.

        Parameters
        ----------
        where
            How an error names it: ``"column 'age' of the table"``.

        Raises
        ------
        RequestError
            If its values are of another kind.
        """
        values = self.frame[name]
        return values if self._schema[name].kind == kind else as_kind(values, kind, where)

    def keys(self) -> list[str]:
        """A hash of each row's cells, identifiers left aside: two patients with equal values have the same key."""
        return [f"{key:016x}" for key in self._hashes(self._schema.used).tolist()]

    def marks(self) -> list[list[str]]:
        """Contents first, but where few columns leave rows alike by chance once their numbers are rounded."""
        plain = [plain_column(self.frame[name]) for name in self._schema.used]
        return [self.contents(), self.keys()] if told_apart(plain) else [self.keys(), self.contents()]

    def contents(self) -> list[str]:
        """A hash of each row's cells: numbers to four digits, words without case and spaces."""
        return [f"{key:016x}" for key in self._hashes(self._schema.used, plain=True).tolist()]

    def near_copies(self, of: Inputs) -> np.ndarray:
        if not isinstance(of, TableInputs):
            return np.zeros(len(self), dtype=bool)
        both = {name: kind for name, kind in self.kinds.items() if of.kinds.get(name) == kind}
        return near_rows(self.frame, of.frame, both)

    def near_pairs(self) -> np.ndarray:
        return self._near_pairs

    @cached_property
    def _near_pairs(self) -> np.ndarray:
        different = np.unique(self._hashes(self._schema.used), return_index=True)[1]
        return np.asarray(different[near_pairs(self.frame.take(different), self.kinds)])

    def fingerprint(self) -> str:
        digest = hashlib.blake2b(repr([(c.name, c.kind) for c in self._schema]).encode(), digest_size=16)
        digest.update(self._hashes(self._schema.names).tobytes())
        return digest.hexdigest()

    def names(self) -> list[str]:
        return [str(i) for i in self.frame.index]

    def identifiers(self) -> dict[str, list[str | None]]:
        columns = [self.frame[c.name] for c in self._schema if c.identifier]
        cells = {str(c.name): c if c.dtype == "str" else words(c) for c in columns}
        return {name: [None if pd.isna(cell) else str(cell) for cell in column] for name, column in cells.items()}

    def row_keys(self) -> list[str]:
        """As :meth:`keys`, but all cells count, identifiers as well, and what the columns are called and hold."""
        about, cells = [*self.frame.columns, self.kinds], pd.util.hash_pandas_object(self.frame, index=False).tolist()
        columns = hashlib.blake2b(repr(about).encode(), digest_size=16).hexdigest()
        return [f"{columns}{key}{more}" for key, more in zip(self.keys(), cells, strict=True)]

    def reading(self) -> dict[str, Any]:
        """How each column was read: in which form its numbers and dates are written."""
        return {"schema": self._schema.state()}

    @property
    def columns(self) -> tuple[str, ...]:
        return tuple(map(str, self.frame.columns))

    def in_columns(self) -> Columns:
        """The frame; dates, texts and identifiers are not asked for."""
        asked = {name: kind for name, kind in self.kinds.items() if kind in ("number", "category")}
        return Columns(self.frame, asked, "the table")

    def covers(self, other: Inputs) -> bool:
        if not isinstance(other, TableInputs):
            return self.kind == other.kind
        return set(other.kinds) <= set(self.frame.columns)

    def shared(
        self, other: Inputs, counterpart: Callable[[str], str | None] = str, missing: float | None = None
    ) -> tuple[str, ...] | None:
        if not isinstance(other, TableInputs):
            return None
        kinds, others = self.kinds, other.kinds
        theirs = {name: counterpart(name) for name in kinds}
        same = {ours: name for ours, name in theirs.items() if name and others.get(name) == kinds[ours]}
        return tuple(n for n, name in same.items() if missing is None or other.frame[name].isna().mean() < missing)

    def compared(self, other: Inputs, ours: str, theirs: str) -> list[str]:
        if not isinstance(other, TableInputs):
            return []
        return compared(Typed(self.frame, self.kinds, ours), Typed(other.frame, other.kinds, theirs))

    def only(self, columns: Sequence[str]) -> TableInputs:
        schema = self._schema.bare()
        return TableInputs(self.frame[list(columns)], Schema(tuple(schema[name] for name in columns), rows=-1))

    def joined(self, other: Inputs, ours: str, theirs: str) -> TableInputs:
        assert isinstance(other, TableInputs)
        missing = [c for c in self.kinds if c not in other.frame.columns]
        if missing:
            more = [c for c in other.frame.columns if c not in self.frame.columns]
            raise RequestError(
                f"The {theirs} lacks the column {missing[0]!r} of {ours}.{closest(str(missing[0]), map(str, more))}"
            )
        # Both are read by the schema of the first: what is a number there must be one here.
        read = {
            c.name: other.column(c.name, c.kind, f"column {c.name!r} of {theirs}")
            if c.name in other.frame
            else pd.Series(np.nan, other.frame.index, dtype=self.frame[c.name].dtype)  # an identifier, of no learner
            for c in self.schema
        }
        frame = pd.concat([self.frame, pd.DataFrame(read)], ignore_index=True)
        return TableInputs(frame, self.schema)

    def _hashes(self, names: Sequence[str], plain: bool = False) -> np.ndarray[Any, np.dtype[np.uint64]]:
        """A hash for each row, ``(n,)``, that does not depend on the order of the columns."""
        total = np.zeros(len(self), np.uint64)
        for name in names:
            column = plain_column(self.frame[name]) if plain else self.frame[name]
            values = (
                column.to_numpy() + 0.0 if column.dtype == np.float64 else column.array
            )  # 0.0 and -0.0 are one value
            hashes = np.asarray(pd.util.hash_array(values), np.uint64)
            hashes[column.isna().to_numpy()] = 0x9E3779B97F4A7C15  # missing is missing, whatever the kind
            salt = int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest(), "little")
            total += _mixed(hashes ^ np.uint64(salt))
        return total


def _mixed(bits: np.ndarray[Any, np.dtype[np.uint64]]) -> np.ndarray[Any, np.dtype[np.uint64]]:
    """The finaliser of SplitMix64 (Steele, Lea and Flood 2014): every bit depends on every bit."""
    bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return bits ^ (bits >> np.uint64(31))


def table_inputs(
    frame: pd.DataFrame,
    *,
    text: str | None = None,
    drop: Sequence[str] = (),
    columns: Mapping[str, str] | None = None,
    like: Schema | None = None,
    name: str = "table",
) -> tuple[TableInputs | TextInputs, list[str]]:
    """The inputs alone: table columns with their schema, or texts; and notes on them.

    Raises
    ------
    RequestError
        If a named column is missing, two have one name, or none that a learner could use is left.
    """
    table = raw_table(frame, name, like.number_forms if like else None)
    return read_inputs(table, text=text, drop=drop, columns=columns, like=like)


def read_inputs(
    table: RawTable,
    *,
    text: str | None = None,
    drop: Sequence[str] = (),
    columns: Mapping[str, str] | None = None,
    like: Schema | None = None,
) -> tuple[TableInputs | TextInputs, list[str]]:
    """As `table_inputs`, of what is left of a table that was read already."""
    for column in drop:
        table.need(column, "drop")
    table = table.without(drop)
    if text is not None:
        return _texts(table, text_names(text, table.names))
    if not table.names:
        raise RequestError(
            f"{table.name} has no input column left beside the label and the dropped ones; nothing can be learnt."
        )
    schema, typed, notes = type_columns(table, columns, like)
    if like is None and len(schema.columns) == 1 and schema.columns[0].kind == "text" and not schema.columns[0].given:
        inputs, more = _joined_texts([typed[schema.names[0]]], table)
        return inputs, [f"the only input column, {schema.names[0]!r}, holds texts: read as text", *more]
    return TableInputs(typed, schema), notes


def raw_table(frame: pd.DataFrame, name: str, forms: Mapping[str, str] | None = None) -> RawTable:
    """The columns of a DataFrame, which is not changed; `forms` as in `RawTable`."""
    table = RawTable(frame, name, forms)
    if not len(table):
        raise RequestError(f"{name} has no rows.")
    return table


def text_names(text: str | None, names: Sequence[str]) -> list[str]:
    """The columns that ``text=`` asks for, of a table with columns of these `names`."""
    if text is None:
        return []
    return [text] if text in names else [part.strip() for part in text.split(",") if part.strip()]


def _texts(table: RawTable, names: Sequence[str]) -> tuple[TextInputs, list[str]]:
    columns = []
    for name in names:
        table.need(name, "text")
        columns.append(table.last(name).strings)
    inputs, notes = _joined_texts(columns, table)
    unused = [c for c in table.names if c not in names]
    hint = f"; {weight_hint(weighty)}" if (weighty := weights_in(unused)) else ""
    return inputs, ([f"columns not used beside the text: {quoted(unused, 30)}{hint}"] if unused else []) + notes


def _joined_texts(columns: Sequence[pd.Series[Any]], table: RawTable) -> tuple[TextInputs, list[str]]:
    """The text columns, joined by line breaks where there are several; an empty one adds nothing."""
    parts = [[cell if isinstance(cell, str) else "" for cell in column.tolist()] for column in columns]
    texts = ["\n".join(cell for cell in row if cell.strip()) for row in zip(*parts, strict=True)]
    texts, notes = cut(texts)
    empty = sum(not text for text in texts)
    return TextInputs(texts, [str(i) for i in table.index]), notes + ([f"{empty} texts are empty"] if empty else [])
