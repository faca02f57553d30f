"""Table files into raw columns: CSV, TSV, Parquet and JSON Lines, each also compressed with gzip."""

from __future__ import annotations

import csv
import gzip
import io
import json
import re
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, cast

import pandas as pd
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from sterna.domains.table_faults import SEPARATORS, bad_bytes, csv_fault
from sterna.domains.table_names import SUFFIXES, ending
from sterna.errors import RequestError, closest

_SEPARATOR_LINE = re.compile(r'"?sep=([,;|\t])"?[ ,;|\t]*\r?\n', re.IGNORECASE)
_SAMPLE = 1 << 16
_BLOCK = 1 << 24  # bytes pyarrow reads at a time: one record must fit into it


def read_table(path: Path) -> tuple[pd.DataFrame, list[str]]:
    """Read a table file into raw columns.

    Parameters
    ----------
    path
        A file whose name ends in one of `SUFFIXES`, perhaps with ``.gz`` behind. Text is UTF-8.

    Returns
    -------
    frame
        ``(n, d)`` with the columns in order; every cell of a CSV or TSV file is the string that stands there.
    notes
        What was decided on the way, such as another separator.

    Raises
    ------
    RequestError
        If the file is missing, empty, damaged, in another encoding, ragged, or has two columns of one name.
    """
    suffix = ending(path)
    if suffix not in SUFFIXES:
        raise RequestError(
            f"{path.name} is not a table file: its name should end in {', '.join(SUFFIXES)} (or these and .gz)."
        )
    _check_file(path)
    notes: list[str] = []
    with _named_errors(path):
        if suffix == ".parquet":
            frame = _read_parquet(path)
        elif suffix in (".jsonl", ".ndjson"):
            frame = _read_json_lines(path)
        else:
            frame, notes = _read_csv(path, "\t" if suffix == ".tsv" else ",")
    if not len(frame):
        raise RequestError(f"{path.name} has columns ({', '.join(map(str, frame.columns[:10]))}) but no rows.")
    return frame, notes


def _check_file(path: Path) -> None:
    if not path.is_file():
        near = closest(path.name, [p.name for p in path.parent.iterdir()]) if path.parent.is_dir() else ""
        raise RequestError(f"There is no file {path}.{near}")
    if path.stat().st_size == 0:
        raise RequestError(f"{path.name} is empty (0 bytes).")
    with path.open("rb") as file:
        start = file.read(8)
    if start.startswith(b"PK\x03\x04") and ending(path) != ".parquet":
        raise RequestError(f"{path.name} is a zip archive or a spreadsheet, not text; save it as CSV (UTF-8).")
    if start.startswith(b"PAR1") and ending(path) != ".parquet":
        raise RequestError(f"{path.name} is a Parquet file; name it {path.stem}.parquet.")


@contextmanager
def _named_errors(path: Path) -> Iterator[None]:
    """Damage that a library finds, in one sentence."""
    try:
        yield
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise RequestError(
            f"{path.name} is damaged: its gzip data cannot be unpacked ({error}); get the file again."
        ) from error
    except PermissionError as error:
        raise RequestError(f"{path} cannot be read: permission denied.") from error


def open_bytes(path: Path) -> BinaryIO:
    """The file's bytes, unpacked when they are gzip, whatever its name says."""
    with path.open("rb") as file:
        packed = file.read(2) == b"\x1f\x8b"
    if packed or path.name.lower().endswith(".gz"):
        return cast(BinaryIO, gzip.open(path, "rb"))
    return path.open("rb")


def _read_parquet(path: Path) -> pd.DataFrame:
    with open_bytes(path) as file:
        source = io.BytesIO(file.read()) if path.name.lower().endswith(".gz") else path
        try:
            table = pyarrow.parquet.read_table(source)
        except (pa.ArrowException, OSError) as error:
            raise RequestError(
                f"{path.name} is damaged or no Parquet file ({str(error).splitlines()[0]}); get the file again."
            ) from error
    _check_names(table.column_names, path)
    frame = cast(pd.DataFrame, table.to_pandas(ignore_metadata=True, date_as_object=False))
    return frame.drop(columns=[c for c in frame.columns if str(c).startswith("__index_level_")])


def _read_json_lines(path: Path) -> pd.DataFrame:
    """One JSON object a line; a key that some lines lack is missing there."""
    columns: dict[str, list[Any]] = {}
    rows = 0
    with open_bytes(path) as file:
        for number, line in enumerate(file, 1):
            text = line.removeprefix(b"\xef\xbb\xbf") if number == 1 else line
            if not text.strip():
                continue
            for key, value in _json_object(text, number, path).items():
                column = columns.setdefault(key, [])
                column.extend([None] * (rows - len(column)))
                column.append(value)
            rows += 1
    if not rows:
        raise RequestError(f"{path.name} is empty: no line holds a JSON object.")
    for column in columns.values():
        column.extend([None] * (rows - len(column)))
    return pd.DataFrame({key: pd.Series(values) for key, values in columns.items()})


