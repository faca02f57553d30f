"""The reader of tables: CSV, TSV, Parquet and JSON Lines, each also compressed; to be answered also lines of text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sterna.domains.archives import Location
from sterna.domains.domain import Domain
from sterna.domains.inputs import Inputs, Kind
from sterna.domains.reader import Options, Reader
from sterna.domains.table_names import SUFFIXES, is_table
from sterna.errors import RequestError


class Tables(Reader):
    """A table file, of which the rows or the texts of a column are the inputs."""

    files = f"a table ({', '.join(SUFFIXES)}, also .gz)"
    endings = SUFFIXES
    kinds = ("table", "text")

    def finds(self, place: Location) -> str:
        return "a table" if is_table(place.path) and not place.holds_files else ""

    def load(self, place: Location, options: Options) -> Domain:
        from sterna.domains.table_domains import load_table  # brings pandas and pyarrow, which others do not need

        return load_table(place.path, options)

    def inputs(self, paths: Sequence[Path], kind: Kind, reading: Mapping[str, Any]) -> tuple[Inputs, list[str]]:
        if len(paths) > 1:
            raise RequestError(f"{len(paths)} inputs were given; a run on {kind} predicts one file at a time.")
        path = paths[0]
        if path.is_dir():
            raise RequestError(f"{str(path)!r} is a folder; give a file, as this run learnt from one.")
        if kind == "text" and path.suffix == ".txt":
            from sterna.domains.in_memory import inputs_from_arrays

            return inputs_from_arrays(_lines(path))
        return _rows(path, kind, reading)


def _lines(path: Path) -> list[str]:
    from sterna.domains.table_faults import bad_bytes

    try:
        return path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise RequestError(bad_bytes(path, lambda path: path.open("rb"))) from error


def _rows(path: Path, kind: Kind, reading: Mapping[str, Any]) -> tuple[Inputs, list[str]]:
    from sterna.domains.table_domains import load_inputs  # brings pandas and pyarrow

    inputs, notes = load_inputs(path, reading)
    if inputs.kind != kind:
        raise RequestError(f"{str(path)!r} holds {inputs.kind}, but the run learnt from {kind}.")
    return inputs, notes
