"""What a run folder holds, read carefully: the folder may be old, cut short, or no run at all."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sterna.errors import RequestError
from sterna.files import check_no_links
from sterna.record.hashes import MANIFEST, check_hash
from sterna.record.reading import damaged, in_words
from sterna.record.record import Record, read_json, read_record
from sterna.store.place import check_finished, standing

if TYPE_CHECKING:
    import pyarrow


_MOST_CELLS = 10**8


@dataclass(frozen=True, eq=False)
class Run:
    """One run folder, read.

    Attributes
    ----------
    folder
        Where it lies.
    record
        What is known of it.
    history
        Rows of each method's training, ``{method id: [{"epoch": ..., "loss": ...}, ...]}``; empty where none was kept.
    predictions
        A row for each test row and draw; ``None`` where none were kept.
    """

    folder: Path
    record: Record
    history: Mapping[str, list[dict[str, Any]]] = field(default_factory=dict)
    predictions: pyarrow.Table | None = None


def read_run(folder: Path) -> Run:
    """Read a run folder.

    Raises
    ------
    RequestError
        If the folder is missing, is no run folder, or holds a file that cannot be read or a link to one elsewhere.
    """
    folder = Path(folder)
    if not standing(folder):
        raise RequestError(f"There is no run folder at {str(folder)!r}: give a folder that a transfer has written.")
    if not folder.is_dir():
        raise RequestError(f"{str(folder)!r} is a file, not a run folder: give the folder that a transfer has written.")
    check_no_links(folder / name for name in ("manifest.json", "history.json", "predictions.parquet", "mistakes"))
    check_finished(folder)
    path = folder / "manifest.json"
    record = read_record(path)
    for name in ("history.json", "predictions.parquet"):
        if (folder / name).exists():
            check_hash(folder, name, record.files, MANIFEST)
    return Run(folder, record, _history(folder / "history.json"), _predictions(folder))


def _history(path: Path) -> dict[str, list[dict[str, Any]]]:
    if not path.is_file():
        return {}
    content = read_json(path)
    if not isinstance(content, dict):
        raise RequestError(
            f"{str(path)!r} is not a run's history: expected a JSON object of lists, found {type(content).__name__}; "
            "remove the file to make the report without training curves."
        )
    return {
        str(method): [row for row in rows if isinstance(row, dict)]
        for method, rows in content.items()
        if isinstance(rows, list)
    }


def _predictions(folder: Path) -> pyarrow.Table | None:
    path = folder / "predictions.parquet"
    if not path.is_file():
        return None
    import pyarrow
    import pyarrow.parquet

    try:
        about = pyarrow.parquet.read_metadata(path)
        if about.num_rows * about.num_columns > _MOST_CELLS:  # a few bytes can stand for any number of equal cells
            raise ValueError(f"{about.num_rows:,} rows of {about.num_columns:,} columns")
        table = pyarrow.parquet.read_table(path)
    except Exception as error:  # errors of Arrow, of the system, and of what was unpacked
        raise RequestError(
            f"{str(path)!r} cannot be read as Parquet ({in_words(error)}); remove the file to make the report without "
            "its mistakes, or run the transfer again."
        ) from error
    if not {"row", "label", "answer"} <= set(table.column_names):
        return None
    if not pyarrow.types.is_integer(table.schema.field("row").type):  # rows are numbers; they name pictures, too
        raise damaged(path, f"its column row holds {table.schema.field('row').type}, expected whole numbers")
    return table
