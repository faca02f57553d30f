"""Weights from files: what fits is loaded exactly, what does not is named, and code is never run."""

from __future__ import annotations

import os
import pickle
import re
import sys
import zipfile
from argparse import Namespace
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file, save_model
from torch import nn

from sterna.errors import RequestError
from sterna.networks.build import build_body
from sterna.preparations.image import ImagePreparation
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


@pytest.mark.parametrize(("changed", "said"), [
    ({"0.weight": torch.ones(4, 3, 3, 3, dtype=torch.int8)}, "1 are int8 instead .*as plain tensors of float32"),
    ({"extra.weight": torch.ones(3)}, "1 weights that it lacks .*leave what is no part of it out of the file"),
    ({"0.weight": torch.ones(4, 2, 3, 3)}, "name the architecture that they were saved from"),
])  # fmt: skip
def test_weights_that_do_not_fit_come_with_a_way_out(changed, said):
    with pytest.raises(RequestError, match=said):
        fill(small_network(), {**small_network().state_dict(), **changed}, "file:f.pt", "nets:small_network")


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
        torch.testing.assert_close(source.body(x), expected)  # processors differ in the last digit
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


# -- weights as training scripts and wrappers leave them ------------------------------------------------


class Named(nn.Module):
    """A stem, two blocks and a head, whose names say nothing of their places."""

    def __init__(self, names: tuple[str, str, str, str] = ("stem", "body", "top", "head")) -> None:
        super().__init__()
        self.names = names
        self.add_module(names[0], nn.Conv2d(3, 4, 3))
        self.add_module(names[1], nn.Sequential(nn.Conv2d(4, 6, 3), nn.BatchNorm2d(6)))
        self.add_module(names[2], nn.Linear(6, 8))
        self.add_module(names[3], nn.Linear(8, 5))

    def forward(self, x):
        stem, body, top, head = (getattr(self, name) for name in self.names)
        return head(torch.relu(top(torch.relu(body(torch.relu(stem(x)))).mean((2, 3)))))


class TiedNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 6, 1)
        self.encoder, self.decoder, self.head = nn.Linear(6, 6), nn.Linear(6, 6), nn.Linear(6, 2)
        self.decoder.weight = self.encoder.weight

    def forward(self, x):
        return self.head(torch.relu(self.decoder(torch.relu(self.encoder(self.stem(x).mean((2, 3)))))))


def named() -> nn.Module:
    return Named()


def odd_names() -> nn.Module:
    return Named(("projector", "fc", "classifier", "last"))


def tied() -> nn.Module:
    return TiedNet()


@pytest.fixture
def from_here(monkeypatch, tmp_path):
    """Loads a file by an architecture of this module, at 16 px."""
    monkeypatch.setitem(sys.modules, "nets_of_this_test", sys.modules[__name__])

    def load(name: str, function: str = "named"):
        return load_source(
            f"file:{tmp_path}/{name}", architecture=f"nets_of_this_test:{function}", preparation=ImagePreparation(16)
        )

    return load


def holds(source, network: nn.Module) -> bool:
    """Whether a source has a network's weights, but for its head."""
    own = source.body.module.state_dict()
    return bool(own) and all(torch.equal(tensor, network.state_dict()[name]) for name, tensor in own.items())


def seeded(seed: int, make=Named) -> nn.Module:
    torch.manual_seed(seed)
    return make()


WRAPPED = ["_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module", "module", "_orig_mod.module"]


@pytest.mark.parametrize("wrapper", WRAPPED)
@pytest.mark.parametrize("where", ["before", "inside", "deep", "everywhere"])
def test_what_wrappers_put_into_names_is_taken_out(tmp_path, from_here, wrapper, where):
    network = seeded(1)
    put = {
        "before": lambda n: f"{wrapper}.{n}",
        "inside": lambda n: n.replace("body.", f"body.{wrapper}.", 1),
        "deep": lambda n: "model." + n.replace("body.0.", f"body.0.{wrapper}.", 1),
        "everywhere": lambda n: ".".join(f"{wrapper}.{part}" for part in n.split(".")),
    }[where]
    torch.save({put(name): tensor for name, tensor in network.state_dict().items()}, tmp_path / "w.pt")
    assert holds(from_here("w.pt"), network)


