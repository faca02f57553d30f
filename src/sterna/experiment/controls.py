"""Which controls stand beside a method, and which of them the headline gain is against."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from sterna.errors import RequestError
from sterna.kinds.kind import kind_of
from sterna.methods.method import Method, Needs, make_method, method_class, method_ids

ABLATION = "ablation"
"""The control that is the method itself without the knowledge that it moves."""


def control_methods(asked: Sequence[str], method: Method, kind: str, have: Needs) -> dict[str, Method]:
    """The controls of a run, by their ids.

    Parameters
    ----------
    asked
        Ids, ``["auto"]`` or ``["none"]``.
    have
        What there is: a control that cannot run is left out of ``auto``, and refused where it was asked for.

    Raises
    ------
    RequestError
        If an id is unknown, or is not a control.
    """
    if list(asked) == ["none"]:
        return {}
    ablated = method.ablated()
    own = {} if ablated is None or ablated == method else {ABLATION: ablated}
    if list(asked) == ["auto"]:
        names = [*kind_of(kind).controls, "source-only", "pooled"]
        names = [n for n in names if n != method.id() and not method_class(n).needs & ~have]
        return {name: make_method(name) for name in names} | own
    for name in asked:
        if name != ABLATION and not (name in method_ids() and _is_control(name)):
            known = [*filter(_is_control, method_ids()), ABLATION]
            raise RequestError(
                f"control {name!r} is not one of the controls: {', '.join(known)} (or auto, or none alone)."
            )
    if ABLATION in asked and not own:
        raise RequestError(
            f"control {ABLATION!r} is the method without the knowledge it moves, but {method.id()} has no setting that "
            "takes it away; leave this control out."
        )
    return {name: own.get(name) or make_method(name) for name in dict.fromkeys(asked) if name != method.id()}


def _is_control(name: str) -> bool:
    return method_class(name).kind() == "controls"


def without_knowledge(method: Method, control: Method) -> str:
    """One sentence that says what the ablation of a method is."""
    ours, theirs = method.model_dump(), control.model_dump()
    settings = ", ".join(f"{name}={value:g}" for name, value in theirs.items() if ours[name] != value)
    return f"The control {ABLATION} is {method.id()} with {settings}: without the knowledge that it moves."


def headline_control(controls: Sequence[str], validation: Mapping[str, float], rows: int) -> tuple[str, str]:
    """The control the headline gain is against, and which labels chose it.

    The best on the validation rows; without any, the first of target-only, source-only and the others.
    """
    if len(controls) == 1:
        return controls[0], "the only control"
    scored = {name: validation[name] for name in controls if not math.isnan(validation.get(name, math.nan))}
    if scored:
        best = max(scored, key=lambda name: scored[name])
        return best, f"validation: {rows} labelled target examples"
    first = next((name for name in ("target-only", "source-only") if name in controls), controls[0])
    return first, "no label: there are no validation rows"
