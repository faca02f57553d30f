"""Table files into raw columns: CSV, TSV, Parquet and JSON Lines, each also compressed with gzip."""

from __future__ import annotations

import csv
import gzip
import io
import re
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast
from unicodedata import normalize

import pandas as pd
import pyarrow as pa
import pyarrow.csv

from sterna.domains.json_lines import read_json_lines
from sterna.domains.parquet_files import read_parquet
from sterna.domains.table_faults import SEPARATORS, bad_bytes, check_names, csv_fault
from sterna.domains.table_names import SUFFIXES, ending
from sterna.errors import RequestError, closest
from sterna.untrusted import Unpacked

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
            frame = read_json_lines(path, open_bytes)
        else:
            frame, notes = _read_csv(path, "\t" if suffix == ".tsv" else ",")
    # ö may be one character or two, as macOS writes it: the columns of two tables are matched all the same.
    names = [normalize("NFC", name) if isinstance(name, str) else name for name in frame.columns]
    if names != list(frame.columns):
        frame.columns = pd.Index(names)
    if not len(frame):
        raise RequestError(f"{path.name} has columns ({', '.join(map(str, frame.columns[:10]))}) but no rows.")
    return frame, notes


def _check_file(path: Path) -> None:
    if not path.is_file():
        if path.exists() and not path.is_dir():
            raise RequestError(f"{path} is a pipe or a device, and a table is read more than once: save it as a file.")
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
        unpacked = Unpacked(cast(BinaryIO, gzip.GzipFile(path)), path.name, path.stat().st_size)
        return cast(BinaryIO, io.BufferedReader(unpacked, _SAMPLE))
    return path.open("rb")


def _read_parquet(path: Path) -> pd.DataFrame:
    if not path.name.lower().endswith(".gz"):
        return read_parquet(path, path)
    with open_bytes(path) as file:
        return read_parquet(io.BytesIO(file.read()), path)


def _read_csv(path: Path, usual: str) -> tuple[pd.DataFrame, list[str]]:
    separator, header, lines, notes = _header(path, usual)
    names = [name.strip() or f"Unnamed: {i}" for i, name in enumerate(header)]
    check_names(names, path)
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
        while len(start) < _BLOCK and not _ends_a_line(start) and (more := file.read(len(start))):
            start += more  # names of very many columns
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


def _ends_a_line(start: bytes) -> bool:
    """Whether a line ends in it, outside quotation marks."""
    return any(b"\n" in part or b"\r" in part for part in start.split(b'"')[::2])


def _records(text: str, separator: str, cut: bool) -> list[list[str]]:
    """The first records, without the last one when the sample cuts it."""
    csv.field_size_limit(1 << 30)
    lines = [r for r in csv.reader(io.StringIO(text, newline=""), delimiter=separator) if r]
    return (lines[:-1] if cut and len(lines) > 1 else lines)[:50]
