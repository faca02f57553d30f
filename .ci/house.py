"""``python .ci/house.py [--places]``: measure the house, and end with 1 where a bound is broken.

The bounds: no module in an import cycle, no method that imports another method's file, at most 7 names of the package
a method in the median, no test of the kind of data or of the task and no word of the terminal outside their rooms but
those that `house.toml` lists with a reason, no module over 300 lines. ``--places`` prints every place that counts.
"""

from __future__ import annotations

import ast
import re
import statistics
import sys
import tomllib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
NAMES_A_METHOD = 7
LINES_A_MODULE = 300

KINDS = {"images", "table", "text", "audio"}
TASKS = {"classification", "multilabel", "regression"}
TASK_CLASSES = {"Classification", "MultiLabel", "Regression"}
KIND_BASES = {"Inputs", "Preparation"}
"""Whoever asks whether something is one of their classes asks for its kind."""

_TYPED = re.compile(r"(?<![\w-])--[a-z]")

ROOMS_OF = {"kind": {"domains", "preparations", "kinds"}, "task": {"tasks"}, "option": {"cli"}}
"""Where such a test belongs, and a sentence with ``--label``: elsewhere it says ``label=``, which the terminal's door
translates."""

WHAT = {"kind": "tests of the kind", "task": "tests of the task", "option": "typed options"}


# -- what is there ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Module:
    """One file: its dotted name, its tree and its number of lines."""

    name: str
    path: Path
    tree: ast.Module
    lines: int

    @property
    def room(self) -> str:
        """The folder it is in, or the file itself where it is in none."""
        return room_of(self.name)

    @property
    def is_package(self) -> bool:
        """Whether it is the ``__init__`` of a folder."""
        return self.path.name == "__init__.py"


@dataclass(frozen=True)
class Import:
    """``from module import name`` (no name in ``import module``), known here as `alias`."""

    module: str
    name: str
    alias: str
    for_types: bool


@dataclass(frozen=True, order=True)
class Place:
    """What stands where it may not belong: file, the function it is in, line, and which of `WHAT` it is."""

    path: str
    function: str
    line: int
    what: str


def room_of(name: str) -> str:
    """The second part of a module's dotted name; nothing for the package itself."""
    return name.partition(".")[2].partition(".")[0]


def modules_of(package: Path) -> dict[str, Module]:
    """Every module below a package's folder, by dotted name."""
    found = {}
    for path in sorted(package.rglob("*.py")):
        parts = [package.name, *path.relative_to(package).with_suffix("").parts]
        text = path.read_text(encoding="utf-8")
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        found[name] = Module(name, path, ast.parse(text), len(text.splitlines()))
    return found


def imports_of(module: Module) -> list[Import]:
    """All its imports of its own package, also those inside functions."""
    root, found = module.name.split(".")[0], []
    for node, for_types in _walk(module.tree, False):
        if isinstance(node, ast.Import):
            found += [
                Import(a.name, "", a.asname or a.name, for_types) for a in node.names if a.name.split(".")[0] == root
            ]
        elif isinstance(node, ast.ImportFrom):
            origin = _origin(module, node)
            if origin.split(".")[0] == root:
                found += [Import(origin, a.name, a.asname or a.name, for_types) for a in node.names]
    return found


