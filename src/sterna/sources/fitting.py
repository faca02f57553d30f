"""Weights of a file and the names of an architecture: which belong to which, whatever was wrapped around them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sterna.errors import RequestError, closest
from sterna.sources.weights import Weights, plain, sort_of, usual

if TYPE_CHECKING:
    from torch import nn

WRAPPERS = frozenset(
    {"module", "_orig_mod", "_fsdp_wrapped_module", "_fpw_module", "_checkpoint_wrapped_module", "_forward_module"}
)
"""Parts of names that DataParallel, torch.compile, FSDP, activation checkpointing and Fabric put in, anywhere."""

SIDE_HEADS = frozenset(
    {
        "head", "heads", "fc", "classifier", "classif", "logits", "linear", "last_linear", "output", "output_layer",
        "_fc", "aux_classifier", "projection_head", "projector", "predictor", "mlp_head", "cls", "pooler", "head_dist",
        "head_drop", "score", "lm_head", "AuxLogits", "aux1", "aux2",
    }
)  # fmt: skip
"""What heads are called that a file may hold beside all of an architecture's weights."""

_COUNTS = ("num_batches_tracked", "n_averaged", "num_updates", "decay", "initted", "step")
"""What batch normalisation and averages of weights keep to count by; a file may lack them, or have more of them."""

_SHOWN = 3


@dataclass(frozen=True)
class Fitted:
    """Weights of a file under an architecture's own names.

    Attributes
    ----------
    weights
        The tensors by the architecture's names.
    shapes
        Names whose tensors have another shape than the architecture's.
    notes
        What was done on the way, for the source's card.
    """

    weights: Weights
    shapes: tuple[str, ...] = ()
    notes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class _Place:
    """One place in a file where the network may be.

    Attributes
    ----------
    path
        What stands before its names: the path of its entry, and a prefix.
    names
        The file's name of each of the architecture's weights that is there.
    others
        What else is there, by the file's names: the names after the prefix.
    weights
        Of its entry, by the file's names.
    """

    path: str = ""
    names: Mapping[str, str] = field(default_factory=dict)
    others: Mapping[str, str] = field(default_factory=dict)
    weights: Weights = field(default_factory=dict)

    def misshapen(self, goal: Weights, head: str | None) -> list[str]:
        """Names whose tensors have another shape than those of the goal, but for the head."""
        return [n for n, r in self.names.items() if self.weights[r].shape != goal[n].shape and not _within(n, head)]


