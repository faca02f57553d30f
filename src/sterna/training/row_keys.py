"""What tells rows apart in the cache of features."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np

from sterna.domains.inputs import Inputs

Keys = np.ndarray[Any, np.dtype[np.bytes_]]
KEY = 16
"""Bytes of a row's key."""


def row_keys(inputs: Inputs) -> Keys:
    """16 bytes for each row, ``(n,)``: a digest of :meth:`Inputs.row_keys`."""
    return np.frombuffer(b"".join(digest(key.encode()) for key in inputs.row_keys()), dtype=f"S{KEY}")


def digest(data: bytes) -> bytes:
    """A hash of `KEY` bytes."""
    return hashlib.blake2b(data, digest_size=KEY).digest()
