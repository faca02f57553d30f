"""The reader of ``.tides`` files: JSON lines, the first of which names the grades in their order.

::

    {"grades": ["calm", "watch", "warning"]}
    {"station": "Husum", "day": "2025-01-03", "levels": [1.2, 1.4, ...], "grade": "watch"}
"""

import json

import numpy as np

from sterna.domains import Domain
from sterna.domains.reader import Reader
from sterna.errors import RequestError
from sterna_tides.records import TideRecords


class TideFiles(Reader):
    """A file of records; a record without a grade, or with null, is unlabelled."""

    files = "tide records (.tides)"
    endings = (".tides",)
    kinds = ("tides",)

    def finds(self, place):
        return "tide records" if place.path.suffix == ".tides" and place.path.is_file() else ""

    def load(self, place, options):
        of_tables = ("label", "text", "drop", "columns", "group", "domain_column", "domain")
        options.refuse(place.path, "a file of tide records", *of_tables)
        grades, rows = read(place.path)
        return Domain(
            place.path.stem,
            records(rows),
            labels=[row.get("grade") for row in rows],
            groups=[row["station"] for row in rows],  # a station never stands on two sides of a split
            classes=tuple(grades),
        )

    def inputs(self, paths, kind, reading):
        return records([row for path in paths for row in read(path)[1]]), []


def read(path):
    """The grades of a file, and its rows."""
    try:
        first, *rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        lengths = {len(row["levels"]) for row in rows if row["station"] and row["day"]}
        grades = first["grades"]
    except (ValueError, KeyError, TypeError) as error:
        raise RequestError(f"{path} is no file of tide records ({error}).") from error
    if len(lengths) != 1:
        raise RequestError(f"{path} has records of {sorted(lengths)} hours; one length was expected.")
    return grades, rows


def records(rows):
    """Rows of a file as inputs."""
    return TideRecords(np.array([row["levels"] for row in rows]), [f"{row['station']} {row['day']}" for row in rows])
