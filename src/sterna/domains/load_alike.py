"""More data, read as those before: what is named there may be missing here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from sterna.domains.domain import Domain
from sterna.domains.inputs import Inputs
from sterna.domains.load import load_domain
from sterna.errors import RequestError, quoted


def load_with_what_there_is(spec: Any, optional: Sequence[str], **reading: Any) -> Domain:
    """As `load_domain`; what is named by an optional argument (``"group"``, ``"weight"``) may not be there."""
    try:
        return load_domain(spec, **reading)
    except RequestError as error:
        lacking = [name for name in optional if reading.get(name) is not None and f"{name}=" in str(error)]
        if not lacking:
            raise
    return load_with_what_there_is(spec, optional, **{**reading, lacking[0]: None})


def load_as_learnt(spec: Any, reading: dict[str, Any]) -> Domain:
    """A Domain, and a note where it lacks what grouped or weighted the rows of the run."""
    found = load_with_what_there_is(spec, ("group", "weight"), **reading)
    said = list(found.notes)
    if found.groups is None and "group" in reading:
        said.append(
            f"no column {reading['group']!r}, by which the run grouped its rows: here each counts as independent, so "
            "the intervals are too narrow if some belong together"
        )
    if found.weights is None and "weight" in reading:
        said.append(f"no column {reading['weight']!r}, by which the run weighted its rows: here they weigh alike")
    return replace(found, notes=tuple(said))


def told_anew(inputs: Inputs, reading: Mapping[str, Any]) -> list[str]:
    """A note where new rows of a table were read without knowing how those of the run are written.

    Parameters
    ----------
    reading
        How the Domain of the run was read; runs of older versions do not know its schema.
    """
    written = [name for name, about in inputs.reading().get("schema", {}).items() if about.get("form")]
    if "schema" in reading or not written:
        return []
    return [
        "the run is of an older version, which did not keep how numbers and dates of its table are written: their form "
        f"was told anew from this one, in {quoted(written)}"
    ]
