"""Every file of a run folder, damaged, through all that reads run folders."""

from __future__ import annotations

import importlib.util
import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from harness import BYTES, JSON
from safetensors.torch import save_file

from sterna import load_source, load_transfer
from sterna.domains import TextInputs
from sterna.domains.learnt import LEARNT, Learnt, read_learnt
from sterna.experiment.units import summed_history
from sterna.record.choice import Choice
from sterna.record.request import Request, read_request
from sterna.report import write_report
from sterna.store.fusing import fuse_files
from sterna.store.fusing_runs import fuse_runs
from sterna.store.run import RunFolder, Unit
from sterna.training import checkpoint
from sterna.training.cache import FeatureCache
from sterna.training.log import Log
from sterna.training.row_keys import row_keys

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
        outputs = found.outputs(inputs)
        found.task.answers(outputs), found.task.told(found.task.answers(outputs))
        if found.task.classes:
            found.task.probabilities(outputs)

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
    runs = [folder]
    if file == "predictions.parquet":  # two runs are paired by it
        runs.append(shutil.copytree(folder, tmp_path / "other"))
    path = folder / file
    inputs = 20 if path.suffix == ".png" else 60
    read = lambda: write_report(runs, tmp_path / "page.html")
    fuzz.file(path, read, KINDS.get(path.suffix, BYTES), inputs=inputs)


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


@pytest.mark.parametrize("side", [0, 1])
def test_weights_are_fused(fuzz, tmp_path, side):
    files = [tmp_path / "a.safetensors", tmp_path / "b.safetensors"]
    for path in files:
        save_file({"w": torch.arange(6.0).reshape(2, 3), "n": torch.tensor(3), "h": torch.ones(4).half()}, path)
    fuzz.file(
        files[side], lambda: fuse_files(*files, 0.5, tmp_path / "out.safetensors", overwrite=True), name="weights"
    )


@pytest.fixture
def unit(tmp_path):
    """A finished fit in the folder of a run that goes on."""
    log = Log([{"epoch": 1, "loss": 0.5}], ["A sentence."], [Choice("penalty", 0.1, "cross-validation", 40)])
    folder = RunFolder(tmp_path / "run")
    folder.save_unit(0, "scratch", Unit(np.ones((5, 2)), log, 1.0, 10, 20))
    return folder


@pytest.mark.parametrize(("file", "hashed"), [("unit.json", True), ("unit.json", False), ("outputs.npy", True)])
def test_a_finished_fit_is_taken_up(fuzz, unit, file, hashed):
    path = unit.work(0, "scratch") / file
    if not hashed:  # as those of version 0.1.0
        path.write_text(json.dumps({k: v for k, v in json.loads(path.read_text()).items() if k != "hash"}))

    def read():
        found = unit.load_unit(0, "scratch")
        summed_history([found]), found.log.selected_by(), found.outputs.sum()

    fuzz.file(path, read, KINDS.get(path.suffix, BYTES), name=f"{file} {hashed}")


@pytest.mark.parametrize("hashed", [True, False])
def test_a_checkpoint_is_taken_up(fuzz, tmp_path, hashed):
    weights = {"a": torch.arange(20.0), "n": torch.tensor(7)}
    state = checkpoint.State(step=5, best=weights, best_score=(0.5, -0.1), history=[{"epoch": 1, "loss": 0.3}])
    path = tmp_path / "fit.pt"
    checkpoint.save(path, state, weights, {"state": {0: {"exp_avg": weights["a"]}}, "param_groups": []})
    if not hashed:  # as those of version 0.1.0
        path.write_bytes(path.read_bytes()[:-40])
    fuzz.file(path, lambda: checkpoint.load(path), name=f"checkpoint {hashed}")


def test_what_was_asked_is_read(fuzz, tmp_path):
    path = tmp_path / "request.json"
    path.write_text(json.dumps(Request(target="t.csv", curve=(5, 10)).kept()))
    fuzz.file(path, lambda: Request(target="t.csv").changed(read_request(path)), JSON)


def test_what_was_learnt_is_read(fuzz, tmp_path):
    inputs = TextInputs(["a tern", "a gull", "a tern"])
    Learnt.of([inputs], []).save(tmp_path)
    fuzz.file(tmp_path / LEARNT, lambda: read_learnt(tmp_path).among(inputs))


def test_a_file_of_the_feature_cache_is_read(fuzz, tmp_path, monkeypatch):
    keys = row_keys(TextInputs([f"row {i}" for i in range(20)]))
    values = np.random.default_rng(0).normal(size=(20, 3)).astype(np.float32)
    cache = FeatureCache(tmp_path)
    get = lambda: cache.get("w", "p", keys, ["b"], lambda blocks, rows, write: write(rows, {"b": values[rows]})).array()
    get()
    (path,) = cache.folder.iterdir()

    def read():
        monkeypatch.setattr("sterna.training.feature_files._WHOLE", set())
        np.testing.assert_array_equal(get(), values)

    fuzz.file(path, read, name="features")
