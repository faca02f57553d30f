"""load_source(): from what a user types to a Source."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from sterna.errors import RequestError, closest
from sterna.files import user_path
from sterna.networks.trust import functions_named
from sterna.preparations.image import ImagePreparation
from sterna.sources import module
from sterna.sources.catalogue import FORMS, Asked, Form, packaged_names
from sterna.sources.listing import forms
from sterna.sources.source import Source, works_with

if TYPE_CHECKING:
    from torch import nn

    from sterna.domains import Preparation


def load_source(
    spec: str | Path | nn.Module,
    *,
    image_size: int | None = None,
    architecture: str | None = None,
    preparation: Preparation | None = None,
    trust: Collection[str] = (),
) -> Source:
    """Load what is already known.

    Parameters
    ----------
    spec
        ``timm/<name>`` (pretrained weights), ``hf/<id or folder>``, ``sentence-transformers/<id or folder>``,
        ``packaged/<name>`` (weights in an installed package), ``file:<path>`` (with `architecture`), ``run:<folder>``
        (an earlier run), a form that an installed package adds, or any ``nn.Module`` that maps a batch to features.
    image_size
        Side of the square that images are prepared at, in pixels, instead of the model's own.
    architecture
        For ``file:``: ``timm:<name>`` or ``module:function``.
    preparation
        How raw inputs become what a module or file takes; the model's own where it is known.
    trust
        Functions that the network of an earlier run may import and call, as ``"module:function"``; without, nothing in
        a run folder runs code.

    Returns
    -------
    Source
        The model without its head, unless the head answers a task (a classifier of texts, a run).

    Raises
    ------
    RequestError
        If the spec is not understood, the weights are not on this machine and cannot be fetched, or do not fit.
    """
    if image_size is not None and not 8 <= image_size <= 4096:
        raise RequestError(f"image_size is {image_size}; a side of 8 to 4096 pixels was expected.")
    source = _load(spec, image_size, architecture, preparation, functions_named(trust))
    _check_weights(source)
    if image_size is None:
        return source
    return _sized(source, image_size)


def _load(
    spec: str | Path | nn.Module, image_size: int | None, architecture: str | None, preparation: Preparation | None,
    trust: tuple[str, ...],
) -> Source:  # fmt: skip
    if not isinstance(spec, (str, Path)):
        return module.load(spec, preparation, image_size)
    text = str(spec)
    name, mark, rest = _parts(text)
    form: Form | None = FORMS.find(name) if rest and name in FORMS else None
    bare = form is not None and form.bare
    if architecture is not None and not bare:
        raise RequestError(f"architecture= says what the weights of a file belong to, but the source is {text!r}.")
    if preparation is not None and not bare:
        raise RequestError(f"preparation= is for modules and files; {text!r} brings its own.")
    if form is None or (mark == ":" and not form.shown.startswith(f"{name}:")):
        raise _unknown(text)
    return form.load(Asked(rest, text, image_size, architecture, preparation, trust))


def _parts(spec: str) -> tuple[str, str, str]:
    """The form, ``/`` or ``:``, and what comes after."""
    found = re.match(r"([^/:]*)([/:]?)(.*)", spec, re.DOTALL)
    assert found is not None
    return found[1], found[2], found[3]


def _unknown(text: str) -> RequestError:
    """One sentence that names the forms, and what was probably meant."""
    short, shown = text.rpartition("/")[2], [form.spec for form in forms()]
    named = [f"packaged/{name}" for name in packaged_names() if len(short) > 2 and short in name]
    path = user_path(text)
    if (path / "manifest.json").exists():
        guess = f" Did you mean 'run:{text}'?"
    elif path.suffix in (".safetensors", ".pt", ".pth"):
        guess = f" Did you mean 'file:{text}' with architecture=?"
    elif (path / "config.json").exists():
        guess = f" Did you mean 'hf/{text}'?"
    elif path.exists():
        guess = " Labelled data of the source are given as source=load_domain(...)."
    elif named:
        guess = f" Did you mean {' or '.join(map(repr, named))}?"
    else:
        guess = closest(short, packaged_names()) or closest(text, shown)
    return RequestError(f"The source {text!r} is not understood; give one of {', '.join(shown)}.{guess}")


def _check_weights(source: Source) -> None:
    """Refuse a model whose weights are no numbers: trained with too large a learning rate, say, or never loaded."""
    body = source.body
    for name, tensor in () if body is None else (*body.named_parameters(), *body.named_buffers()):
        what = "no values (it is on the device 'meta')" if tensor.is_meta else ""
        if not tensor.is_meta and tensor.is_floating_point() and bool(tensor.isnan().any()):
            what = "values that are no numbers (NaN)"
        if what:
            raise RequestError(
                f"The weights of {source.spec!r} cannot be used: {name.removeprefix('module.')} has {what}; load them "
                "again, or take an earlier checkpoint."
            )


def _sized(source: Source, image_size: int) -> Source:
    if source.preparation is None or source.kind != ImagePreparation.kind:
        raise RequestError(f"image_size is {image_size}, but {source.spec!r} takes {source.kind or 'no images'}.")
    preparation = source.preparation.resized(image_size)
    if preparation is None:
        raise RequestError(
            f"image_size is {image_size}, but {source.spec!r} holds two bodies, each with a size of its own; leave "
            "image_size out."
        )
    if source.body is not None and not works_with(source.body, preparation):
        raise RequestError(
            f"{source.spec!r} does not work on images of {image_size} × {image_size} px; leave image_size out to use "
            "its own size."
        )
    about = {"size": f"{image_size} px, as asked"}
    if "preparation" in source.card:  # what was assumed names the model's own size
        about["preparation"] = re.sub(r"\d+ px", f"{image_size} px", source.card["preparation"])
    return replace(source, preparation=preparation).carded(**about)
