"""A folder from a stranger runs no code: its recipes are data."""

import json
import sys

import pytest
import torch
from bodies import hf_config
from safetensors.torch import save_file
from torch import nn

from sterna import RequestError, load_source
from sterna.cli.wording import in_terminal
from sterna.networks import ImagePreparation, ModuleBody, Network, build_body, load_network, save_network
from sterna.networks.trust import functions_of, trust_note, trusted

EVIL = """
import pathlib
pathlib.Path({mark!r}).touch()
from torch import nn

def make(**options):
    pathlib.Path({mark!r} + "-called").touch()
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten())
"""


@pytest.fixture
def evil(tmp_path, monkeypatch):
    """A module in the current folder that leaves a mark when it is imported; gives the mark."""
    mark = tmp_path / "mark"
    (tmp_path / "evil_model.py").write_text(EVIL.format(mark=str(mark)))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path, str(tmp_path)])
    yield mark
    sys.modules.pop("evil_model", None)


@pytest.fixture
def folder(tmp_path):
    """A saved network of a small body."""
    body = build_body({"loader": "small", "name": "cnn", "channels": 3, "size": 16, "input": SMALL})
    save_network(Network(ImagePreparation(size=16), body, nn.Linear(128, 2)), tmp_path / "saved")
    return tmp_path / "saved"


SMALL = {"shape": [3, 16, 16], "whole": False}


def with_recipe(folder, recipe):
    """The network's description with another recipe."""
    path = folder / "network.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "recipe": recipe}))


PYTHON = {"loader": "python", "function": "evil_model:make", "input": SMALL}
PAIR = {"recipe": {"loader": "small", "name": "identity", "width": 2}, "outputs": ["last"]}


@pytest.mark.parametrize(
    "recipe",
    [
        PYTHON,
        {"loader": "answers", "body": {"recipe": PYTHON, "outputs": ["last"]}, "answers": {}, "width": 2},
        {"loader": "pair", "first": PAIR, "second": {"recipe": PYTHON, "outputs": ["last"]}},
    ],
    ids=["itself", "answers", "pair"],
)
def test_no_function_is_imported_that_nobody_named(folder, evil, recipe):
    with_recipe(folder, recipe)
    with pytest.raises(RequestError, match=r"the module 'evil_model' \('.*evil_model.py'\) would be imported") as found:
        load_network(folder)
    assert "trust=['evil_model:make']" in str(found.value)
    assert "--trust evil_model:make" in in_terminal(str(found.value))
    with pytest.raises(RequestError, match="trust="):
        load_network(folder, trust=("evil_model:other", "evil_model"))
    assert not evil.exists()


@pytest.mark.parametrize("name", ["os:system", "subprocess:run", "builtins:eval", "sterna.files:atomic", "torch:load"])
def test_no_function_that_is_installed_anyway_is_called(folder, name):
    with_recipe(folder, {"loader": "python", "function": name, "options": {"command": "exit 1"}, "input": SMALL})
    with pytest.raises(RequestError, match=rf"trust=\['{name}'\]"):
        load_network(folder)


def test_the_function_that_is_named_is_called(folder, evil):
    body = ModuleBody(nn.Sequential(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten()), PYTHON)
    save_network(Network(ImagePreparation(size=16), body, nn.Linear(4, 2)), folder)
    network = load_network(folder, trust=("evil_model:make",))
    assert evil.exists() and functions_of(network.body) == ("evil_model:make",)
    assert trust_note(network.body) == (
        "The network is built by a function of yours: whatever loads it (predict, score, ...) needs "
        "trust=['evil_model:make'].",
    )


def test_a_source_of_ones_own_function_is_a_source_again_where_it_is_named(tmp_path, evil):
    import evil_model

    save_file(evil_model.make().state_dict(), tmp_path / "w.safetensors")
    source = load_source(f"file:{tmp_path / 'w.safetensors'}", architecture="evil_model:make")
    save_network(Network(source.preparation, source.body, nn.Linear(4, 2)), tmp_path / "run")
    with pytest.raises(RequestError, match=r"trust=\['evil_model:make'\]"):
        load_source(f"run:{tmp_path / 'run'}")
    again = load_source(f"run:{tmp_path / 'run'}", trust=("evil_model:make",))
    assert torch.equal(again.body.module[0].weight, source.body.module[0].weight)


