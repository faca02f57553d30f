"""The schema of a table, and how it is found: the one door to both."""

from sterna.domains.columns import Column as Column
from sterna.domains.columns import ColumnKind as ColumnKind
from sterna.domains.columns import Schema as Schema
from sterna.domains.schema_inference import infer_schema as infer_schema

__all__ = ["Column", "ColumnKind", "Schema", "infer_schema"]
