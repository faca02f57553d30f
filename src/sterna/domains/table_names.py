"""Which files are tables, by their names."""

from __future__ import annotations

from pathlib import Path

SUFFIXES = (".csv", ".tsv", ".parquet", ".jsonl", ".ndjson")
"""File name endings that are tables, each also with ``.gz`` behind it."""


def is_table(path: Path) -> bool:
    """Whether the name is that of a table file."""
    return ending(path) in SUFFIXES


def ending(path: Path) -> str:
    """The end of a file's name in small letters, without ``.gz``."""
    name = path.name.lower().removesuffix(".gz")
    return Path(name).suffix
