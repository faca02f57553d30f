"""Which forms of sources there are, and which packaged ones; other packages add to both."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sterna.registry import Registry

if TYPE_CHECKING:
    from sterna.domains.inputs import Preparation
    from sterna.sources.source import Source


@dataclass(frozen=True, eq=False)
class Asked:
    """A source that is asked for.

    Attributes
    ----------
    name
        What comes after the form.
    spec
        What the user typed.
    image_size, architecture, preparation, trust
        As in :func:`~sterna.sources.load.load_source`.
    """

    name: str
    spec: str
    image_size: int | None = None
    architecture: str | None = None
    preparation: Preparation | None = None
    trust: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Form:
    """One form that sources are named by.

    Attributes
    ----------
    shown
        What to type; a part in ``<>`` is to be filled in: ``"timm/<name>"``. The form is what comes before the ``/``
        or ``:``.
    kind
        The kind of inputs its sources take, or ``"any"``.
    note
        What they are, in a line.
    load
        Gives the source that is asked for.
    bare
        Whether its sources are weights alone, so that an architecture and a preparation may be given with them.
    """

    shown: str
    kind: str
    note: str
    load: Callable[[Asked], Source]
    bare: bool = False


FORMS = Registry(
    "sterna.loaders",
    "form of sources",
    {
        "timm": "sterna.sources.timm:FORM",
        "hf": "sterna.sources.huggingface:FORM",
        "sentence-transformers": "sterna.sources.sentence_transformers:FORM",
        "packaged": "sterna.sources.packaged:FORM",
        "file": "sterna.sources.file:FORM",
        "run": "sterna.sources.run:FORM",
    },
)
"""A :class:`Form` by what stands before the ``/`` or ``:`` in a spec."""

PACKAGED = Registry(
    "sterna.sources",
    "packaged source",
    {
        "efficientnet-lite0": "sterna.sources.packaged:efficientnet_lite0",
        "efficientnet-lite1": "sterna.sources.packaged:efficientnet_lite1",
        "efficientnet-lite2": "sterna.sources.packaged:efficientnet_lite2",
        "minilm-l6": "sterna.sources.packaged:minilm_l6",
    },
)
"""Functions without arguments that give a `Source` whose weights are in an installed package."""


def packaged_names() -> list[str]:
    """The names behind ``packaged/``, installed or not."""
    return sorted(PACKAGED.names())


def offline_hint() -> str:
    """The sources that work without a connection."""
    return f"These need no download: {', '.join('packaged/' + name for name in packaged_names())}."