def test_an_architecture_that_is_wrapped_itself_gets_its_weights():
    network, compiled = seeded(1), seeded(2)
    compiled.body = torch.compile(compiled.body)
    fill(compiled, network.state_dict(), "file:w.pt", "a:b")
    assert torch.equal(compiled.body._orig_mod[0].weight, network.body[0].weight)


def test_an_averaged_model_loads(tmp_path, from_here):
    averaged = torch.optim.swa_utils.AveragedModel(seeded(1))
    torch.save(averaged.state_dict(), tmp_path / "swa.pt")
    assert "n_averaged" in torch.load(tmp_path / "swa.pt") and holds(from_here("swa.pt"), seeded(1))


def test_tied_tensors_of_which_a_file_holds_one_are_loaded(tmp_path, from_here):
    network = seeded(3, TiedNet)
    save_model(network, str(tmp_path / "tied.safetensors"))
    with safe_open(tmp_path / "tied.safetensors", "pt") as file:
        assert len({"encoder.weight", "decoder.weight"} & set(file.keys())) == 1
    assert holds(from_here("tied.safetensors", "tied"), network)
    # an architecture that does not tie them, from the file's own note; one that does, without any note
    assert set(read_weights(tmp_path / "tied.safetensors")) == set(network.state_dict())
    weights = {name: tensor.clone() for name, tensor in network.state_dict().items() if name != "encoder.weight"}
    save_file(weights, tmp_path / "bare.safetensors")
    assert holds(from_here("bare.safetensors", "tied"), network)


def test_tied_tensors_that_differ_in_a_file_are_refused(tmp_path, from_here):
    weights = {name: tensor.clone() for name, tensor in seeded(3, TiedNet).state_dict().items()}
    weights["decoder.weight"] += 1
    save_file(weights, tmp_path / "apart.safetensors")
    with pytest.raises(RequestError, match=r"encoder.weight and decoder.weight are one tensor in it, and two differ"):
        from_here("apart.safetensors", "tied")


@pytest.mark.parametrize(("change", "said"), [
    (lambda t: t.to("meta"), r"without values \(on the device 'meta'\)"), (lambda t: t.to_sparse(), "sparse"),
    (lambda t: t.to(torch.complex64), "complex64"), (lambda t: t.to(torch.int8), "int8"),
])  # fmt: skip
def test_weights_that_are_no_plain_numbers_are_refused(tmp_path, from_here, change, said):
    torch.save({name: change(tensor) for name, tensor in seeded(1).state_dict().items()}, tmp_path / "w.pt")
    with pytest.raises(RequestError, match=rf"are {said} instead of plain floating-point numbers \(first: "):
        from_here("w.pt")


PLAIN_FIRST = [
    lambda raw, ema: {"epoch": 3, "state_dict": raw, "state_dict_ema": ema},
    lambda raw, ema: {"model": raw, "model_ema": ema},
    lambda raw, ema: {
        "ema_state_dict": ema,
        "model_state_dict": raw,
        "optimizer": {"state": {0: {"m": ema["top.bias"]}}},
    },
    lambda raw, ema: {"state_dict": {**prefixed("ema.", ema), **prefixed("model.", raw)}},
    lambda raw, ema: {**raw, **prefixed("ema.", ema), "ema.decay": torch.ones(1)},
]


def prefixed(prefix: str, weights: dict) -> dict:
    return {prefix + name: tensor for name, tensor in weights.items()}


@pytest.mark.parametrize("form", PLAIN_FIRST)
def test_of_several_state_dicts_the_usual_is_taken_and_the_others_load_as_they_are_named(tmp_path, from_here, form):
    raw, ema = seeded(1), seeded(2)
    torch.save(form(raw.state_dict(), ema.state_dict()), tmp_path / "w.pt")
    source = from_here("w.pt")
    assert holds(source, raw)
    said = source.card["entry"]
    entry = re.search(r"holds the network also as file:\S+w\.pt(#\S+)$", said)[1]
    assert "ema" in entry and holds(from_here(f"w.pt{entry}"), ema)


