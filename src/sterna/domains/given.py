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


def is_frame(data: Any) -> bool:
    """Whether something is a pandas DataFrame."""
    return type(data).__module__.split(".")[0] == "pandas" and getattr(data, "ndim", 0) == 2


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
    named = is_frame(data) and (label is None or isinstance(label, str))
    if options.weight is not None and not named:
        raise RequestError(
            f"weight={options.weight!r} names a column of a DataFrame whose label= is a column as well; give "
            "Domain.from_arrays(..., weights=) one number for each row."
        )
    if isinstance(data, Domain):
        return data
    if isinstance(data, tuple) and not isinstance(data, Sound):
        raise RequestError(
            f"A tuple of {len(data)} was given as the data; give the inputs, and the labels as label=: load_domain(X, "
            "label=y)."
        )
    if is_frame(data):
        return _of_frame(data, label, options)
    if hasattr(data, "column_names"):
        return Domain.from_dataset(data, label=label, text=options.text)
    if isinstance(label, str):
        raise RequestError(
            f"label={label!r} names a column, but {type(data).__name__} has none; give label= one label for each row."
        )
    return Domain.from_arrays(data, label, columns=options.columns, drop=options.drop, levels=options.levels)


def _of_frame(frame: Any, label: Any, options: Options) -> Domain:
    from sterna.domains.table_domains import table_domain
    from sterna.domains.table_labels import find_label

    if label is not None and not isinstance(label, str):
        return Domain.from_arrays(frame, label, name=FRAME, columns=options.columns, drop=options.drop)
    taken = {*options.drop, options.group, options.weight, options.domain_column, options.text}
    label = label or find_label([str(c) for c in frame.columns if c not in taken], f"The {FRAME}")
    return table_domain(frame, replace(options, label=label), FRAME)


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
    """
    if isinstance(data, Domain):
        return data
    if not is_frame(data) or kind not in ("table", "text"):
        return Domain.from_arrays(data, levels=reading.get("levels"))
    from sterna.domains.table_domains import frame_inputs

    inputs, notes = frame_inputs(data, FRAME, reading)
    return Domain(FRAME, inputs, notes=tuple(notes))
