"""What a request was given, by hashes: a run goes on only with the same weights, rows and labels."""

from __future__ import annotations

import hashlib
from dataclasses import replace

from sterna.domains import Domain
from sterna.methods.method import Method
from sterna.record.request import Fingerprints, Request
from sterna.sources import Source


def identified(request: Request, source: Source | None, domain: Domain, method: Method) -> Request:
    """The request with what was given to it: names, every setting, and hashes of weights, rows and labels."""
    given = Fingerprints(
        source_weights=source.body.weights_fingerprint() if source and source.body else None,
        source_data=data_fingerprint(source.data) if source and source.data else None,
        target_inputs=domain.inputs.fingerprint(),
        target_labels=labels_fingerprint(domain),
        target_splits=", ".join(domain.splits),
        source_splits=", ".join(source.data.splits) if source and source.data else None,
    )
    settings = method.model_dump(mode="json")
    return replace(request, source=source.spec if source else None, target=domain.name, settings=settings, given=given)


def data_fingerprint(domain: Domain) -> str:
    """A hash of inputs and labels."""
    return f"{domain.inputs.fingerprint()}-{labels_fingerprint(domain)}"


def labels_fingerprint(domain: Domain) -> str:
    """A hash of labels, groups, given splits, times and weights, in order."""
    digest = hashlib.blake2b(digest_size=16)
    more = [values for values in (domain.times, domain.weights) if values is not None]
    for values in (domain.labels, domain.groups, *domain.splits.values(), *more):
        digest.update(repr(None if values is None else values.tolist()).encode())
    return digest.hexdigest()
