"""Which controls stand beside a method."""

from __future__ import annotations

from collections.abc import Sequence

from sterna.errors import RequestError
from sterna.kinds.kind import kind_of
from sterna.methods.method import Method, Needs, make_method, method_class, method_ids

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
