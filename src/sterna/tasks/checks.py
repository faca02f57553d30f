"""What is wrong with outputs, or with the targets that they are scored by, in one sentence."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from sterna.errors import RequestError, RunError
from sterna.tasks.metrics import Floats, Mask


def checked_outputs(outputs: np.ndarray[Any, Any], width: int, task: str) -> Floats:
    """Outputs as float64 ``(n, width)``.

    Minus infinity is let through: it is the logarithm of a probability of 0, which a fitted estimator may give.

    Raises
    ------
    RequestError
        If they have another shape.
    RunError
        If an output is NaN or infinite.
    """
    values: Floats = np.asarray(outputs, dtype=np.float64)
    if values.ndim != 2 or values.shape[1] != width:
        raise RequestError(f"outputs have the shape {values.shape}, but (rows, {width}) was expected for this {task}.")
    bad = np.isnan(values).any(axis=1) | np.isposinf(values).any(axis=1) | (values == -np.inf).all(axis=1)
    if bad.any():
        raise RunError(
            f"The outputs of {int(bad.sum())} of {len(values)} rows are not finite "
            f"(first: row {int(bad.argmax())}); the training has diverged: try a lower learning rate."
        )
    return values


def check_targets(rows: int, targets: np.ndarray[Any, Any], labelled: Callable[[np.ndarray[Any, Any]], Mask]) -> None:
    """Refuse targets of which there is not one for each of the rows, or that are no labels."""
    if len(targets) != rows or rows == 0:
        raise RequestError(f"There are {len(targets)} targets for {rows} rows of outputs; one a row was expected.")
    missing = ~labelled(targets)
    if missing.any():
        raise RequestError(
            f"{int(missing.sum())} of {rows} rows to score have no label (first: row {int(missing.argmax())}); "
            "score labelled rows only."
        )
