"""What is known: models from libraries, packages, files and earlier runs."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sterna.sources.listing import Listed as Listed
    from sterna.sources.listing import list_sources as list_sources
    from sterna.sources.load import load_source as load_source
    from sterna.sources.source import Source as Source

_HOMES = {"Source": "source", "load_source": "load", "list_sources": "listing", "Listed": "listing"}

__all__ = list(_HOMES)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'sterna.sources' has no attribute {name!r}")
    value = getattr(importlib.import_module(f"sterna.sources.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
