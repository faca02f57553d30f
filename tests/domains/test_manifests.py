"""Photographs, recordings and texts that a table names, with labels, patients and splits."""

from __future__ import annotations

import io
import json
import zipfile

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from sterna import load_transfer
from sterna.domains import load_domain, make_splits
from sterna.domains.manifests import Files
from sterna.domains.unlabelled import load_inputs
from sterna.errors import RequestError

N = 12


def png(value):
    stream = io.BytesIO()
    Image.fromarray(np.full((4, 4), value, np.uint8)).save(stream, "PNG")
    return stream.getvalue()


def wav(value):
    import soundfile

    stream = io.BytesIO()
    soundfile.write(stream, np.full(800, value / 300, np.float32), 8000, format="WAV")
    return stream.getvalue()


KINDS = {"images": ("png", png), "audio": ("wav", wav), "text": ("txt", lambda value: f"words {value}".encode())}


def value_of(row):
    """What `KINDS` wrote into a file."""
    if isinstance(row, str):
        return int(row.split()[1])
    return int(np.asarray(row)[0, 0]) if hasattr(row, "getbands") else round(float(row.samples[0]) * 300)


def table(ending="png", where="", rows=N):
    return pd.DataFrame(
        {
            "age": range(20, 20 + rows),
            "file": [f"{where}{i}.{ending}" for i in range(rows)],
            "ill": ["yes", "no"] * (rows // 2),
            "patient": [f"p{i // 4}" for i in range(rows)],
            "split": ["train"] * (rows - 4) + ["test"] * 4,
        }
    )


def written(path, files, manifest=None, name="manifest.csv"):
    """A folder or zip of files, and a table among them."""
    everything = dict(files)
    if manifest is not None:
        everything[name] = manifest.to_csv(index=False).encode()
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w") as archive:
            for file, data in everything.items():
                archive.writestr(file, data)
        return path
    for file, data in everything.items():
        (path / file).parent.mkdir(parents=True, exist_ok=True)
        (path / file).write_bytes(data)
    return path


def pictures(where="", rows=N, ending="png", make=png):
    return {f"{where}{i}.{ending}": make(i) for i in range(rows)}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("packed", ["d", "d.zip"])
def test_files_of_every_kind_come_with_labels_patients_and_splits(tmp_path, kind, packed):
    ending, make = KINDS[kind]
    files = pictures("deep/er/", ending=ending, make=make)
    domain = load_domain(written(tmp_path / packed, files, table(ending)), label="ill", group="patient")
    assert domain.kind == kind and [value_of(domain.inputs[i]) for i in range(N)] == list(range(N))
    assert domain.labels.tolist() == ["yes", "no"] * 6
    assert domain.groups.tolist() == [f"p{i // 4}" for i in range(N)]
    assert {name: rows.tolist() for name, rows in domain.splits.items()} == {
        "train": list(range(8)), "test": list(range(8, 12)),
    }  # fmt: skip
    assert domain.inputs.names()[3] == f"deep/er/3.{ending}"
    new = load_inputs([written(tmp_path / "new", pictures(ending=ending, make=make))], kind, domain.reading)
    assert len(new) == N and new.kind == kind


@pytest.mark.parametrize(
    "name", ["labels.csv", "metadata.csv", "Manifest.CSV", "metadata.jsonl", "sub/labels.tsv", "labels.parquet"]
)
def test_what_a_manifest_may_be_called(tmp_path, name):
    written(tmp_path / "d", pictures("x/"))
    place = tmp_path / "d" / name
    place.parent.mkdir(exist_ok=True)
    frame = table().drop(columns="split")
    if name.endswith("jsonl"):
        frame.to_json(place, orient="records", lines=True)
    elif name.endswith("parquet"):
        frame.to_parquet(place)
    else:
        frame.to_csv(place, index=False, sep="\t" if name.endswith("tsv") else ",")
    domain = load_domain(tmp_path / "d", label="ill")
    assert len(domain) == N and domain.labels.tolist() == ["yes", "no"] * 6


@pytest.mark.parametrize(
    ("column", "cells"),
    [
        ("image_id", "{i}"), ("Path", "C:\\\\photos\\\\set\\\\{i}.png"), ("scan", "/home/somebody/x/{i}.png"),
        ("filename", "../x/{i}.png"), ("file", "./x/{i}.png"),
    ],
)  # fmt: skip
def test_a_table_that_names_files_may_be_given_itself(tmp_path, column, cells):
    cells = cells.replace("\\\\", "\\")
    frame = pd.DataFrame({column: [cells.format(i=i) for i in range(N)], "dx": ["a", "b"] * 6, "sex": ["f"] * N})
    place = written(tmp_path / "d", pictures("x/"), frame, "any name.csv") / "any name.csv"
    domain = load_domain(place, label="dx")
    assert domain.kind == "images" and [value_of(domain.inputs[i]) for i in range(N)] == list(range(N))
    again = load_inputs([place], "images", domain.reading)
    assert again.inputs.names() == domain.inputs.names()


def test_a_table_for_its_other_columns_stays_a_table(tmp_path):
    frame = table().drop(columns="split").assign(said=[f"some words {i} of a report" for i in range(N)])
    place = written(tmp_path / "d", pictures(), frame, "t.csv") / "t.csv"
    assert load_domain(place, label="ill").kind == "images"
    assert load_domain(place, label="ill", drop=["file"]).kind == "table"
    assert load_domain(place, label="ill", text="said").kind == "text"
    elsewhere = tmp_path / "other" / "alone.csv"
    elsewhere.parent.mkdir()
    frame.to_csv(elsewhere, index=False)
    assert load_domain(elsewhere, label="ill").kind == "table", "no such file is there"


def test_labels_may_be_several_or_numbers(tmp_path):
    frame = table().assign(cough=[0, 1] * 6, fever=[1, 0, 0] * 4)
    path = written(tmp_path / "d", pictures(), frame)
    several = load_domain(path, label="cough,fever")
    assert several.labels.tolist() == frame[["cough", "fever"]].to_numpy().tolist()
    assert several.classes == ("cough", "fever")
    assert load_domain(path, label="age").labels.tolist() == list(range(20, 32))


def test_folders_give_classes_and_splits_that_the_manifest_lacks(tmp_path):
    files = {f"{'train' if i < 8 else 'test'}/{'ab'[i % 2]}/{i}.png": png(i) for i in range(N)}
    frame = table()[["file", "patient"]]
    domain = load_domain(written(tmp_path / "d", files, frame), group="patient")
    assert domain.labels.tolist() == ["a", "b"] * 6 and domain.groups.tolist() == frame["patient"].tolist()
    assert domain.splits["test"].tolist() == [8, 9, 10, 11]
    path = written(tmp_path / "e", pictures("x/"), table().drop(columns="split"))
    whole = load_domain(path, label="ill", group="patient")
    splits = make_splits(whole, (whole.labels == "yes").astype(np.int64), seed=0)
    groups = np.array([f"p{i // 4}" for i in range(N)])
    sides = [set(groups[rows]) for rows in (splits.train, splits.validation, splits.test)]
    assert sum(map(len, sides)) == len(set.union(*sides)), "no patient is on two sides"


def test_domains_are_rows_of_a_manifest(tmp_path):
    frame = table().drop(columns="split").assign(site=["x"] * 6 + ["y"] * 6)
    path = written(tmp_path / "d", pictures(), frame)
    domain = load_domain(path, label="ill", domain_column="site", domain="y")
    assert [value_of(domain.inputs[i]) for i in range(6)] == [6, 7, 8, 9, 10, 11]


def test_missing_files_are_named_with_row_and_count(tmp_path):
    frame = table(rows=100)
    files = {name: data for name, data in pictures(rows=100).items() if name not in ("7.png", "90.png")}
    domain = load_domain(written(tmp_path / "d", files, frame), label="ill")
    assert any("2 of 100 images" in note and "'7.png' (row 7), '90.png' (row 90)" in note for note in domain.notes)
    assert [value_of(domain.inputs[i]) for i in (6, 7)] == [6, 8] and len(domain) == 98
    with pytest.raises(RequestError, match=r"2 of 100 images .*row 7"):
        load_domain(tmp_path / "d", label="ill", strict=True)
    with pytest.raises(RequestError, match=r"12 of 12 images .*'0.jpg' \(row 0\).* and 7 more"):
        load_domain(written(tmp_path / "e", pictures(), table("jpg")), label="ill")


def test_a_missing_file_is_never_taken_for_another_of_its_name(tmp_path):
    """blue/0.png is gone; red/0.png is the only 0.png there, and is named itself."""
    files = Files(["red/0.png", "red/1.png"])
    assert files.found(["red/0.png", "blue/0.png"]) == ["red/0.png", None]
    assert files.found(["a/1.png", "b/1.png"]) == [None, None], "one of them, nobody knows which"
    assert files.found(["x/1.png", "x/1.png"]) == ["red/1.png"] * 2, "one file of two rows"
    assert files.found(["1", "x/red/0", "2"]) == ["red/1.png", "red/0.png", None]
    assert files.found(["X/Red/0.PNG", "1.PNG", "c:\\RED\\2"]) == ["red/0.png", "red/1.png", None]
    assert Files(["a.png", "A.png"]).found(["x/a.png", "x/A.png", "x/a.PNG"]) == ["a.png", "A.png", None]
    assert Files(["a/0.png", "b/0.png"]).found(["0.png", "b/0.png", "y/a/0.png"]) == [None, "b/0.png", "a/0.png"]


@given(st.lists(st.sampled_from("abcd"), min_size=1, max_size=3).map("/".join), st.data())
def test_what_is_found_ends_as_it_was_asked_for(asked, data):
    names = data.draw(st.lists(st.lists(st.sampled_from("abcd"), min_size=1, max_size=3).map("/".join), unique=True))
    (found,) = Files(names).found([asked])
    if asked in names:
        assert found == asked
    elif found is not None:
        last = asked.rsplit("/", 1)[-1]
        same = [name for name in names if name.rsplit("/", 1)[-1] == last]
        assert found in same
        longest = max(sum(1 for _ in common(name, asked)) for name in same)
        assert sum(1 for _ in common(found, asked)) == longest
        assert [sum(1 for _ in common(name, asked)) for name in same].count(longest) == 1


def common(one, other):
    for a, b in zip(reversed(one.split("/")), reversed(other.split("/")), strict=False):
        if a != b:
            return
        yield a


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"label": "il"}, "label='il'.*no such column. Did you mean 'ill'"),
        ({}, "say which column is the label"),
        ({"label": "ill", "group": "patent"}, "group='patent'.*Did you mean 'patient'"),
        ({"label": "file"}, "names the images"),
        ({"label": "ill", "drop": ["age"]}, "drop=.* is for tables"),
    ],
)
def test_what_a_manifest_lacks_is_one_sentence(tmp_path, options, sentence):
    with pytest.raises(RequestError, match=sentence):
        load_domain(written(tmp_path / "d", pictures("x/"), table()), **options)


