from __future__ import annotations

import copy

import pytest
import torch
from bodies import HF, TIMM, Shared, any_body, batch, convolutional, hf_config
from torch import nn

from sterna.errors import RequestError
from sterna.networks import ModuleBody, build_body, freeze


def test_outputs_of_several_blocks_stand_side_by_side() -> None:
    body = any_body("resnet18")
    x = batch(body)
    chosen = body.selecting(["layer2", "last"])
    with torch.no_grad():
        parts = body.features(x, ["layer2", "last"])
        torch.testing.assert_close(chosen(x), torch.cat([parts["layer2"], parts["last"]], 1))
    assert chosen.width == 128 + 512 and chosen.module is body.module and body.outputs == ("last",)


def test_a_block_is_found_by_name_place_and_path() -> None:
    body = any_body("tf_efficientnet_lite0")
    for name in ("blocks.4", 5, "5"):
        assert body.block(name).name == "blocks.4"
    assert body.block("conv_stem").name == "stem"
    assert body.selecting([5]).outputs == ("blocks.4",)
    with pytest.raises(RequestError, match="no block 'block.4'. Did you mean 'blocks.4'"):
        body.block("block.4")
    with pytest.raises(RequestError, match="No block is named"):
        body.selecting([])


def test_convolutions_lie_channels_last_and_give_the_same() -> None:
    module = convolutional().eval()
    x = torch.randn(2, 3, 12, 12)
    with torch.no_grad():
        expected = module(x)
        body = ModuleBody(copy.deepcopy(module), {"loader": "module"}, example=x).eval()
        torch.testing.assert_close(body(x), expected, rtol=1e-5, atol=1e-5)
    assert body.module[2].weight.is_contiguous(memory_format=torch.channels_last)


def test_fingerprint_changes_with_weights_and_outputs_only() -> None:
    body = any_body("shared")
    same = body.copied()
    assert body.fingerprint() == same.fingerprint()
    assert body.fingerprint() != body.selecting(["first"]).fingerprint()
    assert body.weights_fingerprint() == body.selecting(["first"]).weights_fingerprint()
    with torch.no_grad():
        same.module.norm1.running_mean[0] += 1e-6
    assert body.weights_fingerprint() != same.weights_fingerprint()


def test_a_copy_has_its_own_weights_and_is_thawed() -> None:
    body = any_body("classifier").copied()
    freeze(body)
    other = body.copied()
    with torch.no_grad():
        other.module.backbone[0].weight.zero_()
    assert body.module.backbone[0].weight.abs().sum() > 0
    assert other.module.backbone[0].weight.requires_grad
    assert not other.module.idle.weight.requires_grad  # unused: it would never get a gradient


@pytest.mark.parametrize("name", ["resnet18", "convnext_atto", "bert", "distilbert", "vit", "shared", "loose"])
def test_scratch_is_random_and_follows_the_seed(name: str) -> None:
    body = any_body(name).copied()
    freeze(body)
    before, state = body.weights_fingerprint(), torch.get_rng_state()
    a, b, c = body.scratch(7), body.scratch(7), body.scratch(8)
    assert torch.equal(state, torch.get_rng_state()) and body.weights_fingerprint() == before
    assert a.weights_fingerprint() == b.weights_fingerprint() != c.weights_fingerprint() != before
    assert [x.name for x in a.blocks] == [x.name for x in body.blocks] and a.width == body.width
    used = [p for n, p in a.module.named_parameters() if n not in a.unused]
    assert all(p.requires_grad for p in used) and a.training
    for (key, new), old in zip(a.module.named_parameters(), body.module.parameters(), strict=True):
        assert new.shape == old.shape, key
        if new.ndim > 1 and float(old.detach().std()) > 0:
            assert not torch.equal(new, old), key


def test_parameters_without_a_reset_are_drawn_like_they_are() -> None:
    class Scaled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.table = nn.Parameter(torch.randn(400, 50) * 3 + 2)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x @ self.table

    body = ModuleBody(Scaled(), {"loader": "module"}, example=torch.randn(2, 400)).scratch(0)
    assert float(body.module.table.detach().mean()) == pytest.approx(2, abs=0.1)
    assert float(body.module.table.detach().std()) == pytest.approx(3, abs=0.1)


def test_scratch_resets_statistics() -> None:
    body = ModuleBody(Shared(), {"loader": "module"}, example=torch.randn(2, 3, 18, 18))
    body.train()(torch.randn(8, 3, 18, 18))
    fresh = body.scratch(0).module.norm1
    assert torch.equal(fresh.running_mean, torch.zeros(4)) and int(fresh.num_batches_tracked) == 0


@pytest.mark.parametrize("name", [TIMM[0], HF[0]])
def test_the_recipe_builds_the_same_architecture(name: str) -> None:
    body = any_body(name)
    other = build_body(body.recipe).eval()
    other.load_state_dict(body.state_dict())
    x = batch(body, 2)
    with torch.no_grad():
        torch.testing.assert_close(other(x), body(x), rtol=0, atol=0)
    assert other.fingerprint() == body.fingerprint()


def test_recipes_that_cannot_be_followed_say_why() -> None:
    with pytest.raises(RequestError, match="handed over from Python"):
        build_body({"loader": "module"})
    with pytest.raises(RequestError, match="'keras' is not known"):
        build_body({"loader": "keras"})
    with pytest.raises(RequestError, match="cannot be built here"):
        build_body({"loader": "python", "function": "no_such_module:make"})


def test_a_module_that_does_not_take_the_example_is_refused() -> None:
    with pytest.raises(RequestError, match=r"Linear does not run on an example of the shape \(n, 4\)"):
        ModuleBody(nn.Linear(3, 2), {"loader": "module"}, example=torch.randn(2, 4))
    with pytest.raises(RequestError, match="needs example="):
        ModuleBody(nn.Linear(3, 2), {"loader": "module"})


def test_keywords_that_a_module_does_not_take_are_left_out() -> None:
    body = any_body("distilbert")
    inputs = batch(body)
    with torch.no_grad():
        more = body({**inputs, "token_type_ids": torch.zeros_like(inputs["input_ids"])})
        torch.testing.assert_close(more, body(inputs))


def test_hf_config_survives_json() -> None:
    import json

    recipe = {"loader": "hf", "config": hf_config("bert")}
    assert build_body(json.loads(json.dumps(recipe))).width == 32
