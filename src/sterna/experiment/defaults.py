"""What runs where no method was asked for, and what a source is made of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from sterna.domains import Domain, load_domain
from sterna.domains.given import is_data
from sterna.errors import RequestError, listed, require
from sterna.kinds.kind import kind_of
from sterna.methods.journal import opened
from sterna.methods.method import method_class, method_ids
from sterna.record.request import Request
from sterna.sources import Source, load_source
from sterna.sources.listing import packaged_for
from sterna.sources.source import named
from sterna.training.strategy import leads


def with_method(request: Request, sources: Sequence[Source], domain: Domain) -> tuple[Request, tuple[str, ...]]:
    """The request with a method, and a sentence that says so if none was asked for."""
    if request.method is not None:
        return request, ()
    for name in request.settings:
        having = [each for each in method_ids() if name in method_class(each).model_fields]
        if having and "auto" not in having:
            raise RequestError(
                f"No method was asked for, and auto, which runs then, has no setting {name!r}; name the method that "
                f"has it: {listed(having, between=' or ')}."
            )
    said = "No method was asked for: auto tries what fits and takes the best."
    if not sources:
        said += f" There is no source; {_offered(domain.kind)}."
    return replace(request, method="auto"), (said,)


def budgeted(request: Request) -> Request:
    """The request with its budget and trials among the settings of the method, which must be one that tries others."""
    more = {name: value for name in ("budget", "trials") if (value := getattr(request, name))}
    settings = {**request.settings, **more}
    searches = bool(settings.get("trials"))
    if request.storage is not None and not searches:
        raise RequestError("storage= is where a search for settings keeps what did best, but trials= asks for none.")
    if not more and not searches and request.on_interrupt == "resume":
        return request
    if not method_class(request.chosen).several:
        if searches:
            raise RequestError(
                f"trials={settings['trials']} is for the method auto, which searches settings, but the method is "
                f"{request.chosen}; settings= gives it others."
            )
        if request.budget is None:
            raise RequestError(
                f"on_interrupt={request.on_interrupt!r} is for the method auto, which tries others, but the method is "
                f"{request.chosen}; leave it out."
            )
        raise RequestError(
            f"budget={request.budget:g} is what the method auto may spend on trying, but the method is "
            f"{request.chosen}; seconds=, steps= or epochs= bound a training."
        )
    if searches:
        require("optuna", "tune")
        if request.storage is not None and leads():
            opened(request.storage)  # before anything is tried
    return replace(request, settings=settings)


def _offered(kind: str) -> str:
    """A source that anybody has, by the kind of data."""
    specs, called = packaged_for(kind), kind_of(kind).noun
    if specs:
        return f"source={specs[0]!r} is a model for {called} that needs no download"
    return f"no model for {called} is packaged, but labelled data of a related domain can be a source, too"


def sources_of(source: Any, label: str | None, weight: str | None, target: Domain) -> list[Source]:
    """The source, or each of a list of them; none where it is ``None``."""
    several = isinstance(source, list | tuple) and not any(isinstance(each, dict | list | tuple) for each in source)
    found = [source_of(each, label, weight, target) for each in (source if several else [source]) if each is not None]
    return named(found)


def source_of(source: Any, label: str | None, weight: str | None, target: Domain) -> Source:
    """The source as a :class:`Source`: labelled data become one without a model."""
    if isinstance(source, Source):
        return source
    if not is_data(source):
        return load_source(source)
    columns = getattr(source, "columns", ())
    group, weight = (name if name in columns else None for name in (target.reading.get("group"), weight))
    schema, forms = (target.reading.get(name) for name in ("schema", "forms"))
    data = load_domain(source, label=label, group=group, weight=weight, schema=schema, forms=forms)
    return Source(spec=data.name, data=data)