def test_a_folder_without_a_manifest_says_what_it_takes(tmp_path):
    files = {f"{'ab'[i % 2]}/{i}.png": png(i) for i in range(N)}
    with pytest.raises(RequestError, match=r"group='patient' .* without a manifest.csv \(columns file, label, ...\)"):
        load_domain(written(tmp_path / "d", files), group="patient")
    beside = pd.DataFrame({"note": ["x", "y"]})
    assert len(load_domain(written(tmp_path / "e", files, beside, "labels.csv"))) == N, "it names no file"
    named = written(tmp_path / "f", files, pd.DataFrame({"file": sorted(files), "ill": ["yes", "no"] * 6}), "Entry.csv")
    with pytest.raises(
        RequestError, match=r"but with '.*Entry.csv', which names images and can be given itself; leave"
    ):
        load_domain(named, label="ill")


def test_texts_lie_in_folders_of_classes(tmp_path):
    files = {f"{split}/{c}/{i}.txt": f"{c} {i} 好".encode() for split in ("train", "test") for c in ("pos", "neg")
             for i in range(3)}  # fmt: skip
    domain = load_domain(written(tmp_path / "d", {**files, "README.txt": b"words"}))
    assert domain.kind == "text" and sorted(set(domain.labels)) == ["neg", "pos"] and len(domain) == 12
    assert domain.inputs[domain.inputs.names().index("test/pos/1.txt")] == "pos 1 好"
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / "a.txt").write_text("one\ntwo", encoding="utf-8")
    (tmp_path / "new" / "b.txt").write_bytes(b"\xff\xfe no")
    found = load_inputs([tmp_path / "new"], "text", {})
    assert found.inputs.names() == ["a.txt"] and found.inputs[0] == "one\ntwo"
    assert [(one.name, one.why) for one in found.inputs.unread] == [("b.txt", "byte 0 is not UTF-8; save it as UTF-8")]
    lines = load_inputs([tmp_path / "new" / "a.txt"], "text", {})
    assert [lines.inputs[i] for i in range(2)] == ["one", "two"], "a single file holds one text a line"


