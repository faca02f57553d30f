"""Tables: the inputs of a table Domain, and the reader of table and text files."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pandas as pd

from sterna.domains import table_cells as cells_of
from sterna.domains import table_labels as labels_of
from sterna.domains.domain import Domain
from sterna.domains.inputs import Inputs, Kind, Rows
from sterna.domains.schema import ColumnKind, Schema, infer_schema
from sterna.domains.table_files import read_table
from sterna.domains.text import TextInputs
from sterna.errors import RequestError

Array = np.ndarray[Any, Any]


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

    def keys(self) -> list[str]:
        """A hash of each row's cells, identifiers left aside: two patients with equal values have the same key."""
        return [f"{key:016x}" for key in self._hashes(self._schema.used).tolist()]

    def fingerprint(self) -> str:
        digest = hashlib.blake2b(repr([(c.name, c.kind) for c in self._schema]).encode(), digest_size=16)
        digest.update(self._hashes(self._schema.names).tobytes())
        return digest.hexdigest()

    def names(self) -> list[str]:
        return [str(i) for i in self.frame.index]

    def _hashes(self, names: Sequence[str]) -> np.ndarray[Any, np.dtype[np.uint64]]:
        """A hash for each row, ``(n,)``, that does not depend on the order of the columns."""
        total = np.zeros(len(self), np.uint64)
        for name in names:
            column = self.frame[name]
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


def load_table(
    path: Path,
    *,
    label: str | None = None,
    text: str | None = None,
    drop: Sequence[str] = (),
    columns: Mapping[str, str] | None = None,
    group: str | None = None,
    domain_column: str | None = None,
    domain: str | None = None,
    task: str | None = None,
) -> Domain:
    """A Domain of a CSV, TSV, Parquet or JSON Lines file (each also ``.gz``).

    Parameters
    ----------
    path
        The file; text is UTF-8.
    label
        The label column; by default the one called label, target, class or y. Several labels a row: ``"a,b,c"``,
        columns of 0 and 1, or, with ``task="multilabel"``, one column of ``x|y|z``.
    text
        The column of texts (or several, ``"title,text"``, joined by line breaks): a text Domain. By default a table,
        unless the only column left holds free text.
    drop
        Columns to leave out.
    columns
        What columns hold where the guess is wrong: ``{"ca": "category"}``.
    group
        A column whose equal values are never put on two sides of a split.
    domain_column, domain
        Keep only the rows that hold `domain` there; the column itself is left out.
    task
        ``classification``, ``multilabel`` or ``regression``, where it is known.

    Raises
    ------
    RequestError
        If the file or a column is not as it should be.
    """
    frame, notes = read_table(path)
    if label is None:
        taken = {*drop, group, domain_column, *_named_texts(text, frame)}
        label = labels_of.find_label([str(c) for c in frame.columns if str(c) not in taken], path.name)
    return table_domain(
        frame,
        label=label,
        text=text,
        drop=drop,
        columns=columns,
        group=group,
        domain_column=domain_column,
        domain=domain,
        task=task,
        name=path.name,
        notes=notes,
    )


def load_inputs(
    path: Path,
    *,
    text: str | None = None,
    without: Sequence[str] = (),
    columns: Mapping[str, str] | None = None,
) -> tuple[TableInputs | TextInputs, list[str]]:
    """The inputs of a table file that needs no label column, as for predictions, and notes on them.

    Parameters
    ----------
    without
        Columns that are not inputs, where the file has them; by default also the one label column that
        `load_table` would have found.
    """
    frame, notes = read_table(path)
    taken = [name for name in frame.columns if name in without and name not in _named_texts(text, frame)]
    frame = frame.drop(columns=taken)
    named = [name for name in frame.columns if name.strip().lower() in labels_of.LABEL_NAMES]
    if not without and len(named) == 1 and len(frame.columns) > 1:
        frame = frame.drop(columns=named)
    kinds = {name: kind for name, kind in (columns or {}).items() if name in frame.columns}
    made, more = table_inputs(frame, text=text, columns=kinds or None, name=path.name)
    return made, notes + more


def table_domain(
    frame: pd.DataFrame,
    *,
    label: str | None = None,
    text: str | None = None,
    drop: Sequence[str] = (),
    columns: Mapping[str, str] | None = None,
    group: str | None = None,
    domain_column: str | None = None,
    domain: str | None = None,
    task: str | None = None,
    name: str = "table",
    notes: Sequence[str] = (),
) -> Domain:
    """A Domain of a DataFrame; arguments as in `load_table`, but without `label` it has no labels."""
    frame = _tidy(frame, name)
    said = list(notes)
    if domain_column is not None or domain is not None:
        frame = frame.iloc[labels_of.rows_of_domain(frame, domain_column, domain, name)].drop(columns=domain_column)
        name = f"{name} ({domain})"
    taken = [label, *(label or "").split(","), group, *drop, *_named_texts(text, frame)]
    split_column, splits, kept, more = labels_of.find_splits(frame, taken)
    if split_column is not None:
        frame = frame.iloc[kept].drop(columns=split_column)
    said += more
    labels, classes, own, more = _labels(frame, label, task, name)
    said += more
    groups = None if group is None else _groups(frame, group, name)
    inputs, more = table_inputs(
        frame.drop(columns=[*own, *([group] if group and group not in own else [])]),
        text=text,
        drop=[c for c in drop if c not in own and c != group],
        columns=columns,
        name=name,
    )
    return Domain(name, inputs, labels, splits, groups, classes, (*said, *more))


