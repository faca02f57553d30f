"""Kinds, preparations and forms of sources: Sterna's own, and those of a package that names them as entry points."""

import importlib
import sys

import numpy as np
import pytest
import torch

from sterna import Domain, RequestError, list_sources, load_source, load_transfer, transfer
from sterna.domains import AudioSequence, ImageArray, TextInputs
from sterna.domains.audio import Sound
from sterna.domains.tables import table_inputs
from sterna.kinds import KINDS, kind_of
from sterna.networks import small_body
from sterna.networks.build import build_body
from sterna.preparations.saved import preparation_from_state

THEIRS = '''
"""Curves: a kind of data of a package of its own."""

import numpy as np
import torch
from torch import nn

from sterna.domains import Inputs, Preparation
from sterna.kinds import Kind, Vectors
from sterna.sources.catalogue import Form
from sterna.sources.module import load


class Curves(Inputs):
    kind = "curves"

    def __init__(self, values):
        self.values = np.asarray(values, dtype=np.float32)

    def __len__(self):
        return len(self.values)

    def __getitem__(self, row):
        return self.values[row]

    def take(self, rows):
        return Curves(self.values[rows])

    def keys(self):
        return [row.tobytes().hex() for row in self.values]

    def fingerprint(self):
        return "".join(self.keys())


class CurvePreparation(Preparation):
    kind = "curves"

    def __init__(self, scale=1.0):
        self.scale = scale

    def items(self, inputs):
        return [inputs[row] / self.scale for row in range(len(inputs))]

    def collate(self, items):
        return torch.from_numpy(np.stack(items))

    def example(self, rows=2):
        return torch.zeros(rows, 5)

    def state(self):
        return {"type": "curve", "scale": self.scale}


class CurveKind(Kind):
    noun = whole = "curves"

    def small(self, inputs):
        return CurvePreparation(), {"loader": "small", "name": "mlp", "width_in": 5}

    def vectors(self, inputs):
        return Vectors(CurvePreparation(), 5, "points")


def loaded(asked):
    return load(nn.Sequential(nn.Linear(5, int(asked.name)), nn.ReLU()), CurvePreparation(2.0))


FORM = Form("curves/<width>", "curves", "a layer of any width", loaded)


def smooth(width):
    return nn.Sequential(nn.Linear(5, width), nn.Tanh())
'''

POINTS = """
[sterna.kinds]
curves = their_curves:CurveKind

[sterna.preparations]
curve = their_curves:CurvePreparation

[sterna.loaders]
curves = their_curves:FORM
missing = their_curves:nothing
"""


@pytest.fixture
def theirs(tmp_path, monkeypatch):
    """A package with a kind, a preparation and a form of sources, installed."""
    (tmp_path / "their_curves.py").write_text(THEIRS)
    about = tmp_path / "their_curves-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: their-curves\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text(POINTS)
    monkeypatch.syspath_prepend(tmp_path)
    yield importlib.import_module("their_curves")
    del sys.modules["their_curves"]


def test_a_package_adds_a_kind_a_preparation_and_a_form_of_sources(theirs):
    assert kind_of("curves").noun == "curves"
    assert "curves" in KINDS and KINDS.names()[-1] == "curves"
    body, preparation = small_body(theirs.Curves(np.zeros((4, 5))))
    assert body.recipe["width_in"] == 5 and isinstance(preparation, theirs.CurvePreparation)
    rebuilt = preparation_from_state({"type": "curve", "scale": 4.0})
    assert isinstance(rebuilt, theirs.CurvePreparation) and rebuilt.scale == 4.0
    source = load_source("curves/7")
    assert (source.body.width, source.kind) == (7, "curves")
    listed = {each.spec: each for each in list_sources()}
    assert listed["curves/<width>"].note == "a layer of any width"
    assert "cannot be loaded" in listed["missing/<name>"].note
    with pytest.raises(RequestError, match="curves/<width>"):
        load_source("nothing/at-all")
    with pytest.raises(RequestError, match="'curves/7' brings its own"):
        load_source("curves/7", preparation=rebuilt)
    with pytest.raises(RequestError, match="form of sources 'missing'.*cannot be loaded"):
        load_source("missing/x")
    with pytest.raises(RequestError, match="takes curves, but the target holds texts; choose a source for texts"):
        source.for_inputs(TextInputs(["a"]))


def test_a_run_learns_from_a_kind_of_another_package_and_answers_for_it(theirs, tmp_path):
    random = np.random.default_rng(0)
    values = random.normal(size=(90, 5))
    domain = Domain("curves", theirs.Curves(values), np.where(values[:, 0] + values[:, 1] > 0, "up", "down"))
    result = transfer("curves/8", domain, method="feature-extraction", out=tmp_path / "run", seeds=1)
    assert set(result.controls) == {"constant", "target-only", "scratch"}
    assert result.controls["target-only"]["accuracy"].value > 0.8
    again = load_transfer(tmp_path / "run")
    assert (again.predict(domain) == result.predict(domain)).all()
    with pytest.raises(RequestError, match="holds texts, but this run learnt from curves; give curves"):
        again.predict(["a text"])


