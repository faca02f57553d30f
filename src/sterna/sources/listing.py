"""Which sources there are."""

from __future__ import annotations

import importlib.util
from typing import NamedTuple

from sterna.errors import RequestError
from sterna.sources import packaged
from sterna.sources.catalogue import FORMS, Form, packaged_names

MISSING = "(not installed: pip install 'sterna[demo]')"
"""What the note of a packaged source ends with whose package is not there."""


class Listed(NamedTuple):
    """One line of the list.

    Attributes
    ----------
    spec
        What to type; a part in ``<>`` is to be filled in.
    kind
        The kind of inputs it takes: ``images``, ``text``, ``table`` or ``any``.
    note
        What it is, and what is missing to use it.
    """

    spec: str
    kind: str
    note: str


def list_sources() -> list[Listed]:
    """List the packaged sources, which need no download, then the forms that other sources are named by.

    Returns
    -------
    list of Listed
        ``(spec, kind, note)`` each; nothing is loaded or downloaded for it.
    """
    named = [form for form in forms() if form.spec != packaged.FORM.shown]  # each of those has a line of its own
    return [*(_listed(name) for name in packaged_names()), *named]


def forms() -> list[Listed]:
    """The forms that sources are named by, packaged ones among them."""
    found = []
    for name in FORMS.names():
        try:
            form: Form = FORMS.find(name)
        except RequestError as error:
            found.append(Listed(f"{name}/<name>", "any", str(error)))
        else:
            found.append(Listed(form.shown, form.kind, form.note))
    return found


def _listed(name: str) -> Listed:
    spec = f"packaged/{name}"
    try:
        loader = packaged.find(name)
    except RequestError as error:
        return Listed(spec, "any", str(error))
    note = str(getattr(loader, "note", "") or (loader.__doc__ or "").strip().partition("\n")[0])
    package = getattr(loader, "package", None)
    if package and importlib.util.find_spec(package) is None:
        note += f" {MISSING}"
    return Listed(spec, str(getattr(loader, "kind", "any")), note)


def packaged_for(kind: str) -> list[str]:
    """The specs of the packaged sources that take this kind of data, those that are installed first."""
    found = [each for each in map(_listed, packaged_names()) if each.kind == kind]
    return [each.spec for each in sorted(found, key=lambda each: MISSING in each.note)]
