"""Content hashes of files: what ``sha256sum`` prints, so that anybody can check them.

They show damage and changes by mistake, and are no signature: whoever can write the files can write the hashes.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sterna.errors import RequestError
from sterna.record.reading import AGAIN, check_file, damaged, reading

MANIFEST, NETWORK = "manifest.json", "network/network.json"
"""Where a run folder has its record, and the description of its network."""

OWN = "hash"
"""The key under which a JSON file has its own hash."""

_DATED = ".skops"


def hash_of(path: Path) -> str:
    """The SHA-256 of what a file holds, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def hashes_of_network(folder: Path) -> dict[str, str]:
    """The hashes that ``network.json`` holds of the files beside it.

    Those of skops are left to the run's record: it writes times and addresses of memory into them, and two equal
    networks should have equal descriptions. A zip file has sums of its own besides.
    """
    files = _files(folder, {Path(NETWORK).name})
    return {name: hash_of(path) for name, path in files.items() if not name.endswith(_DATED)}


def hashes_of_run(folder: Path) -> dict[str, str]:
    """The hashes that a run's record holds: of all files but those that ``network.json`` has.

    What else is left out is gone when the run is done, or is a run of its own (the points of a learning curve).
    """
    files = _files(folder, {MANIFEST, "work", "curve"})
    own = {name: path for name, path in files.items() if not name.startswith("network/") or name.endswith(_DATED)}
    if NETWORK in files:
        own[NETWORK] = files[NETWORK]
    return {name: hash_of(path) for name, path in own.items()}


def _files(folder: Path, leave_out: set[str]) -> dict[str, Path]:
    """The files of a folder and those below, but for hidden ones, by their paths from there."""
    found = sorted(path for path in folder.rglob("*") if path.is_file() and not path.name.startswith("."))
    named = {path.relative_to(folder).as_posix(): path for path in found}
    return {name: path for name, path in named.items() if name.partition("/")[0] not in leave_out}


def with_own_hash(content: Mapping[str, Any]) -> dict[str, Any]:
    """What a JSON file holds, and last the hash of it: nobody else has one of the file that lists the others."""
    return {**content, OWN: _own_hash(content)}


def check_own_hash(path: Path, content: Mapping[str, Any], way_out: str = AGAIN) -> None:
    """Refuse what a JSON file holds if it is not what was written; one without its hash (of an older version) passes.

    Raises
    ------
    RequestError
        If the hash is another.
    """
    rest = {name: value for name, value in content.items() if name != OWN}
    if OWN in content and content[OWN] != _own_hash(rest):
        raise RequestError(
            f"{str(path)!r} is not as it was written (the hash in it is another), so it was damaged or changed: "
            f"{way_out}; if you meant to change it, take {OWN!r} out of it."
        )


def _own_hash(content: Mapping[str, Any]) -> str:
    """The SHA-256 of names and values as JSON, whatever their order and the spaces between them."""
    read = json.loads(json.dumps(content))
    return hashlib.sha256(json.dumps(read, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def check_network(folder: Path, hashes: Mapping[str, str]) -> None:
    """Refuse a run whose network is not what its record was written for; see :func:`check_hash`."""
    for name in hashes:
        if name.startswith("network/"):
            check_hash(folder, name, hashes, MANIFEST)


def check_hashes(folder: Path, hashes: Any, listed: str) -> None:
    """Refuse a folder with a file that is not as it was written; see :func:`check_hash`."""
    if not isinstance(hashes, dict):
        raise damaged(folder / listed, "its list of files is none")
    for name in hashes:
        check_hash(folder, name, hashes, listed)


def check_hash(folder: Path, name: str, hashes: Mapping[str, str], listed: str) -> None:
    """Refuse a file that is not as it was written; one whose hash was not kept (by an older version) passes.

    Parameters
    ----------
    folder, name
        The file, by its path from a folder.
    hashes
        Of the files in the folder.
    listed
        Which file holds the hashes, for errors.

    Raises
    ------
    RequestError
        If the file is missing, or holds something else.
    """
    if name not in hashes:
        return
    path = folder / name
    if Path(name).is_absolute() or ".." in Path(name).parts:
        raise damaged(folder / listed, f"it names the file {name!r}, which is not in the folder")
    with reading(path):
        check_file(path)
        found = hash_of(path)
    if found != hashes[name]:
        raise RequestError(
            f"{str(path)!r} is not as it was written (its SHA-256 is not the one in {listed}), so it was damaged or "
            f"changed: copy the folder again or {AGAIN}; if you meant to change it, take its name out of {listed}, and "
            f"{OWN!r} where {listed} has one."
        )
