"""Inputs of two places one after the other: a data set and its test set, a source and a target."""

from __future__ import annotations

from sterna.domains.inputs import Inputs
from sterna.errors import RequestError


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
    return first.joined(second, ours, theirs)