def test_a_transfer_of_photographs_with_a_csv(tmp_path, monkeypatch, capfd):
    import sys

    from sterna.cli import main

    random = np.random.default_rng(0)
    rows = 60
    files = {}
    for i in range(rows):
        stream = io.BytesIO()
        pixels = random.normal(60 + 120 * (i % 2), 10, (8, 8, 3)).clip(0, 255).astype(np.uint8)
        Image.fromarray(pixels).save(stream, "PNG")
        files[f"photos/IMG_{i:03}.PNG"] = stream.getvalue()
    frame = pd.DataFrame({"file": [f"IMG_{i:03}.PNG" for i in range(rows)], "dx": ["a", "b"] * (rows // 2),
                          "patient": [i // 4 for i in range(rows)]})  # fmt: skip
    written(tmp_path, files, frame, "labels.csv")
    monkeypatch.chdir(tmp_path)
    command = "sterna transfer labels.csv --label dx --group patient --method target-only --control none --json --out r"
    monkeypatch.setattr(sys, "argv", command.split())
    with pytest.raises(SystemExit):
        main()
    found = json.loads(capfd.readouterr().out)
    assert found["scores"]["accuracy"]["value"] == 1
    for i in range(8):
        place = tmp_path / "by class" / "ab"[i % 2] / f"{i}.png"
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(files[f"photos/IMG_{i:03}.PNG"])
    transfer = load_transfer(tmp_path / "r")
    assert transfer.score(tmp_path / "labels.csv")["accuracy"].value == 1
    assert transfer.score(tmp_path / "by class")["accuracy"].value == 1, "folders have no column dx"
    both = load_domain(tmp_path / "labels.csv", label="dx", test=tmp_path / "by class")
    assert both.labels[both.splits["test"]].tolist() == ["a"] * 4 + ["b"] * 4
    table_of = pd.read_parquet(tmp_path / "r" / "predictions.parquet")
    assert set(table_of["name"]) <= {f"photos/IMG_{i:03}.PNG" for i in range(rows)}, "the case of names is kept"