def _walk(node: ast.AST, for_types: bool) -> Iterator[tuple[ast.AST, bool]]:
    """Every node, and whether it is under ``if TYPE_CHECKING``."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and _last_name(child.test) == "TYPE_CHECKING":
            for part, types in [*((p, True) for p in child.body), *((p, for_types) for p in child.orelse)]:
                yield part, types
                yield from _walk(part, types)
        else:
            yield child, for_types
            yield from _walk(child, for_types)


def _origin(module: Module, node: ast.ImportFrom) -> str:
    """The module that ``from ... import`` names, also a relative one."""
    if not node.level:
        return node.module or ""
    parts = module.name.split(".")
    parts = parts[: len(parts) - node.level + module.is_package]
    return ".".join([*parts, *([node.module] if node.module else [])])


def _last_name(node: ast.AST | None) -> str:
    """``c`` of ``a.b.c``."""
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


# -- cycles -----------------------------------------------------------------------------------------


def graph_of(modules: dict[str, Module]) -> dict[str, set[str]]:
    """Which module needs which when it runs; a name that a package hands on leads to the module it comes from."""
    graph: dict[str, set[str]] = {name: set() for name in modules}
    for module in modules.values():
        for found in imports_of(module):
            if not found.for_types:
                graph[module.name] |= {to for to in _homes(found, modules) if to != module.name}
    return graph


def _homes(found: Import, modules: dict[str, Module]) -> set[str]:
    inner = f"{found.module}.{found.name}"
    if inner in modules:
        return {inner}
    if found.module not in modules:
        return set()
    homes = {found.module}
    if modules[found.module].is_package:
        for again in imports_of(modules[found.module]):  # also those for types: beside them names are handed on lazily
            if again.alias == found.name and again.module != found.module:
                homes.add(again.module)
    return homes & set(modules)


def knots(graph: dict[str, set[str]]) -> list[list[str]]:
    """Groups of two or more modules each of which needs, in the end, every other one; the largest first."""
    reached = {name: _reached(graph, name) for name in graph}
    left, found = set(graph), []
    for name in sorted(graph):
        if name in left:
            knot = {name, *(other for other in reached[name] if name in reached[other])}
            left -= knot
            if len(knot) > 1:
                found.append(sorted(knot))
    return sorted(found, key=lambda knot: (-len(knot), knot))


def _reached(graph: dict[str, set[str]], start: str) -> set[str]:
    seen: set[str] = set()
    waiting = [start]
    while waiting:
        for name in graph[waiting.pop()] - seen:
            seen.add(name)
            waiting.append(name)
    return seen


def rooms_of(knot: Iterable[str]) -> str:
    """The room a knot is in, or those it goes across."""
    return " and ".join(sorted({room_of(name) or "the package itself" for name in knot}))


# -- methods ----------------------------------------------------------------------------------------


def method_files(modules: dict[str, Module]) -> list[Module]:
    """``methods/<kind>/<method>.py``."""
    return [m for m in modules.values() if m.room == "methods" and m.name.count(".") == 3 and not m.is_package]


def used_names(module: Module, modules: dict[str, Module]) -> set[tuple[str, str]]:
    """The names of the package that a file speaks of, each with the module it is imported from.

    Of a module that is imported whole, every name counts that is taken of it.
    """
    found = set()
    for each in imports_of(module):
        whole = each.module if not each.name else f"{each.module}.{each.name}"
        if whole in modules:
            taken = {
                (whole, node.attr)
                for node in ast.walk(module.tree)
                if isinstance(node, ast.Attribute) and ast.unparse(node.value) == each.alias
            }
            found |= taken or {(whole, "")}
        else:
            found.add((each.module, each.name))
    return found


def between_methods(modules: dict[str, Module]) -> list[tuple[str, str]]:
    """Method files that import another method's file."""
    names = {module.name for module in method_files(modules)}
    pairs = {
        (module.name, to)
        for module in method_files(modules)
        for found in imports_of(module)
        for to in _homes(found, modules)
        if to in names and to != module.name
    }
    return sorted(pairs)


# -- tests of the kind of data and of the task ------------------------------------------------------


def kind_classes(modules: dict[str, Module]) -> set[str]:
    """Classes below `Inputs` and `Preparation`, and the prepared items of one kind."""
    bases: dict[str, set[str]] = {}
    for module in modules.values():
        for node in ast.walk(module.tree):
            if isinstance(node, ast.ClassDef):
                named = [base.value if isinstance(base, ast.Subscript) else base for base in node.bases]
                bases.setdefault(node.name, set()).update(map(_last_name, named))
    found = {name for name in bases if name.endswith("Items") and name != "Items"}
    known = set(KIND_BASES)
    while more := {name for name, of in bases.items() if of & known} - known:
        known |= more
    return found | (known - KIND_BASES)


def places_of(module: Module, root: Path, classes: set[str]) -> list[Place]:
    """Every test of the kind of data or of the task in a module, and every option in the words of the terminal."""
    path, found = module.path.relative_to(root).as_posix(), []
    docstrings = {node.value for node in ast.walk(module.tree) if isinstance(node, ast.Expr)}
    for node, function in _in_functions(module.tree, ""):
        for what in ROOMS_OF:
            asks = _is_typed(node) and node not in docstrings if what == "option" else _asks(node, what, classes)
            if module.room not in ROOMS_OF[what] and asks:
                found.append(Place(path, function or "<module>", node.lineno, what))  # type: ignore[attr-defined]
    return found


