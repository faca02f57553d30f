"""What is in memory already, given where a path might stand: a DataFrame, an array, a list, a data set."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from sterna.domains.audio import Sound
from sterna.domains.domain import Domain
from sterna.domains.inputs import Kind
from sterna.domains.reader import Options
from sterna.errors import RequestError

FRAME = "DataFrame"
"""What a Domain of a DataFrame is called."""

OF_COLUMNS = ("label", "text", "group", "time", "weight", "domain_column", "domain", "drop", "columns")
"""Options of `load_domain` that speak of columns."""


def is_frame(data: Any) -> bool:
    """Whether something is a pandas DataFrame."""
    return type(data).__module__.split(".")[0] == "pandas" and getattr(data, "ndim", 0) == 2


def has_columns(data: Any) -> bool:
    """Whether something in memory has columns with names: a DataFrame, or a Hugging Face Dataset."""
    return is_frame(data) or hasattr(data, "column_names")


def without_columns(reading: Mapping[str, Any]) -> dict[str, Any]:
    """How data were read, but for what speaks of columns."""
    return {name: value for name, value in reading.items() if name not in OF_COLUMNS}


def is_data(value: Any) -> bool:
    """Whether something is data in memory, as against a path, a spec or a model."""
    held = isinstance(value, (Domain, list, tuple, np.ndarray)) or type(value).__module__.split(".")[0] == "pandas"
    return held or hasattr(value, "column_names")


def given_domain(data: Any, label: Any, options: Options) -> Domain:
    """A Domain of data in memory.

    Parameters
    ----------
    data
        A DataFrame, read as a table file is; a Hugging Face Dataset; what `Domain.from_arrays` takes; or a Domain,
        which stays as it is.
    label
        A column of a DataFrame or Dataset, or one label for each row ``(n,)``.
    options
        As `load_domain` was asked.

    Raises
    ------
    RequestError
        If the data are of no such form, or `label` names a column of what has none.
    """
    if isinstance(data, Domain):
        made = "give it where that is made, arrays as groups=, times= or weights="
        _refuse(options, "it is a Domain already", made, *OF_COLUMNS[1:])
        return data
    if isinstance(data, tuple) and not isinstance(data, Sound):
        raise RequestError(
            f"A tuple of {len(data)} was given as the data; give the inputs, and the labels as label=: load_domain(X, "
            "label=y)."
        )
    if is_frame(data):
        return _of_frame(data, label, options)
    if hasattr(data, "column_names"):
        return _of_dataset(data, label, options)
    if isinstance(label, str):
        raise RequestError(
            f"label={label!r} names a column, but {type(data).__name__} has none; give label= one label for each row."
        )
    beside = "give Domain.from_arrays(..., groups=, times=, weights=) one value for each row"
    _refuse(options, f"{type(data).__name__} has none", beside, *OF_COLUMNS[1:7])
    return Domain.from_arrays(data, label, columns=options.columns, drop=options.drop, levels=options.levels)


def _refuse(options: Options, why: str, way_out: str, *names: str) -> None:
    """Say that an option names a column where there is none to be read."""
    for name in names:
        if getattr(options, name):
            raise RequestError(f"{name}={getattr(options, name)!r} names a column of the data, but {why}; {way_out}.")


def _of_frame(frame: Any, label: Any, options: Options) -> Domain:
    from sterna.domains.table_domains import table_domain
    from sterna.domains.table_labels import find_label

    if isinstance(label, list | tuple) and len(label) != len(frame) and all(isinstance(each, str) for each in label):
        label = ",".join(label)
    if label is not None and not isinstance(label, str):
        return _labelled_beside(frame, label, options)
    taken = {*options.drop, options.group, options.weight, options.domain_column, options.text}
    label = label or find_label([str(c) for c in frame.columns if c not in taken], f"The {FRAME}")
    return table_domain(frame, replace(options, label=label), FRAME)


def _of_dataset(dataset: Any, label: str | None, options: Options) -> Domain:
    _refuse(options, "it is a Dataset", "give its DataFrame, data.to_pandas()", *OF_COLUMNS[5:])
    if isinstance(dataset.column_names, Mapping):
        _refuse(options, "it is a DatasetDict", "give one of its Datasets", *OF_COLUMNS[2:5])
    beside = [name for name in (options.group, options.time, options.weight) if name is not None]
    if not beside:
        return Domain.from_dataset(dataset, label=label, text=options.text)
    from sterna.domains.parquet_files import frame_of

    there = [name for name in beside if name in dataset.column_names]
    frame = frame_of(dataset.select_columns(there).with_format("arrow")[:])
    inputs = dataset.remove_columns([name for name in there if name != options.time])
    return _beside(Domain.from_dataset(inputs, label=label, text=options.text), frame, "The Dataset", options)


def _labelled_beside(frame: Any, label: Any, options: Options) -> Domain:
    way_out = "add the labels as a column, and give label= its name"
    _refuse(options, "its labels are given beside it", way_out, "text", "domain_column", "domain")
    inputs = frame.loc[:, [str(name) not in (options.group, options.weight) for name in frame.columns]]
    found = Domain.from_arrays(inputs, label, name=FRAME, columns=options.columns, drop=options.drop)
    return _beside(found, frame, FRAME, options)


def _beside(found: Domain, frame: Any, where: str, options: Options) -> Domain:
    """A Domain whose rows are grouped, dated and weighted by columns of a DataFrame."""
    from sterna.domains.raw_table import RawTable
    from sterna.domains.table_rows import groups_of, times_of, weights_of

    table, group, time, weight = RawTable(frame, where), options.group, options.time, options.weight
    times, notes = (None, []) if time is None else times_of(table, time)
    return replace(
        found,
        groups=None if group is None else groups_of(table, group),
        times=times,
        weights=None if weight is None else weights_of(table, weight)[0],
        notes=(*found.notes, *notes),
    )


def given_inputs(data: Any, kind: Kind, reading: Mapping[str, Any]) -> Domain:
    """Inputs in memory to be answered, read as those that a run learnt from.

    Parameters
    ----------
    data
        As in `given_domain`; a DataFrame may have the label's column or not.
    kind
        What the run learnt from.
    reading
        How its own Domain was read.

    Raises
    ------
    RequestError
        If it has another form than these, or no row.
    """
    found = data if isinstance(data, Domain) else _given_inputs(data, kind, reading)
    if not len(found):
        raise RequestError(f"{found.name} has no row, so there is nothing to predict.")
    return found


def _given_inputs(data: Any, kind: Kind, reading: Mapping[str, Any]) -> Domain:
    if not is_frame(data) or kind not in ("table", "text"):
        return Domain.from_arrays(data, levels=reading.get("levels"))
    from sterna.domains.table_domains import frame_inputs

    inputs, notes = frame_inputs(data, FRAME, reading)
    return Domain(FRAME, inputs, notes=tuple(notes))