def fit(
    network: nn.Module, entries: Mapping[str, Weights], spec: str, architecture: str, *, head: str | None = None,
    other_shapes: bool = False, hint: str = "",
) -> Fitted:  # fmt: skip
    """The weights of a file that belong to a network.

    Parameters
    ----------
    network
        Says the names and shapes; stays as it is.
    entries
        The state dicts of the file, by their paths.
    spec, architecture
        What the user typed, for messages.
    head
        The part of the network that is taken off afterwards: its weights may be missing, or have another shape.
    other_shapes
        Whether weights of another shape are given back instead of refused.
    hint
        More for the message about misfits.

    Raises
    ------
    RequestError
        Names how many weights do not fit, and the first of them; or the places where the network is, if there are
        several and none is the usual one.
    """
    goal = network.state_dict()
    ties = _ties(goal)

    def missing(place: _Place) -> list[str]:
        there = set(place.names)
        lacking = [name for name in goal if name not in there and not _counts(name)]
        return [name for name in lacking if not _within(name, head) and not ties[name] & there]

    places = _places(entries, goal)
    whole = [place for place in places if not missing(place)]
    whole = [place for place in whole if not place.misshapen(goal, head)] or whole
    best = _usual_one(whole, spec) if whole else max(places, key=lambda each: len(each.names), default=_Place())
    twins = [place for place in whole if place is not best]
    lacking, wrong = missing(best), best.misshapen(goal, head)
    foreign, heads = _beside(best, twins)
    problems = []
    if lacking:
        problems.append(f"{len(lacking)} of its {len(goal)} weights are not in the file ({few(lacking)})")
    if wrong:
        shown = [f"{n} {tuple(best.weights[best.names[n]].shape)} instead of {tuple(goal[n].shape)}" for n in wrong]
        problems.append(f"{len(wrong)} have another shape ({few(shown)})")
    if foreign:
        problems.append(f"the file has {len(foreign)} weights that it lacks ({few(foreign)})")
    odd = [n for n, r in best.names.items() if not plain(best.weights[r], goal[n])]
    if odd:
        kind = sort_of(best.weights[best.names[odd[0]]])
        problems.append(f"{len(odd)} are {kind} instead of plain floating-point numbers ({few(odd)})")
    apart = [] if odd or wrong else _apart(best, ties)
    if apart:
        problems.append(f"{' and '.join(apart)} are one tensor in it, and two different ones in the file")
    if lacking or foreign or odd or apart or (wrong and not other_shapes):
        out = "name the architecture that they were saved from"
        if foreign and not lacking and not wrong:
            out = "leave what is no part of it out of the file, or name the whole architecture"
        if odd:
            out = "save them as plain tensors of float32"
        raise RequestError(
            f"The weights of {spec!r} do not fit the architecture {architecture!r}: {'; '.join(problems)}; {out}.{hint}"
        )
    found = {name: best.weights[raw] for name, raw in best.names.items()}
    found |= {
        name: found[min(ties[name] & set(found))] for name in goal if name not in found and ties[name] & set(found)
    }
    kept = {name: t for name, t in found.items() if name in wrong or t.shape == goal[name].shape}
    return Fitted(kept, tuple(wrong), _notes(best, twins, entries, heads, spec))


def entry_of(entries: Mapping[str, Weights], name: str, spec: str) -> dict[str, Weights]:
    """What stands in a file under a name: an entry, entries below it, or weights whose names begin with it.

    Raises
    ------
    RequestError
        If there is nothing of the name; those that there are, are named.
    """
    found: dict[str, Weights] = {}
    start = f"{name}."
    for path, weights in entries.items():
        for key, tensor in weights.items():
            whole = f"{path}.{key}" if path else key
            if f"{path}.".startswith(start):
                found.setdefault(path, {})[key] = tensor
            elif whole.startswith(start):
                found.setdefault(name, {})[whole.removeprefix(start)] = tensor
    if not found:
        first = {key.partition(".")[0] for key in entries.get("", {})}
        known = sorted({path for path in entries if path} | first)
        raise RequestError(f"{spec!r} has no entry {name!r}.{closest(name, known)} Its entries: {few(known, 12)}.")
    return found


def _places(entries: Mapping[str, Weights], goal: Weights) -> list[_Place]:
    """The places in a file where at least half as many of the goal's names stand as where most of them do."""
    plain = _without_wrappers(goal)
    wanted = set(plain.values())
    counts: Counter[tuple[str, str]] = Counter()
    shorts = {path: _without_wrappers(weights) for path, weights in entries.items()}
    for path, short in shorts.items():
        for name in short.values():
            parts = name.split(".")
            for cut in range(len(parts)):
                if ".".join(parts[cut:]) in wanted:
                    counts[path, ".".join(parts[:cut])] += 1
    most = max(counts.values(), default=0)
    found = []
    for (path, prefix), count in counts.items():
        if count < most / 2:
            continue
        start = f"{prefix}." if prefix else ""
        raw = {name.removeprefix(start): full for full, name in shorts[path].items() if name.startswith(start)}
        names = {name: raw[short] for name, short in plain.items() if short in raw}
        others = {full: short for short, full in raw.items() if short not in wanted}
        found.append(_Place(".".join(p for p in (path, prefix) if p), names, others, entries[path]))
    return found


