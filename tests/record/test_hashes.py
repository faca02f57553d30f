"""Content hashes of a run's files."""

import hashlib
import json
import shutil

import numpy as np
import pytest
from torch import nn

from sterna import Domain, RequestError, load_source, load_transfer, transfer
from sterna.networks import ImagePreparation, Network, build_body, load_network, save_network
from sterna.record.choice import Choice
from sterna.record.hashes import check_hash, check_hashes, hash_of, hashes_of_network, hashes_of_run
from sterna.report import write_report
from sterna.store.fusing_runs import fuse_runs
from sterna.store.run import RunFolder, Unit
from sterna.training.log import Log


def test_a_hash_is_what_sha256sum_prints(tmp_path):
    (tmp_path / "a").write_bytes(b"abc")
    assert hash_of(tmp_path / "a") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_files_are_named_from_their_folder_and_hidden_ones_left_out(tmp_path):
    for name in ("a.txt", "b/c.txt", ".hidden", "work/d", "network/network.json", "network/model.safetensors"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(name)
    (tmp_path / "network" / "head").mkdir()
    (tmp_path / "network" / "head" / "estimator.skops").write_text("")
    found = hashes_of_run(tmp_path)
    assert set(found) == {"a.txt", "b/c.txt", "network/network.json", "network/head/estimator.skops"}
    assert found["b/c.txt"] == hashlib.sha256(b"b/c.txt").hexdigest()
    assert set(hashes_of_network(tmp_path / "network")) == {"model.safetensors"}


@pytest.mark.parametrize("name", ["/etc/hostname", "../outside", "b/../../outside", "/dev/zero"])
def test_no_file_outside_the_folder_is_read(tmp_path, name):
    (tmp_path / "run").mkdir()
    (tmp_path / "outside").write_text("x")
    with pytest.raises(RequestError, match="which is not in the folder"):
        check_hash(tmp_path / "run", name, {name: "0"}, "manifest.json")


def test_a_file_that_is_gone_or_no_file_is_named(tmp_path):
    with pytest.raises(RequestError, match="a' is missing"):
        check_hash(tmp_path, "a", {"a": "0"}, "manifest.json")
    (tmp_path / "a").mkdir()
    with pytest.raises(RequestError, match="a' is damaged .it is no file"):
        check_hash(tmp_path, "a", {"a": "0"}, "manifest.json")
    for wrong in ([], "x", 5):
        with pytest.raises(RequestError, match="manifest.json' is damaged"):
            check_hashes(tmp_path, wrong, "manifest.json")


@pytest.fixture(scope="module")
def finished(digits_arrays, tmp_path_factory):
    """A run of images, some of which have another image's label, so that there are mistakes to show."""
    images, labels = (each[:120] for each in digits_arrays)
    labels = np.where(np.arange(120) % 3 == 0, np.roll(labels, 1), labels).astype(str)
    folder, domain = tmp_path_factory.mktemp("hashes") / "run", Domain.from_arrays(images, labels, name="digits")
    return transfer(None, domain, method="target-only", control="none", seeds=1, out=folder), folder


@pytest.fixture
def run(finished, tmp_path):
    shutil.copytree(finished[1], tmp_path / "run")
    return tmp_path / "run"


def test_the_record_holds_the_hashes_of_all_files(finished):
    result, folder = finished
    files = set(result.evidence.files)
    assert {"request.json", "history.json", "predictions.parquet", "splits.parquet", "network/network.json"} <= files
    assert any(name.startswith("mistakes/") for name in files)
    assert load_transfer(folder).record == result.record
    assert all(hash_of(folder / name) == found for name, found in result.evidence.files.items())


def flipped(path, place):
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)


