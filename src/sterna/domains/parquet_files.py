"""Parquet into columns: what a few bytes say of many rows is believed only within bounds."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet

from sterna.domains.labels import EXACT
from sterna.domains.table_faults import check_names
from sterna.errors import RequestError
from sterna.untrusted import SMALL, check_unpacked

_WAY_OUT = "write it again without compression and without dictionaries"


def read_parquet(source: Path | BinaryIO, path: Path) -> pd.DataFrame:
    """The columns ``(n, d)`` of a file.

    Parameters
    ----------
    source
        What to read.
    path
        How errors name it.

    Raises
    ------
    RequestError
        If it is damaged, holds texts that are not UTF-8, or unpacks as only a bomb does.
    """
    try:
        table = _table(source, path)
        table.validate(full=True)  # which also sees texts that are not UTF-8
        frame = frame_of(table)
    except RequestError:
        raise
    except (pa.ArrowException, OSError, ValueError, OverflowError, TypeError, KeyError) as error:
        raise RequestError(
            f"{path.name} is damaged or no Parquet file ({str(error).splitlines()[0]}); get the file again."
        ) from error
    return frame.drop(columns=[c for c in frame.columns if str(c).startswith("__index_level_")])


def frame_of(table: pa.Table) -> pd.DataFrame:
    """The columns of a table, where pandas would make floats of whole numbers among missing cells with their digits."""
    for i, column in enumerate(table.columns):
        if pa.types.is_integer(column.type) and column.null_count:
            ends = pc.min_max(column).as_py()
            if max(abs(end or 0) for end in ends.values()) > EXACT:
                table = table.set_column(i, table.column_names[i], column.cast(pa.large_string()))
    # What a library wrote beside the columns is for itself, and may be anything.
    frame: pd.DataFrame = table.replace_schema_metadata().to_pandas(date_as_object=False)
    return frame


def _table(source: Path | BinaryIO, path: Path) -> pa.Table:
    packed = path.stat().st_size
    about = pyarrow.parquet.read_metadata(source)
    names = about.schema.to_arrow_schema().names
    check_names(names, path)
    check_unpacked(path.name, packed, about.num_rows * about.num_columns, _WAY_OUT)
    repeated = _repeated(about, names)
    table = pyarrow.parquet.read_table(source, read_dictionary=repeated)
    total = 0
    for name in repeated:
        total += sum(map(_bytes_of, table[name].chunks))
        check_unpacked(path.name, packed, total, _WAY_OUT)
    return pa.table({name: _dense(table[name]) if name in repeated else table[name] for name in table.column_names})


def _repeated(about: Any, names: Sequence[str]) -> list[str]:
    """Columns of texts that are written once each and then told by number: a long one, a million times, is a bomb."""
    groups = [about.row_group(i) for i in range(about.num_row_groups)]
    found: dict[str, int] = {}
    for group in groups:
        for column in (group.column(i) for i in range(group.num_columns)):
            told = column.physical_type == "BYTE_ARRAY" and any("DICTIONARY" in each for each in column.encodings)
            found[column.path_in_schema] = found.get(column.path_in_schema, 0) + told * column.total_uncompressed_size
    return [name for name, size in found.items() if name in names and size * about.num_rows > SMALL]


def _bytes_of(chunk: pa.DictionaryArray) -> int:
    lengths = pc.binary_length(chunk.dictionary)
    return int(pc.sum(pc.take(lengths, chunk.indices)).as_py() or 0)


def _dense(column: pa.ChunkedArray) -> pa.ChunkedArray:
    if not pa.types.is_dictionary(column.type):
        return column
    large = pa.large_binary() if pa.types.is_binary(column.type.value_type) else pa.large_string()
    return column.cast(large)