def _without_wrappers(names: Iterable[str]) -> dict[str, str]:
    """Each name without the parts that wrappers put in, where all stay distinct."""
    names = list(names)
    for wrappers in (WRAPPERS, WRAPPERS - {"module"}):
        short = {name: ".".join(part for part in name.split(".") if part not in wrappers) for name in names}
        if len(set(short.values())) == len(names):
            return short
    return {name: name for name in names}


def _usual_one(whole: Sequence[_Place], spec: str) -> _Place:
    """The most usual of several places."""
    ranked = sorted(whole, key=lambda each: usual(each.path))
    if len(ranked) > 1 and usual(ranked[0].path) == usual(ranked[1].path):
        places = [repr(f"{each.path}.") for each in ranked]
        ways = [repr(_way(spec, each)) for each in ranked[:_SHOWN]]
        raise RequestError(
            f"{spec!r} holds the network {len(ranked)} times (under {few(places)}), and which one is meant cannot be "
            f"told; give {' or '.join(ways)}."
        )
    return ranked[0]


def _way(spec: str, place: _Place) -> str:
    """What to type for the network at a place."""
    return f"{spec.partition('#')[0]}#{place.path}"


def _ties(goal: Weights) -> dict[str, set[str]]:
    """Of each name the others that are the same memory: tied weights, of which a file may hold one."""
    memory = {n: (t.data_ptr(), t.shape, t.stride()) if t.numel() else n for n, t in goal.items()}
    places: dict[object, set[str]] = {}
    for name, place in memory.items():
        places.setdefault(place, set()).add(name)
    return {name: places[memory[name]] - {name} for name in goal}


def _apart(best: _Place, ties: Mapping[str, set[str]]) -> list[str]:
    """Two names that an architecture ties, under which a file holds different values; none otherwise."""
    for name, raw in best.names.items():
        for other in sorted(ties[name] & set(best.names)):
            if not best.weights[raw].equal(best.weights[best.names[other]]):
                return [name, other]
    return []


def _beside(best: _Place, twins: Sequence[_Place]) -> tuple[list[str], list[str]]:
    """What stands beside the network and is no copy of it: weights of something else, and heads by their names."""
    copies = {raw for twin in twins for raw in (*twin.names.values(), *twin.others)} - set(best.names.values())
    rest = [n for raw, n in best.others.items() if raw not in copies and not _counts(n)]
    heads = [name for name in rest if name.split(".")[0] in SIDE_HEADS]
    return [name for name in rest if name not in heads], heads


def _notes(
    best: _Place, twins: Sequence[_Place], entries: Mapping[str, Weights], heads: Sequence[str], spec: str
) -> dict[str, str]:
    notes = {}
    name, raw = next(iter(best.names.items()), ("", ""))
    if raw != name and raw.endswith(f".{name}"):
        notes["prefix"] = f"{raw.removesuffix(name)!r} taken off the weights' names"
    inner = {part for n, r in best.names.items() if not r.endswith(n) for part in r.split(".") if part in WRAPPERS}
    if inner:
        notes["wrappers"] = f"{few(sorted(inner))} taken out of the weights' names"
    if heads:
        notes["left out"] = f"heads of the file: {few(sorted({each.split('.')[0] for each in heads}))}"
    if twins:
        taken = repr(best.path) if best.path else "what stands without a prefix"
        ways = [_way(spec, each) for each in twins if each.path]
        notes["entry"] = f"{taken} taken; the file holds the network also as {few(ways, 12)}"
    elif best.path and len(entries) > 1:
        notes["entry"] = f"{best.path!r} taken"
    return notes


def _counts(name: str) -> bool:
    return name.rpartition(".")[2] in _COUNTS


def _within(name: str, part: str | None) -> bool:
    return part is not None and name.startswith(f"{part}.")


def few(names: Sequence[str], shown: int = _SHOWN) -> str:
    """The first of some names."""
    more = len(names) > shown
    return "first: " * more + ", ".join(names[:shown]) + ", ..." * more
