"""Features and labels to be scored: checked, and multiplied block by block, in memory that grows with n and d²."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from scipy.linalg import eigh

from sterna.errors import RequestError

Array = np.ndarray[Any, Any]

BLOCK = 8_000_000
"""Numbers of a feature table that are worked on at once."""


def checked_features(features: Array) -> Array:
    """Features ``(n, d)`` as float32 or float64, all of them finite."""
    x = np.asarray(features)
    x = x if x.dtype in (np.float32, np.float64) else x.astype(np.float64)
    if x.ndim != 2 or len(x) < 2 or not x.shape[1]:
        raise RequestError(f"Features have the shape {x.shape}; expected (n, d) with two rows or more.")
    if not np.isfinite(x.sum(dtype=np.float64)):
        bad = ~np.isfinite(x).all(axis=1)
        if bad.any():
            raise RequestError(
                f"Features of {int(bad.sum()):,} of {len(x):,} rows are not finite, the first of row "
                f"{int(bad.argmax())}; leave these rows out, or choose another source."
            )
    return x


def check_rows(x: Array, targets: Array) -> None:
    """Refuse other than one target for each row."""
    if len(x) != len(targets):
        raise RequestError(f"There are {len(x):,} rows of features, but {len(targets):,} targets.")


def without_gaps(codes: Array) -> Array:
    """The same codes from 0 on, none of them unused."""
    return np.asarray(np.unique(codes, return_inverse=True)[1])


def class_codes(x: Array, targets: Array) -> Array:
    """Codes of the classes that there are, from 0 on without a gap, ``(n,)``."""
    y = np.asarray(targets)
    check_rows(x, y)
    if y.ndim != 1 or y.dtype.kind not in "iub":
        raise RequestError("This score is for classes; expected one whole number a row, the code of its class.")
    codes = without_gaps(y)
    if not codes.any():
        raise RequestError(f"All {len(y):,} rows are of one class, so no score can tell features apart; expected two.")
    return codes


def target_columns(x: Array, targets: Array) -> Array:
    """What is to be predicted, ``(n, k)``: numbers as they are, a column of zeros and ones for each class."""
    y = np.asarray(targets)
    if y.ndim == 1 and y.dtype.kind in "iub":
        return one_hot(class_codes(x, y))
    check_rows(x, y)
    if not np.isfinite(y).all():
        raise RequestError("Some targets are not finite numbers; leave these rows out.")
    return y.reshape(len(y), -1).astype(np.float64)


def one_hot(codes: Array) -> Array:
    """A column of zeros and ones for each class, ``(n, k)`` float32."""
    found = np.zeros((len(codes), int(codes.max()) + 1), dtype=np.float32)
    found[np.arange(len(codes)), codes] = 1.0
    return found


def blocks_of(x: Array, shift: Array) -> Iterator[Array]:
    """The rows less a shift, some at a time, in the type of the features."""
    size = max(1, BLOCK // x.shape[1])
    for start in range(0, len(x), size):
        yield x[start : start + size] - shift.astype(x.dtype)


def smaller_products(x: Array, shift: Array) -> Array:
    """X Xᵀ or Xᵀ X, whichever is smaller, of rows less a shift."""
    if len(x) <= x.shape[1]:
        around = x.astype(np.float64) - shift
        return np.asarray(around @ around.T)
    products = np.zeros((x.shape[1], x.shape[1]))
    for block in blocks_of(x, shift):
        products += block.T @ block
    return products


def spectrum_of(x: Array, y: Array, *, centred: bool) -> tuple[Array, Array]:
    """Squared singular values σ of the features, ``(r,)``, and the columns y in their directions: S Uᵀ y, ``(r, k)``.

    The features are F = U S Vᵀ, around their mean if `centred`; r is the smaller of n and d. Products are formed around
    the mean, where they lose the fewest digits, and the mean's share is added after.
    """
    n, d = x.shape
    shift = x.mean(0)
    if n <= d:
        around = x.astype(np.float64) - (x.mean(0, dtype=np.float64) if centred else 0.0)
        values, vectors = eigh(around @ around.T, driver="evd", overwrite_a=True, check_finite=False)
        values = np.maximum(values, 0.0)
        return values, np.sqrt(values)[:, None] * (vectors.T @ y)
    products, with_y, total = np.zeros((d, d)), np.zeros((d, y.shape[1])), np.zeros(d)
    start, shift = 0, shift.astype(x.dtype)
    for block in blocks_of(x, shift):
        products += block.T @ block
        with_y += block.T @ y[start : start + len(block)].astype(x.dtype, copy=False)
        total += block.sum(0, dtype=np.float64)
        start += len(block)
    mean, of_y = shift.astype(np.float64), y.sum(0, dtype=np.float64)
    if centred:
        products -= np.outer(total, total / n)
        with_y -= np.outer(total / n, of_y)
    else:
        products += np.outer(total + n * mean, mean) + np.outer(mean, total)
        with_y += np.outer(mean, of_y)
    values, vectors = eigh(products, driver="evd", overwrite_a=True, check_finite=False)
    return np.maximum(values, 0.0), vectors.T @ with_y
