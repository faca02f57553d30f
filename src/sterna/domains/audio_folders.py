"""The reader of recordings in folders and zips: ``[split/]class/file``, or as a manifest names them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sterna.domains.audio import ENDINGS, AudioFiles
from sterna.domains.file_reader import FileReader
from sterna.domains.folders import FileKind


def _settled(parts: Sequence[AudioFiles], given: Any) -> tuple[Sequence[AudioFiles], list[str]]:
    return parts, [note for part in parts for note in part.settled(given, None)[1]]


AUDIO = FileKind("a recording", "recordings", ENDINGS, "soundfile", "audio", AudioFiles, AudioFiles.problem, _settled)


class Recordings(FileReader):
    """Recordings; texts beside them (transcripts, a readme) are none of the data."""

    of = AUDIO
    contents = AUDIO.many
    endings = ENDINGS
    kinds = ("audio",)
    instead_of = ("tables", "texts")
