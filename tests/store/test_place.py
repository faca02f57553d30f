"""A place belongs to one process at a time, and only what Sterna wrote is ever replaced."""

import json
import os
import shutil
import stat
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from sterna import Domain, RequestError, load_transfer, transfer
from sterna.files import WriteError, atomic, check_file, explained
from sterna.leftovers import sweep, temporary_beside
from sterna.networks.saved import save_network
from sterna.store.fusing_runs import fuse_runs
from sterna.store.legs import begin_leg
from sterna.store.place import alone, settle
from sterna.store.run import RunFolder

OLD = Path(__file__).parents[1] / "saved" / "v1" / "labels"


@pytest.fixture(scope="module")
def table():
    random = np.random.default_rng(0)
    frame = pd.DataFrame({"a": random.normal(size=40), "b": random.normal(size=40)})
    return Domain.from_arrays(frame, (frame["a"] > 0).map({True: "yes", False: "no"}), name="t")


def run(domain, out, **more):
    return transfer(None, domain, method="target-only", control="none", out=out, **{"seeds": 1, **more})


WEB = {"name": "Shop", "short_name": "Shop", "start_url": "/", "icons": [], "display": "standalone"}


@pytest.mark.parametrize(
    "files",
    [
        {"manifest.json": WEB},
        {"manifest.json": {"manifest_version": 3, "name": "x", "version": "1"}},
        {"manifest.json": [1, 2]},
        {"manifest.json": {"method": "GET", "target": "/", "scores": {}, "task": {}, "format": "zip"}},
        {"request.json": {"url": "https://example.org", "method": "GET"}},
        {"network/network.json": {"nodes": [], "edges": []}},
        {"manifest.json": WEB, "request.json": {"method": "GET"}, "network/network.json": {"format": 1}},
    ],
)
def test_a_folder_of_another_program_is_left_alone_whatever_its_files_are_called(table, tmp_path, files):
    for name, value in files.items():
        path = tmp_path / "app" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(value))
    before = sorted((str(p), p.is_file() and p.read_bytes()) for p in tmp_path.rglob("*"))
    for more in ({"overwrite": True}, {"resume": True}, {}):
        with pytest.raises(RequestError, match="is not a Sterna run, so it is left alone"):
            run(table, tmp_path / "app", **more)
    with pytest.raises(RequestError, match="is not a Sterna run, so it is left alone"):
        fuse_runs(OLD.with_name("fused"), OLD.with_name("fused"), 0.5, tmp_path / "app", overwrite=True)
    assert sorted((str(p), p.is_file() and p.read_bytes()) for p in tmp_path.rglob("*")) == before


def test_a_network_is_not_saved_over_another_programs_network(digits, tmp_path):
    network = load_transfer(OLD).network
    (tmp_path / "graph").mkdir()
    (tmp_path / "graph" / "network.json").write_text('{"nodes": []}')
    with pytest.raises(RequestError, match="holds no network, so it is left alone"):
        save_network(network, tmp_path / "graph")
    save_network(network, tmp_path / "own")
    save_network(network, tmp_path / "own")
    assert sorted(os.listdir(tmp_path)) == ["graph", "own"]


@pytest.mark.parametrize("damaged", ["manifest.json", "request.json", "network/network.json"])
def test_a_run_of_an_older_version_or_with_a_damaged_file_can_be_replaced(table, tmp_path, damaged):
    shutil.copytree(OLD, tmp_path / "run")
    (tmp_path / "run" / damaged).write_text("{")
    assert run(table, tmp_path / "run", overwrite=True).folder.finished()


def test_one_out_of_two_processes_is_one_sentence(table, tmp_path):
    run(table, tmp_path / "run")
    script = """
import sys, time
from pathlib import Path
from sterna.store.place import alone, settle
with alone(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""
    before = sorted(os.listdir(tmp_path / "run"))
    other = subprocess.Popen([sys.executable, "-c", script, tmp_path / "run"], stdout=subprocess.PIPE, text=True)
    assert other.stdout.readline() == "held\n"
    for more in ({"overwrite": True}, {"resume": True}):
        with pytest.raises(RequestError, match="Another process is at work on .*run': wait until it has ended, or"):
            run(table, tmp_path / "run", **more)
    fused = OLD.with_name("fused")
    with pytest.raises(RequestError, match="Another process is at work on"):
        fuse_runs(fused, shutil.copytree(fused, tmp_path / "b"), 0.5, tmp_path / "run", overwrite=True)
    assert sorted(os.listdir(tmp_path / "run")) == before
    other.kill()
    other.communicate()
    run(table, tmp_path / "run", overwrite=True)  # the lock has gone with its owner


def test_a_run_holds_its_folder_from_the_start_to_the_end(table, tmp_path, monkeypatch):
    from sterna.experiment import units

    seeded, said = units.seeded, []

    def meanwhile(*arguments):
        for more in ({"overwrite": True}, {"resume": True}, {}):
            with pytest.raises(RequestError, match="Another process is at work on"):
                run(table, tmp_path / "run", **more)
            said.append(more)
        return seeded(*arguments)

    for more in ({}, {"overwrite": True}):
        monkeypatch.setattr(units, "seeded", lambda *a: monkeypatch.setattr(units, "seeded", seeded) or meanwhile(*a))
        run(table, tmp_path / "run", **more)
    assert len(said) == 6
    with alone(tmp_path / "run"):
        pass


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there are no forks here")
def test_a_child_does_not_keep_the_lock_of_a_parent_that_ended(tmp_path):
    script = """