def table_inputs(
    frame: pd.DataFrame,
    *,
    text: str | None = None,
    drop: Sequence[str] = (),
    columns: Mapping[str, str] | None = None,
    name: str = "table",
) -> tuple[TableInputs | TextInputs, list[str]]:
    """The inputs alone: table columns with their schema, or texts; and notes on them.

    Raises
    ------
    RequestError
        If a named column is missing, two have one name, or none that a learner could use is left.
    """
    frame = _tidy(frame, name)
    for column in drop:
        labels_of.need_column(column, "drop", frame, name)
    frame = frame.drop(columns=list(drop))
    if text is not None:
        return _texts(frame, _named_texts(text, frame), name)
    if not len(frame.columns):
        raise RequestError(
            f"{name} has no input column left beside the label and the dropped ones; nothing can be learnt."
        )
    schema, typed, notes = infer_schema(frame, columns, name=name)
    if len(schema.columns) == 1 and schema.columns[0].kind == "text" and not schema.columns[0].given:
        inputs, more = _texts(frame, schema.names, name)
        return inputs, [f"the only input column, {schema.names[0]!r}, holds texts: read as text", *more]
    return TableInputs(typed, schema), notes


def _tidy(frame: pd.DataFrame, name: str) -> pd.DataFrame:
    """The frame with string names and rows that are called by their number; the caller's own is not changed."""
    names = [str(c) for c in frame.columns]
    if len(set(names)) < len(names):
        twice = sorted({n for n in names if names.count(n) > 1})
        raise RequestError(f"{name} has more than one column named {labels_of.listed(twice)}; give each its own name.")
    if not len(frame):
        raise RequestError(f"{name} has no rows.")
    return frame.set_axis(names, axis=1)


def _labels(
    frame: pd.DataFrame, label: str | None, task: str | None, name: str
) -> tuple[Array | None, tuple[str, ...] | None, list[str], list[str]]:
    """Labels, their names where there are several a row, the columns they came from, and notes."""
    if label is None:
        return None, None, [], []
    several = [part.strip() for part in label.split(",") if part.strip()]
    if label not in frame.columns and len(several) > 1:
        found, classes = labels_of.several_labels(frame, several, name)
        return found, classes, several, _unlabelled(found)
    labels_of.need_column(label, "label", frame, name)
    if task == "multilabel":
        found, classes = labels_of.joined_labels(frame[label], name)
        return found, classes, [label], _unlabelled(found)
    single, notes = labels_of.single_label(frame[label], task, name)
    return single, None, [label], notes


def _unlabelled(labels: Array) -> list[str]:
    count = int(np.isnan(labels).all(axis=1).sum())
    return [f"{count} of {len(labels)} rows have no label"] if count else []


def _groups(frame: pd.DataFrame, group: str, name: str) -> Array:
    """The group of each row, ``(n,)`` strings; a row without one is its own group."""
    labels_of.need_column(group, "group", frame, name)
    words = cells_of.words(cells_of.plain(frame[group], f"group column {group!r} of {name}"))
    alone = pd.Series([f"(row {i})" for i in range(len(frame))], index=words.index, dtype="str")
    return np.asarray(words.where(words.notna(), alone), dtype=object)


def _named_texts(text: str | None, frame: pd.DataFrame) -> list[str]:
    if text is None:
        return []
    return [text] if text in frame.columns else [part.strip() for part in text.split(",") if part.strip()]


def _texts(frame: pd.DataFrame, names: Sequence[str], where: str) -> tuple[TextInputs, list[str]]:
    """The text columns, joined by line breaks where there are several; an empty one adds nothing."""
    parts: list[list[Any]] = []
    for name in names:
        labels_of.need_column(name, "text", frame, where)
        plain = cells_of.plain(frame[name], f"column {name!r} of {where}")
        column = plain if plain.dtype == "str" else cells_of.words(plain)
        parts.append([cell if isinstance(cell, str) else "" for cell in column.tolist()])
    texts = ["\n".join(cell for cell in row if cell.strip()) for row in zip(*parts, strict=True)]
    empty = sum(not text for text in texts)
    unused = [str(c) for c in frame.columns if c not in names]
    notes = [f"columns not used beside the text: {labels_of.listed(unused)}"] if unused else []
    notes += [f"{empty} texts are empty"] if empty else []
    return TextInputs(texts, [str(i) for i in frame.index]), notes