def _json_object(line: bytes, number: int, path: Path) -> dict[str, Any]:
    try:
        value = json.loads(line)
    except UnicodeDecodeError as error:
        raise RequestError(bad_bytes(path, open_bytes)) from error
    except ValueError as error:
        raise RequestError(
            f"{path.name}, line {number}: this is not JSON ({error}); each line should be one object."
        ) from error
    if not isinstance(value, dict):
        raise RequestError(
            f"{path.name}, line {number}: found a {type(value).__name__}, expected one JSON object a line "
            '({"label": ..., "text": ...}).'
        )
    return value


def _read_csv(path: Path, usual: str) -> tuple[pd.DataFrame, list[str]]:
    separator, header, lines, notes = _header(path, usual)
    names = [name.strip() or f"Unnamed: {i}" for i, name in enumerate(header)]
    _check_names(names, path)
    with open_bytes(path) as file:
        counted = _Counted(file)
        try:
            table = pyarrow.csv.read_csv(
                counted,
                # Threads of pyarrow that outlive the call ask for Python's lock while a process that failed is ending:
                # it then aborts. Without them reading is as fast to within a fifth.
                read_options=pa.csv.ReadOptions(block_size=_BLOCK, use_threads=False, skip_rows=lines),
                parse_options=pa.csv.ParseOptions(delimiter=separator, newlines_in_values=True),
                convert_options=pa.csv.ConvertOptions(column_types=dict.fromkeys(header, pa.string())),
            )
        except pa.ArrowException as error:
            reason = csv_fault(path, open_bytes, separator, lines) or f"{path.name} cannot be read as CSV: {error}."
            raise RequestError(reason) from error
    frame = cast(pd.DataFrame, table.rename_columns(names).to_pandas(self_destruct=True, split_blocks=True))
    if counted.quotes % 2 and len(frame) and frame.iloc[-1].map(lambda c: "\n" in str(c)).any():
        unclosed = csv_fault(path, open_bytes, separator, lines, unclosed=True)
        if unclosed:
            raise RequestError(unclosed)
    frame.attrs["separator"] = separator  # where it is a semicolon, the comma is more likely a decimal mark
    return frame, notes


class _Counted(io.RawIOBase):
    """A stream that counts the quotation marks which pass: in sound CSV they pair up."""

    def __init__(self, file: BinaryIO) -> None:
        self.file, self.quotes = file, 0

    def read(self, size: int = -1, /) -> bytes:
        data = self.file.read(size)
        self.quotes += data.count(b'"')
        return data

    def readable(self) -> bool:
        return True


def _header(path: Path, usual: str) -> tuple[str, list[str], int, list[str]]:
    """The separator, the column names as they stand in the file, the lines before them, and what was decided."""
    with open_bytes(path) as file:
        start = file.read(_SAMPLE)
        cut = bool(file.read(1))
    if start.startswith((b"\xff\xfe", b"\xfe\xff")) or b"\0" in start:
        raise RequestError(bad_bytes(path, open_bytes))
    try:
        text = start.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        if not cut or error.start < len(start) - 4:  # a letter cut in two at the end of the sample is no fault
            raise RequestError(bad_bytes(path, open_bytes)) from error
        text = start[: error.start].decode("utf-8-sig")
    if not text.strip():
        raise RequestError(f"{path.name} is empty: it holds no header and no rows.")
    said = _SEPARATOR_LINE.match(text)
    if said:  # as spreadsheets write it
        records = {said[1]: _records(text[said.end() :], said[1], cut)}
        if not records[said[1]]:
            raise RequestError(f"{path.name} is empty: it holds no header and no rows.")
        return said[1], records[said[1]][0], 1, []
    records = {s: _records(text, s, cut) for s in SEPARATORS}
    if len(records[usual][0]) > 1:
        return usual, records[usual][0], 0, []
    others = [s for s in SEPARATORS if len(records[s][0]) > 1]
    even = [s for s in others if len({len(r) for r in records[s]}) == 1]
    if len(even) == 1:
        note = f"{path.name} is separated by {SEPARATORS[even[0]]}, not by {SEPARATORS[usual]}: read so"
        return even[0], records[even[0]][0], 0, [note]
    if others:
        held = " or ".join(SEPARATORS[s] for s in others)
        raise RequestError(
            f"{path.name} has one column, {records[usual][0][0][:80]!r}, and looks separated by {held}, but its rows "
            f"do not all have as many cells; save it again, separated by {SEPARATORS[usual]}."
        )
    return usual, records[usual][0], 0, []


def _records(text: str, separator: str, cut: bool) -> list[list[str]]:
    """The first records, without the last one when the sample cuts it."""
    csv.field_size_limit(1 << 30)
    lines = [r for r in csv.reader(io.StringIO(text, newline=""), delimiter=separator) if r]
    return (lines[:-1] if cut and len(lines) > 1 else lines)[:50]


def _check_names(names: list[str], path: Path) -> None:
    twice = sorted({name for name in names if names.count(name) > 1}) if len(set(names)) < len(names) else []
    if twice:
        raise RequestError(
            f"{path.name} has more than one column named {', '.join(map(repr, twice))}; give each column its own name."
        )
