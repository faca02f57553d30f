"""Which method runs where none was asked for: what there is decides."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from sterna.domains import Domain, load_domain
from sterna.domains.given import is_data
from sterna.errors import RequestError, require
from sterna.experiment.classes import matched, renamed
from sterna.experiment.problem import same_task
from sterna.kinds.kind import kind_of
from sterna.methods.journal import opened
from sterna.methods.method import method_class
from sterna.record.request import Request
from sterna.sources import Source, load_source
from sterna.sources.listing import packaged_for
from sterna.sources.source import named
from sterna.tasks import infer_task
from sterna.training.strategy import leads


def with_method(request: Request, sources: Sequence[Source], domain: Domain) -> tuple[Request, tuple[str, ...]]:
    """The request with a method, and one sentence that says which and why if none was asked for."""
    if request.method is not None:
        return request, ()
    if len(sources) > 1:
        method, why = "auto", f"{len(sources)} sources were given"
    else:
        method, why = _fitting(request, sources[0] if sources else None, domain)
    return replace(request, method=method), (f"No method was asked for: {method}, because {why}.",)


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


def _fitting(request: Request, source: Source | None, domain: Domain) -> tuple[str, str]:
    """The method that fits what there is, and why."""
    learns = request.labels != 0
    if source is None:
        return "target-only", f"there is no source; {_offered(domain.kind)}"
    if not learns:
        return "source-only", "labels=0 hides every target label"
    if source.body is not None and source.body.width:
        return "feature-extraction", f"{source.spec} is a model"
    if source.data is None:
        return "target-only", f"{source.spec} has no features to build on; {_offered(domain.kind)}"
    what = _unlike(request, source, source.data, domain)
    if what is None:
        return "pooled", f"{source.data.name} is labelled data like the target's"
    return "target-only", f"{source.data.name} {what}"


def _unlike(request: Request, source: Source, data: Domain, domain: Domain) -> str | None:
    """In what the source's data are not like the target's, and what learns from both all the same."""
    if data.kind != domain.kind:
        return f"holds {kind_of(data.kind).noun}, not {kind_of(domain.kind).noun}"
    task = infer_task(domain, request.task, request.metric)
    known, _ = matched(renamed([source], request.map_classes, task)[0], task)
    same = same_task(known, task)
    if same and data.inputs.covers(domain.inputs):
        return None
    lacks = "lacks columns of the target" if same else "is not labelled as the target is"
    return f"{lacks} (method='joint-training' learns from both)"


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