@pytest.mark.parametrize("nested", [True, False])
def test_a_student_and_a_teacher_are_told_apart_by_the_user_alone(tmp_path, from_here, nested):
    who = {"student": seeded(1), "teacher": seeded(2)}
    states = {name: network.state_dict() for name, network in who.items()}
    flat = {f"{name}.{key}": value for name, state in states.items() for key, value in state.items()}
    torch.save(states if nested else flat, tmp_path / "pair.pt")
    with pytest.raises(RequestError, match="2 times.*which one is meant cannot be told") as caught:
        from_here("pair.pt")
    ways = re.findall(r"'file:\S+/(pair\.pt#\w+)'", str(caught.value))
    assert [holds(from_here(way), who[way.partition("#")[2]]) for way in ways] == [True, True]
    with pytest.raises(RequestError, match=r"no entry 'techer'. Did you mean 'teacher'\? Its.*: student, teacher"):
        from_here("pair.pt#techer")


def test_the_state_dict_that_fits_is_taken(tmp_path, from_here):
    raw = seeded(1)
    torch.save({"generator": seeded(2, TiedNet).state_dict(), "judge": raw.state_dict()}, tmp_path / "w.pt")
    source = from_here("w.pt")
    assert holds(source, raw) and source.card["entry"] == "'judge' taken"


CHECKPOINTS = {
    "trainer": lambda net: {"epoch": 3, "state_dict": prefixed("model.", net.state_dict()), "hyper": Namespace(lr=1)},
    "whole": lambda net: net,
    "object": lambda net: {"epoch": 3, "model": net, "names": {0: "a"}},
    "arrays": lambda net: {name: tensor.numpy() for name, tensor in net.state_dict().items()},
    "pair": lambda net: {"student": net.state_dict(), "old": {}, "args": Namespace(a=1)},
}


@pytest.mark.parametrize("form", CHECKPOINTS)
@pytest.mark.parametrize("legacy", [False, True])
def test_the_advised_conversion_works(tmp_path, from_here, form, legacy):
    network = seeded(1)
    checkpoint = CHECKPOINTS[form](network)
    torch.save(checkpoint, tmp_path / "last.ckpt", _use_new_zipfile_serialization=not legacy)
    with pytest.raises(RequestError, match="refused and nothing of it was run") as caught:
        from_here("last.ckpt")
    code = re.search(r"once in Python: (.*) and give that file\.$", str(caught.value))[1]
    assert ("['state_dict']" in code) == (form == "trainer" and not legacy)
    exec(code, {})
    assert holds(from_here("last-weights.safetensors"), network)


def test_what_is_missing_belongs_to_the_last_layer_and_not_to_one_that_is_called_a_head(tmp_path, from_here):
    network = seeded(1, odd_names)
    state = network.state_dict()
    save_file({n: t for n, t in state.items() if not n.startswith("last.")}, tmp_path / "headless.safetensors")
    assert holds(from_here("headless.safetensors", "odd_names"), network)
    for part in ("projector", "fc", "classifier"):
        save_file({n: t for n, t in state.items() if not n.startswith(f"{part}.")}, tmp_path / "less.safetensors")
        with pytest.raises(RequestError, match=rf"of its 13 weights are not in the file \((first: )?{part}\."):
            from_here("less.safetensors", "odd_names")


# -- image sizes, channels, adapters --------------------------------------------------------------------


@pytest.fixture(scope="module")
def vits():
    """State dicts of a small ViT made for 224 and for 96 px."""
    torch.manual_seed(0)
    return {size: timm.create_model("vit_tiny_patch16_224", img_size=size, depth=12).state_dict() for size in (224, 96)}


@pytest.mark.parametrize(("saved", "asked", "said"), [
    (224, 96, "resized from 224 px to 96 px"), (96, 96, "for 96 px, as in the file"),
    (96, None, "for 96 px, as in the file"), (96, 224, "resized from 96 px to 224 px"),
    (96, 160, "resized from 96 px to 160 px"), (224, 224, None), (224, None, None),
])  # fmt: skip
def test_a_vit_of_another_image_size_is_loaded_and_its_positions_are_said(tmp_path, vits, saved, asked, said):
    save_file({f"module.{name}": tensor for name, tensor in vits[saved].items()}, tmp_path / "vit.safetensors")
    spec = f"file:{tmp_path}/vit.safetensors"
    source = load_source(spec, architecture="timm:vit_tiny_patch16_224", image_size=asked)
    size = asked or saved
    assert source.preparation.size == size and source.card.get("positions") == said
    theirs = timm.create_model("vit_tiny_patch16_224", num_classes=0, img_size=size)
    weights = {name: tensor for name, tensor in vits[saved].items() if not name.startswith("head.")}
    theirs.load_state_dict(timm.models.vision_transformer.checkpoint_filter_fn(weights, theirs))
    x = torch.randn(2, 3, size, size)
    with torch.inference_mode():
        torch.testing.assert_close(source.body.eval()(x), theirs.eval()(x), rtol=1e-4, atol=1e-5)


