"""The reader of tables: a Domain of a CSV, TSV, Parquet or JSON Lines file, or of a DataFrame that was one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from sterna.domains.columns import Schema
from sterna.domains.domain import Domain
from sterna.domains.raw_table import listed
from sterna.domains.schema_inference import IDENTIFIER_NAME
from sterna.domains.table_files import read_table
from sterna.domains.table_labels import LABEL_NAMES, find_label, read_labels
from sterna.domains.table_rows import find_splits, groups_of, rows_of_domain, times_of
from sterna.domains.tables import TableInputs, raw_table, read_inputs, table_inputs, text_names
from sterna.domains.text import TextInputs

State = Mapping[str, Mapping[str, Any]]


def load_table(
    path: Path,
    *,
    label: str | None = None,
    text: str | None = None,
    drop: Sequence[str] = (),
    columns: Mapping[str, str] | None = None,
    schema: State | None = None,
    group: str | None = None,
    domain_column: str | None = None,
    domain: str | None = None,
    task: str | None = None,
    time: str | None = None,
    partial_labels: bool = False,
) -> Domain:
    """A Domain of a CSV, TSV, Parquet or JSON Lines file (each also ``.gz``).

    Parameters
    ----------
    path
        The file; text is UTF-8.
    label
        The label column; by default the one called label, target, class or y. Several labels a row: ``"a,b,c"``,
        columns of 0 and 1, or one column of lists or, with ``task="multilabel"``, of ``x|y|z``.
    text
        The column of texts (or several, ``"title,text"``, joined by line breaks): a text Domain. By default a table,
        unless the only column left holds free text.
    drop
        Columns to leave out.
    columns
        What columns hold where the guess is wrong: ``{"ca": "category"}``.
    schema
        How an earlier table's columns were read; see `Schema.state`.
    group
        A column whose equal values are never put on two sides of a split.
    domain_column, domain
        Keep only the rows that hold `domain` there; the column itself is left out.
    task
        ``classification``, ``multilabel`` or ``regression``, where it is known.
    time
        A column of dates or numbers that says when each row was; it stays an input, unless it is dropped.
    partial_labels
        Of several label columns some may be missing.

    Raises
    ------
    RequestError
        If the file or a column is not as it should be.
    """
    frame, notes = read_table(path)
    if label is None:
        taken = {*drop, group, domain_column, *text_names(text, list(frame.columns))}
        label = find_label([str(c) for c in frame.columns if str(c) not in taken], path.name)
    return table_domain(
        frame,
        label=label,
        text=text,
        drop=drop,
        columns=columns,
        schema=schema,
        group=group,
        domain_column=domain_column,
        domain=domain,
        task=task,
        time=time,
        partial_labels=partial_labels,
        name=path.name,
        notes=notes,
    )


def load_inputs(
    path: Path,
    *,
    text: str | None = None,
    without: Sequence[str] = (),
    columns: Mapping[str, str] | None = None,
    schema: State | None = None,
) -> tuple[TableInputs | TextInputs, list[str]]:
    """The inputs of a table file that needs no label column, as for predictions, and notes on them.

    Parameters
    ----------
    without
        Columns that are not inputs, where the file has them; by default also the one label column that
        `load_table` would have found.
    schema
        How the columns of the table that was learnt from were read; see `Schema.state`. Those are inputs, whatever
        they are called.
    """
    frame, notes = read_table(path)
    made, more = frame_inputs(frame, path.name, text=text, without=without, columns=columns, schema=schema)
    return made, notes + more


def frame_inputs(
    frame: pd.DataFrame,
    name: str,
    *,
    text: str | None = None,
    without: Sequence[str] = (),
    columns: Mapping[str, str] | None = None,
    schema: State | None = None,
) -> tuple[TableInputs | TextInputs, list[str]]:
    """The same of a DataFrame; `name` is what to call it."""
    like = None if schema is None else Schema.from_state(schema)
    inputs = {*text_names(text, list(frame.columns)), *(like.names if like else ())}
    names_rows = [n for n in frame.columns if like is not None and IDENTIFIER_NAME.match(str(n))]  # beside the answers
    taken = [name for name in frame.columns if name in without and name not in inputs and name not in names_rows]
    frame = frame.drop(columns=taken)
    named = [name for name in frame.columns if str(name).strip().lower() in LABEL_NAMES and name not in inputs]
    if not without and len(named) == 1 and len(frame.columns) > 1:
        frame = frame.drop(columns=named)
    kinds = {name: kind for name, kind in (columns or {}).items() if name in frame.columns}
    made, notes = table_inputs(frame, text=text, columns=kinds or None, like=like, name=name)
    more = (
        [] if like is None or text else [str(c) for c in frame.columns if str(c) not in inputs and c not in names_rows]
    )
    return made, [*notes, *([f"columns not used, which nothing was learnt from: {listed(more, 10)}"] if more else [])]


def table_domain(
    frame: pd.DataFrame,
    *,
    label: str | None = None,
    text: str | None = None,
    drop: Sequence[str] = (),
    columns: Mapping[str, str] | None = None,
    schema: State | None = None,
    group: str | None = None,
    domain_column: str | None = None,
    domain: str | None = None,
    task: str | None = None,
    time: str | None = None,
    partial_labels: bool = False,
    name: str = "table",
    notes: Sequence[str] = (),
) -> Domain:
    """A Domain of a DataFrame; arguments as in `load_table`, but without `label` it has no labels."""
    table, said = raw_table(frame, name), list(notes)
    if domain_column is not None or domain is not None:
        rows = rows_of_domain(table, domain_column, domain)
        table = table.without([domain_column]).take(rows, f"{name} ({domain})")
    taken = [label, *(label or "").split(","), group, *drop, *text_names(text, table.names)]
    split_column, splits, kept, more = find_splits(table, taken)
    if split_column is not None:
        table = table.without([split_column]).take(kept)
    said += more
    labels, classes, own, more = read_labels(table, label, task, partial_labels)
    said += more
    groups = None if group is None else groups_of(table, group)
    times, more = (None, []) if time is None else times_of(table, time)
    said += more
    inputs, more = read_inputs(
        table.without([*own, group]),
        text=text,
        drop=[c for c in drop if c not in own and c != group],
        columns=columns,
        like=None if schema is None else Schema.from_state(schema),
    )
    return Domain(table.name, inputs, labels, splits, groups, classes, (*said, *more), times=times)
