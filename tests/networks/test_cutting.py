from __future__ import annotations

import pytest
import torch
from bodies import any_body, batch

from sterna.networks import freeze


@pytest.mark.parametrize(
    ("name", "block"),
    [
        ("tf_efficientnet_lite0", "stem"),
        ("tf_efficientnet_lite0", "blocks.4"),
        ("resnet18", "layer2"),
        ("convnext_atto", "stages.1"),
        ("swin_tiny_patch4_window7_224", "layers.1"),
        ("sequential", "1"),
        ("wrapped", "net.1"),
    ],
)
def test_two_halves_make_the_whole(name: str, block: str) -> None:
    body = any_body(name)
    halves = body.cut(block)
    assert halves is not None
    lower, upper = halves
    x = batch(body, 4)
    with torch.no_grad():
        middle = lower(x)
        torch.testing.assert_close(upper(middle), body(x), rtol=1e-4, atol=1e-5)
    names = [b.name for b in body.blocks]
    assert [b.name for b in upper.blocks] == names[names.index(block) + 1 :]


def test_training_the_upper_half_trains_the_body() -> None:
    body = any_body("resnet18").copied()
    for block in body.blocks[:3]:
        freeze(body.view(block))
    halves = body.cut("layer2")
    assert halves is not None
    lower, upper = halves
    shared = {id(p) for p in upper.parameters()}
    assert shared == {id(p) for b in body.blocks[3:] for p in body.view(b).parameters()}
    before = body.module.layer4[0].downsample[0].weight.clone()
    torch.manual_seed(0)
    upper.train()
    with torch.no_grad():
        middle = lower(batch(body, 4))
    torch.optim.SGD(upper.parameters(), 0.1).zero_grad()
    upper(middle).square().sum().backward()
    torch.optim.SGD(upper.parameters(), 0.1).step()
    assert not torch.equal(before, body.module.layer4[0].downsample[0].weight)


def test_where_it_cannot_be_cut_there_is_none() -> None:
    assert any_body("bert").cut("encoder.layer.0") is None
    assert any_body("vit_tiny_patch16_224").cut("blocks.3") is None  # positions are added to the activation again
    assert any_body("shared").cut("first") is None  # the ReLU is used above as well
    assert any_body("resnet18").cut("layer4") is None  # nothing is left above
    assert any_body("resnet18").selecting(["layer1", "last"]).cut("layer2") is None
