"""How knowledge moves: one folder for each kind, one file for each method."""

from __future__ import annotations

from typing import Any


def list_methods() -> list[dict[str, Any]]:
    """Every method: id, kind, needs, settings, summary and description."""
    from sterna.methods.method import method_class, method_ids

    return [method_class(name).about() for name in method_ids()]
