"""``sterna fuse`` as people type it: files, and run folders that predict."""

import json
import shutil
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file, save_file

import sterna as library
from sterna.networks import load_network
from sterna.networks.fusing import fuse_states


@pytest.fixture
def two(tmp_path):
    for i, name in enumerate("ab"):
        torch.manual_seed(i)
        save_file(torch.nn.Linear(3, 2).state_dict(), tmp_path / f"{name}.safetensors")
    return [tmp_path / f"{name}.safetensors" for name in "abc"]


@pytest.fixture(scope="module")
def pair(files, tmp_path_factory):
    """A run on a table, some tuned from it, and some that cannot be fused with it."""
    folder, own = tmp_path_factory.mktemp("pair"), {"control": "none", "epochs": 1, "seeds": 1}
    table = library.load_domain(str(files / "t.csv"), label="y")
    prices = library.load_domain(str(files / "prices.csv"), label="price")
    library.transfer(None, table, method="scratch", out=folder / "a", **own)
    for name, domain, method, settings in (
        ("b", table, "fine-tuning", {"linear_probe": False, "learning_rate": 0.01}),
        ("blocks", table, "feature-extraction", {"blocks": ["layer1", "last"]}),
        ("numbers", prices, "fine-tuning", {"linear_probe": False, "learning_rate": 0.01}),
        ("cents", replace(prices, labels=prices.labels * 100), "feature-extraction", {"blocks": "last"}),
    ):
        library.transfer(f"run:{folder / 'a'}", domain, method=method, settings=settings, out=folder / name, **own)
    library.transfer(None, table, method="target-only", out=folder / "alone", **own)
    narrow = table.inputs.frame.drop(columns="b")
    narrow = library.Domain.from_arrays(narrow, table.labels, name="narrow")
    library.transfer(None, narrow, method="scratch", out=folder / "narrow", **own)
    for name, change in (
        ("pooled", lambda about: about["recipe"].update(pooling="cls")),
        ("trees", lambda about: about["recipe"].update(answers={"type": "estimator", "folder": "body"})),
    ):
        shutil.copytree(folder / "a", folder / name)
        path = folder / name / "network" / "network.json"
        about = json.loads(path.read_text())
        change(about)
        path.write_text(json.dumps(about))
    return folder


def test_files_are_fused(sterna, two):
    found = sterna("fuse", two[0], two[1], "--alpha", "0.3", "--out", two[2], "--json")
    assert found.code == 0 and found.error == ""
    assert json.loads(found.out) == {"out": str(two[2]), "alpha": 0.3, "tensors": 2, "bytes": 32, "notes": []}
    expected = fuse_states(load_file(two[0]), load_file(two[1]), 0.3)
    assert all(torch.equal(value, expected[name]) for name, value in load_file(two[2]).items())
    assert "exists: replace it with --overwrite" in sterna("fuse", *two[:2], "--out", two[2]).error
    again = sterna("fuse", *two[:2], "--out", two[2], "--overwrite", "--quiet")
    assert (again.code, again.out, again.error) == (0, "", "")


def test_nan_is_said(sterna, two):
    save_file({"weight": torch.full((2, 3), float("nan")), "bias": torch.zeros(2)}, two[0])
    found = sterna("fuse", *two[:2], "--out", two[2], "--json")
    assert "NaN" in found.error and "NaN" in json.loads(found.out)["notes"][0]


def test_the_help_has_an_example(sterna):
    found = sterna("fuse", "--help")
    assert "Example: sterna fuse pretrained.safetensors tuned.safetensors --alpha 0.3" in found.out


def test_a_fused_run_predicts_and_is_a_source(sterna, pair, tmp_path):
    out = tmp_path / "融合"
    found = sterna("fuse", pair / "a", pair / "b", "--alpha", "0.3", "--out", out, "--json")
    assert found.code == 0, found.error
    networks = [load_network(folder / "network").state_dict() for folder in (pair / "a", pair / "b", out)]
    same(networks[2], fuse_states(networks[0], networks[1], 0.3), networks[1])
    rows = json.loads(sterna("predict", out, "unlabelled.csv", "--json").out)
    assert len(rows) == 80 and {"answer", "p_no", "p_yes"} <= set(rows[0])
    assert json.loads(sterna("score", out, "t.csv", "--json").out)["rows"] == 80
    assert library.load_source(f"run:{out}").task.classes == ("no", "yes")
    assert "Chosen" not in sterna("report", out, "--out", tmp_path / "r.html").error
    record = json.loads((out / "manifest.json").read_text())
    assert record["scores"] == {} and record["settings"]["alpha"] == 0.3 and record["method"] == "fuse"
    assert record["format"] == 2 and repr(library.load_transfer(out)) == "Transfer(fuse: no scores yet)"


@pytest.mark.parametrize(("alpha", "end"), [("0", "b"), ("1", "a")])
def test_the_ends_are_a_body_bit_for_bit_under_the_targets_head(sterna, pair, tmp_path, alpha, end):
    sterna("fuse", pair / "a", pair / "b", "--alpha", alpha, "--out", tmp_path / "c", "--quiet")
    found, body, head = (load_network(f / "network").state_dict() for f in (tmp_path / "c", pair / end, pair / "b"))
    same(found, body, head)


