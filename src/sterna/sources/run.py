"""`run:<folder>`: the network of an earlier run."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from sterna.errors import RequestError, closest
from sterna.files import user_path
from sterna.leftovers import sweep
from sterna.sources.catalogue import Form
from sterna.sources.source import Source, parameters

if TYPE_CHECKING:
    from sterna.record.record import Record


def load(folder: str, spec: str, trust: Collection[str] = ()) -> Source:
    """Load the network of a run folder: its body with what it learnt, and its head with the task it answers.

    Parameters
    ----------
    folder
        The run folder.
    spec
        What the user typed.
    trust
        Functions that the network may import and call, as ``module:function``.

    Raises
    ------
    RequestError
        If there is no such folder, it holds no whole network, or one that asks for a function that is not trusted.
    """
    from torch import nn

    from sterna.domains.learnt import LEARNT, read_learnt
    from sterna.networks.saved import load_network
    from sterna.record.hashes import MANIFEST, check_hash, check_network
    from sterna.record.record import read_record

    path = user_path(folder)
    sweep(path.absolute().parent)
    if not path.is_dir():
        near = closest(path.name, [p.name for p in path.parent.iterdir() if p.is_dir()]) if path.parent.is_dir() else ""
        raise RequestError(f"There is no run folder {str(path)!r}.{near}")
    record = read_record(path / MANIFEST) if (path / MANIFEST).exists() else None  # a saved network alone has none
    if record is not None:
        check_network(path, record.files)
        check_hash(path, LEARNT, record.files, MANIFEST)
    inner = path / "network"
    network = load_network(inner if inner.is_dir() else path, trust)
    mapped = not isinstance(network.map, nn.Identity)
    head = nn.Sequential(network.map, network.head) if mapped else network.head
    card = {"origin": f"run {path.name}", "parameters": parameters(network.body), **_told(record)}
    learnt = read_learnt(path)
    return Source(
        spec, network.body, network.preparation, head, network.task, card=card, views=network.views, learnt=learnt
    )


def _told(record: Record | None) -> dict[str, str]:
    """What the run's record says of where the knowledge came from."""
    if record is None:
        return {}
    card = {"method": record.method, "target": record.target.name}
    if record.source:
        card["source"] = record.source.spec
        card |= {name: str(value) for name, value in record.source.card.items() if name == "licence"}
    return card


FORM = Form(
    "run:<folder>", "any", "the network of an earlier run", lambda asked: load(asked.name, asked.spec, asked.trust)
)
