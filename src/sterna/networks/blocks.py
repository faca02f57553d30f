"""The blocks of any module in depth order: what can be frozen, cut and looked at, by a name a person can type."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from sterna.networks.pooling import is_one_d
from sterna.networks.tracing import Trace, traced

FEW = 4
"""With fewer blocks than this, the heaviest container is opened."""

NEARLY_ALL = 0.95
"""A unit with this share of all weights is a wrapper, and is opened."""

_PLAIN_NAMES = {"conv_stem": "stem", "conv_head": "head", "last": "last-block"}  # "last" is the body's own features


@dataclass(frozen=True)
class Block:
    """A part of a body.

    Attributes
    ----------
    name
        What a user types, such as ``blocks.4``.
    modules
        Paths of its modules; none lies inside another.
    parameters
        Names of parameters that hang directly on a module around the blocks (class token, positions).
    output
        Path of the module whose output is the block's.
    width
        Width of its pooled output.
    one_d
        Whether its output is ``(n, c, t)``, as one-dimensional convolutions give, not ``(n, t, c)``.
    """

    name: str
    modules: tuple[str, ...]
    parameters: tuple[str, ...]
    output: str
    width: int
    one_d: bool = False


class View(nn.Module):
    """The modules and loose parameters of one block as one module, sharing them; made when asked for."""

    def __init__(self, root: nn.Module, block: Block) -> None:
        super().__init__()
        self.parts = nn.ModuleList([root.get_submodule(path) for path in block.modules])
        for i, name in enumerate(block.parameters):
            self.register_parameter(f"loose{i}", root.get_parameter(name))


def find_blocks(
    module: nn.Module, run: Callable[[], Tensor], width: Callable[[Any, bool], int], frames: int | None = None
) -> tuple[Block, ...]:
    """The blocks of a module in the order they run.

    Parameters
    ----------
    module
        Any module.
    run
        Runs it on an example and gives its features.
    width
        From a module's output, and whether it is one-dimensional, to the width of the pooled output.
    frames
        Of recordings: how many frames the features of the example have, which tells the axis of time.

    Returns
    -------
    tuple of Block
        Every parameter that the features depend on is in exactly one. What never runs, or lies behind the
        features (a classifier, an unused pooler), is in none.
    """
    units, loose = open_units(module)
    trace = traced(module, units, run)
    used = [u for u in units if u in trace.count or _holds(module.get_submodule(u), trace.used)]
    used = [u for u in used if not _size(module.get_submodule(u)) or _is_used(module.get_submodule(u), trace)]
    order = _by_execution(used, trace)
    groups = _grouped(module, order, trace)
    names = {id(p): n for n, p in reversed(list(module.named_parameters()))}
    own = tuple(names[id(p)] for p in loose if not trace.used or id(p) in trace.used)
    if not groups:
        with_root = traced(module, [""], run)
        one_d = is_one_d([module])
        return (Block("body", ("",), (), "", width(with_root.outputs[""], one_d), one_d),)
    found = []
    for i, group in enumerate(groups):
        output = _output_of(module, group, trace)
        one_d = is_one_d([module.get_submodule(path) for path in group], trace.outputs[output], frames)
        size = width(trace.outputs[output], one_d)
        found.append(Block(_name(module, group), tuple(group), own if i == 0 else (), output, size, one_d))
    return tuple(found)


def open_units(module: nn.Module) -> tuple[list[str], list[nn.Parameter]]:
    """Paths of the units a module falls into, in the order of its definition, and the parameters around them."""
    units = [name for name, _ in module.named_children()]
    opened: list[nn.Module] = [module]
    total = max(1, _size(module))
    while True:
        path = _next_to_open(module, units, total)
        if path is None:
            break
        inner = module.get_submodule(path)
        opened.append(inner)
        at = units.index(path)
        units[at : at + 1] = [f"{path}.{name}" for name, _ in inner.named_children()]
    seen: set[int] = set()
    loose = []
    for each in opened:
        for parameter in each._parameters.values():
            if parameter is not None and id(parameter) not in seen:
                seen.add(id(parameter))
                loose.append(parameter)
    return units, loose


def _next_to_open(module: nn.Module, units: Sequence[str], total: int) -> str | None:
    parts = [(path, module.get_submodule(path)) for path in units]
    for path, part in parts:
        if not _runs(part) and list(part.children()):
            return path
    heavy = [(path, part) for path, part in parts if _weights(part)]
    for path, part in heavy:
        if _size(part) >= NEARLY_ALL * total and _opens(part):
            return path
    if len(heavy) >= FEW:
        return None
    candidates = [(path, part) for path, part in heavy if _opens(part) and _holds_a_row(part)]
    return max(candidates, key=lambda pair: _size(pair[1]))[0] if candidates else None


def _runs(module: nn.Module) -> bool:
    """Whether a module has a forward of its own (a ModuleList has none)."""
    return type(module).forward is not nn.Module.forward


def _opens(module: nn.Module) -> bool:
    """Whether its children say more than the module does: not where one plain layer has most of the weights."""
    heavy = [child for child in module.children() if _weights(child)]
    own = [p for p in module._parameters.values() if p is not None]
    if not heavy or 2 * sum(p.numel() for p in own) > _size(module):
        return False
    heaviest = max(heavy, key=_size)
    if isinstance(module, nn.Sequential):
        return len(heavy) > 1 or bool(list(heaviest.children()))
    return bool(list(heaviest.children()))


def _holds_a_row(module: nn.Module) -> bool:
    """Whether most of its weights lie in a row of parts, one after the other."""
    while True:
        if isinstance(module, nn.Sequential) or not _runs(module):
            return True
        children = sorted(module.children(), key=_size)
        if not children or 2 * _size(children[-1]) < _size(module):
            return False
        module = children[-1]


def _by_execution(units: Sequence[str], trace: Trace) -> list[str]:
    """Units by their first call; one whose weights are used without a call stays behind its neighbour."""
    keys: dict[str, tuple[int, int]] = {}
    before = -1
    for place, unit in enumerate(units):
        before = trace.first.get(unit, before)
        keys[unit] = (before, place)
    return sorted(units, key=lambda unit: keys[unit])


def _grouped(module: nn.Module, order: Sequence[str], trace: Trace) -> list[list[str]]:
    """A block starts at each unit with weights that is called; norms and the like belong to the block before them."""
    groups: list[list[str]] = []
    waiting: list[str] = []
    for path in order:
        if path in trace.count and _weights(module.get_submodule(path)):
            groups.append([*waiting, path])
            waiting = []
        elif groups:
            groups[-1].append(path)
        else:
            waiting.append(path)
    if not groups and any(path in trace.count and _size(module.get_submodule(path)) for path in waiting):
        groups.append(waiting)
    return groups


def _output_of(module: nn.Module, group: Sequence[str], trace: Trace) -> str:
    """The last of its modules to run.

    One that is called in several places says nothing of this block. Rows of tokens are taken before a pooling step, so
    that they are pooled like those of every other block.
    """
    called = [path for path in group if path in trace.count]
    once = [path for path in called if trace.count[path] == 1 or _weights(module.get_submodule(path))] or called
    tokens = [path for path in once if isinstance(trace.outputs[path], Tensor) and trace.outputs[path].ndim == 3]
    return max(tokens or once, key=lambda path: trace.last[path])


def _name(module: nn.Module, group: Sequence[str]) -> str:
    path = next((path for path in group if _weights(module.get_submodule(path))), group[0])
    return _PLAIN_NAMES.get(path, path)


def _is_used(part: nn.Module, trace: Trace) -> bool:
    return not trace.used or _holds(part, trace.used)


def _holds(part: nn.Module, ids: set[int]) -> bool:
    return any(id(p) in ids for p in part.parameters())


def _weights(part: nn.Module) -> bool:
    """Whether it has weights proper (matrices, filters), not only scales and shifts."""
    return any(p.ndim > 1 for p in part.parameters())


def _size(part: nn.Module) -> int:
    return sum(p.numel() for p in part.parameters())