def _is_typed(node: ast.AST) -> bool:
    """Whether it is a text with an option as it is typed, ``--label``."""
    return isinstance(node, ast.Constant) and isinstance(node.value, str) and bool(_TYPED.search(node.value))


def _in_functions(node: ast.AST, function: str) -> Iterator[tuple[ast.AST, str]]:
    for child in ast.iter_child_nodes(node):
        inner = function
        if isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            inner = f"{function}.{child.name}" if function else child.name
        yield child, inner
        yield from _in_functions(child, inner)


def _asks(node: ast.AST, what: str, classes: set[str]) -> bool:
    words, wanted = (KINDS, classes) if what == "kind" else (TASKS, TASK_CLASSES)
    subjects = ("kind",) if what == "kind" else ("id", "task", "kind")
    if isinstance(node, ast.Compare):
        sides = [node.left, *node.comparators]
        of_type = any(isinstance(side, ast.Call) and _last_name(side.func) == "type" for side in sides)
        if of_type and any(_names(side) & wanted for side in sides):
            return True
        asked = any(_last_name(side) in subjects for side in sides)
        return asked and any(_constants(side) & words for side in sides)
    if isinstance(node, ast.Call) and _last_name(node.func) in ("isinstance", "issubclass") and len(node.args) == 2:
        return bool(_names(node.args[1]) & wanted)
    if isinstance(node, ast.MatchValue):
        return bool(_constants(node.value) & words)
    if isinstance(node, ast.MatchClass):
        return _last_name(node.cls) in wanted
    if isinstance(node, ast.Dict):
        keys = {word for key in node.keys if key is not None for word in _constants(key)}
        return len(keys) > 1 and keys <= words and len(keys) == len(node.keys)
    return False


def _constants(node: ast.AST) -> set[str]:
    """The words that an expression spells out, alone or in a tuple, list or set."""
    parts = node.elts if isinstance(node, (ast.Tuple, ast.List, ast.Set)) else [node]
    return {part.value for part in parts if isinstance(part, ast.Constant) and isinstance(part.value, str)}


def _names(node: ast.AST) -> set[str]:
    """The classes that an expression names: ``A``, ``x.A``, ``(A, B)``, ``A | B``."""
    if isinstance(node, ast.BinOp):
        return _names(node.left) | _names(node.right)
    parts = node.elts if isinstance(node, ast.Tuple) else [node]
    return {_last_name(part) for part in parts}


# -- the house --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Allowed:
    """What may stay in one function, and why."""

    path: str
    function: str
    what: str
    reason: str