import os, sys, time
from pathlib import Path
from sterna.store.place import alone, settle
with alone(Path(sys.argv[1])):
    done, forked = os.pipe()
    if os.fork():
        os.read(done, 1)
        os._exit(0)
    os.write(forked, b"x")
    time.sleep(30)
"""
    process = subprocess.Popen([sys.executable, "-c", script, tmp_path])
    assert process.wait() == 0
    with alone(tmp_path):
        pass


def test_temporaries_in_use_are_left_and_others_go(tmp_path):
    for name in (".a.csv.0123abcd.sterna", ".b.0123abcd.sterna"):
        (tmp_path / name).write_text("left by a killed process")
    mine = [".a.csv.abcd.sterna", ".sterna", "a.csv.0123abcd.sterna", ".hidden"]
    for name in mine:
        (tmp_path / name).write_text("a user's own")
    with temporary_beside(tmp_path / "a.csv", Path.touch) as temporary:
        assert sweep(tmp_path) == []
        assert set(os.listdir(tmp_path)) == {*mine, temporary.name}
    assert set(os.listdir(tmp_path)) == set(mine)


def test_all_that_a_run_writes_is_readable_as_the_umask_says(digits, tmp_path):
    before = os.umask(0o027)
    try:
        result = transfer(None, digits(60), method="scratch", epochs=1, control="target-only", out=tmp_path / "run")
        result.save(tmp_path / "copy")
        result.report(tmp_path / "report.html")
        fuse_runs(tmp_path / "run", tmp_path / "copy", 0.5, tmp_path / "fused")
    finally:
        os.umask(before)
    found = {str(p): stat.S_IMODE(p.stat().st_mode) for p in tmp_path.rglob("*")}
    assert len(found) > 20
    assert {p: oct(mode) for p, mode in found.items() if mode != (0o750 if Path(p).is_dir() else 0o640)} == {}


def test_a_run_in_the_folder_that_one_is_in(table, tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    run(table, ".")
    assert load_transfer(".").record["scores"]
    with pytest.raises(RequestError, match="the folder that you are in"):
        run(table, ".", overwrite=True)
    assert load_transfer(tmp_path / "here").record["scores"]


# -- words ------------------------------------------------------------------------------------------


def test_an_unfinished_run_is_said_with_the_way_on_and_the_run_that_it_replaces(table, tmp_path, monkeypatch):
    run(table, tmp_path / "run")
    with monkeypatch.context() as patch:
        patch.setattr(RunFolder, "save_unit", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        for out in ("run", "new"):
            with pytest.raises(KeyboardInterrupt):
                run(table, tmp_path / out, overwrite=True)
    with pytest.raises(RequestError, match=r"new' is not a finished .* with resume=True\.$"):
        load_transfer(tmp_path / "new")
    with pytest.raises(RequestError, match=r"resume=True; the run that it replaces is whole in '(.*)'\.$") as caught:
        load_transfer(tmp_path / "run")
    assert load_transfer(str(caught.value).rpartition(" in ")[2].strip("'.")).record["scores"]
    assert run(table, tmp_path / "run", resume=True).folder.finished()


CAUSES = {
    "ENOSPC": r"No space left on device \(\d+ MB free there\): make room, or choose another place\.$",
    "EDQUOT": r"\(\d+ MB free there\): make room, or choose another place\.$",
    "EROFS": r"Read-only file system: choose a place that you may write to\.$",
    "EACCES": r"Permission denied: choose a place that you may write to\.$",
    "ENAMETOOLONG": r"File name too long: choose a shorter name\.$",
    "EISDIR": r"Is a directory: it is a folder, so name a file in it\.$",
    "ENOTDIR": r"Not a directory: something else stands there, so choose another name\.$",
    "EIO": r"Input/output error: choose another place\.$",
}


@pytest.mark.parametrize("cause", CAUSES)
def test_a_failed_write_names_its_cause_and_the_way_out(tmp_path, cause):
    import errno

    number = getattr(errno, cause)
    with pytest.raises(WriteError, match=CAUSES[cause]) as caught, explained(tmp_path / "x"):
        raise OSError(number, os.strerror(number))
    assert "--resume" not in str(caught.value)


def test_real_causes_are_named_by_every_writer(table, tmp_path):
    long = "x" * 300
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("")
    with pytest.raises(WriteError, match="File name too long: choose a shorter name"):
        run(table, tmp_path / long)
    with pytest.raises(WriteError, match="File name too long: choose a shorter name"), atomic(tmp_path / long):
        pass
    with pytest.raises(WriteError, match="it is a folder"), atomic(tmp_path / "folder"):
        pass
    with pytest.raises(WriteError, match="something else stands there"), atomic(tmp_path / "file" / "x"):
        pass
    with pytest.raises((WriteError, RequestError), match="name"):
        run(table, tmp_path / "file" / "run")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no such pipes")
def test_a_device_or_a_pipe_is_never_replaced_by_a_file(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(RequestError, match="is a device or a pipe, which is not replaced: name a file"):
        check_file(tmp_path / "pipe")
    with pytest.raises(RequestError, match="device or a pipe"), atomic(tmp_path / "pipe"):
        pass
    assert os.listdir(tmp_path) == ["pipe"] and (tmp_path / "pipe").is_fifo()


# -- time -------------------------------------------------------------------------------------------


def test_the_seconds_of_a_run_are_those_of_all_its_legs(tmp_path, monkeypatch):
    import time

    work = tmp_path / "work"
    now = time.monotonic()
    assert begin_leg(work, tmp_path) == pytest.approx(now, abs=0.5)
    first = (work / "leg.json").stat().st_mtime
    (tmp_path / "kept").write_text("")
    os.utime(tmp_path / "kept", (first + 100, first + 100))  # 100 seconds after it began; then it was killed
    (work / "replaced").mkdir()
    (work / "replaced" / "other").write_text("")
    os.utime(work / "replaced" / "other", (first + 999, first + 999))
    assert time.monotonic() - begin_leg(work, tmp_path) == pytest.approx(100, abs=0.5)
    second = (work / "leg.json").stat().st_mtime
    os.utime(tmp_path / "kept", (second + 20, second + 20))
    assert time.monotonic() - begin_leg(work, tmp_path) == pytest.approx(120, abs=0.5)
    (work / "leg.json").write_text("{")
    assert time.monotonic() - begin_leg(work, tmp_path) == pytest.approx(0, abs=0.5)


def test_a_resumed_run_counts_the_time_before_it_was_stopped(table, tmp_path):
    stop = lambda *_: (_ for _ in ()).throw(KeyboardInterrupt)
    with pytest.MonkeyPatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(RunFolder, "save_unit", stop)
        run(table, tmp_path / "run")
    for leg in (tmp_path / "run" / "work").rglob("leg.json"):  # as if it had begun 50 seconds before it kept anything
        began = leg.stat().st_mtime - 50
        os.utime(leg, (began, began))
    seconds = run(table, tmp_path / "run", resume=True).record["seconds"]
    assert 50 < seconds["total"] < 80


def test_threads_that_write_one_file_leave_one_whole(tmp_path):
    def write(text):
        for _ in range(20):
            with atomic(tmp_path / "x", wait=False) as temporary:
                temporary.write_text(text)

    threads = [threading.Thread(target=write, args=(text * 1000,)) for text in "ab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (tmp_path / "x").read_text() in ("a" * 1000, "b" * 1000) and os.listdir(tmp_path) == ["x"]


def test_what_is_left_of_a_finished_run_is_put_right_only_where_it_is_sternas(tmp_path):
    (tmp_path / "app" / "work").mkdir(parents=True)
    (tmp_path / "app" / "manifest.json").write_text(json.dumps(WEB))
    (tmp_path / "app" / "work" / "thesis.txt").write_text("years of work")
    shutil.copytree(OLD, tmp_path / "run")
    (tmp_path / "run" / "work" / "0-scratch").mkdir(parents=True)
    (tmp_path / "run" / "network" / ".model.safetensors.0123abcd.sterna").write_text("half")
    mine = shutil.copytree(tmp_path / "run", tmp_path / "mine")
    shutil.copy(tmp_path / "app" / "work" / "thesis.txt", mine / "work")
    settle(mine)
    assert (mine / "work" / "thesis.txt").exists()
    assert settle(tmp_path / "app") == []
    assert sorted(path.name for path in settle(tmp_path / "run")) == ["model.safetensors", "work"]
    assert (tmp_path / "app" / "work" / "thesis.txt").exists() and not (tmp_path / "run" / "work").exists()
    assert os.listdir(tmp_path / "run" / "network") == os.listdir(OLD / "network")