def test_a_vit_of_another_image_size_in_half_precision_is_loaded(tmp_path, vits):
    state = vits[96]
    save_file({name: tensor.half() for name, tensor in state.items()}, tmp_path / "half.safetensors")
    source = load_source(f"file:{tmp_path / 'half.safetensors'}", architecture="timm:vit_tiny_patch16_224")
    assert source.preparation.size == 96
    assert source.body.module.pos_embed.equal(state["pos_embed"].half().float())


def test_a_grey_model_of_timm_takes_grey_images(tmp_path):
    torch.manual_seed(0)
    grey = timm.create_model("resnet18", in_chans=1)
    save_file(grey.state_dict(), tmp_path / "grey.safetensors")
    source = load_source(f"file:{tmp_path}/grey.safetensors", architecture="timm:resnet18")
    assert source.preparation.channels == 1 and source.card["channels"] == "1, as in the file"
    assert source.preparation.mean == pytest.approx((0.449,)) and source.card["preparation"].startswith("assumed")
    x = torch.randn(2, 1, 64, 64)
    with torch.inference_mode():
        expected = grey.eval().forward_head(grey.forward_features(x), pre_logits=True)
        torch.testing.assert_close(source.body.eval()(x), expected, rtol=1e-4, atol=1e-5)
    assert build_body(source.body.recipe).width == 512  # built again from its recipe
    four = {**grey.state_dict(), "conv1.weight": torch.zeros(64, 4, 7, 7)}
    save_file(four, tmp_path / "four.safetensors")
    with pytest.raises(RequestError, match=r"first layer.*\(conv1.weight\) takes 4 channels.*1 \(grey\) or 3"):
        load_source(f"file:{tmp_path}/four.safetensors", architecture="timm:resnet18")


@pytest.mark.parametrize("name", [
    "base_model.model.encoder.layer.0.query.lora_A.weight", "base_model.model.layers.1.ia3_l",
    "lora_unet_down.lora_down.weight", "model.layers.0.q.base_layer.weight", "blocks.0.adapter_down.weight",
])  # fmt: skip
def test_adapters_are_told_from_models(tmp_path, from_here, name):
    (tmp_path / "adapter_config.json").write_text('{"peft_type": "LORA", "base_model_name_or_path": "who/base"}')
    save_file({name: torch.zeros(2, 16)}, tmp_path / "adapter_model.safetensors")
    with pytest.raises(RequestError, match=r"adapter \(LORA\) of 'who/base'.*merge it first.*merge_and_unload"):
        from_here("adapter_model.safetensors")
    for form in ("hf", "sentence-transformers"):
        with pytest.raises(RequestError, match=r"adapter \(LORA\) of 'who/base'.*merge it first"):
            load_source(f"{form}/{tmp_path}")


@pytest.mark.parametrize("asked", [None, 128])
def test_positions_of_images_that_are_not_square_are_refused_with_the_way_out(tmp_path, asked):
    model = timm.create_model("vit_tiny_patch16_224", img_size=(96, 160))
    save_file(model.state_dict(), tmp_path / "oblong.safetensors")
    with pytest.raises(RequestError, match=r"pos_embed, 61 of them\) are those of images that are not square"):
        load_source(f"file:{tmp_path}/oblong.safetensors", architecture="timm:vit_tiny_patch16_224", image_size=asked)
    model.set_input_size(64)
    save_file(model.state_dict(), tmp_path / "square.safetensors")
    source = load_source(f"file:{tmp_path}/square.safetensors", architecture="timm:vit_tiny_patch16_224")
    assert source.preparation.size == 64


def lenet() -> nn.Module:
    return nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 26 * 26, 8), nn.Linear(8, 3))


def test_weights_of_a_module_that_takes_one_size_alone_are_loaded_with_it(tmp_path):
    network = lenet()
    torch.save(network.state_dict(), tmp_path / "lenet.pt")
    source = load_source(f"file:{tmp_path}/lenet.pt", architecture=f"{__name__}:lenet", image_size=28)
    assert source.preparation.size == 28
    assert torch.equal(source.body.module[3].weight, network[3].weight)
