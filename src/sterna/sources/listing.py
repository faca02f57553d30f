"""Which sources there are."""

from __future__ import annotations

import importlib.util
from typing import NamedTuple

from sterna.errors import RequestError
from sterna.sources import packaged


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


_FORMS = (
    Listed("timm/<name>", "images", "pretrained weights of the timm library, such as timm/resnet50.a1_in1k"),
    Listed("hf/<id or folder>", "any", "encoder of texts, images or speech, or classifier, in the Hugging Face format"),
    Listed("sentence-transformers/<id or folder>", "text", "sentence encoder with its own pooling"),
    Listed("file:<path>", "any", ".safetensors, .pt or .pth, with --architecture timm:<name> or module:function"),
    Listed("run:<folder>", "any", "the network of an earlier run"),
)


def packaged_names() -> list[str]:
    """The names behind ``packaged/``."""
    return packaged.names()


def list_sources() -> list[Listed]:
    """List the packaged sources, which need no download, then the forms that other sources are named by.

    Returns
    -------
    list of Listed
        ``(spec, kind, note)`` each; nothing is loaded or downloaded for it.
    """
    return [*(_listed(name) for name in packaged_names()), *_FORMS]


def _listed(name: str) -> Listed:
    spec = f"packaged/{name}"
    try:
        loader = packaged.find(name)
    except RequestError as error:
        return Listed(spec, "any", str(error))
    note = str(getattr(loader, "note", "") or (loader.__doc__ or "").strip().partition("\n")[0])
    package = getattr(loader, "package", None)
    if package and importlib.util.find_spec(package) is None:
        note += " (not installed: pip install 'sterna[demo]')"
    return Listed(spec, str(getattr(loader, "kind", "any")), note)
