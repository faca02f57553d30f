"""Texts in files: one a file, in folders and zips as images are, or as a manifest names them."""

from __future__ import annotations

import codecs
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sterna.domains.archives import Location, with_endings
from sterna.domains.file_inputs import FileInputs
from sterna.domains.file_reader import FileReader
from sterna.domains.folders import FileKind
from sterna.domains.inputs import Inputs, Kind, Rows
from sterna.domains.manifests import manifest_of
from sterna.domains.reader import readers
from sterna.domains.text import LONGEST, TextInputs, cut
from sterna.errors import RequestError

ENDINGS = (".txt",)
_MOST_BYTES = 4 * LONGEST + 4


class TextFiles(FileInputs):
    """Text files below a folder or inside a zip, UTF-8; see `FileInputs`."""

    kind = "text"
    one = "a text"

    def __getitem__(self, row: int) -> str:
        try:
            return self._text(row)
        except Exception as error:  # whatever a broken member of a zip raises
            raise RequestError(f"{self._files[row]} in {self.root} cannot be read ({_reason(error)}).") from error

    def problem(self, row: int) -> str | None:
        """Why a file cannot be read; all of it that will be used is read, as text is small."""
        try:
            self._text(row)
            return None
        except Exception as error:  # whatever a broken member of a zip raises
            return _reason(error)

    def _text(self, row: int) -> str:
        """As far as it is read, and a little more where it is longer."""
        with self.stream(row) as stream:
            data = stream.read(_MOST_BYTES)
        return codecs.getincrementaldecoder("utf-8-sig")().decode(data, final=len(data) < _MOST_BYTES)

    def in_memory(self) -> tuple[TextInputs, list[str]]:
        """The texts themselves, and a note on those that are too long."""
        read, notes = cut(self[row] for row in range(len(self)))
        texts = TextInputs(read, self.names())
        texts.unread = self.unread
        return texts, notes

    def settled(self, given: Any, learnt: Rows | None) -> tuple[Inputs, list[str]]:
        return self.in_memory()


def _reason(error: Exception) -> str:
    if isinstance(error, UnicodeDecodeError):
        return f"byte {error.start:,} is not UTF-8; save it as UTF-8"
    return (str(error) or type(error).__name__).rstrip(".")


def _settled(parts: Sequence[TextFiles], given: Any) -> tuple[list[TextInputs], list[str]]:
    read = [part.in_memory() for part in parts]
    return [texts for texts, _ in read], [note for _, notes in read for note in notes]


TEXTS = FileKind("a text", "texts", ENDINGS, "", "", TextFiles, TextFiles.problem, _settled)


class TextFolders(FileReader):
    """Texts, one a file."""

    of = TEXTS
    contents = TEXTS.many
    endings = ENDINGS
    kinds = ("text",)

    def finds(self, place: Location) -> str:
        # A readme alone is no data set: texts lie in folders, or a manifest names them.
        found = super().finds(place)
        if found and place.holds_files and not any("/" in name for name in with_endings(place.names, ENDINGS)):
            return found if manifest_of(place.path, place.names, self.of) else ""
        return found

    def inputs(self, paths: Sequence[Path], kind: Kind, reading: Mapping[str, Any]) -> tuple[Inputs, list[str]]:
        if len(paths) == 1 and paths[0].suffix.lower() in ENDINGS and not paths[0].is_dir():
            return readers()["tables"].inputs(paths, kind, reading)  # a single file holds one text a line
        return super().inputs(paths, kind, reading)
