"""Runs that earlier versions saved: they load, answer as they did, are reported, and are sources (see make.py)."""

import importlib.util
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from sterna import RunError, load_source, load_transfer
from sterna.networks import load_network
from sterna.report.paired import difference
from sterna.report.run import read_run

HERE = Path(__file__).parent
TRUST = ("saved_bodies:grey", "saved_bodies:colour")
"""Functions that bodies of some of the runs are built by; the script is the user who made them."""

RUNS = sorted(path.with_suffix("") for path in HERE.glob("v*/*.npz"))


@pytest.fixture(scope="module")
def make():
    """The script; it also lets bodies be found that saved networks name."""
    spec = importlib.util.spec_from_file_location("make_saved_runs", HERE / "make.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(params=RUNS, ids=lambda path: f"{path.parent.name}-{path.name}")
def run(request, make, tmp_path):
    """A copy of a run folder, the inputs it answered, and what it answered."""
    with np.load(request.param.with_suffix(".npz"), allow_pickle=False) as file:
        arrays = dict(file)
    shutil.copytree(request.param, tmp_path / request.param.name)
    return tmp_path / request.param.name, make.read(arrays), arrays


def same(found, expected):
    """Equal but for the last bits, which another processor may round otherwise."""
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-6 * np.abs(expected).max())


def folder_format(folder):
    """The format of a run's network."""
    return json.loads((folder / "network" / "network.json").read_text(encoding="utf-8"))["format"]


def test_there_is_one_of_every_kind(make):
    assert {path.name for path in RUNS if path.parent.name == "v1"} == {each.__name__ for each in make.RUNS}


def test_it_answers_as_it_did(run):
    folder, inputs, arrays = run
    found = load_transfer(folder, trust=TRUST)
    outputs = found.outputs(inputs)
    if folder_format(folder) == 1 and found.task.one_number:  # kept standardised; now they are in the user's units
        outputs = (outputs - found.task.mean) / found.task.scale
    same(outputs, arrays["outputs"])
    answers = np.asarray(found.predict(inputs))
    if arrays["answers"].dtype.kind == "U":
        assert answers.astype(str).tolist() == arrays["answers"].tolist()
    else:
        same(answers.astype(float), arrays["answers"].astype(float))


def test_a_table_beside_a_run_that_kept_no_schema_is_read_anew_which_is_said(make, tmp_path):
    with np.load(HERE / "v1" / "boosting.npz", allow_pickle=False) as file:
        people = make.read(dict(file))
    found, new = load_transfer(HERE / "v1" / "boosting"), tmp_path / "new.csv"
    people.to_csv(new, index=False)
    found.predict(new)
    assert any("of an older version" in note and "told anew" in note and "'age'" in note for note in found.input_notes)
    people.assign(y=found.predict(people)).to_csv(new, index=False)
    found.score(found.read(new, label="y"))
    assert any("told anew" in note for note in found.input_notes)
    found.predict(people.select_dtypes("number").assign(**people.select_dtypes(exclude="number")))
    assert not any("told anew" in note and "'age'" in note for note in found.input_notes)  # numbers are numbers


def test_it_is_saved_again_as_it_is(run, tmp_path):
    folder, inputs, _ = run
    found = load_transfer(folder, trust=TRUST)
    found.save(tmp_path / "again")
    np.testing.assert_array_equal(load_transfer(tmp_path / "again", trust=TRUST).outputs(inputs), found.outputs(inputs))


def test_it_is_reported(run, tmp_path):
    folder, _, _ = run
    page = load_transfer(folder, trust=TRUST).report(tmp_path / "report.html").read_text(encoding="utf-8")
    assert folder.name in page and page.rstrip().endswith("</html>")
    kept = read_run(folder)
    if kept.predictions is not None:  # what was fused was not scored
        found = difference(kept, kept, kept.record.task.metric)  # which its predictions give again
        assert (found.gain.value, found.gain.low, found.gain.high, found.rows) == (
            0,
            0,
            0,
            kept.record.target.splits["test"],
        )


def test_it_is_a_source(run):
    folder, _, _ = run
    source, network = load_source(f"run:{folder}", trust=TRUST), load_network(folder / "network", TRUST)
    assert source.task.state() == network.task.state()
    assert source.preparation.fingerprint() == network.preparation.fingerprint()


def test_no_path_of_a_machine_is_in_them():
    for path in HERE.glob("v*/*/*.json"):
        text = path.read_text(encoding="utf-8")
        assert not any(part in text for part in ('"/', "/tmp", "/home", "/Users", ":\\\\")), path


def test_parts_that_were_changed_and_do_not_fit_each_other_are_said(make, tmp_path):
    folder = shutil.copytree(HERE / "v1" / "grey", tmp_path / "grey")
    with np.load(HERE / "v1" / "grey.npz", allow_pickle=False) as file:
        inputs = make.read(dict(file))
    network = folder / "network" / "network.json"
    network.write_text(network.read_text("utf-8").replace('"channels": 1', '"channels": 3'), "utf-8")
    with pytest.raises(RunError, match=r"The network of '.*grey' cannot take .*3 channels.*run the transfer again\.$"):
        load_transfer(folder, trust=TRUST).outputs(inputs)
