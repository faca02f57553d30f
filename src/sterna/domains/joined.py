"""Inputs of two places one after the other: a data set and its test set, a source and a target."""

from __future__ import annotations

from sterna.domains.inputs import Inputs
from sterna.errors import RequestError, closest


def joined_inputs(first: Inputs, second: Inputs, ours: str = "the first", theirs: str = "the second") -> Inputs:
    """The rows of `first`, then those of `second`.

    Parameters
    ----------
    first
        Of tables, its schema says what each column of both holds; what `second` has beside those is left out.
    second
        More rows of the same kind.
    ours, theirs
        What to call the two in an error.

    Raises
    ------
    RequestError
        If the kinds differ, or the second table lacks a column or holds another kind of value in it.
    """
    if first.kind != second.kind:
        raise RequestError(
            f"{theirs[:1].upper()}{theirs[1:]} holds {second.kind}, but {ours} holds {first.kind}; give the same kind."
        )
    if first.kind == "images":
        from sterna.domains.images import JoinedImages

        return JoinedImages([first, second])
    if first.kind == "audio":
        from sterna.domains.audio import JoinedAudio

        return JoinedAudio([first, second])
    if first.kind == "text":
        from sterna.domains.text import TextInputs

        return TextInputs([inputs[i] for inputs in (first, second) for i in range(len(inputs))])
    return _joined_tables(first, second, ours, theirs)


def _joined_tables(first: Inputs, second: Inputs, ours: str, theirs: str) -> Inputs:
    import pandas as pd

    from sterna.domains.tables import TableInputs

    assert isinstance(first, TableInputs) and isinstance(second, TableInputs)
    missing = [c for c in first.frame.columns if c not in second.frame.columns]
    if missing:
        more = [c for c in second.frame.columns if c not in first.frame.columns]
        raise RequestError(
            f"The {theirs} lacks the column {missing[0]!r} of {ours}.{closest(str(missing[0]), map(str, more))}"
        )
    # Both are read by the schema of the first: what is a number there must be one here.
    read = {c.name: second.column(c.name, c.kind, f"column {c.name!r} of {theirs}") for c in first.schema}
    frame = pd.concat([first.frame, pd.DataFrame(read)], ignore_index=True)
    return TableInputs(frame, first.schema)


def same_columns(ours: Inputs, theirs: Inputs) -> bool:
    """Whether two inputs are of one kind and, where they are tables, the first has every column of the second."""
    from sterna.domains.tables import TableInputs

    if not (isinstance(ours, TableInputs) and isinstance(theirs, TableInputs)):
        return ours.kind == theirs.kind
    return set(theirs.frame.columns) <= set(ours.frame.columns)