def test_what_is_trusted_is_a_function(tmp_path):
    for wrong in ("evil_model", "a:b:c", "", "a b:c"):
        with pytest.raises(RequestError, match="expected module:function"):
            load_source(f"run:{tmp_path}", trust=(wrong,))


@pytest.mark.parametrize(
    ("recipe", "said"),
    [
        ({"loader": "hf", "config": {}, "options": {"trust_remote_code": True}}, "'trust_remote_code'"),
        ({"loader": "hf", "config": {}, "options": {"attn_implementation": "a/b"}}, "'attn_implementation'"),
        ({"loader": "hf", "config": {"backbone": "org/model"}}, "'org/model' from elsewhere"),
        ({"loader": "hf", "config": {"model_type": "rt_detr", "backbone": "x"}}, "'x' from elsewhere"),  # asks the Hub
        (
            {"loader": "hf", "config": {"vision_config": {"model_args": {"checkpoint_path": "x.pt"}}}},
            "'checkpoint_path'",
        ),
        ({"loader": "timm", "name": "resnet18", "options": {"checkpoint_path": "x.pt"}}, "'checkpoint_path'"),
        ({"loader": "timm", "name": "resnet18", "options": {"pretrained": True}}, "'pretrained'"),
        ({"loader": "timm", "name": "hf-hub:org/model"}, "'hf-hub:org/model' is no name"),
        ({"loader": "timm", "name": "local-dir:/tmp/x"}, "is no name"),
        ({"loader": "timm", "name": "resnet18", "options": ["pretrained"]}, "known: "),
    ],
)
def test_options_that_are_not_on_the_list_are_refused(folder, recipe, said):
    with_recipe(folder, {**recipe, "input": SMALL})
    with pytest.raises(RequestError) as found:
        load_network(folder)
    assert said in str(found.value)


def test_a_configuration_loses_what_could_bring_code():
    config = {
        **hf_config("bert"), "auto_map": {"AutoModel": "evil--code.Model"}, "attn_implementation": "evil/kernel",
        "_attn_implementation": "sdpa", "text_config": {"auto_map": {}, "x": 1}, "use_pretrained_backbone": True,
        "backbone_kwargs": {"x": 1},
    }  # fmt: skip
    found = trusted({"recipe": {"loader": "hf", "config": config}}, (), "It")["recipe"]["config"]
    gone = {
        "auto_map",
        "attn_implementation",
        "backbone_kwargs",
        *(name for name in hf_config("bert") if name not in found),
    }
    assert set(config) - set(found) == gone and found["text_config"] == {"x": 1}
    assert found["_attn_implementation"] == "sdpa" and found["use_pretrained_backbone"] is False
    assert build_body({"loader": "hf", "config": found, "pooling": "mean", "input": INPUT}).width == 32


INPUT = {"input_ids": {"shape": [8], "whole": True}, "attention_mask": {"shape": [8], "whole": True}}


@pytest.mark.parametrize("name", ["bert", "distilbert", "vit"])
def test_configurations_of_our_own_stay_as_they_are(name):
    config = hf_config(name)
    found = trusted({"loader": "hf", "config": config}, (), "It")["config"]
    assert {k: v for k, v in config.items() if k not in found} in ({}, {"_attn_implementation": None})


def test_code_that_lies_beside_the_configuration_is_not_run(folder, evil):
    config = {**hf_config("bert"), "model_type": "their_own", "auto_map": {"AutoModel": "evil_model.make"}}
    with_recipe(folder, {"loader": "hf", "config": config, "_name_or_path": str(folder), "input": INPUT})
    with pytest.raises(RequestError):
        load_network(folder)
    assert not evil.exists()
