"""What tells rows apart in the cache of features."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
from pandas.util import hash_pandas_object

from sterna.domains.audio import AudioSequence
from sterna.domains.file_inputs import FileInputs, JoinedInputs
from sterna.domains.images import ImageArray, ImageSequence
from sterna.domains.inputs import Inputs
from sterna.domains.tables import TableInputs
from sterna.domains.text import TextInputs

Keys = np.ndarray[Any, np.dtype[np.bytes_]]
KEY = 16
"""Bytes of a row's key."""


def row_keys(inputs: Inputs) -> Keys:
    """16 bytes for each row, ``(n,)``: rows of one key are prepared alike, whatever other rows they come with.

    In a table all cells count, while :meth:`Inputs.keys` leaves identifiers aside. Where that method says less than
    all that a row holds (of inputs that are not named here), rows are the same only among the same other rows.
    """
    if isinstance(inputs, TableInputs):
        about, cells = [*inputs.frame.columns, inputs.kinds], hash_pandas_object(inputs.frame, index=False).tolist()
        columns = digest(repr(about).encode()).hex()
        keys = [f"{columns}{key}{more}" for key, more in zip(inputs.keys(), cells, strict=True)]
    elif isinstance(inputs, (FileInputs, JoinedInputs, ImageArray, ImageSequence, AudioSequence, TextInputs)):
        keys = inputs.keys()
    else:
        whole = inputs.fingerprint()
        keys = [f"{whole} {row}" for row in range(len(inputs))]
    return np.frombuffer(b"".join(digest(key.encode()) for key in keys), dtype=f"S{KEY}")


def digest(data: bytes) -> bytes:
    """A hash of `KEY` bytes."""
    return hashlib.blake2b(data, digest_size=KEY).digest()
