"""Names that a package imports when they are used."""

from __future__ import annotations

import sys
import types

import pytest

from sterna.lazy import lazily


def test_names_are_found_inside_and_outside_the_package_and_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    package = types.ModuleType("nest")
    inside = types.ModuleType("nest.eggs")
    inside.COUNT = 3  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "nest", package)
    monkeypatch.setitem(sys.modules, "nest.eggs", inside)
    found, names = lazily("nest", {"COUNT": "eggs", "join": "os.path"})
    assert found("COUNT") == 3 and vars(package)["COUNT"] == 3
    assert found("join")("a", "b") == "a/b"
    assert {"COUNT", "join", "__name__"} <= set(names()) and names() == sorted(names())
    with pytest.raises(AttributeError, match="module 'nest' has no attribute 'clutch'"):
        found("clutch")
