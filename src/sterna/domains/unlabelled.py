"""Inputs to answer: files a person names, without labels or splits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sterna.domains.domain import Domain
from sterna.domains.folders import IMAGES, FileKind, names_below, with_endings
from sterna.domains.inputs import Inputs, Kind
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
            raise RequestError(f"There is no input {str(path)!r}.")
    if kind in ("images", "audio"):
        return _files(paths, kind)
    if len(paths) > 1:
        raise RequestError(f"{len(paths)} inputs were given; a run on {kind} answers one file at a time.")
    path = paths[0]
    if path.is_dir():
        raise RequestError(f"{str(path)!r} is a folder; this run learnt from {kind} and expects a file.")
    if kind == "text" and path.suffix == ".txt":
        return Domain.from_arrays(path.read_text(encoding="utf-8-sig").splitlines(), name=path.name)
    from sterna.domains.table_reader import load_inputs as load_rows

    label = reading.get("label")
    without = [*([label, *(part.strip() for part in label.split(","))] if label else ()), *reading.get("drop", ())]
    inputs, notes = load_rows(
        path, text=reading.get("text") if kind == "text" else None, without=without, columns=reading.get("columns")
    )
    if inputs.kind != kind:
        raise RequestError(f"{str(path)!r} holds {inputs.kind}, but the run learnt from {kind}.")
    return Domain(path.name, inputs, notes=tuple(notes))


def _files(paths: Sequence[Path], kind: Kind) -> Domain:
    from sterna.domains.audio import JoinedAudio
    from sterna.domains.audio_folders import AUDIO
    from sterna.domains.images import JoinedImages

    files, joined = (IMAGES, JoinedImages) if kind == "images" else (AUDIO, JoinedAudio)
    parts: list[Inputs] = []
    for path in paths:
        if path.is_dir() or path.suffix.lower() == ".zip":
            parts.append(files.inputs(path, _listed(path, files)))
        elif path.suffix.lower() in files.endings:
            parts.append(files.inputs(path.parent, [path.name]))
        else:
            raise RequestError(
                f"{str(path)!r} is not {files.one}; expected one of {', '.join(files.endings)}, a folder or a zip."
            )
    return Domain(paths[0].name, parts[0] if len(parts) == 1 else joined(parts))


def _listed(path: Path, files: FileKind) -> list[str]:
    found = with_endings(names_below(path), files.endings)
    if not found:
        raise RequestError(f"{str(path)!r} holds no {files.one.split()[-1]}.")
    return found
