"""The measures of the house (`.ci/house.py`), on small packages made for them."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest

HOUSE = Path(__file__).parents[2] / ".ci" / "house.py"


@pytest.fixture(scope="module")
def house():
    """The script, as a module."""
    spec = importlib.util.spec_from_file_location("house", HOUSE)
    module = importlib.util.module_from_spec(spec)
    sys.modules["house"] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules["house"]


@pytest.fixture
def built(house, tmp_path):
    """Measures a package ``p`` of these files; a folder without one gets an empty ``__init__``."""

    def make(allowed=(), **files):
        for name, text in files.items():
            path = tmp_path / "p" / (name.replace("__", "/").replace("INIT", "__init__") + ".py")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        for folder in {tmp_path / "p", *(path.parent for path in (tmp_path / "p").rglob("*.py"))}:
            if not (folder / "__init__.py").exists():
                (folder / "__init__.py").touch()
        return house.House(tmp_path / "p", tmp_path, [house.Allowed(**each) for each in allowed])

    return make


# -- cycles -----------------------------------------------------------------------------------------


def test_a_cycle_through_an_import_inside_a_function_is_found(built):
    found = built(room__a="from p.room.b import f\n", room__b="def f():\n    from p.room import a\n    return a\n")
    assert found.knots == [["p.room.a", "p.room.b"]]
    assert found.broken() == ["2 modules of room import each other in a circle: p.room.a, p.room.b."]


@pytest.mark.parametrize("test", ["TYPE_CHECKING", "typing.TYPE_CHECKING"])
def test_what_is_imported_for_types_alone_makes_no_cycle(built, test):
    found = built(a="from p.b import f\n", b=f"if {test}:\n    from p import a\nelse:\n    f = 1\n")
    assert found.knots == [] and found.broken() == []


def test_what_runs_without_type_checking_makes_one(built):
    found = built(a="from p.b import f\n", b="if TYPE_CHECKING:\n    pass\nelse:\n    from p import a\n")
    assert found.knots == [["p.a", "p.b"]]


def test_relative_imports_and_names_that_a_package_hands_on_lead_to_their_modules(built):
    found = built(
        room__INIT="if TYPE_CHECKING:\n    from p.room.a import A as A\n",
        room__a="from .b import B\n",
        room__b="def f():\n    from p.room import A\n    return A\n",
    )
    assert found.knots == [["p.room.a", "p.room.b"]]


def test_knots_across_rooms_say_which_and_the_largest_comes_first(built):
    found = built(
        x__a="import p.y.b\n",
        y__b="import p.y.c\n",
        y__c="import p.x.a\n",
        z__d="import p.z.e\n",
        z__e="import p.z.d\n",
    )  # fmt: skip
    assert found.knots == [["p.x.a", "p.y.b", "p.y.c"], ["p.z.d", "p.z.e"]]
    assert [sentence.split(" import ")[0] for sentence in found.broken()] == ["3 modules of x and y", "2 modules of z"]


def test_a_chain_is_no_cycle(built):
    assert built(a="import p.b\n", b="import p.c\n", c="import os, json\n").knots == []


# -- methods ----------------------------------------------------------------------------------------


def test_names_of_a_method_are_counted_once_each_and_those_of_a_whole_module_as_they_are_used(built):
    found = built(
        methods__one__m="from p.low import A, B\nfrom p import tools\nimport numpy as np\n"
        "def f():\n    from p.low import A\n    return tools.x + tools.y + tools.x\n"
        "if TYPE_CHECKING:\n    from p.other import T\n",
        low="A = B = 1\n",
        tools="x = y = 1\n",
        other="T = 1\n",
        methods__shared="from p.low import A\n",
    )
    assert found.names == {
        "p.methods.one.m": {
            ("p.low", "A"), ("p.low", "B"), ("p.tools", "x"), ("p.tools", "y"), ("p.other", "T"),
        }
    }  # fmt: skip
    table = dict(found.table())
    assert table["names a method, median and most"] == "5, 5"
    assert table["modules they come from, median and most"] == "3, 3"


def test_the_bound_is_on_the_median(built):
    def method(count):
        return f"from p.low import {', '.join(f'n{i}' for i in range(count))}\n"

    found = built(low="", methods__k__a=method(3), methods__k__b=method(7), methods__k__c=method(30))
    assert found.names_median == 7 and found.broken() == []
    found = built(methods__k__b=method(8))
    assert [s for s in found.broken() if "median" in s] == [
        "A method speaks of 8 names of the package in the median; at most 7 are allowed."
    ]


def test_a_method_that_imports_another_s_file_is_named_and_what_methods_share_is_not(built):
    found = built(
        methods__k__a="from p.methods.other.b import f\nfrom p.methods.shared import g\n",
        methods__other__b="def f():\n    pass\n",
        methods__shared="def g():\n    pass\n",
    )
    assert found.between_methods == [("p.methods.k.a", "p.methods.other.b")]
    assert found.broken() == ["The method's file p.methods.k.a imports another method's, p.methods.other.b."]


# -- kind and task ----------------------------------------------------------------------------------

INPUTS = "class Inputs: ...\nclass TableInputs(Inputs): ...\nclass Wide(TableInputs): ...\nclass Sound: ...\n"


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ("x.kind == 'images'", "kind"),
        ("kind not in ('table', 'text')", "kind"),
        ("isinstance(x, TableInputs)", "kind"),
        ("isinstance(x, (int, Wide))", "kind"),
        ("isinstance(x, int | domains.Wide)", "kind"),
        ("type(x) is TableInputs", "kind"),
        ("{'images': 1, 'text': 2}[x]", "kind"),
        ("task.id == 'regression'", "task"),
        ("x.task.id in ('classification', 'multilabel')", "task"),
        ("task != 'multilabel'", "task"),
        ("isinstance(task, Classification)", "task"),
        ("{'multilabel': 1, 'regression': 2}.get(x)", "task"),
        ("a.kind == b.kind", None),
        ("condition.kind == 'missing'", None),
        ("x.name == 'images'", None),
        ("isinstance(x, Inputs)", None),
        ("isinstance(x, Sound)", None),
        ("own.id == task.id", None),
        ("{'images': 1, 'other': 2}", None),
        ("f('images', kind='text')", None),
    ],
)
def test_what_is_a_test_of_kind_or_task(built, line, what):
    found = built(domains__inputs=INPUTS, room__a=f"class C:\n    def f(self, x):\n        return {line}\n")
    assert [(p.path, p.function, p.line, p.what) for p in found.places] == (
        [("p/room/a.py", "C.f", 3, what)] if what else []
    )


def test_a_test_in_its_room_is_where_it_belongs(built):
    asked = "def f(x):\n    return x.kind == 'text', x.id == 'regression'\n"
    found = built(**{f"{room}__a": asked for room in ("domains", "preparations", "kinds", "tasks")})
    assert [(place.path, place.what) for place in found.places] == [
        ("p/domains/a.py", "task"), ("p/kinds/a.py", "task"), ("p/preparations/a.py", "task"), ("p/tasks/a.py", "kind"),
    ]  # fmt: skip


def test_a_listed_test_may_stay_and_a_stale_entry_is_an_error(built):
    entry = {"path": "p/room/a.py", "function": "f", "what": "kind", "reason": "so"}
    code = "def f(x):\n    return x.kind == 'text' or x.kind == 'images'\n"
    found = built([entry], room__a=code)
    assert len(found.places) == 2 and found.unlisted("kind") == [] and found.broken() == []
    assert dict(found.table())["tests of the kind outside their rooms"] == "0 in 0 modules, and 2 with a reason"
    assert built([{**entry, "what": "task"}], room__a=code).broken() == [
        "2 tests of the kind stand outside domains, kinds, preparations (--places names them); put the question to the "
        "object, write label= for --label, or list it with a reason in .ci/house.toml.",
        ".ci/house.toml lists tests of the task in p/room/a.py, f, where there are none; take it out.",
    ]


@pytest.mark.parametrize(
    ("line", "found"),
    [("say('give --label')", 1), ("say(f'{x}: --out {x}')", 1), ("say('a -- b, x--y, ---', 'label=')", 0)],
)
def test_a_sentence_outside_the_command_line_that_speaks_its_words_is_named(built, line, found):
    code = f'def f(x):\n    """With ``--label``."""\n    {line}\n'
    house = built(room__a=code, cli__b=code)
    assert [(p.path, p.line, p.what) for p in house.places] == [("p/room/a.py", 3, "option")] * found


def test_an_entry_without_a_reason_is_refused(house, tmp_path):
    path = tmp_path / "house.toml"
    assert house.read_exceptions(path) == []
    path.write_text('[[allowed]]\npath = "a.py"\nfunction = "f"\nwhat = "kind"\nreason = "so"\n')
    assert house.read_exceptions(path) == [house.Allowed("a.py", "f", "kind", "so")]
    path.write_text('[[allowed]]\npath = "a.py"\nfunction = "f"\nwhat = "kind"\nreason = ""\n')
    with pytest.raises(SystemExit, match="expected path, function, what"):
        house.read_exceptions(path)


# -- lines ------------------------------------------------------------------------------------------


def test_modules_over_the_bound_are_named_and_all_lines_are_counted(built):
    found = built(a="x = 1\n" * 300, b="x = 1\n" * 301)
    assert found.broken() == ["p/b.py has 301 lines; at most 300 are allowed."]
    assert dict(found.table())["lines"] == "601" and dict(found.table())["modules over 300 lines"] == "1 of 3"
