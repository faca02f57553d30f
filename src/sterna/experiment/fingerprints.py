"""What a request was given, by hashes: a run goes on only with the same weights, rows and labels."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace

from sterna.domains import Domain
from sterna.methods.method import Method
from sterna.record.given import Fingerprints
from sterna.record.request import Request
from sterna.sources import Source


def identified(request: Request, sources: Sequence[Source], domain: Domain, method: Method) -> Request:
    """The request with what was given to it: names, every setting, and hashes of weights, rows and labels."""
    bodies, data = [each.body for each in sources if each.body], [each.data for each in sources if each.data]
    given = Fingerprints(
        source_weights=", ".join(body.weights_fingerprint() for body in bodies) or None,
        source_data=", ".join(map(data_fingerprint, data)) or None,
        target_inputs=domain.inputs.fingerprint(),
        target_labels=labels_fingerprint(domain),
        target_splits=", ".join(domain.splits),
        source_splits=", ".join(name for each in data for name in each.splits) if data else None,
    )
    settings = method.model_dump(mode="json")
    specs = tuple(source.spec for source in sources)
    return replace(request, source=specs, target=domain.name, settings=settings, given=given)


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
