"""A frozen body is one file on disk, whichever runs have it, and lost with none of them."""

import os
import shutil

import numpy as np
import pytest
from kills import killed_after

from sterna import load_transfer, transfer
from sterna.leftovers import sweep_all
from sterna.networks import saved
from sterna.store import shared_bodies
from sterna.store.fusing_runs import fuse_runs


@pytest.fixture
def runs(source, digits, tmp_path, monkeypatch):
    """Two runs with one frozen body, and one whose body was trained."""
    monkeypatch.setattr(saved, "LARGE", 1000)
    domain = digits(60)
    options = {
        "method": "feature-extraction",
        "settings": {"blocks": "last", "penalty": 1.0},
        "control": "none",
        "seeds": 1,
    }
    for seed, name in enumerate(("a", "b")):
        transfer(source, domain, out=tmp_path / name, seed=seed, **options)
    transfer(source, domain, method="fine-tuning", epochs=1, control="none", seeds=1, out=tmp_path / "tuned")
    return tmp_path, domain


def test_two_runs_name_one_file_and_either_may_go(runs):
    place, domain = runs
    files = [place / name / "network" / "body.safetensors" for name in ("a", "b")]
    assert files[0].samefile(files[1]) and not (place / "tuned" / "network" / "body.safetensors").exists()
    before = load_transfer(place / "b").outputs(domain.inputs)
    copy = load_transfer(place / "b").save(place / "copy")
    shutil.rmtree(place / "a")
    np.testing.assert_array_equal(load_transfer(place / "b").outputs(domain.inputs), before)
    np.testing.assert_array_equal(load_transfer(copy or place / "copy").outputs(domain.inputs), before)
    assert sorted(os.listdir(place)) == ["b", "copy", "tuned"]


def test_another_body_stays_a_file_of_its_own(runs):
    place, _ = runs
    own = place / "a" / "network" / "body.safetensors"
    changed = bytearray(own.read_bytes())
    changed[-1] ^= 1
    (place / "b" / "network" / "body.safetensors").unlink()
    (place / "b" / "network" / "body.safetensors").write_bytes(changed)  # of the same size
    shared_bodies.share_body(place / "a")
    assert own.read_bytes() != bytes(changed) and own.stat().st_nlink == 1


def test_where_there_are_no_hard_links_each_keeps_its_own(runs, monkeypatch):
    place, domain = runs
    shutil.copytree(place / "a", place / "c")

    def none(*_):
        raise OSError("no hard links here")

    monkeypatch.setattr(os, "link", none)
    shared_bodies.share_body(place / "c")
    assert not (place / "c" / "network" / "body.safetensors").samefile(place / "a" / "network" / "body.safetensors")
    load_transfer(place / "c").predict(domain.inputs)


def test_runs_with_and_without_such_a_file_are_fused(runs):
    place, _ = runs
    for one, other, name in (("a", "tuned", "x"), ("tuned", "a", "y"), ("a", "b", "z")):
        fuse_runs(place / one, place / other, 0.25, place / name)
        bodies = [load_transfer(place / each).network.body.state_dict() for each in (one, other, name)]
        for key, value in bodies[2].items():
            if value.is_floating_point():
                np.testing.assert_allclose(value, 0.25 * bodies[0][key] + 0.75 * bodies[1][key], atol=1e-6)


def beside(place, name, content=b"x" * 5000):
    """What stands in for a run with a frozen body."""
    file = place / name / "network" / saved.BODY
    file.parent.mkdir(parents=True)
    file.write_bytes(content)
    return file


def test_neighbours_that_cannot_be_read_or_are_no_files_keep_nobody_from_sharing(tmp_path, monkeypatch):
    (tmp_path / "a" / "network").mkdir(parents=True)
    getattr(os, "mkfifo", os.mkdir)(tmp_path / "a" / "network" / saved.BODY)  # Windows has no pipes of that kind
    beside(tmp_path, "b", b"y" * 5000)
    (tmp_path / "c" / "network").mkdir(parents=True)
    (tmp_path / "c" / "network" / saved.BODY).symlink_to(tmp_path / "e" / "network" / saved.BODY)
    closed, twin, own = beside(tmp_path, "d"), beside(tmp_path, "e"), beside(tmp_path, "own")
    link = os.link

    def refused(source, target):
        if str(source) == str(closed):
            raise PermissionError(13, "no")
        link(source, target)

    monkeypatch.setattr(os, "link", refused)
    shared_bodies.share_body(tmp_path / "own")
    assert own.samefile(twin) and closed.stat().st_nlink == 1
    assert os.listdir(own.parent) == [saved.BODY]


def test_a_file_that_others_could_change_is_not_shared(tmp_path):
    twin, own = beside(tmp_path, "a"), beside(tmp_path, "own")
    twin.chmod(0o666)
    own.chmod(0o644)
    shared_bodies.share_body(tmp_path / "own")
    assert not own.samefile(twin) and own.stat().st_mode & 0o777 == 0o644


def test_a_twin_that_changes_while_it_is_looked_at_is_not_taken(tmp_path, monkeypatch):
    twin, own = beside(tmp_path, "a"), beside(tmp_path, "own")
    link = os.link

    def replaced_before(source, target):
        twin.unlink()
        twin.write_bytes(b"z" * 5000)
        link(source, target)

    monkeypatch.setattr(os, "link", replaced_before)
    shared_bodies.share_body(tmp_path / "own")
    assert own.read_bytes() == b"x" * 5000 and twin.stat().st_nlink == 1


def test_a_run_that_is_killed_while_it_shares_has_its_body_whole(tmp_path):
    beside(tmp_path / "base", "a")
    beside(tmp_path / "base", "own")
    for k in range(10):
        place = shutil.copytree(tmp_path / "base", tmp_path / f"{k}")
        with killed_after(k) as watch:
            shared_bodies.share_body(place / "own")
        sweep_all(place)
        for name in ("a", "own"):
            assert os.listdir(place / name / "network") == [saved.BODY], k
            assert (place / name / "network" / saved.BODY).read_bytes() == b"x" * 5000, k
        if len(watch.seen) <= k:
            return
    raise AssertionError("it does not end")
