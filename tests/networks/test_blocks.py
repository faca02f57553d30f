from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
import torch
from bodies import HF, PLAIN, TIMM, any_body, batch
from torch import nn

from sterna.networks import ModuleBody

NAMES = {
    "tf_efficientnet_lite0": ["stem", *(f"blocks.{i}" for i in range(7)), "head"],
    "resnet18": ["conv1", "layer1", "layer2", "layer3", "layer4"],
    "vit_tiny_patch16_224": ["patch_embed", *(f"blocks.{i}" for i in range(12))],
    "convnext_atto": ["stem", *(f"stages.{i}" for i in range(4))],
    "swin_tiny_patch4_window7_224": ["patch_embed", *(f"layers.{i}" for i in range(4))],
    "bert": ["embeddings", *(f"encoder.layer.{i}" for i in range(3))],
    "distilbert": ["embeddings", *(f"transformer.layer.{i}" for i in range(3))],
    "vit": ["embeddings", *(f"layers.{i}" for i in range(3))],
    "sequential": ["0", "1", "2", "7"],
    "wrapped": ["net.0", "net.1", "net.2", "net.7"],
    "shared": ["first", "second", "last-block"],
    "loose": ["embed", "layers.0", "layers.1", "layers.2"],
    "classifier": ["backbone.0", "backbone.3"],
}


@pytest.mark.parametrize("name", NAMES)
def test_blocks_have_names_in_depth_order(name: str) -> None:
    assert [block.name for block in any_body(name).blocks] == NAMES[name]


@pytest.mark.parametrize("name", [*TIMM, *HF, *PLAIN])
def test_every_parameter_is_in_exactly_one_block_or_unused(name: str) -> None:
    body = any_body(name)
    counts = Counter(id(p) for block in body.blocks for p in body.view(block).parameters())
    assert set(counts.values()) == {1}
    unused = {id(body.module.get_parameter(n)) for n in body.unused}
    assert not unused & set(counts)
    assert unused | set(counts) == {id(p) for p in body.module.parameters()}


def test_unused_is_what_features_do_not_depend_on() -> None:
    unused = {"classifier.weight", "classifier.bias", "idle.weight", "idle.bias"}
    assert set(any_body("classifier").unused) == unused
    assert set(any_body("bert").unused) == {"pooler.dense.weight", "pooler.dense.bias"}
    assert any_body("loose").unused == () and any_body("resnet18").unused == ()


def test_loose_parameters_belong_to_the_first_block() -> None:
    assert set(any_body("vit_tiny_patch16_224").blocks[0].parameters) == {"cls_token", "pos_embed"}
    assert any_body("loose").blocks[0].parameters == ("token",)


def test_norms_and_activations_belong_to_the_block_before_them() -> None:
    lite, shared = any_body("tf_efficientnet_lite0"), any_body("shared")
    assert lite.block("stem").modules == ("conv_stem", "bn1")
    assert lite.block("head").modules[:2] == ("conv_head", "bn2")
    assert shared.block("first").modules == ("first", "norm1", "relu", "pool", "dropout")
    # What is shared by several blocks says nothing of the first one's output.
    assert shared.block("first").output == "norm1"


@pytest.mark.parametrize("name", [*TIMM, *HF, *PLAIN])
def test_pooled_features_equal_hooks_by_hand(name: str) -> None:
    body = any_body(name)
    inputs = batch(body)
    caught: dict[str, Any] = {}
    handles = [
        body.module.get_submodule(b.output).register_forward_hook(
            lambda m, a, output, key=b.name: caught.__setitem__(key, output)
        )
        for b in body.blocks
    ]
    with torch.no_grad():
        body.module(**inputs) if isinstance(inputs, dict) else body.module(inputs)
        for handle in handles:
            handle.remove()
        found = body.features(inputs, [b.name for b in body.blocks])
    for block in body.blocks:
        output = caught[block.name]
        output = output[0] if isinstance(output, tuple) else output
        if output.ndim == 4:
            output = output.mean((1, 2)) if name.startswith("swin") else output.mean((2, 3))
        elif output.ndim == 3:
            mask = inputs["attention_mask"] if isinstance(inputs, dict) else torch.ones(output.shape[:2])
            output = (output * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)
        torch.testing.assert_close(found[block.name], output, rtol=1e-5, atol=1e-5)
        assert block.width == body.widths[block.name] == output.shape[1]


@pytest.mark.parametrize("name", TIMM)
def test_last_is_timms_own_pooled_features(name: str) -> None:
    body = any_body(name)
    inputs = batch(body, 2)
    with torch.no_grad():
        own = body.module.forward_head(body.module.forward_features(inputs), pre_logits=True)
        torch.testing.assert_close(body.features(inputs, ["last"])["last"], own, rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(body(inputs), own, rtol=1e-5, atol=1e-5)
    assert body.width == own.shape[1] == body.module.num_features


def test_last_of_an_encoder_follows_its_recipe() -> None:
    body = any_body("bert")
    inputs = batch(body)
    with torch.no_grad():
        result = body.module(**inputs)
        tokens, mask = result.last_hidden_state, inputs["attention_mask"][..., None]
        for pooling, expected in {
            "mean": (tokens * mask).sum(1) / mask.sum(1),
            "cls": tokens[:, 0],
            "pooler": result.pooler_output,
        }.items():
            other = ModuleBody(body.module, {**body.recipe, "pooling": pooling})
            torch.testing.assert_close(other.eval()(inputs), expected)
        normed = ModuleBody(body.module, {**body.recipe, "normalize": True}).eval()(inputs)
        torch.testing.assert_close(normed.norm(dim=1), torch.ones(3))
    assert ModuleBody(body.module, {**body.recipe, "pooling": "pooler"}).unused == ()


def test_padding_does_not_change_features() -> None:
    body = any_body("bert")
    ids = torch.tensor([[5, 6, 7, 8]])
    short = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    longer = {k: nn.functional.pad(v, (0, 5)) for k, v in short.items()}
    with torch.no_grad():
        torch.testing.assert_close(body(short), body(longer), rtol=1e-5, atol=1e-5)


def test_a_one_dimensional_convolution_is_pooled_over_time() -> None:
    module = nn.Sequential(nn.Conv1d(2, 5, 3), nn.ReLU(), nn.Conv1d(5, 7, 3))
    body = ModuleBody(module, {"loader": "module"}, example=torch.randn(2, 2, 20))
    x = torch.randn(4, 2, 20)
    assert body.widths["0"] == 5
    torch.testing.assert_close(body.features(x, ["0"])["0"], module[:2](x).mean(2))


def test_a_single_layer_is_one_block() -> None:
    body = ModuleBody(nn.Linear(3, 4), {"loader": "module"}, example=torch.randn(2, 3))
    assert [b.name for b in body.blocks] == ["body"] and body.width == 4
    x = torch.randn(5, 3)
    torch.testing.assert_close(body.features(x, ["body", "last"])["body"], body(x))


def test_exploring_changes_nothing() -> None:
    module = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Dropout(0.5), nn.Conv2d(4, 5, 3))
    module[0].weight.requires_grad_(False)
    before = {k: v.clone() for k, v in module.state_dict().items()}
    state = torch.get_rng_state()
    ModuleBody(module.train(), {"loader": "module"}, example=torch.randn(2, 3, 8, 8, generator=torch.Generator()))
    assert torch.equal(state, torch.get_rng_state())
    assert all(torch.equal(before[k], v) for k, v in module.state_dict().items())
    assert not module[0].weight.requires_grad and module[3].weight.requires_grad and module[3].weight.grad is None
    assert all(part.training for part in module.modules())
