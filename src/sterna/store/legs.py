"""The seconds of work that was stopped and taken up again: those of all its legs."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from sterna.files import atomic

_LEG = "leg.json"


def begin_leg(folder: Path, watched: Path) -> float:
    """Begin to work, and say when it would have begun if the earlier legs had gone before without a break.

    A leg that was killed lasted until it last kept something: what it did after that is done again.

    Parameters
    ----------
    folder
        Where it is noted that a leg began.
    watched
        The folder in which the work keeps what it has.

    Returns
    -------
    float
        By ``time.monotonic``.
    """
    path, spent = folder / _LEG, 0.0
    with suppress(OSError, ValueError, TypeError):  # none was begun, or its note is damaged: it is not counted
        spent = float(json.loads(path.read_text(encoding="utf-8")))
        spent += max(0.0, max(_times(watched)) - path.stat().st_mtime)
    with atomic(path) as temporary:
        temporary.write_text(json.dumps(spent), encoding="utf-8")
    return time.monotonic() - spent


def _times(folder: Path) -> Iterator[float]:
    """When each file in it was last written; the run that this one replaces is none of it."""
    for path in folder.rglob("*"):
        if path.is_file() and "replaced" not in path.relative_to(folder).parts:
            yield path.stat().st_mtime
