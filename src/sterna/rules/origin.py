"""The rows that rules were extracted from, as hashes in comments at the end of their file."""

from __future__ import annotations

import base64
import json

import numpy as np

from sterna.domains.learnt import Hashes, Learnt
from sterna.errors import RequestError

MARK = "#~ "
_HEADING = "# The rows that these rules were extracted from, as hashes, so that a run knows its test rows among them."
_CHARACTERS = 4000


def origin_text(learnt: Learnt) -> str:
    """Comment lines that :func:`origin_of` reads back."""
    about = {
        "columns": sorted(map(list, learnt.columns)),
        "labelled": len(learnt.labelled),
        "unlabelled": len(learnt.unlabelled),
    }
    hashes = np.concatenate([learnt.labelled, learnt.unlabelled]).astype("<u8").tobytes()
    letters = base64.b64encode(hashes).decode()
    lines = [letters[start : start + _CHARACTERS] for start in range(0, len(letters), _CHARACTERS)]
    return "\n".join([_HEADING, *(MARK + line for line in [json.dumps(about), *lines])])


def origin_of(text: str | None) -> Learnt | None:
    """The rows that the rules of a text were extracted from, of several files all; ``None`` if it names none."""
    parts: list[list[str]] = []
    for line in (text or "").splitlines():
        if line.startswith(MARK + "{"):
            parts.append([line.removeprefix(MARK)])
        elif line.startswith(MARK) and parts:
            parts[-1].append(line.removeprefix(MARK).strip())
    found: Learnt | None = None
    for about, *letters in parts:
        one = _read(about, "".join(letters))
        found = one if found is None else found.joined(one)
    return found


def _read(about: str, letters: str) -> Learnt:
    try:
        said = json.loads(about)
        hashes: Hashes = np.frombuffer(base64.b64decode(letters, validate=True), dtype="<u8").astype(np.uint64)
        labelled, unlabelled = int(said["labelled"]), int(said["unlabelled"])
        columns = frozenset(tuple(str(name) for name in names) for names in said["columns"])
        if min(labelled, unlabelled) < 0 or labelled + unlabelled != len(hashes):
            raise ValueError
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
        raise RequestError(
            f"The lines of the rules with {MARK.strip()!r} are damaged; extract the rules again, or leave them out."
        ) from error
    return Learnt(np.unique(hashes[:labelled]), np.unique(hashes[labelled:]), columns)
