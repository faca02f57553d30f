"""Every file of a run folder, damaged, through all that reads run folders."""

from __future__ import annotations

import importlib.util
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from harness import BYTES, JSON

from sterna import load_source, load_transfer
from sterna.report import write_report
from sterna.store.fusing_runs import fuse_runs

SAVED = Path(__file__).parents[1] / "saved"
TRUST = ("saved_bodies:grey", "saved_bodies:colour")
KINDS = {".json": JSON}


@pytest.fixture(scope="module")
def make():
    """The script that made the saved runs; it lets their bodies be found."""
    spec = importlib.util.spec_from_file_location("make_saved_runs", SAVED / "make.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    yield module
    sys.path.remove(str(SAVED))


@pytest.fixture
def saved(make, tmp_path):
    """``saved("grey")``: a copy of a run folder, and a few of the inputs that it answered."""

    def copy(name):
        shutil.copytree(SAVED / "v1" / name, tmp_path / name)
        with np.load((SAVED / "v1" / name).with_suffix(".npz"), allow_pickle=False) as file:
            return tmp_path / name, make.read(dict(file))

    return copy


def answers(folder, inputs):
    """What ``predict`` and ``score`` do with a run."""

    def read():
        found = load_transfer(folder, trust=TRUST)
        repr(found), found.record
        found.outputs(inputs)

    return read


@pytest.mark.parametrize(
    ("run", "file"),
    [
        ("grey", "manifest.json"), ("grey", "network/network.json"), ("grey", "network/model.safetensors"),
        ("boosting", "network/network.json"), ("boosting", "network/head/task.json"),
        ("boosting", "network/head/estimator.skops"), ("nesting", "network/network.json"),
        ("words", "network/network.json"), ("speech", "network/network.json"), ("voices", "network/network.json"),
        ("rules", "network/network.json"), ("sharing", "network/network.json"), ("labels", "network/network.json"),
    ],
)  # fmt: skip
def test_a_run_answers(fuzz, saved, run, file):
    folder, inputs = saved(run)
    path = folder / file
    fuzz.file(path, answers(folder, inputs), KINDS.get(path.suffix, BYTES), name=f"{run}/{file}")


@pytest.mark.parametrize("file", ["manifest.json", "history.json", "predictions.parquet", "mistakes/16.png"])
def test_a_run_is_reported(fuzz, saved, tmp_path, file):
    folder, _ = saved("grey")
    path = folder / file
    fuzz.file(path, lambda: write_report([folder], tmp_path / "page.html"), KINDS.get(path.suffix, BYTES))


@pytest.mark.parametrize("file", ["manifest.json", "network/network.json", "network/model.safetensors"])
def test_a_run_is_a_source(fuzz, saved, file):
    folder, _ = saved("grey")
    path = folder / file
    read = lambda: load_source(f"run:{folder}", trust=TRUST)
    fuzz.file(path, read, KINDS.get(path.suffix, BYTES), name=f"source {file}")


@pytest.mark.parametrize("file", ["manifest.json", "network/network.json", "network/model.safetensors"])
def test_runs_are_fused(fuzz, saved, tmp_path, file):
    folder, _ = saved("grey")
    shutil.copytree(folder, tmp_path / "other")
    path = folder / file
    for first, second in ((folder, tmp_path / "other"), (tmp_path / "other", folder)):
        fuzz.file(
            path,
            lambda first=first, second=second: fuse_runs(first, second, 0.5, tmp_path / "out", overwrite=True),
            KINDS.get(path.suffix, BYTES),
            name=f"fuse {file}",
        )