def test_a_kind_may_bring_a_small_module_of_its_own(theirs, monkeypatch):
    recipe = {
        "loader": "python", "function": "their_curves:smooth", "options": {"width": 6},
        "input": {"shape": [5], "whole": False},
    }  # fmt: skip
    monkeypatch.setattr(theirs.CurveKind, "small", lambda self, inputs: (theirs.CurvePreparation(), recipe))
    bodies = [small_body(theirs.Curves(np.zeros((4, 5))), seed=seed)[0] for seed in (3, 3, 4)]
    x = torch.ones(2, 5)
    assert bodies[0].width == 6 and torch.equal(bodies[0](x), bodies[1](x))
    assert not torch.allclose(bodies[0](x), bodies[2](x))
    again = build_body(bodies[0].recipe)
    again.load_state_dict(bodies[0].state_dict())
    assert torch.equal(again(x), bodies[0](x))


def test_an_unknown_kind_is_refused_by_its_name():
    with pytest.raises(RequestError, match="no kind of data 'image'. Did you mean 'images'?"):
        kind_of("image")


@pytest.mark.parametrize(
    ("name", "noun", "whole", "controls"),
    [
        ("images", "images", "images", ("target-only", "scratch")),
        ("table", "table rows", "a table", ("target-only", "scratch")),
        ("text", "texts", "texts", ("target-only",)),
        ("audio", "recordings", "recordings", ("target-only", "scratch")),
    ],
)
def test_what_kinds_are_called_and_which_controls_run_by_themselves(name, noun, whole, controls):
    kind = kind_of(name)
    assert (kind.noun, kind.whole, kind.controls) == (noun, whole, controls)


def test_pixels_stand_for_images_and_one_channel_is_enough_to_compare_grey_ones():
    grey = ImageArray(np.arange(3 * 32 * 32, dtype=np.uint8).reshape(3, 32, 32))
    colour = ImageArray(np.full((3, 32, 32, 3), 255, np.uint8))
    kind = kind_of("images")
    assert kind.vectors(grey).of(grey).shape == (3, 3 * 32 * 32)
    assert kind.compared(grey).of(grey).shape == (3, 32 * 32)
    np.testing.assert_allclose(kind.compared(grey).of(grey)[1], grey.images[1].ravel() / 127.5 - 1, atol=1e-6)
    assert kind.compared(colour).called == "pixels at 32 × 32"
    assert (kind.vectors(colour).of(colour) == 1.0).all()
    assert kind.mirrored(colour) and not kind.mirrored(grey) and not kind.mirrored(colour.take(np.arange(0)))


def test_columns_stand_for_table_rows_and_statistics_for_recordings():
    import pandas as pd

    table = table_inputs(pd.DataFrame({"a": [1.0, 3.0, 5.0, 3.0], "b": ["x", "y", "x", "y"], "c": [np.nan] * 4}))[0]
    vectors = kind_of("table").vectors(table)
    assert (vectors.width, vectors.called, vectors.columns) == (3, "2 columns", ("a", "b"))
    np.testing.assert_allclose(vectors.of(table)[:, 0], [-(2**0.5), 0, 2**0.5, 0], rtol=1e-6)
    sounds = AudioSequence([Sound(np.sin(np.arange(8000, dtype=np.float32) / k), 8000) for k in (2, 3)])
    found = kind_of("audio").vectors(sounds)
    assert found.of(sounds).shape == (2, found.width) == (2, 5 * 40)
    assert kind_of("text").vectors(TextInputs(["a"])) is None


def test_rows_are_told_by_their_names_texts_by_their_first_words_and_table_rows_not_at_all():
    texts = TextInputs(["a tern", "b" * 50])
    assert kind_of("text").told(texts, [0, 1]) == ["'a tern'", repr("b" * 40)]
    assert kind_of("images").told(ImageArray(np.zeros((3, 2, 2), np.uint8)), [2, 0]) == ["2", "0"]
    import pandas as pd

    assert kind_of("table").told(table_inputs(pd.DataFrame({"a": [1.0, 2.5]}))[0], [0]) == []


@pytest.mark.parametrize("texts", [["😀", "😡", "😀😀"], ["!", "?", "!."], ["a", "b", "c d"], ["", " ", "x"]])
def test_texts_without_words_have_vectors_all_the_same(texts):
    vectors = kind_of("text").raw().vectoriser().fit_transform(texts).toarray()
    assert vectors.shape[0] == 3 and not np.array_equal(vectors[0], vectors[2])


def test_words_are_found_as_scikit_learn_finds_them():
    import re

    from sklearn.feature_extraction.text import TfidfVectorizer

    from sterna.kinds.text import WORDS

    usual = re.compile(TfidfVectorizer().token_pattern)
    for text in ("a tern, and 2 gulls!", " don't  x", "北京 很好", "one"):
        assert re.findall(WORDS, text) == usual.findall(text)
    for text in ("😀!", "a b", "", " \n"):
        assert re.findall(WORDS, text) == [text] and usual.findall(text) == []
