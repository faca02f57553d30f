"""A frozen body is one file on disk, whichever runs have it, and lost with none of them."""

import os
import shutil

import numpy as np
import pytest

from sterna import load_transfer, transfer
from sterna.networks import saved
from sterna.store import shared_bodies
from sterna.store.fusing_runs import fuse_runs


@pytest.fixture
def runs(source, digits, tmp_path, monkeypatch):
    """Two runs with one frozen body, and one whose body was trained."""
    monkeypatch.setattr(saved, "LARGE", 1000)
    domain = digits(60)
    options = {"settings": {"blocks": "last", "penalty": 1.0}, "control": "none", "seeds": 1}
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
