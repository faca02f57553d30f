"""Inputs to answer: files a person names, without labels or splits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sterna.domains.archives import Location
from sterna.domains.domain import Domain
from sterna.domains.inputs import Kind, Unread
from sterna.domains.reader import Reader, readers
from sterna.errors import RequestError


def load_inputs(paths: Sequence[Path], kind: Kind, reading: Mapping[str, Any]) -> Domain:
    """Read inputs for predictions.

    Parameters
    ----------
    paths
        Image or audio files and folders of them, or one table, or text files (one text a line).
    kind
        What the run learnt from.
    reading
        How its own Domain was read: ``text``, ``columns``.

    Raises
    ------
    RequestError
        If a path is missing or holds nothing of this kind.
    """
    for path in paths:
        if not path.exists():
            list_it = "; a text is given in a list: [text]" if kind == "text" else ""
            raise RequestError(f"There is no input {str(path)!r}{list_it}.")
    inputs, notes = _reader(paths[0], kind).inputs(paths, kind, reading)
    return Domain(paths[0].name, inputs, notes=tuple(notes))


def unread_words(unread: Sequence[Unread]) -> str:
    """A sentence that names all files that could not be read."""
    named = ", ".join(f"{one.name} ({one.why})" for one in unread)
    return f"{len(unread):,} of the files cannot be read and have no prediction: {named}."


def _reader(path: Path, kind: Kind) -> Reader:
    """Of the readers of this kind, one that finds something here, or else the first, which says what it expects."""
    able = [reader for reader in readers().values() if kind in reader.kinds]
    if not able:
        raise RequestError(f"No reader of {kind} is installed; install the package whose data the run learnt from.")
    if len(able) == 1:
        return able[0]
    place = Location(path)
    return next((reader for reader in able if reader.finds(place)), able[0])
