"""Groups of rows where a run is used: new data are scored by groups too."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from sterna import load_domain, load_transfer, transfer
from sterna.cli import main


def frame(groups=40, each=8, seed=0):
    """Rows of one group are alike, and right or wrong together."""
    random = np.random.default_rng(seed)
    x = np.repeat(random.normal(size=groups), each)
    odd = np.repeat(random.random(groups) < 0.3, each)
    patient = np.repeat([f"p{i}" for i in range(groups)], each)
    label = np.where((x > 0) ^ odd, "a", "b")
    x = x + 0.01 * random.normal(size=len(x))
    return pd.DataFrame({"x": x, "z": random.normal(size=len(x)), "patient": patient, "label": label})


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    domain = load_domain(frame(), label="label", group="patient")
    out = tmp_path_factory.mktemp("grouped") / "run"
    return transfer(None, domain, method="target-only", control="none", seeds=1, out=out)


def test_new_rows_of_one_group_are_left_out_together(run, tmp_path, monkeypatch, capfd):
    again, new = load_transfer(run.folder.path), frame(seed=1)
    answers = again.predict(new)
    right = (answers == new["label"]).to_numpy().reshape(40, 8)
    found = again.score(new)["accuracy"]
    assert found.value == pytest.approx(right.mean())
    error = right.mean(axis=1).std(ddof=1) / np.sqrt(40)
    assert found.high - found.low == pytest.approx(2 * 2.02 * error, rel=0.1)
    assert not any("patient" in note for note in again.input_notes)
    # By rows, as if they told eight times as much:
    alone = again.score(new.drop(columns="patient"))["accuracy"]
    assert alone.value == found.value and (alone.high - alone.low) < 0.5 * (found.high - found.low)
    assert any("no column 'patient', by which the run grouped" in note for note in again.input_notes)
    new.to_csv(tmp_path / "new.csv", index=False)
    monkeypatch.setattr("sys.argv", ["sterna", "score", str(run.folder.path), str(tmp_path / "new.csv"), "--json"])
    with pytest.raises(SystemExit):
        main()
    accuracy = json.loads(capfd.readouterr().out)["scores"]["accuracy"]
    assert (accuracy["low"], accuracy["high"]) == pytest.approx((found.low, found.high))


def test_the_group_of_a_row_is_no_input_and_needs_no_word_in_predictions(run):
    run.predict(frame(seed=2))
    assert run.input_notes == ()


def test_source_data_in_memory_are_grouped_as_the_target_is():
    source = frame(seed=3)
    result = transfer(
        source, load_domain(frame(), label="label", group="patient"), label="label", method="pooled", control="none",
        seeds=1,
    )  # fmt: skip
    assert any("rows of the source's data are of groups with test rows" in n for n in result.evidence.target.notes)
