"""How knowledge moves: one folder for each kind, one file for each method."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sterna.lazy import lazily

if TYPE_CHECKING:
    from sterna.methods.method import list_methods as list_methods

_HOMES = {"list_methods": "method"}

__all__ = list(_HOMES)

__getattr__, __dir__ = lazily(__name__, _HOMES)
