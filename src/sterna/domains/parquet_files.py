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
from sterna.untrusted import check_unpacked

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
        if pa.types.is_timestamp(column.type) and column.type.tz:
            _check_zone(table.column_names[i], column)
    # What a library wrote beside the columns is for itself, and may be anything.
    frame: pd.DataFrame = table.replace_schema_metadata().to_pandas(date_as_object=False)
    return frame


def _check_zone(name: str, column: pa.ChunkedArray) -> None:
    try:
        column.slice(0, 0).to_pandas()
    except (pa.ArrowException, ValueError, LookupError, OSError) as error:
        raise RequestError(
            f"Column {name!r} is in the time zone {column.type.tz!r}, which this system does not know; write its times "
            "without a time zone, or in UTC."
        ) from error


def _table(source: Path | BinaryIO, path: Path) -> pa.Table:
    packed = path.stat().st_size
    about = pyarrow.parquet.read_metadata(source)
    names = about.schema.to_arrow_schema().names
    check_names(names, path)
    check_unpacked(path.name, packed, about.num_rows * about.num_columns, _WAY_OUT)
    texts = _texts(about.schema, names)
    table = pyarrow.parquet.read_table(source, read_dictionary=texts)
    total = 0
    for name in texts:
        total += sum(map(_bytes_of, table[name].chunks))
        check_unpacked(path.name, packed, total, _WAY_OUT)
    return pa.table({name: _dense(table[name]) if name in texts else table[name] for name in table.column_names})


def _texts(schema: Any, names: Sequence[str]) -> list[str]:
    """Columns of texts. Read as written: each text once and then told by number, so that a bomb is not unpacked.

    The footer also says which columns are written so, but of a damaged one Arrow ends the process instead of an error.
    """
    leaves = (schema.column(i) for i in range(len(schema)))
    return [leaf.path for leaf in leaves if leaf.physical_type == "BYTE_ARRAY" and leaf.path in names]


def _bytes_of(chunk: pa.DictionaryArray) -> int:
    lengths = pc.binary_length(chunk.dictionary)
    return int(pc.sum(pc.take(lengths, chunk.indices)).as_py() or 0)


def _dense(column: pa.ChunkedArray) -> pa.ChunkedArray:
    if not pa.types.is_dictionary(column.type):
        return column
    large = pa.large_binary() if pa.types.is_binary(column.type.value_type) else pa.large_string()
    return column.cast(large)
