"""Modules from Python, timm's names, and the rule for small images."""

from __future__ import annotations

import copy

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from sterna.domains.images import ImageArray
from sterna.domains.schema import infer_schema
from sterna.domains.tables import TableInputs
from sterna.domains.text import TextInputs
from sterna.errors import RequestError
from sterna.networks.network import Network
from sterna.networks.small import small_body
from sterna.preparations.image import ImagePreparation, longest_side
from sterna.preparations.table import TablePreparation
from sterna.sources.load import load_source
from sterna.sources.source import Source
from sterna.tasks import Classification

timm = pytest.importorskip("timm")


class Net(nn.Module):
    """A user's own classifier."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(nn.Conv2d(3, 8, 3, stride=2), nn.ReLU(), nn.Conv2d(8, 12, 3, stride=2), nn.ReLU())
        self.fc = nn.Linear(12, 5)

    def forward(self, x):
        return self.fc(self.features(x).mean((2, 3)))


def images(n: int, side: int, width: int | None = None) -> ImageArray:
    rng = np.random.default_rng(0)
    return ImageArray(rng.integers(0, 256, (n, side, width or side, 3), dtype=np.uint8))


def of_width(width: int) -> TablePreparation:
    frame = pd.DataFrame(np.random.default_rng(0).normal(size=(30, width)), columns=list("abcdefgh")[:width])
    schema, typed, _ = infer_schema(frame)
    return TablePreparation().fit(TableInputs(typed, schema))


def test_a_module_gives_what_comes_before_its_classifier_and_is_not_changed():
    torch.manual_seed(0)
    net = Net().train()
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    source = load_source(net)
    x = torch.randn(2, 3, 40, 40)
    with torch.inference_mode():
        torch.testing.assert_close(source.body(x), net.features(x).mean((2, 3)))
    assert source.body.width == 12 and source.card["classifier"] == "fc left out"
    assert source.preparation.size == 224 and source.card["preparation"].startswith("assumed")
    assert net.training and isinstance(net.fc, nn.Linear)
    assert all(torch.equal(tensor, before[name]) for name, tensor in net.state_dict().items())
    with torch.no_grad():
        next(source.body.parameters()).zero_()
    assert all(torch.equal(tensor, before[name]) for name, tensor in net.state_dict().items())


class Chain(nn.Module):
    """Three layers whose names say nothing of their places."""

    def __init__(self, names: tuple[str, str, str], ending: nn.Module | None = None) -> None:
        super().__init__()
        self.names = names
        for name, (before, after) in zip(names, [(6, 7), (7, 8), (8, 4)], strict=True):
            setattr(self, name, nn.Linear(before, after))
        self.ending = ending

    def upto(self, x, layers):
        for name in self.names[:layers]:
            x = getattr(self, name)(x)
            x = x if name == self.names[2] else torch.tanh(x)
        return x

    def forward(self, x):
        x = self.upto(x, 3)
        return x if self.ending is None else self.ending(x)


NAMES = [("fc", "mid", "out"), ("classifier", "head", "last"), ("projector", "score", "fc"), ("heads", "fc", "embed")]


@pytest.mark.parametrize("names", NAMES)
def test_the_last_layer_is_taken_off_whatever_the_layers_are_called(names):
    net = Chain(names)
    x = torch.randn(5, 6)
    source = load_source(net, preparation=of_width(6))
    torch.testing.assert_close(source.body.module(x), net.upto(x, 2))
    assert source.card["classifier"] == f"{names[2]} left out" and source.body.width == 8


@pytest.mark.parametrize("ending", [nn.ReLU(), nn.ReLU(inplace=True), nn.LogSoftmax(1), nn.LayerNorm(4)])
@pytest.mark.parametrize("names", NAMES)
def test_a_module_that_ends_in_something_else_is_left_whole(names, ending):
    net = Chain(names, ending)
    x = torch.randn(5, 6)
    source = load_source(net, preparation=of_width(6))
    torch.testing.assert_close(source.body.module(x), net(x))
    assert "classifier" not in source.card


class Twice(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem, self.fc = nn.Linear(6, 6), nn.Linear(6, 6)

    def forward(self, x):
        return self.fc(torch.relu(self.fc(self.stem(x))))


class Residual(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem, self.head = nn.Linear(6, 6), nn.Linear(6, 6)

    def forward(self, x):
        return self.stem(x) + self.head(self.stem(x))


class Tied(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder, self.decoder = nn.Linear(6, 6, bias=False), nn.Linear(6, 6, bias=False)
        self.decoder.weight = self.encoder.weight

    def forward(self, x):
        return self.decoder(self.encoder(x))


def test_a_layer_that_is_not_only_the_last_stays():
    x = torch.randn(5, 6)
    for net in (Twice(), Residual(), nn.Sequential(nn.Linear(6, 3))):
        torch.testing.assert_close(load_source(net, preparation=of_width(6)).body.module(x), net(x))
    tied = Tied()
    torch.testing.assert_close(load_source(tied, preparation=of_width(6)).body.module(x), tied.encoder(x))
    flat = nn.Sequential(nn.Linear(6, 5), nn.Tanh(), nn.Linear(5, 4), nn.Flatten())  # a view of the last layer's output
    torch.testing.assert_close(load_source(flat, preparation=of_width(6)).body.module(x), flat[:2](x))


def test_a_timm_module_brings_its_own_preparation():
    net = timm.create_model("resnet18", num_classes=3)
    source = load_source(net)
    assert source.preparation.crop == pytest.approx(timm.data.resolve_model_data_config(net)["crop_pct"])
    assert source.preparation.mean == (0.485, 0.456, 0.406) and source.body.width == 512


def test_how_a_module_takes_inputs_must_be_known():
    with pytest.raises(RequestError, match=r"begins with Linear\(in_features=7.*preparation="):
        load_source(nn.Sequential(nn.Linear(7, 3)))
    with pytest.raises(RequestError, match="source is a dict"):
        load_source({"weights": 1})
    with pytest.raises(RequestError, match="preparation= is for modules and files"):
        load_source("packaged/efficientnet-lite0", preparation=ImagePreparation(size=10))
    with pytest.raises(RequestError, match="architecture= says what the weights of a file"):
        load_source("timm/resnet18", architecture="timm:resnet18")


def test_a_module_that_does_not_run_on_its_preparation_is_refused():
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(4, 2))
    with pytest.raises(RequestError, match="does not run on an example"):
        load_source(net)


def test_a_grey_module_gets_grey_images():
    source = load_source(nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU()))
    assert source.preparation.channels == 1
    items = source.preparation.items(images(1, 300))
    assert items[0].shape == (1, 224, 224)


def test_a_network_keeps_its_head_and_task():
    body, preparation = small_body(images(4, 32))
    network = Network(preparation, body, nn.Linear(body.width, 2), task=Classification(("a", "b")))
    source = load_source(network)
    assert source.head is network.head and source.task.classes == ("a", "b") and source.preparation is preparation
    mapped = Network(preparation, body, nn.Linear(3, 2), map=nn.Linear(body.width, 3), task=Classification(("a", "b")))
    x = torch.randn(2, 3, 32, 32)
    network.eval(), mapped.eval()
    with torch.inference_mode():
        source = load_source(mapped)
        torch.testing.assert_close(source.head(source.body(x)), mapped(x))


@pytest.mark.parametrize(("side", "size"), [(28, 96), (64, 96), (65, 224), (300, 224)])
def test_small_images_are_prepared_at_96_pixels(side, size):
    source = load_source(timm.create_model("resnet18", num_classes=0))
    changed = source.for_inputs(images(3, side, side - 10))
    assert changed.preparation.size == size and source.preparation.size == 224
    assert changed.body is source.body
    state = {**source.preparation.state(), "size": size}
    assert changed.preparation.state() == state and source.prepared(images(3, side, side - 10)).state() == state


def test_one_large_image_among_small_ones_is_seen():
    class Mixed(ImageArray):
        def __getitem__(self, row):
            return super().__getitem__(row).resize((100, 20) if row == 2 else (20, 20))

    mixed = Mixed(np.zeros((3, 28, 28), dtype=np.uint8))
    assert longest_side(mixed) == 100


def test_bodies_of_fixed_size_and_smaller_bodies_keep_their_size():
    vit = load_source(timm.create_model("vit_tiny_patch16_224", num_classes=0))
    assert vit.for_inputs(images(2, 28)).preparation.size == 224
    swin = load_source(timm.create_model("swin_tiny_patch4_window7_224", num_classes=0))
    assert swin.for_inputs(images(2, 28)).preparation.size == 224
    small = load_source(Net(), preparation=ImagePreparation(size=64))
    assert small.for_inputs(images(2, 28)).preparation.size == 64


def test_image_size_is_the_users_word():
    source = load_source(timm.create_model("resnet18", num_classes=0), image_size=128)
    assert source.preparation.size == 128 and source.card["size"] == "128 px, as asked"
    assert source.for_inputs(images(2, 28)).preparation.size == 128
    with pytest.raises(RequestError, match="does not work on images of 100 × 100 px"):
        load_source(timm.create_model("vit_tiny_patch16_224", num_classes=0), image_size=100)
    with pytest.raises(RequestError, match="image_size is 3; a side of 8 to 4096"):
        load_source(Net(), image_size=3)


def test_a_module_that_takes_one_size_alone_is_loaded_with_it():
    lenet = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 26 * 26, 8), nn.Linear(8, 3))
    source = load_source(lenet, image_size=28)
    assert source.preparation.size == 28 and source.preparation.channels == 1
    assert source.card["preparation"] == "assumed: 28 px, normalised as for ImageNet"
    with pytest.raises(RequestError, match="does not run on an example"):
        load_source(lenet)


def test_texts_and_images_are_not_mixed():
    source = load_source(Net())
    with pytest.raises(RequestError, match="takes images, but the target holds texts; choose a source for texts"):
        source.for_inputs(TextInputs(["a"]))
    with pytest.raises(RequestError, match="not known; give load_source"):
        Source("module Net", source.body).for_inputs(images(1, 10))
    data_only = Source("heart.csv")
    assert data_only.for_inputs(images(1, 10)) is data_only


@pytest.mark.parametrize(
    ("spec", "match"),
    [
        ("timm/resnt50", "timm has no model 'resnt50'.* Did you mean 'resnet50"),
        ("timm/resnet50.a9_in1k", "no model 'resnet50.a9_in1k'.* Did you mean 'resnet50.r?a"),
        ("timm/", "The source 'timm/' is not understood"),
        ("lite0", "Did you mean 'packaged/efficientnet-lite0'"),
        ("minilm", "Did you mean 'packaged/minilm-l6'"),
        ("tim/resnet50", "give one of timm/<name>"),
        ("run:no/such", "no run folder 'no/such'"),
        ("file:no/such.pt", "There is no file"),
    ],
)
def test_what_is_not_understood_names_what_is_near(spec, match):
    with pytest.raises(RequestError, match=match) as caught:
        load_source(spec)
    assert "\n" not in str(caught.value)


def test_a_path_without_its_form_is_guessed(tmp_path):
    (tmp_path / "manifest.json").write_text("{}")
    with pytest.raises(RequestError, match=f"Did you mean 'run:{tmp_path}'"):
        load_source(str(tmp_path))
    with pytest.raises(RequestError, match="Did you mean 'file:model.safetensors' with architecture="):
        load_source("model.safetensors")


def test_timm_weights_are_read_without_unpickling(tmp_path, monkeypatch):
    from safetensors.torch import save_file

    from sterna.sources import hub

    torch.manual_seed(0)
    trained = timm.create_model("resnet18", num_classes=1000).eval()
    save_file(trained.state_dict(), tmp_path / "model.safetensors")
    asked = []
    monkeypatch.setattr(hub, "fetch", lambda repository, spec, hint: asked.append(repository) or tmp_path)
    source = load_source("timm/resnet18.a1_in1k")
    assert asked == ["timm/resnet18.a1_in1k"] and source.card["licence"] == "apache-2.0"
    x = torch.randn(2, 3, 64, 64)
    with torch.inference_mode():
        expected = trained.forward_head(trained.forward_features(x), pre_logits=True)
        torch.testing.assert_close(source.body(x), expected, rtol=1e-4, atol=1e-5)
    assert source.body.recipe["name"] == "resnet18.a1_in1k" and "state_dict" not in source.body.module.pretrained_cfg


def test_a_transformer_of_timm_is_resampled_to_another_image_size(tmp_path, monkeypatch):
    from safetensors.torch import save_file

    from sterna.networks.build import build_body
    from sterna.sources import hub

    torch.manual_seed(0)
    trained = timm.create_model("vit_tiny_patch16_224", num_classes=0)
    save_file(trained.state_dict(), tmp_path / "model.safetensors")
    monkeypatch.setattr(hub, "fetch", lambda repository, spec, hint: tmp_path)
    source = load_source("timm/vit_tiny_patch16_224", image_size=96)
    assert source.preparation.size == 96
    x = torch.randn(2, 3, 96, 96)
    with torch.inference_mode():
        timm_own = timm.create_model("vit_tiny_patch16_224", num_classes=0, img_size=96)
        timm_own.load_state_dict(timm.models.vision_transformer.checkpoint_filter_fn(trained.state_dict(), timm_own))
        torch.testing.assert_close(source.body(x), timm_own.eval()(x), rtol=1e-4, atol=1e-5)
    assert build_body(source.body.recipe).width == 192


@pytest.mark.parametrize("precision", [torch.float16, torch.bfloat16, torch.float64])
def test_a_module_of_another_precision_gives_features_of_float32(precision):
    net = Net().to(precision)
    x, source, same = torch.randn(2, 3, 40, 40), load_source(net), load_source(copy.deepcopy(net).float())
    with torch.inference_mode():
        found, expected = source.body(x), same.body(x)
    assert next(net.parameters()).dtype == precision
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, expected)


def test_weights_that_are_no_numbers_are_refused_by_name():
    net = Net()
    with torch.no_grad():
        net.features[2].weight[0, 0] = torch.nan
    with pytest.raises(RequestError, match=r"features\.2\.weight has values that are no numbers .*earlier checkpoint"):
        load_source(net)
    with torch.device("meta"):
        nowhere = Net()
    with pytest.raises(RequestError, match=r"features\.0\.weight has no values .*'meta'"):
        load_source(nowhere)


def test_a_timm_module_is_prepared_for_as_it_was_built():
    vit = timm.create_model("vit_tiny_patch16_224", img_size=96, in_chans=1, depth=1)
    assert (load_source(vit).preparation.size, load_source(vit).preparation.channels) == (96, 1)
    with pytest.raises(RequestError, match="takes 4 channels, but images have 1"):
        load_source(timm.create_model("resnet18", in_chans=4))


def test_a_module_that_cannot_be_prepared_for_is_told_by_its_first_layer_not_by_all_of_it():
    class Tokens(nn.Module):
        def __init__(self):
            super().__init__()
            self.token, self.embed = nn.Parameter(torch.zeros(1, 1, 8)), nn.Conv2d(3, 8, 4, 4)

        def forward(self, x):
            return self.embed(x).flatten(2).transpose(1, 2) + self.token

    assert load_source(Tokens()).preparation.channels == 3


def wrapped_in_part(net: nn.Module, path: str) -> nn.Module:
    net.set_submodule(path, torch.compile(net.get_submodule(path)))
    return net


WRAPPED = {
    "compiled": torch.compile,
    "its parts compiled": lambda net: wrapped_in_part(wrapped_in_part(net, "features.0"), "fc"),
    "both": lambda net: torch.compile(wrapped_in_part(net, "features")),
    "compiled in place": lambda net: net.compile() or net,
    "spread": nn.DataParallel,
    "spread and compiled": lambda net: torch.compile(nn.DataParallel(net)),
    "averaged": torch.optim.swa_utils.AveragedModel,
}


@pytest.mark.parametrize("how", WRAPPED)
def test_what_is_around_a_module_is_taken_off_and_nothing_is_compiled(how, monkeypatch):
    net = Net()
    given, plain = WRAPPED[how](copy.deepcopy(net)), load_source(net)
    before = list(given.state_dict())
    monkeypatch.setattr(torch._dynamo, "optimize", None)
    source = load_source(given)
    x = torch.randn(2, 3, 40, 40)
    torch.testing.assert_close(source.body(x), plain.body(x))
    assert source.card == plain.card and [b.name for b in source.body.blocks] == [b.name for b in plain.body.blocks]
    assert list(given.state_dict()) == before and list(source.body.state_dict()) == list(plain.body.state_dict())


@pytest.mark.parametrize("part", ["", "features.0"])
def test_a_torchscript_program_is_refused(part):
    net = Net()
    if part:
        net.set_submodule(part, torch.jit.script(net.get_submodule(part)))
    with pytest.raises(RequestError, match=r"is a TorchScript program.*give the nn\.Module that it was made from"):
        load_source(net if part else torch.jit.trace(net, torch.randn(1, 3, 40, 40)))


def test_a_module_for_images_that_are_not_square_is_refused_with_the_way_out():
    vit = timm.create_model("vit_tiny_patch16_224", img_size=(32, 64), depth=1)
    with pytest.raises(RequestError, match=r"images of 32 × 64 px.*: module\.set_input_size\(32\)"):
        load_source(vit)
    vit.set_input_size(32)
    assert load_source(vit).preparation.size == 32


def test_a_size_that_was_asked_for_is_not_said_to_be_assumed():
    source = load_source(Net(), image_size=40)
    assert source.card["preparation"] == "assumed: 40 px, normalised as for ImageNet"
