"""Inputs of what is in memory already: arrays, a DataFrame, lists of images, texts or recordings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from sterna.domains.audio import AudioSequence, Sound
from sterna.domains.images import ImageArray, ImageSequence, levelled
from sterna.domains.inputs import Inputs, Rows
from sterna.domains.levels import Levels, levels_of, told
from sterna.domains.text import TextInputs, cut
from sterna.errors import RequestError, closest


def inputs_from_arrays(
    inputs: Any,
    *,
    columns: Mapping[str, str] | None = None,
    drop: Sequence[str] = (),
    levels: Levels | None = None,
    learnt: Rows | None = None,
) -> tuple[Inputs, list[str]]:
    """The inputs that an array, a DataFrame or a list holds, and notes on a table's columns or deep images.

    Parameters
    ----------
    columns, drop
        Of a table; see `Domain.from_arrays`.
    levels
        What is black and white in images that are not uint8; told from the `learnt` rows, or all, where not given.

    Raises
    ------
    RequestError
        If it is none of these.
    """
    if isinstance(inputs, Inputs):
        return inputs, []
    module = type(inputs).__module__.split(".")[0]
    if module == "pandas" and getattr(inputs, "ndim", 0) == 2:
        return from_frame(inputs, columns, drop)
    if module == "pandas":
        return from_texts(list(inputs))
    if hasattr(inputs, "detach"):  # a torch tensor
        if inputs.ndim == 3 and inputs.shape[0] in (3, 4) and inputs.shape[2] not in (3, 4):
            raise RequestError(
                f"A tensor of the shape {tuple(inputs.shape)} is one image in colour or {inputs.shape[0]} grey ones; "
                "give [tensor] for the one, tensor.numpy() for the others."
            )
        inputs = inputs.detach().cpu().numpy()
    if isinstance(inputs, np.ndarray):
        return from_images(inputs, levels, learnt) if inputs.ndim >= 3 else from_array(inputs, columns, drop)
    if isinstance(inputs, Sound) or hasattr(inputs, "getbands"):  # one recording, one PIL image
        inputs = [inputs]
    if not isinstance(inputs, Sequence) or isinstance(inputs, str) or not len(inputs):
        got = "an empty sequence" if isinstance(inputs, Sequence) and not len(inputs) else type(inputs).__name__
        raise RequestError(
            f"Inputs are {got}; an array (n, height, width[, channels]) or a list of PIL images, a DataFrame or a "
            "number array (n, columns), a list of strings, or a list of Sound was expected."
        )
    if isinstance(inputs[0], str):
        return from_texts(list(inputs))
    if isinstance(inputs[0], Sound):
        return AudioSequence(list(inputs)), []
    if hasattr(inputs[0], "getbands") or np.ndim(inputs[0]) in (2, 3):  # PIL images, or arrays of different size
        return levelled(ImageSequence(list(inputs)), levels)
    return from_array(np.asarray(inputs), columns, drop)


def from_images(array: np.ndarray, levels: Levels | None, learnt: Rows | None) -> tuple[Inputs, list[str]]:
    """Images ``(n, h, w[, c])``, or the one image ``(h, w, 1, 3 or 4)``: no grey one is so narrow, and notes."""
    one = array.ndim == 3 and array.shape[2] in (1, 3, 4) and array.shape[1] > array.shape[2]
    images = ImageArray(array[None] if one else array, levels)
    extents, found = images.extents(), images.levels
    if found is None:
        return images, []
    if levels is None and learnt is not None and len(learnt):
        found = levels_of([extents[row] for row in learnt])
    return ImageArray(images.images, found), told(extents, found, len(images))


def from_array(array: np.ndarray, columns: Mapping[str, str] | None, drop: Sequence[str]) -> tuple[Inputs, list[str]]:
    """A table of numbers or texts of an array, and notes; see `inputs_from_arrays`."""
    if array.ndim == 1 and (
        array.dtype.kind == "U" or (array.dtype == object and len(array) and isinstance(array[0], str))
    ):
        return from_texts([str(text) if array.dtype.kind == "U" else text for text in array])
    if array.ndim == 2 and array.dtype.kind in "biuf":
        import pandas as pd

        names = [f"x{i}" for i in range(array.shape[1])]
        return from_frame(pd.DataFrame(array, columns=names), columns, drop)
    raise RequestError(
        f"Inputs are an array of {array.dtype} with the shape {array.shape}; (n, height, width[, channels]) for "
        "images, numbers (n, columns) for a table, or strings (n,) for texts were expected."
    )


def from_frame(frame: Any, columns: Mapping[str, str] | None, drop: Sequence[str]) -> tuple[Inputs, list[str]]:
    """A table of a DataFrame, its rows called by their numbers, and notes."""
    from sterna.domains.schema import infer_schema
    from sterna.domains.tables import TableInputs

    for name in drop:
        if name not in frame.columns:
            raise RequestError(f"drop names {name!r}, which is no column.{closest(name, map(str, frame.columns))}")
    frame = frame.drop(columns=list(drop)).reset_index(drop=True)
    schema, typed, notes = infer_schema(frame, columns)
    return TableInputs(typed, schema), notes


def from_texts(texts: list[Any]) -> tuple[Inputs, list[str]]:
    """Texts of a list, and a note on those that are too long."""
    read, notes = cut(texts)
    return TextInputs(read), notes
