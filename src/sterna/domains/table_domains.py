"""The reader of tables: a Domain of a CSV, TSV, Parquet or JSON Lines file, or of a DataFrame that was one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from sterna.domains.columns import Schema
from sterna.domains.domain import Domain
from sterna.domains.reader import Options
from sterna.domains.schema_inference import IDENTIFIER_NAME
from sterna.domains.table_files import read_table
from sterna.domains.table_labels import LABEL_NAMES, find_label, label_names, read_labels
from sterna.domains.table_rows import find_splits, groups_of, rows_of_domain, times_of, weights_of
from sterna.domains.tables import TableInputs, raw_table, read_inputs, table_inputs, text_names
from sterna.domains.text import TextInputs
from sterna.errors import RequestError, quoted


def load_table(path: Path, options: Options) -> Domain:
    """A Domain of a CSV, TSV, Parquet or JSON Lines file (each also ``.gz``).

    Parameters
    ----------
    path
        The file; text is UTF-8.
    options
        Without `label` the label is the column called label, target, class or y. Without `text` the inputs are a table,
        unless the only column left holds free text. See `load_domain` for the rest.

    Raises
    ------
    RequestError
        If the file or a column is not as it should be.
    """
    frame, notes = read_table(path)
    if options.label is None:
        beside = (options.group, options.weight, options.domain_column)
        taken = {*options.drop, *beside, *text_names(options.text, list(frame.columns))}
        label = find_label([str(c) for c in frame.columns if str(c) not in taken], path.name)
        options = replace(options, label=label)
    return table_domain(frame, options, path.name, notes)


def load_inputs(path: Path, reading: Mapping[str, Any]) -> tuple[TableInputs | TextInputs, list[str]]:
    """The inputs of a table file that needs no label column, as for predictions, and notes on them.

    Parameters
    ----------
    reading
        How the Domain was read that was learnt from; see `Domain`. The columns of its schema are inputs, whatever they
        are called. Its labels and what was dropped are none; where it names neither, nor is the one label column that
        `load_table` would have found.
    """
    frame, notes = read_table(path)
    made, more = frame_inputs(frame, path.name, reading)
    return made, notes + more


def frame_inputs(
    frame: pd.DataFrame, name: str, reading: Mapping[str, Any]
) -> tuple[TableInputs | TextInputs, list[str]]:
    """The same of a DataFrame; `name` is what to call it."""
    text, schema, without = reading.get("text"), reading.get("schema"), _left_out(reading)
    like = None if schema is None else Schema.from_state(schema)
    inputs = {*text_names(text, list(frame.columns)), *(like.names if like else ())}
    names_rows = [n for n in frame.columns if like is not None and IDENTIFIER_NAME.match(str(n))]  # beside the answers
    taken = [name for name in frame.columns if name in without and name not in inputs and name not in names_rows]
    frame = frame.drop(columns=taken)
    named = [name for name in frame.columns if str(name).strip().lower() in LABEL_NAMES and name not in inputs]
    if not reading.get("label") and len(named) == 1 and len(frame.columns) > 1:
        frame = frame.drop(columns=named)
    kinds = {name: kind for name, kind in (reading.get("columns") or {}).items() if name in frame.columns}
    made, notes = table_inputs(frame, text=text, columns=kinds or None, like=like, name=name)
    more = (
        [] if like is None or text else [str(c) for c in frame.columns if str(c) not in inputs and c not in names_rows]
    )
    return made, [*notes, *([f"columns not used, which nothing was learnt from: {quoted(more)}"] if more else [])]


def _left_out(reading: Mapping[str, Any]) -> list[str]:
    """Columns that are no inputs of a run that read its own data so: labels, groups, weights, and what was dropped."""
    label = reading.get("label")
    labels = [label, *(part.strip() for part in label.split(","))] if label else []
    return [*labels, *(reading[name] for name in ("group", "weight") if name in reading), *reading.get("drop", ())]


def table_domain(frame: pd.DataFrame, options: Options, name: str = "table", notes: Sequence[str] = ()) -> Domain:
    """A Domain of a DataFrame, as `load_table` makes it; but without `label` it has no labels."""
    like = None if options.schema is None else Schema.from_state(options.schema)
    known = {use: form for use, form in (options.forms or {}).items() if form}
    named = {str(getattr(options, use)): form for use, form in known.items()}
    table, said = raw_table(frame, name, {**(like.number_forms if like else {}), **named}), list(notes)
    if options.domain_column is not None or options.domain is not None:
        rows = rows_of_domain(table, options.domain_column, options.domain)
        table = table.without([options.domain_column]).take(rows, f"{name} ({options.domain})")
    label, group, weight, drop = options.label, options.group, options.weight, options.drop
    taken = [label, *(label or "").split(","), group, weight, *drop, *text_names(options.text, table.names)]
    split_column, splits, kept, more = find_splits(table, taken)
    if split_column is not None:
        table = table.without([split_column]).take(kept)
    said += more
    if weight is not None and weight in [label, *label_names(label or "", table.names)]:
        raise RequestError(f"weight={weight!r} names the column of labels; name another one, or leave it out.")
    read = read_labels(table, label, options.task, options.partial_labels, known.get("label", ""))
    said += read.notes
    groups = None if group is None else groups_of(table, group)
    times, more = (None, []) if options.time is None else times_of(table, options.time)
    said += more
    weights, form = (None, "") if weight is None else weights_of(table, weight, known.get("weight", ""))
    used = [*read.columns, group, weight]
    inputs, more = read_inputs(
        table.without(used),
        text=options.text,
        drop=[c for c in drop if c not in used],
        columns=options.columns,
        like=like,
    )
    forms = {use: written for use, written in (("label", read.form), ("weight", form)) if written}
    return Domain(
        table.name, inputs, read.values, splits, groups, read.names, (*said, *more), {"forms": forms} if forms else {},
        times, weights,
    )  # fmt: skip
