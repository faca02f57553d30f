"""The reader of recordings in folders and zips: ``[split/]class/file``, or as a manifest names them."""

from __future__ import annotations

from sterna.domains.audio import ENDINGS, AudioFiles
from sterna.domains.file_reader import FileReader
from sterna.domains.folders import FileKind

AUDIO = FileKind("a recording", "recordings", ENDINGS, "soundfile", "audio", AudioFiles, AudioFiles.problem)


class Recordings(FileReader):
    """Recordings; texts beside them (transcripts, a readme) are none of the data."""

    of = AUDIO
    contents = AUDIO.many
    endings = ENDINGS
    kinds = ("audio",)
    instead_of = ("tables", "texts")
