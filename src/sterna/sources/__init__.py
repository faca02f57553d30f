"""What is known: models from libraries, packages, files and earlier runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sterna.lazy import lazily

if TYPE_CHECKING:
    from sterna.sources.listing import Listed as Listed
    from sterna.sources.listing import list_sources as list_sources
    from sterna.sources.load import load_source as load_source
    from sterna.sources.source import Source as Source

_HOMES = {"Source": "source", "load_source": "load", "list_sources": "listing", "Listed": "listing"}

__all__ = list(_HOMES)

__getattr__, __dir__ = lazily(__name__, _HOMES)
