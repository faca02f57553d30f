"""``sterna fuse`` as people type it: files, and run folders that predict."""

import json
import shutil

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
    """A run on a table, one tuned from it, and two that say they are built otherwise."""
    folder, own = tmp_path_factory.mktemp("pair"), {"control": "none", "epochs": 1, "task": "classification"}
    table = str(files / "t.csv")
    library.transfer(None, library.load_domain(table, label="y"), method="scratch", out=folder / "a", **own)
    library.transfer(
        f"run:{folder / 'a'}", library.load_domain(table, label="y"), method="fine-tuning", out=folder / "b",
        settings={"linear_probe": False, "learning_rate": 0.01}, **own,
    )  # fmt: skip
    for name, change in (
        ("other", lambda about: about["task"].update(classes=["maybe", "no"])),
        ("trees", lambda about: about.update(head={"type": "estimator", "folder": "head"})),
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
    expected = fuse_states(networks[0], networks[1], 0.3)
    assert all(torch.equal(value, expected[name]) for name, value in networks[2].items())
    rows = json.loads(sterna("predict", out, "unlabelled.csv", "--json").out)
    assert len(rows) == 80 and {"answer", "p_no", "p_yes"} <= set(rows[0])
    assert json.loads(sterna("score", out, "t.csv", "--json").out)["rows"] == 80
    assert library.load_source(f"run:{out}").task.classes == ("no", "yes")
    assert "Chosen" not in sterna("report", out, "--out", tmp_path / "r.html").error
    record = json.loads((out / "manifest.json").read_text())
    assert record["scores"] == {} and record["settings"]["alpha"] == 0.3 and record["method"] == "fuse"


@pytest.mark.parametrize(("alpha", "end"), [("0", "b"), ("1", "a")])
def test_the_ends_answer_as_the_runs_do(sterna, pair, tmp_path, alpha, end):
    sterna("fuse", pair / "a", pair / "b", "--alpha", alpha, "--out", tmp_path / "c", "--quiet")
    expected = library.load_transfer(pair / end).network.state_dict()
    found = library.load_transfer(tmp_path / "c").network.state_dict()
    assert all(torch.equal(value, expected[name]) for name, value in found.items())


def test_runs_that_differ_in_more_than_weights_are_refused(sterna, pair, runs, tmp_path):
    for a, b, words in (
        ("a", runs / "text", "differ in how their bodies are built"),
        ("a", "other", "what they answer"),
        ("trees", "trees", "is a fitted scikit-learn estimator"),
        ("a", "othr", "othr'. Did you mean 'other'"),
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
        (pair / "b", "which is, holds or lies in a run to fuse"),
        (pair / "a" / "network" / "x", "which is, holds or lies in a run to fuse"),
        (pair, "which is, holds or lies in a run to fuse"),
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
