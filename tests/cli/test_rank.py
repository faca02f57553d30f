"""``sterna rank``; what it measures is tested in ``tests/experiment/test_ranking.py``."""

import json

import numpy as np
import pandas as pd
import pytest


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


def test_one_model_and_several_data_sets_are_seen_through_the_model(sterna, files):
    from sterna.cli.rank import _pairs

    data = [("source_data", "a"), ("source_domain", "b")]
    assert _pairs(["m"], data) == [("m", data[0]), ("m", data[1])]
    assert _pairs(["m", "n"], data[:1]) == [("m", None), ("n", None), (None, data[0])]
    assert _pairs(["m"], data[:1]) == [("m", None), (None, data[0])]


def test_a_wrong_request_is_one_sentence(sterna, hospitals):
    assert "No source was given" in sterna("rank", "t.csv").error
    found = sterna("rank", "t.csv", "--label", "y", "--source-data", "t.csv")
    assert found.code == 2 and found.error.startswith("Error: One source was given") and found.error.count("\n") == 1
    found = sterna("rank", "t.csv", "--label", "y", "--source-data", "t.csv", "--source-data", "nowhere.csv")
    assert found.code == 2 and "nowhere.csv" in found.error
