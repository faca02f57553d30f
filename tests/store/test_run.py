"""Run folders: what is saved is what comes back, whole or not at all."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
import torch

from sterna import Domain, RequestError, RunError, load_domain, load_transfer, transfer
from sterna.data import demo_path
from sterna.files import atomic
from sterna.record.choice import Choice
from sterna.store.fusing_runs import fuse_runs
from sterna.store.run import RunFolder, Unit
from sterna.training import checkpoint
from sterna.training.cache import FeatureCache
from sterna.training.log import Log


@pytest.fixture
def full_disk(tmp_path):
    """A folder on a disk of 300 kB."""
    place = tmp_path / "full"
    place.mkdir()
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=300k", "tmpfs", str(place)], capture_output=True)
    if made.returncode:
        pytest.skip("a small disk can be made by root only")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def frame(rows=90):
    import pandas as pd

    random = np.random.default_rng(0)
    return pd.DataFrame({"a": random.normal(size=rows), "b": random.choice(["u", "v"], rows)})


@pytest.mark.parametrize("method", ["feature-extraction", "fine-tuning", "scratch", "target-only"])
def test_what_was_saved_predicts_bit_for_bit_the_same(source, digits, digits_arrays, tmp_path, method):
    settings = {"feature-extraction": {"blocks": "last"}, "fine-tuning": {"linear_probe": False}}.get(method, {})
    result = transfer(
        source, digits(120), method=method, settings=settings, epochs=1, control="none", out=tmp_path / "a", seeds=1
    )
    result.save(tmp_path / "b")
    images = digits_arrays[0][1500:1560]
    expected = result.outputs(images)
    for name in ("a", "b"):
        again = load_transfer(tmp_path / name)
        assert np.array_equal(again.outputs(images), expected)
        assert again.record == result.record
        assert again.predict(images).tolist() == result.predict(images).tolist()
        assert np.array_equal(again.predict_proba(images), result.predict_proba(images))
    with pytest.raises(RequestError, match="exists already; name another"):
        result.save(tmp_path / "b")


@pytest.mark.parametrize("method", ["target-only", "scratch"])
@pytest.mark.parametrize("kind", ["table", "text"])
def test_tables_and_texts_come_back_as_well(tmp_path, method, kind):
    if kind == "table":
        domain = Domain.from_arrays(frame(), (frame()["a"] > 0).map({True: "yes", False: "no"}))
        new = frame(130).iloc[90:]
    else:
        domain = load_domain(demo_path("reviews"), text="text", label="department", drop=["sentiment"])
        new = ["the soup was cold", "a fast laptop", ""]
    result = transfer(None, domain, method=method, epochs=1, control="none", out=tmp_path / "run", seeds=1)
    again = load_transfer(tmp_path / "run")
    assert np.array_equal(again.outputs(new), result.outputs(new))


def test_a_unit_comes_back_as_it_was(tmp_path):
    folder, log = RunFolder(tmp_path), Log(messages=["a"], history=[{"loss": 0.5}])
    log.choices.append(Choice("epoch", "epoch 3", "validation", 40))
    unit = Unit(np.random.default_rng(0).normal(size=(5, 2)), log, 1.5, 3, 9)
    folder.save_unit(2, "scratch", unit)
    again = folder.load_unit(2, "scratch")
    assert np.array_equal(again.outputs, unit.outputs)
    assert again.log == log and (again.seconds, again.trained, again.total) == (1.5, 3, 9)
    assert folder.load_unit(3, "scratch") is None


def test_a_unit_that_version_0_1_0_kept_is_taken_up(tmp_path):
    folder, log = RunFolder(tmp_path), Log()
    log.choices.append(Choice("penalty", 0.1, "cross-validation", 40, "source and target"))
    log.choices.append(Choice("blocks", "last", "cross-validation", 1))
    folder.save_unit(0, "scratch", Unit(np.zeros((5, 2)), log, 1.5, 3, 9))
    path = folder.work(0, "scratch") / "unit.json"
    about = json.loads(path.read_text())
    del about["hash"]
    about["log"]["choices"] = [["cross-validation", 40, "source and target", "penalty"]]
    about["log"]["chosen"] = {"penalty": 0.1, "blocks": "last"}
    path.write_text(json.dumps(about))
    assert folder.load_unit(0, "scratch").log == log


def test_what_is_not_a_run_is_said(tmp_path):
    with pytest.raises(RequestError, match="There is no run folder"):
        load_transfer(tmp_path / "nowhere")
    with pytest.raises(RequestError, match="is not a finished Sterna run: it has no manifest.json"):
        load_transfer(tmp_path)
    (tmp_path / "manifest.json").write_text("{")
    with pytest.raises(RequestError, match="is damaged"):
        load_transfer(tmp_path)


def write_checkpoint(folder):
    checkpoint.save(folder / "fit.pt", checkpoint.State(), {"a": torch.randn(200_000)}, {})


def write_network(folder):
    from sterna.networks import Network
    from sterna.networks.saved import save_network
    from sterna.networks.small import small_body
    from sterna.tasks import Classification

    task = Classification(("a", "b"))
    body, preparation = small_body(Domain.from_arrays(np.zeros((4, 16, 16), np.uint8)).inputs)
    save_network(Network(preparation, body, task.head(body.width), task=task), folder / "network")


def write_features(folder, rows=100, batch=10):
    def compute(names, missing, write):
        for some in np.array_split(missing, rows // batch):
            write(some, {n: np.ones((len(some), 1000), np.float32) for n in names})

    keys = np.array([f"{row:016}" for row in range(rows)], dtype="S16")
    FeatureCache(folder).get("w", "p", keys, ["last"], compute)


def write_json(folder):
    RunFolder(folder).write_json("manifest.json", {"a": "x" * 400_000})


WRITERS = [write_checkpoint, write_network, write_features, write_json]


@pytest.mark.parametrize("write", WRITERS)
def test_a_full_disk_is_one_sentence_and_leaves_nothing_half_written(full_disk, write):
    with pytest.raises(RunError, match=r"Cannot write '.*': No space left on device \(0 MB free there\)") as caught:
        write(full_disk)
    assert "\n" not in str(caught.value)
    assert not [p for p in full_disk.rglob("*") if p.is_file()]


def test_a_disk_that_takes_all_but_the_last_bytes_of_features_is_noticed(full_disk):
    """The system writes a part of the last row without an error."""
    with pytest.raises(RunError, match="No space left"):
        write_features(full_disk, rows=80, batch=80)  # 320 kB, more than there is


def test_what_stood_there_before_a_full_disk_still_stands(full_disk):
    folder = RunFolder(full_disk)
    folder.write_json("manifest.json", {"a": 1})
    with pytest.raises(RunError):
        write_json(full_disk)
    assert json.loads((folder.path / "manifest.json").read_text()) == {"a": 1}


def test_a_whole_run_on_a_full_disk_is_one_sentence(full_disk, digits):
    with pytest.raises(RunError, match="No space left on device.*resume=True"):
        transfer(None, digits(100), method="scratch", epochs=1, control="none", out=full_disk / "run", seeds=1)
    with pytest.raises(RequestError, match="not a finished Sterna run"):
        load_transfer(full_disk / "run")


def test_saving_to_a_full_disk_leaves_nothing(full_disk, digits, tmp_path):
    result = transfer(None, digits(100), method="scratch", epochs=1, control="none", seeds=1)
    with pytest.raises(RunError, match="No space left on device"):
        result.save(full_disk / "copy")
    assert not list(full_disk.iterdir())


def test_a_folder_that_cannot_be_written_is_one_sentence(tmp_path, digits):
    (tmp_path / "file").write_text("a file, not a folder")
    with pytest.raises((RunError, RequestError), match="file"):
        transfer(None, digits(100), method="scratch", epochs=1, control="none", out=tmp_path / "file" / "run", seeds=1)


def test_a_read_only_folder_is_one_sentence(tmp_path, digits):
    place = tmp_path / "ro"
    place.mkdir()
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", "ro", "tmpfs", str(place)], capture_output=True)
    if made.returncode:
        if os.getuid() == 0:
            pytest.skip("no read-only disk can be made here")
        place.chmod(0o500)
    try:
        with pytest.raises(RunError, match="Cannot write '.*run.*': (Read-only file system|Permission denied)"):
            transfer(None, digits(100), method="scratch", epochs=1, control="none", out=place / "run", seeds=1)
    finally:
        if not made.returncode:
            subprocess.run(["umount", str(place)], check=True)


def test_an_atomic_file_is_whole_or_as_it_was(tmp_path):
    path = tmp_path / "file.json"
    path.write_text("old")
    with pytest.raises(ZeroDivisionError), atomic(path) as temporary:
        temporary.write_text("half")
        1 / 0  # noqa: B018
    assert path.read_text() == "old" and os.listdir(tmp_path) == ["file.json"]
    with atomic(path) as temporary:
        temporary.write_text("new")
    assert path.read_text() == "new" and os.listdir(tmp_path) == ["file.json"]


def test_the_folder_holds_what_it_says(digits, tmp_path):
    result = transfer(
        None, digits(120), method="scratch", epochs=1, control="target-only", out=tmp_path / "run", seeds=1
    )
    names = {p.name for p in (tmp_path / "run").iterdir()}
    assert names == {
        "manifest.json", "network", "history.json", "predictions.parquet", "splits.parquet", "mistakes", "request.json",
        "learnt.npz",
    }  # fmt: skip
    manifest = json.loads((tmp_path / "run" / "manifest.json").read_text())
    wanted = {
        "method", "settings", "task", "source", "target", "scores", "controls", "gain", "selected_by", "seeds",
        "seconds", "peak_memory_bytes", "trained_parameters", "total_parameters", "run",
    }  # fmt: skip
    assert wanted <= set(manifest)
    assert {"value", "low", "high"} <= set(manifest["scores"]["accuracy"])
    assert {"metric", "value", "low", "high", "verdict"} <= set(manifest["gain"])
    assert result.report(tmp_path / "report.html").stat().st_size > 10_000
    assert sys.getsizeof(manifest)


def test_fusing_runs_on_a_full_disk_is_one_sentence_and_leaves_nothing(full_disk, tmp_path):
    domain = Domain.from_arrays(frame(), (frame()["a"] > 0).map({True: "yes", False: "no"}))
    for name in ("a", "b"):
        transfer(None, domain, method="scratch", epochs=1, control="none", out=tmp_path / name)
        (tmp_path / name / "network" / "preparation").mkdir(exist_ok=True)
        (tmp_path / name / "network" / "preparation" / "words.txt").write_bytes(b"x" * 200_000)
    why = rf"Cannot write '{full_disk / 'c'}.*': No space left on device \(\d MB free there\): make room, or choose"
    with pytest.raises(RunError, match=why) as caught:
        fuse_runs(tmp_path / "a", tmp_path / "b", 0.5, full_disk / "c")
    assert "--resume" not in str(caught.value)
    assert not list(full_disk.iterdir())
    os.symlink("/etc/hostname", tmp_path / "b" / "network" / "preparation" / "more.txt")
    with pytest.raises(RequestError, match=r"more.txt' is a symbolic link, which is not followed"):
        fuse_runs(tmp_path / "a", tmp_path / "b", 0.5, tmp_path / "c")
    assert not (tmp_path / "c").exists()


def test_a_run_whose_network_says_no_task_is_damaged(digits, tmp_path):
    result = transfer(None, digits(60), method="target-only", control="none", out=tmp_path / "run", seeds=1)
    path = tmp_path / "run" / "network" / "network.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "task": None}))
    folder, record = RunFolder(tmp_path / "run"), result.evidence.model_copy(update={"files": {}})
    with pytest.raises(RequestError, match="network.json' is damaged .it does not say what the network predicts"):
        folder.load_network(record)
