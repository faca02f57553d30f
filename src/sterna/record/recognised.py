"""Whether a folder is Sterna's own: by what is in its files, since other programs name theirs alike."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sterna.errors import RequestError
from sterna.record.reading import read_object


def holds_run(folder: Path) -> bool:
    """Whether a folder holds a run, whole or begun, or a network of one."""
    record, request = _names_in(folder / "manifest.json"), _names_in(folder / "request.json")
    return (
        ({"method", "task", "target", "scores"} <= record.keys() and type(record.get("format", 1)) is int)
        or {"method", "settings", "target_inputs", "target_labels"} <= request.keys()
        or holds_network(folder / "network")
    )


def holds_network(folder: Path) -> bool:
    """Whether a folder describes a network."""
    about = _names_in(folder / "network.json")
    return {"head", "task", "preparation"} <= about.keys() and type(about.get("format")) is int


def _names_in(path: Path) -> dict[str, Any]:
    try:
        return read_object(path)
    except RequestError:
        return {}
