"""Named things of one sort that other packages add to: kinds of data, preparations, sources, forms of sources."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from importlib import metadata
from typing import Any

from sterna.errors import RequestError, closest


class Registry:
    """Things by name: Sterna's own, and those that installed packages name in an entry point group.

    Nothing is imported before it is asked for. Sterna's own come first: no package can take the place of one.

    Parameters
    ----------
    group
        The entry point group.
    one
        What each is, for errors: ``"packaged source"``.
    own
        Where Sterna's own are, as in an entry point: ``{"name": "module:attribute"}``.
    """

    def __init__(self, group: str, one: str, own: Mapping[str, str]) -> None:
        self.group, self.one, self.own = group, one, dict(own)

    def names(self) -> list[str]:
        """All names, Sterna's own first."""
        return list(dict.fromkeys([*self.own, *sorted(entry.name for entry in self._entries())]))

    def __contains__(self, name: object) -> bool:
        return name in self.own or any(entry.name == name for entry in self._entries())

    def find(self, name: str) -> Any:
        """The thing of this name.

        Raises
        ------
        RequestError
            If there is none, or its package cannot be imported.
        """
        if name in self.own:
            module, _, attribute = self.own[name].partition(":")
            return getattr(importlib.import_module(module), attribute)
        entry = next((entry for entry in self._entries() if entry.name == name), None)
        if entry is None:
            known = self.names()
            raise RequestError(f"There is no {self.one} {name!r}.{closest(name, known)} Known: {', '.join(known)}.")
        try:
            return entry.load()
        except (ImportError, AttributeError) as error:
            raise RequestError(
                f"The {self.one} {name!r} ({entry.value}) cannot be loaded: {error}; install its package again."
            ) from error

    def _entries(self) -> list[metadata.EntryPoint]:
        return list(metadata.entry_points(group=self.group))
