"""What a transfer can be asked: once, for Python, the command line, YAML and request.json."""

import inspect
import json
from dataclasses import FrozenInstanceError, fields, replace
from pathlib import Path
from typing import get_type_hints

import pytest
import typer

from sterna import RequestError, transfer
from sterna.cli.commands import app
from sterna.cli.wording import in_terminal
from sterna.record.given import Fingerprints
from sterna.record.request import Request, begun_with, options, read_request

OLD = Path(__file__).parent / "format1"


def test_the_keywords_of_transfer_are_the_options_that_do_not_say_how_data_are_read():
    """Those of data and source are arguments of ``load_domain`` and ``load_source``, but for columns of DataFrames."""
    keywords = inspect.signature(transfer).parameters
    asked = {name for name, about in options().items() if about.use != "reading"}
    assert set(keywords) == asked | {"source", "target", "progress", "label", "weight"}
    for each in fields(Request):
        if each.name in asked - {"settings", "control", "map_classes"}:
            assert keywords[each.name].default == each.default, each.name
    assert keywords["settings"].default is None and (keywords["control"].default,) == Request().control
    ours, theirs = get_type_hints(Request), get_type_hints(transfer)
    plain = asked - {"settings", "map_classes", "control", "curve", "out"}  # which take more than the field holds
    assert {name: theirs[name] for name in plain} == {name: ours[name] for name in plain}


def test_the_command_has_an_option_for_each_field():
    command = typer.main.get_command(app).commands["transfer"]
    own = {"target", "config", "json", "quiet", "debug"}
    assert [p.name for p in command.params if p.name not in own] == list(options())
    by_name = {p.name: p for p in command.params}
    for name, about in options().items():
        assert (by_name[name].help, by_name[name].rich_help_panel) == (in_terminal(about.help), about.panel)
        assert f"--{about.flag or name.replace('_', '-')}" in by_name[name].opts


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"seeds": 0}, "seeds=0; expected a number above zero."),
        ({"seconds": -1.5}, "seconds=-1.5; expected a number above zero."),
        ({"epochs": "3"}, "epochs='3'; expected a number above zero."),
        ({"labels": -1}, "labels=-1; expected 0 (hide all) or more."),
        ({"seed": -1}, "seed=-1; expected 0 or more."),
        ({"labels": 5, "labels_per_class": 2},
         "labels= and labels_per_class= both limit the labels; give one of them."),
        ({"curve": (5,), "labels": 2},
         "curve= sets the labels a class of each run; leave out labels= and labels_per_class=."),
        ({"curve": (-1, 5)}, "curve=[-1, 5]; expected numbers of labels a class, 0 or more."),
        ({"curve": (5, 5)}, "curve=[5, 5]; name each number of labels once."),
        ({"image_size": 96}, "image_size=96 is for a source, but none is given; add source=."),
        ({"source_domain": ("a",), "target_domain": "a"},
         "source_domain= and target_domain= are both 'a'; name two different ones."),
        ({"source_domain": ("a",)},
         "source_domain= takes rows of the target, so target_domain= must say which rows are the target."),
        ({"source_data": ("a", "b", "a")}, "source_data= names 'a' twice; name each once."),
        ({"source_label": "y"}, "source_label='y' is for source_data=; give that as well."),
    ],
)  # fmt: skip
def test_a_request_that_means_nothing_is_one_sentence(options, sentence):
    with pytest.raises(RequestError) as error:
        Request(**options)
    assert str(error.value) == sentence


def test_a_request_does_not_change():
    with pytest.raises(FrozenInstanceError):
        Request().seeds = 2


@pytest.mark.parametrize("name", ["normal", "curve"])
def test_a_request_of_format_1_is_read(name):
    path = OLD / name / "request.json"
    found, written = read_request(path), json.loads(path.read_text())
    since = {"split_seed": written["seed"], "test_size": None, "gap": 0.0, "target_splits": None, "source_splits": None}
    since |= {"map_classes": {}, "test_repeats": 1, "budget": None, "interval": "rows", "trials": 0}
    since["source"] = [] if written["source"] is None else [written["source"]]
    assert found.kept() == written | since
    assert (found.method, found.steps, found.control, found.curve) == (
        "scratch", 3, ("target-only",), (2, 5) if name == "curve" else (),
    )  # fmt: skip
    assert found.given.target_inputs == written["target_inputs"] and found.given.source_weights is None


def test_what_changed_is_named_in_the_order_of_letters():
    first = read_request(OLD / "normal" / "request.json")
    assert first.changed(first) == []
    other = replace(first, seed=1, epochs=2, given=Fingerprints(target_labels="x"))
    assert first.changed(other) == ["epochs", "seed", "target_inputs", "target_labels"]
    elsewhere = replace(first, out=Path("there"), resume=True, overwrite=True, device="cpu", label="y")
    assert first.changed(elsewhere) == []  # where and how it is made is not what is asked; the hashes say what was read


@pytest.mark.parametrize("content", ["{", "[]", '{"method": "scratch", "wishes": 3}', '{"seeds": 0}'])
def test_a_damaged_request_is_one_sentence(content, tmp_path):
    (tmp_path / "request.json").write_text(content)
    with pytest.raises(RequestError, match=r"request.json' is damaged: .*; run the transfer again\.$"):
        read_request(tmp_path / "request.json")


def test_a_renamed_split_is_another_request_but_an_older_run_knew_no_names():
    now = Request(given=Fingerprints(target_labels="x", target_splits="train, test"))
    assert now.changed(replace(now, given=Fingerprints(target_labels="x", target_splits="train, validation"))) == [
        "target_splits"
    ]
    assert now.changed(replace(now, given=Fingerprints(target_labels="x"))) == []


def test_a_run_of_an_older_version_goes_on_with_its_test_rows(tmp_path):
    path, asked = tmp_path / "request.json", Request(seed=3)
    assert begun_with(asked, path) is asked
    path.write_text(json.dumps({"seed": 3}))
    assert begun_with(asked, path).split_seed == 3 and read_request(path).split_seed == 3
    path.write_text(json.dumps(asked.kept()))
    assert begun_with(asked, path) is asked and read_request(path).split_seed == 0