@pytest.mark.parametrize(
    ("a", "b"), [("b", "blocks"), ("blocks", "b"), ("b", "numbers"), ("numbers", "b"), ("numbers", "cents")]
)
def test_heads_of_other_blocks_tasks_or_units_are_the_targets(sterna, pair, tmp_path, a, b):
    found = sterna("fuse", pair / a, pair / b, "--alpha", "0.3", "--out", tmp_path / "c", "--json")
    assert found.code == 0, found.error
    notes = json.loads(found.out)["notes"]
    assert len(notes) == 1 and f"the head (and the map, if there is one) is that of '{pair / b}'" in notes[0]
    fused, ours, theirs = (load_network(f / "network") for f in (tmp_path / "c", pair / a, pair / b))
    states = [{n: t for n, t in each.state_dict().items() if n.startswith("body.")} for each in (ours, theirs)]
    assert any(not torch.equal(value, states[1][name]) for name, value in states[0].items())
    same(fused.state_dict(), fuse_states(*states, 0.3), theirs.state_dict())
    assert fused.task == theirs.task and fused.body.outputs == theirs.body.outputs
    assert len(json.loads(sterna("predict", tmp_path / "c", "unlabelled.csv", "--json").out)) == 80


def same(found, body, head):
    """The body's weights are those of one state, all else is that of another, bit for bit."""
    assert list(found) == list(head)
    for name, value in found.items():
        assert torch.equal(value, (body if name.startswith("body.") else head)[name]), name


def test_a_default_run_tuned_from_another_is_fused_with_it(sterna, shared_data, tmp_path):
    table, out = shared_data / "tab_heart_4hospitals.csv.gz", tmp_path / "C"
    asked = ("transfer", table, "--label", "disease", "--drop", "num", "--domain-column", "hospital",
             "--control", "none", "--epochs", "3", "--quiet", "--target-domain")  # fmt: skip
    assert sterna(*asked, "cleveland", "--method", "scratch", "--out", tmp_path / "A").code == 0
    assert sterna(*asked, "hungarian", "--source", f"run:{tmp_path / 'A'}", "--out", tmp_path / "B").code == 0
    found = sterna("fuse", tmp_path / "A", tmp_path / "B", "--alpha", "0.3", "--out", out)
    assert found.code == 0 and found.error.count("note:") == 1, found.error
    assert library.load_transfer(out).network.task == library.load_transfer(tmp_path / "B").network.task


def test_runs_that_differ_in_more_than_weights_are_refused(sterna, pair, runs, tmp_path):
    for a, b, words in (
        ("a", runs / "text", "cannot be fused, tensor by tensor: "),
        ("a", "narrow", "(body.module.layer1.0.weight (256, "),
        ("a", "pooled", "differ in how their bodies are built (pooling)"),
        ("trees", "trees", "their bodies hold a fitted scikit-learn estimator"),
        ("alone", "alone", "their bodies have no weights"),
        ("a", "block", "block'. Did you mean 'blocks'"),
    ):
        found = sterna("fuse", pair / a, pair / b, "--out", tmp_path / "c")
        assert found.code == 2 and words in found.error and found.error.count("\n") == 1, found.error
    assert not (tmp_path / "c").exists()
    (tmp_path / "empty").mkdir()
    assert "is not a run folder" in sterna("fuse", pair / "a", tmp_path / "empty", "--out", tmp_path / "c").error


def test_a_run_is_written_nowhere_but_where_it_may(sterna, pair, two, tmp_path):
    taken = tmp_path / "mine"
    taken.mkdir()
    (taken / "notes.txt").write_text("keep")
    for out, words in (
        (pair / "b", "is, holds or lies in a run to fuse"),
        (pair / "a" / "network" / "x", "is, holds or lies in a run to fuse"),
        (pair, "is, holds or lies in a run to fuse"),
        (taken, "is not a Sterna run, so it is left alone"),
    ):
        found = sterna("fuse", pair / "a", pair / "b", "--out", out, "--overwrite")
        assert found.code == 2 and words in found.error, found.error
    assert (taken / "notes.txt").read_text() == "keep"
    assert sterna("fuse", pair / "a", pair / "b", "--out", tmp_path / "c", "--quiet").code == 0
    before = (tmp_path / "c" / "network" / "model.safetensors").read_bytes()
    assert "exists: replace it" in sterna("fuse", pair / "a", pair / "b", "--alpha", "1", "--out", tmp_path / "c").error
    assert (tmp_path / "c" / "network" / "model.safetensors").read_bytes() == before
    assert sterna("fuse", pair / "a", pair / "b", "--alpha", "1", "--out", tmp_path / "c", "--overwrite").code == 0
    assert (tmp_path / "c" / "network" / "model.safetensors").read_bytes() != before
    assert not list(tmp_path.glob(".c*"))
    mixed = sterna("fuse", pair / "a", two[1], "--out", tmp_path / "d").error
    assert "is a folder and" in mixed and "give two files, or two run folders" in mixed


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("{a}", "{b}", "--alpha", "1.5", "--out", "{c}"), "alpha is 1.5; expected a number from 0"),
        (("{a}", "{b}", "--alpha", "half", "--out", "{c}"), "--alpha is 'half'; expected a number"),
        (("{a}", "{b}"), "Missing option '--out'"),
        (("{a}", "t.csv", "--out", "{c}"), "is not a whole safetensors file"),
        (("{a}", "{b}", "--out", "{b}", "--overwrite"), "is one of the files to fuse"),
        (("{a}", "{b}", "--out", "c.pt"), "ends in .safetensors"),
    ],
)
def test_a_wrong_request_gets_one_sentence(sterna, two, words, sentence):
    a, b, c = two
    found = sterna("fuse", *(word.format(a=a, b=b, c=c) for word in words))
    assert found.code == 2 and sentence in found.error and found.error.count("\n") == 1 and found.out == ""
    assert not c.exists()
