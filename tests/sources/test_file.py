"""Weights from files: what fits is loaded exactly, what does not is named, and code is never run."""

from __future__ import annotations

import os
import pickle
import zipfile
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from sterna.errors import RequestError
from sterna.sources.file import fill
from sterna.sources.load import load_source
from sterna.sources.weights import read_weights

timm = pytest.importorskip("timm")


class Hostile:
    """Unpickling it creates a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return os.system, (f"touch {self.path}",)


def small_network() -> nn.Module:
    """An architecture for `module:function`."""
    return nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 6)
    )


@pytest.mark.parametrize("legacy", [False, True])
def test_a_hostile_pickle_is_refused_and_not_run(tmp_path, legacy):
    trap = tmp_path / "trap"
    path = tmp_path / "model.pt"
    bad = {"state_dict": {"weight": torch.zeros(2)}, "extra": Hostile(trap)}
    torch.save(bad, path, _use_new_zipfile_serialization=not legacy)
    with pytest.raises(RequestError, match="refused.*safetensors.torch.save_file") as caught:
        load_source(f"file:{path}", architecture="timm:resnet18")
    assert not trap.exists()
    assert "\n" not in str(caught.value) and caught.value.exit_code == 2
    torch.load(path, weights_only=False)  # the trap is a real one
    assert trap.exists()


def test_a_bare_pickle_is_refused_and_not_run(tmp_path):
    trap, path = tmp_path / "trap", tmp_path / "model.pth"
    path.write_bytes(pickle.dumps(Hostile(trap)))
    with pytest.raises(RequestError, match="refused|damaged"):
        read_weights(path)
    assert not trap.exists()


def test_a_whole_module_in_a_file_is_refused(tmp_path):
    path = tmp_path / "model.pt"
    torch.save(nn.Linear(2, 2), path)
    with pytest.raises(RequestError, match="holds code or objects besides tensors"):
        read_weights(path)


def test_torchscript_is_refused(tmp_path):
    path = tmp_path / "model.pt"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("model/constants.pkl", b"")
        archive.writestr("model/data.pkl", b"")
        archive.writestr("model/version", b"3")
    with pytest.raises(RequestError, match="TorchScript|damaged"):
        read_weights(path)


@pytest.mark.parametrize("name", ["model.safetensors", "model.pt"])
def test_damaged_files_are_named(tmp_path, name):
    path = tmp_path / name
    weights = {"weight": torch.randn(100, 100)}
    save_file(weights, path) if name.endswith("safetensors") else torch.save(weights, path)
    path.write_bytes(path.read_bytes()[:-5000])
    with pytest.raises(RequestError, match=f"{name}.*(not a whole|damaged)"):
        read_weights(path)


def test_missing_and_unknown_files(tmp_path):
    (tmp_path / "model.safetensors").touch()
    with pytest.raises(RequestError, match="no file.*Did you mean 'model.safetensors'"):
        read_weights(tmp_path / "modle.safetensors")
    (tmp_path / "model.onnx").touch()
    with pytest.raises(RequestError, match="'.onnx', but .safetensors, .pt or .pth was expected"):
        read_weights(tmp_path / "model.onnx")
    torch.save({"epoch": 3}, tmp_path / "m.pt")
    with pytest.raises(RequestError, match="no tensors by name"):
        read_weights(tmp_path / "m.pt")


@pytest.mark.parametrize(
    "nest", [lambda s: s, lambda s: {"state_dict": s, "epoch": 3}, lambda s: {"model": s, "optimizer": {}}]
)
@pytest.mark.parametrize("prefix", ["", "module.", "model.", "backbone.", "_orig_mod.module."])
def test_nesting_and_prefixes_are_taken_off(tmp_path, nest, prefix):
    torch.manual_seed(0)
    original = small_network()
    original[1].running_mean.normal_()
    original[1].num_batches_tracked += 7
    path = tmp_path / "model.pt"
    torch.save(nest({prefix + k: v for k, v in original.state_dict().items()}), path)
    network = small_network()
    fill(network, read_weights(path), "file:model.pt", "here:small_network")
    for name, tensor in original.state_dict().items():
        assert torch.equal(network.state_dict()[name], tensor), name


def test_the_same_network_twice_is_ambiguous():
    state = small_network().state_dict()
    both = {f"{who}.backbone.{k}": v for who in ("student", "teacher") for k, v in state.items()}
    with pytest.raises(RequestError, match="2 times.*'student.backbone.', 'teacher.backbone.'"):
        fill(small_network(), both, "file:m.pt", "a:b")


def test_misfits_are_counted_and_named():
    state = small_network().state_dict()
    state["0.weight"] = torch.zeros(8, 3, 3, 3)
    del state["1.bias"]
    state["9.weight"] = torch.zeros(1)
    with pytest.raises(RequestError) as caught:
        fill(small_network(), state, "file:m.pt", "a:b")
    text = str(caught.value)
    assert "1 of its 9 weights are not in the file (1.bias)" in text
    assert "1 have another shape (0.weight (8, 3, 3, 3) instead of (4, 3, 3, 3))" in text
    assert "the file has 1 weights that it lacks (9.weight)" in text


def test_a_deeper_network_of_the_same_widths_does_not_pass_for_the_architecture():
    deep = timm.create_model("resnet34", num_classes=0).state_dict()
    with pytest.raises(RequestError, match="the file has .* weights that it lacks .*resnet34"):
        fill(timm.create_model("resnet18", num_classes=0), deep, "file:m.pt", "timm:resnet18")


def test_a_classifier_of_another_size_is_left_out(tmp_path):
    torch.manual_seed(0)
    trained = timm.create_model("resnet18", num_classes=7)
    path = tmp_path / "model.safetensors"
    save_file({f"module.{k}": v for k, v in trained.state_dict().items()}, path)
    source = load_source(f"file:{path}", architecture="timm:resnet18")
    assert source.body.width == 512 and source.kind == "images" and source.preparation.size == 224
    x = torch.randn(2, 3, 64, 64)
    trained.eval(), source.body.eval()
    with torch.inference_mode():
        expected = trained.forward_head(trained.forward_features(x), pre_logits=True)
        assert torch.equal(source.body(x), expected)
    assert source.card["prefix"].startswith("'module.'")


def test_an_architecture_from_a_function(tmp_path, monkeypatch):
    (tmp_path / "my_models.py").write_text(
        "from torch import nn\n\ndef make():\n    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), "
        "nn.AdaptiveAvgPool2d(1), nn.Flatten())\n\ndef needs(width):\n    return nn.Linear(width, 1)\n\n"
        "def text():\n    return 'no module'\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    torch.manual_seed(0)
    weights = {"0.weight": torch.randn(4, 3, 3, 3), "0.bias": torch.randn(4)}
    save_file(weights, tmp_path / "w.safetensors")
    source = load_source(f"file:{tmp_path}/w.safetensors", architecture="my_models:make")
    x = torch.randn(2, 3, 20, 20)
    expected = torch.relu(nn.functional.conv2d(x, weights["0.weight"], weights["0.bias"])).mean((2, 3))
    torch.testing.assert_close(source.body(x).detach(), expected)
    for function, message in {
        "mak": "has no 'mak'. Did you mean 'make'",
        "needs": "callable without arguments",
        "text": "gave a str",
    }.items():
        with pytest.raises(RequestError, match=message):
            load_source(f"file:{tmp_path}/w.safetensors", architecture=f"my_models:{function}")
    with pytest.raises(RequestError, match="cannot be imported"):
        load_source(f"file:{tmp_path}/w.safetensors", architecture="no_such_models:make")


def test_what_the_architecture_must_be(tmp_path):
    save_file({"a": torch.zeros(1)}, tmp_path / "w.safetensors")
    spec = f"file:{tmp_path}/w.safetensors"
    with pytest.raises(RequestError, match="say what they belong to"):
        load_source(spec)
    with pytest.raises(RequestError, match="'resnet18', but 'timm:<name>'"):
        load_source(spec, architecture="resnet18")
    with pytest.raises(RequestError, match="no model 'resnt18'.*Did you mean 'resnet18'"):
        load_source(spec, architecture="timm:resnt18")