@dataclass(frozen=True)
class House:
    """What was measured of a package.

    Parameters
    ----------
    package
        Its folder.
    root
        What paths are relative to.
    allowed
        What may stay outside its room.
    """

    package: Path
    root: Path
    allowed: Sequence[Allowed] = field(default=())

    @cached_property
    def modules(self) -> dict[str, Module]:
        """Every module, by name."""
        return modules_of(self.package)

    @cached_property
    def knots(self) -> list[list[str]]:
        """Modules that import each other in a circle."""
        return knots(graph_of(self.modules))

    @cached_property
    def between_methods(self) -> list[tuple[str, str]]:
        """Which method's file imports which other."""
        return between_methods(self.modules)

    @cached_property
    def names(self) -> dict[str, set[tuple[str, str]]]:
        """Of each method's file, the names of the package it speaks of."""
        return {module.name: used_names(module, self.modules) for module in method_files(self.modules)}

    @cached_property
    def places(self) -> list[Place]:
        """All tests of kind and task, and words of the terminal, outside their rooms."""
        classes = kind_classes(self.modules)
        return sorted(place for module in self.modules.values() for place in places_of(module, self.root, classes))

    def unlisted(self, what: str) -> list[Place]:
        """Those of one sort outside their rooms that no exception speaks of."""
        listed = {(each.path, each.function, each.what) for each in self.allowed}
        return [p for p in self.places if p.what == what and (p.path, p.function, p.what) not in listed]

    @cached_property
    def stale(self) -> list[Allowed]:
        """Exceptions that nothing needs."""
        there = {(place.path, place.function, place.what) for place in self.places}
        return [each for each in self.allowed if (each.path, each.function, each.what) not in there]

    @cached_property
    def long(self) -> list[Module]:
        """Modules over the bound, the longest first."""
        return sorted((m for m in self.modules.values() if m.lines > LINES_A_MODULE), key=lambda m: -m.lines)

    @property
    def names_median(self) -> float:
        """Names a method."""
        return statistics.median([len(found) for found in self.names.values()] or [0])

    def table(self) -> list[tuple[str, str]]:
        """The figures, for people."""
        counts = [len(found) for found in self.names.values()] or [0]
        of = [len({module for module, _ in found}) for found in self.names.values()] or [0]
        tests = [f"{len(self.unlisted(w))} in {len({p.path for p in self.unlisted(w)})} modules" for w in ROOMS_OF]
        listed = Counter(place.what for place in self.places)
        kept = [listed[what] - len(self.unlisted(what)) for what in ROOMS_OF]
        methods = len({module for module, _ in self.between_methods})
        return [
            ("modules in import cycles", f"{sum(map(len, self.knots))} in {len(self.knots)} knots"),
            ("methods that import another's file", f"{methods} of {len(self.names)}"),
            ("names a method, median and most", f"{statistics.median(counts):g}, {max(counts)}"),
            ("modules they come from, median and most", f"{statistics.median(of):g}, {max(of)}"),
            *(
                (f"{name} outside their rooms", f"{n}, and {k} with a reason")
                for name, n, k in zip(WHAT.values(), tests, kept, strict=True)
            ),
            (f"modules over {LINES_A_MODULE} lines", f"{len(self.long)} of {len(self.modules)}"),
            ("lines", f"{sum(module.lines for module in self.modules.values()):,}"),
        ]

    def broken(self) -> list[str]:
        """One sentence for each bound that is broken."""
        said = []
        for knot in self.knots:
            said.append(f"{len(knot)} modules of {rooms_of(knot)} import each other in a circle: {', '.join(knot)}.")
        for module, other in self.between_methods:
            said.append(f"The method's file {module} imports another method's, {other}.")
        if self.names_median > NAMES_A_METHOD:
            said.append(
                f"A method speaks of {self.names_median:g} names of the package in the median; "
                f"at most {NAMES_A_METHOD} are allowed."
            )
        for what, rooms in ROOMS_OF.items():
            if found := self.unlisted(what):
                said.append(
                    f"{len(found)} {WHAT[what]} stand outside {', '.join(sorted(rooms))} (--places names them); put "
                    "the question to the object, write label= for --label, or list it with a reason in .ci/house.toml."
                )
        for each in self.stale:
            said.append(
                f".ci/house.toml lists {WHAT[each.what]} in {each.path}, {each.function}, where there are none; "
                "take it out."
            )
        for long in self.long:
            path = long.path.relative_to(self.root).as_posix()
            said.append(f"{path} has {long.lines} lines; at most {LINES_A_MODULE} are allowed.")
        return said


def read_exceptions(path: Path) -> list[Allowed]:
    """What may stay, from a file of ``[[allowed]]`` tables: path, function, what, reason."""
    if not path.exists():
        return []
    found = tomllib.loads(path.read_text(encoding="utf-8")).get("allowed", [])
    for each in found:
        if set(each) != {"path", "function", "what", "reason"} or each["what"] not in ROOMS_OF or not each["reason"]:
            raise SystemExit(
                f"{path}: an entry has {each}; expected path, function, what ({', '.join(WHAT)}) and reason."
            )
    return [Allowed(**each) for each in found]


def main(arguments: Sequence[str]) -> int:
    """Print the table and what is broken; 1 if something is."""
    if set(arguments) - {"--places"}:
        print("usage: python .ci/house.py [--places]", file=sys.stderr)
        return 2
    house = House(ROOT / "src" / "sterna", ROOT, read_exceptions(Path(__file__).with_suffix(".toml")))
    for name, value in house.table():
        print(f"{name:40} {value}")
    if arguments:
        print()
        for place in house.places:
            print(f"{place.path}:{place.line}: {place.what}, in {place.function}")
        for name, found in sorted(house.names.items(), key=lambda item: -len(item[1])):
            print(f"{name}: {len(found)} names of {len({module for module, _ in found})} modules")
    broken = house.broken()
    print("".join(f"\n{sentence}" for sentence in broken))
    return int(bool(broken))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