def test_a_flipped_byte_is_seen_wherever_it_lies(run):
    networks = [path for path in (run / "network").rglob("*") if path.is_file()]
    assert len(networks) == 2
    for path in networks:
        size = path.stat().st_size
        for place in range(0, size, max(1, size // 12)):
            flipped(path, place)
            for read in (lambda: load_transfer(run).network, lambda: load_source(f"run:{run}")):
                with pytest.raises(RequestError, match="not as it was written|damaged"):
                    read()
            flipped(path, place)
    assert load_transfer(run).network  # all of it is as it was


def test_a_flipped_number_of_the_record_is_seen(run):
    path = run / "manifest.json"
    whole = path.read_text(encoding="utf-8")
    places = [place for place, letter in enumerate(whole) if letter.isdigit()]
    for place in places[:: len(places) // 60]:
        path.write_text(whole[:place] + str((int(whole[place]) + 1) % 10) + whole[place + 1 :], encoding="utf-8")
        with pytest.raises(RequestError, match="not as it was written|is wrong|is damaged"):
            load_transfer(run)
    # In other order and with other spaces, or without the hash, it is what it was.
    content = json.loads(whole)
    path.write_text(json.dumps(dict(sorted(content.items()))), encoding="utf-8")
    assert load_transfer(run).evidence.plain() == {name: content[name] for name in content if name != "hash"}
    assert list(content)[-1] == "hash"
    path.write_text(json.dumps({**content, "name": "mine", "hash": None}), encoding="utf-8")
    with pytest.raises(RequestError, match="if you meant to change it, take 'hash' out of it"):
        load_transfer(run)
    del content["hash"]
    path.write_text(json.dumps({**content, "name": "mine"}), encoding="utf-8")
    assert load_transfer(run).evidence.name == "mine"


def test_a_flipped_number_of_a_finished_fit_is_seen(tmp_path):
    folder, log = RunFolder(tmp_path), Log(choices=[Choice("penalty", 0.25, "cross-validation", 40)])
    folder.save_unit(0, "m", Unit(np.ones((2, 2)), log, 12.5, 34, 56))
    path = folder.work(0, "m") / "unit.json"
    whole = path.read_text()
    assert folder.load_unit(0, "m").trained == 34
    for was, now in (("34", "35"), ("12.5", "12.4"), ("0.25", "0.75"), ("40", "41")):
        path.write_text(whole.replace(was, now, 1))
        with pytest.raises(RequestError, match="unit.json' is not as it was written.*this fit then begins anew"):
            folder.load_unit(0, "m")


def test_a_file_that_was_changed_on_purpose_is_named_with_the_way_out(run):
    path = run / "history.json"
    path.write_text("{}")
    with pytest.raises(RequestError, match=r"history.json' is not as it was written .* take its name out of manifest"):
        write_report([run], run / "page.html")


def test_pictures_and_predictions_of_the_report_are_checked(run):
    for path in (run / "predictions.parquet", next((run / "mistakes").glob("*.png"))):
        content = path.read_bytes()
        flipped(path, len(content) // 2)
        with pytest.raises(RequestError, match="not as it was written"):
            write_report([run], run / "page.html")
        path.write_bytes(content)
    write_report([run], run / "page.html")


def test_a_fused_run_has_hashes_of_its_own(tmp_path, saved_network):
    for name in ("a", "b"):
        shutil.copytree(saved_network, tmp_path / name)
    fuse_runs(tmp_path / "a", tmp_path / "b", 0.5, tmp_path / "c")
    load_network(tmp_path / "c" / "network")
    flipped(tmp_path / "a" / "model.safetensors", -1)
    with pytest.raises(RequestError, match="model.safetensors' is not as it was written"):
        fuse_runs(tmp_path / "a", tmp_path / "b", 0.5, tmp_path / "d")


def test_fusing_follows_no_link_out_of_the_folder(tmp_path, saved_network):
    for name in ("a", "b"):
        shutil.copytree(saved_network, tmp_path / name)
    (tmp_path / "secret").write_text("not theirs")
    (tmp_path / "b" / "extra").symlink_to(tmp_path / "secret")
    with pytest.raises(RequestError, match="extra' is a symbolic link, which is not followed"):
        fuse_runs(tmp_path / "a", tmp_path / "b", 0.5, tmp_path / "c")
    assert not (tmp_path / "c").exists()


@pytest.fixture
def saved_network(tmp_path):
    shape = {"shape": [3, 16, 16], "whole": False}
    body = build_body({"loader": "small", "name": "cnn", "channels": 3, "size": 16, "input": shape})
    save_network(Network(ImagePreparation(size=16), body, nn.Linear(128, 2)), tmp_path / "saved")
    return tmp_path / "saved"
