"""Which controls stand beside a method."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import and_

from sterna.bench import Problem
from sterna.errors import RequestError
from sterna.kinds.kind import kind_of
from sterna.methods.method import Method, Needs, make_method, method_class, method_ids
from sterna.methods.needs import have

ABLATION = "ablation"
"""The control that is the method itself without the knowledge that it moves."""

SCRATCH = "scratch"
"""The control that trains the same network from a random start."""


def control_methods(
    asked: Sequence[str], method: Method, kind: str, have: Needs, *, budgeted: bool = False
) -> tuple[dict[str, Method], dict[str, str]]:
    """The controls of a run, by their ids, and those that are left out with the reason of each.

    Parameters
    ----------
    asked
        Ids, ``["auto"]`` or ``["none"]``.
    have
        What there is: a control that cannot run is left out of ``auto``, and refused where it was asked for.
    budgeted
        Whether a budget bounds each training.

    Raises
    ------
    RequestError
        If an id is unknown, or is not a control.
    """
    if list(asked) == ["none"]:
        return {}, {}
    ablated = method.ablated()
    own = {} if ablated is None or ablated == method else {ABLATION: ablated}
    known = [name for name in method_ids() if _is_control(name) and name != method.id()]
    if list(asked) == ["auto"]:
        left = {name: reason for name in known if (reason := _why_not(name, method, kind, have, budgeted))}
        return {name: make_method(name) for name in _ordered(known) if name not in left} | own, left
    for name in asked:
        if name != ABLATION and not (name in method_ids() and _is_control(name)):
            every = [*filter(_is_control, method_ids()), ABLATION]
            raise RequestError(
                f"control {name!r} is not one of the controls: {', '.join(every)} (or auto, or none alone)."
            )
    if ABLATION in asked and not own:
        raise RequestError(
            f"control {ABLATION!r} is the method without the knowledge it moves, but {method.id()} has no setting that "
            "takes it away; leave this control out."
        )
    chosen = {name: own.get(name) or make_method(name) for name in dict.fromkeys(asked) if name != method.id()}
    return chosen, {name: "not asked for" for name in _ordered([*known, *own]) if name not in chosen}


def _why_not(name: str, method: Method, kind: str, have: Needs, budgeted: bool) -> str:
    """Why a control does not run by itself; empty if it does."""
    missing = method_class(name).needs & ~have
    if missing:
        return f"it needs {missing.lacking()}"
    if name == SCRATCH and kind_of(kind).dear and method.recipe() is None and not budgeted:
        return f"training a network from a random start takes far longer than all else; control={SCRATCH!r} runs it"
    if not method_class(name).needs & ~Needs.TARGET_LABELS and name not in kind_of(kind).controls:
        return f"it is a weak one on {kind_of(kind).noun}; control={name!r} runs it"
    return ""


def _ordered(names: Sequence[str]) -> list[str]:
    """Cheap ones first."""
    order = ("constant", "target-only", "source-only", "pooled", ABLATION)
    return sorted(names, key=lambda name: (name == SCRATCH, order.index(name) if name in order else len(order)))


def _is_control(name: str) -> bool:
    return method_class(name).kind() == "controls"


def without_knowledge(method: Method, control: Method) -> str:
    """One sentence that says what the ablation of a method is."""
    ours, theirs = method.model_dump(), control.model_dump()
    settings = ", ".join(f"{name} = {value:g}" for name, value in theirs.items() if ours[name] != value)
    return f"The control {ABLATION} is {method.id()} with {settings}: without the knowledge that it moves."


def nothing_moves(method: Method) -> list[str]:
    """A sentence where a method learns from the target alone, so that its gain is not that of a transfer."""
    if method.kind() != "controls" or method.needs & ~Needs.TARGET_LABELS:
        return []
    return [f"{method.id()} learns from the target alone: nothing is transferred, so no verdict is given."]


@dataclass(frozen=True)
class Settled:
    """Controls, once it is known what they stand beside.

    Attributes
    ----------
    controls, left_out
        As `control_methods` gives them.
    notes
        What the user should know of them.
    unjudged
        Why no verdict can be given, if none can.
    """

    controls: dict[str, Method]
    left_out: dict[str, str]
    notes: Sequence[str] = ()
    unjudged: Sequence[str] = ()


def settled_controls(
    controls: Mapping[str, Method], left_out: Mapping[str, str], method: Method, chosen: Sequence[Method],
    problems: Sequence[Problem],
) -> Settled:  # fmt: skip
    """The controls of a method that chose another for each draw: none is what was chosen in every draw.

    Parameters
    ----------
    chosen
        What the method chose, or itself, for each draw.
    problems
        As they saw them, each with the source of its draw.
    """
    first, kept, left = chosen[0], dict(controls), dict(left_out)
    if first is method or not kept:
        return Settled(kept, left)
    alike, there = all(each == first for each in chosen), reduce(and_, map(have, problems))
    for name, control in controls.items():
        missing = control.needs & ~there
        if missing or (alike and name == first.id()):
            left[name] = f"it needs {missing.lacking()}" if missing else f"it is what {method.id()} chose"
            del kept[name]
    ablated = first.ablated()
    if not alike or ablated is None or ablated == first or ABLATION in left_out:
        return Settled(kept, left, unjudged=nothing_moves(first) if alike else ())
    return Settled({**kept, ABLATION: ablated}, left, [without_knowledge(first, ablated)])
