"""`sterna predict` on files as people have them: some of them broken, names that coincide."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import sterna as package


@pytest.fixture
def broken(files, tmp_path):
    """Pictures of which two cannot be read."""
    folder = tmp_path / "Some Broken"
    shutil.copytree(files / "照片", folder)
    (folder / "红" / "11.png").write_bytes(b"")
    (folder / "other" / "AB.PNG").write_bytes(b"no picture")
    return folder


def test_broken_files_are_named_and_the_others_answered(sterna, runs, broken, tmp_path):
    expected = pd.DataFrame(json.loads(sterna("predict", runs / "images", "照片", "--json").out)).set_index("name")
    found = sterna("predict", runs / "images", broken, "--out", tmp_path / "a.csv")
    assert found.code == 3
    assert "other/AB.PNG (" in found.error and "红/11.png (" in found.error and found.error.count("\n") == 1
    assert "24 predictions" in found.out
    table = pd.read_csv(tmp_path / "a.csv").set_index("name")
    assert list(table.index) == sorted(table.index) and len(table) == 26
    unread = table[table["error"].notna()]
    assert list(unread.index) == ["other/AB.PNG", "红/11.png"] and unread["answer"].isna().all()
    good = table[table["error"].isna()]
    assert good["answer"].equals(expected["answer"][good.index])
    as_json = sterna("predict", runs / "images", broken, "--out", tmp_path / "a.json", "--json")
    assert as_json.code == 3 and [one["name"] for one in json.loads(as_json.out)["unread"]] == list(unread.index)
    rows = json.loads(sterna("predict", runs / "images", broken, "--json").out)
    assert [row["name"] for row in rows if row["error"]] == list(unread.index)


def test_in_python_a_broken_file_has_no_answer_in_its_place(runs, files, broken):
    transfer = package.load_transfer(runs / "images")
    with pytest.warns(UserWarning, match=r"2 of the files cannot be read .*AB.PNG"):
        answers = transfer.predict(broken)
    names = sorted(p.relative_to(broken).as_posix() for p in broken.rglob("*.[pP]*"))
    assert [n for n, answer in zip(names, answers, strict=True) if answer is None] == ["other/AB.PNG", "红/11.png"]
    assert [a for a in answers if a is not None] == list(transfer.predict(files / "照片"))
    with pytest.warns(UserWarning):
        numbers = transfer.predict_proba(broken)
    assert np.isnan(numbers).all(axis=1).tolist() == [answer is None for answer in answers]


def test_nothing_but_broken_files_is_an_error(sterna, runs, tmp_path):
    (tmp_path / "no.png").write_bytes(b"no picture")
    found = sterna("predict", runs / "images", tmp_path, "--out", tmp_path / "a.csv")
    assert found.code == 2 and "no.png: no image format" in found.error and not (tmp_path / "a.csv").exists()


def test_names_that_coincide_carry_their_folder(sterna, runs, tmp_path, monkeypatch):
    for folder in ("in/red", "in/Blue"):
        (tmp_path / folder).mkdir(parents=True)
        for name in ("0.png", "Ä.png"):
            Image.fromarray(np.zeros((16, 16, 3), np.uint8)).save(tmp_path / folder / name)
    monkeypatch.chdir(tmp_path)
    for given in (("in/red", "in/Blue"), ("in/red/0.png", "in/red/Ä.png", "in/Blue/0.png", "in/Blue/Ä.png")):
        rows = json.loads(sterna("predict", runs / "images", *given, "--json").out)
        assert {row["name"] for row in rows} == {"in/red/0.png", "in/Blue/0.png", "in/red/Ä.png", "in/Blue/Ä.png"}
    rows = json.loads(sterna("predict", runs / "images", "in/red/0.png", "in/Blue/Ä.png", "--json").out)
    assert [row["name"] for row in rows] == ["0.png", "Ä.png"]
