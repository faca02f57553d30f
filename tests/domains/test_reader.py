"""Another package adds a form of data: its reader is found by its entry point."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

import sterna
from sterna.domains import TableInputs
from sterna.domains.unlabelled import load_inputs
from sterna.errors import RequestError

MODULE = '''
import pandas as pd

from sterna.domains import Domain
from sterna.domains.reader import Reader
from sterna.domains.tables import table_inputs


def rows(path):
    return pd.DataFrame([line.split() for line in path.read_text().splitlines()], columns=["x", "y"], dtype="str")


class Spaced(Reader):
    """Numbers with spaces between them, the last one the label."""

    files = "numbers (.spaced)"
    endings = (".spaced",)
    kinds = ("table",)
    instead_of = ("tables",)

    def finds(self, place):
        return "numbers" if ".spaced" in place.path.name else ""

    def load(self, place, options):
        options.refuse(place.path, "a file of numbers", "text", "columns")
        frame = rows(place.path)
        inputs, notes = table_inputs(frame[["x"]])
        return Domain(place.path.stem, inputs, frame["y"].tolist(), notes=tuple(notes))

    def inputs(self, paths, kind, reading):
        return table_inputs(rows(paths[0])[["x"]])


class Greedy(Spaced):
    instead_of = ()
'''


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with an installed distribution, whose entry points a test may write anew; and a file to read."""
    site = tmp_path / "site"
    info = site / "spaced_numbers-1.0.dist-info"
    info.mkdir(parents=True)
    (site / "spaced_numbers.py").write_text(MODULE)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: spaced-numbers\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[sterna.readers]\nspaced = spaced_numbers:Spaced\n")
    (tmp_path / "a.spaced").write_text("1.5 yes\n2.5 no\n3.5 yes\n")
    monkeypatch.syspath_prepend(site)
    yield info / "entry_points.txt"
    sys.modules.pop("spaced_numbers", None)


def test_its_files_are_read_as_those_of_sterna(installed, tmp_path):
    domain = sterna.load_domain(tmp_path / "a.spaced")
    assert isinstance(domain.inputs, TableInputs)
    np.testing.assert_array_equal(domain.inputs.frame["x"], [1.5, 2.5, 3.5])
    assert domain.labels.tolist() == ["yes", "no", "yes"]
    with pytest.raises(RequestError, match=r"text='x' is for tables, but .*a\.spaced is a file of numbers"):
        sterna.load_domain(tmp_path / "a.spaced", text="x")


def test_its_inputs_are_read_to_be_answered(installed, tmp_path):
    asked = load_inputs([tmp_path / "a.spaced"], "table", {})
    assert asked.name == "a.spaced" and asked.labels is None
    assert asked.inputs[1] == {"x": 2.5}
    (tmp_path / "b.csv").write_text("x,label\n7,no\n")
    assert load_inputs([tmp_path / "b.csv"], "table", {}).inputs[0] == {"x": 7.0}
    with pytest.raises(RequestError, match=r"b\.txt is not a table file"):
        (tmp_path / "b.txt").write_text("7")
        load_inputs([tmp_path / "b.txt"], "table", {})


def test_it_is_among_what_is_expected(installed, tmp_path):
    (tmp_path / "a.spacet").write_text("1 yes\n")
    expected = (
        r"a folder or \.zip of images, recordings or texts, \.npz, a table \(.*\), "
        r"or numbers \(\.spaced\) was expected\."
    )
    with pytest.raises(RequestError, match=expected + r" Did you mean '\.spaced'"):
        sterna.load_domain(tmp_path / "a.spacet")


def test_of_two_that_find_something_one_gives_way_or_neither_reads(installed, tmp_path):
    path = tmp_path / "a.spaced.csv"
    path.write_text("1.5 yes\n2.5 no\n")
    assert sterna.load_domain(path).labels.tolist() == ["yes", "no"]
    installed.write_text("[sterna.readers]\nspaced = spaced_numbers:Greedy\n")
    with pytest.raises(RequestError, match=r"a\.spaced\.csv holds both a table and numbers; keep one kind in it"):
        sterna.load_domain(path)


def test_one_that_cannot_be_imported_is_named(installed, tmp_path):
    installed.write_text("[sterna.readers]\nspaced = spaced_numbers:Spacey\n")
    with pytest.raises(RequestError, match=r"The reader 'spaced' \(spaced_numbers:Spacey\) cannot be loaded"):
        sterna.load_domain(tmp_path / "a.spaced")
