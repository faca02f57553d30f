"""``sterna rank``; what it measures is tested in ``tests/experiment/test_ranking.py``."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from sterna import Source
from sterna.cli.transfer import read_sources
from sterna.record.request import Request


@pytest.fixture(scope="session")
def hospitals(files):
    """A table of three hospitals: the label of one goes the other way."""
    random = np.random.default_rng(0)
    x = random.normal(size=(360, 2))
    place = np.repeat(["here", "like", "against"], 120)
    y = np.where(place == "against", -1, 1) * x[:, 0] + 0.2 * random.normal(size=360) > 0
    frame = pd.DataFrame(x, columns=["a", "b"]).assign(hospital=place, y=np.where(y, "yes", "no"))
    frame.to_csv(files / "hospitals.csv", index=False)
    for name in ("like", "against"):
        frame[frame.hospital == name].to_csv(files / f"{name}.csv", index=False)
    return files


WORDS = ("rank", "hospitals.csv", "--label", "y", "--domain-column", "hospital", "--target-domain", "here")


def test_domains_of_the_target_are_ranked(sterna, hospitals):
    found = sterna(*WORDS, "--source-domain", "against", "--source-domain", "like", "--labels", "40", "--json")
    record = json.loads(found.out)
    assert found.code == 0 and record["best"] == "hospitals.csv:like" and record["verdict"] == "helps"
    assert record["gain"]["control"] == "hospitals.csv:against" and record["labels"] == 40


def test_the_table_ends_with_what_it_comes_to(sterna, hospitals):
    words = ("--source-data", "like.csv", "--source-data", "against.csv", "--drop", "hospital")
    found = sterna("rank", "like.csv", "--label", "y", *words[2:], "--source-data", "hospitals.csv", "--labels", "0")
    lines = found.out.splitlines()
    assert found.code == 0 and "no labels: smaller is nearer" in lines[1]
    assert "A-distance" in lines[2] and lines[-1].startswith("unclear: ")
    assert sterna("rank", "like.csv", "--label", "y", *words, "--labels", "0", "--quiet").out == ""


def test_each_data_set_is_seen_through_each_model(tmp_path, monkeypatch):
    for name in "ab":
        (tmp_path / f"{name}.csv").write_text("x,y\n1,up\n2,down\n3,up\n4,down\n", "utf-8")
    monkeypatch.setattr("sterna.sources.load_source", lambda spec, **options: Source(spec, body=torch.nn.Identity()))
    data = (str(tmp_path / "a.csv"), str(tmp_path / "b.csv"))
    asked = Request(target=data[0], label="y")
    for source, files, expected in (
        ((), data, ["a.csv", "b.csv"]),
        (("m", "n"), (), ["m", "n"]),
        (("m", "n"), data, ["m + a.csv", "m + b.csv", "n + a.csv", "n + b.csv"]),
        (("m",), data[:1], ["m"]),
    ):
        found = read_sources(replace(asked, source=source, source_data=files))
        assert [each.spec for each in found] == expected


def test_a_wrong_request_is_one_sentence(sterna, hospitals):
    assert "No source was given" in sterna("rank", "t.csv").error
    found = sterna("rank", "t.csv", "--label", "y", "--source-data", "t.csv")
    assert found.code == 2 and found.error.startswith("Error: One source was given") and found.error.count("\n") == 1
    found = sterna("rank", "t.csv", "--label", "y", "--source-data", "t.csv", "--source-data", "nowhere.csv")
    assert found.code == 2 and "nowhere.csv" in found.error
