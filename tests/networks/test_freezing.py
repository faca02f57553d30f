from __future__ import annotations

import pytest
import torch
from bodies import TIMM, any_body, batch
from torch import nn

from sterna.networks import ModuleBody, Network, RawText, freeze, frozen_names, is_frozen, thaw


def network_of(name: str) -> Network:
    body = any_body(name).copied()
    return Network(RawText(), body, nn.Linear(body.width, 2))


def train_a_step(network: Network, steps: int = 2) -> None:
    """As any loop would, with weight decay; the optimiser knows all parameters."""
    optimizer = torch.optim.AdamW(network.parameters(), lr=0.1, weight_decay=0.1)
    torch.manual_seed(0)
    for _ in range(steps):
        network.train()
        optimizer.zero_grad()
        network(batch(network.body, 4)).square().mean().backward()
        optimizer.step()


def state(module: nn.Module) -> dict[str, torch.Tensor]:
    return {k: v.clone() for k, v in module.state_dict().items()}


@pytest.mark.parametrize("name", [TIMM[0], "resnet18", "vit_tiny_patch16_224", "bert", "shared", "sequential"])
def test_a_frozen_body_is_bit_for_bit_the_same_after_training(name: str) -> None:
    network = network_of(name)
    freeze(network.body)
    before, head = state(network.body), state(network.head)
    train_a_step(network)
    assert all(torch.equal(before[k], v) for k, v in network.body.state_dict().items())
    assert not torch.equal(head["weight"], network.head.weight)
    assert not any(part.training for part in network.body.modules()) and network.head.training
    assert network.body_is_frozen() and is_frozen(network.body)


@pytest.mark.parametrize("name", [TIMM[0], "resnet18", "vit_tiny_patch16_224", "swin_tiny_patch4_window7_224", "bert"])
def test_frozen_blocks_stay_and_the_others_move(name: str) -> None:
    network = network_of(name)
    depth = network.depth_modules()
    half = len(depth) // 2
    for _, modules in depth[:half]:
        for module in modules:
            freeze(module)
    before = state(network)
    train_a_step(network)
    frozen = {id(p) for _, some in network.depth_modules()[:half] for m in some for p in m.parameters()}
    for key, parameter in network.named_parameters():
        unused = key.removeprefix("body.module.") in network.body.unused
        assert torch.equal(before[key], parameter) == (id(parameter) in frozen or unused), key
    parts = {id(m): n for n, m in network.body.module.named_modules()}
    for _, modules in depth[:half]:
        for module in modules:
            for part in module.modules():
                assert not part.training or id(part) not in parts
    for key, buffer in network.named_buffers():
        owner = network.get_submodule(key.rpartition(".")[0])
        if isinstance(owner, nn.BatchNorm2d) and "num_batches" in key:
            assert torch.equal(before[key], buffer) == (not owner.training), key


def test_frozen_dropout_drops_nothing() -> None:
    network = network_of("sequential")
    freeze(network.body)
    x = batch(network.body, 4)
    network.train()
    torch.testing.assert_close(network.body(x), network.body(x), rtol=0, atol=0)
    thaw(network.body)
    network.train()
    assert not torch.equal(network.body(x), network.body(x))


def test_a_container_around_frozen_blocks_drops_nothing_itself() -> None:
    class Dropping(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers = nn.ModuleList([nn.Linear(4, 4) for _ in range(3)])

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            for layer in self.layers:
                x = nn.functional.dropout(layer(x), 0.5, self.training)
            return x

    body = ModuleBody(Dropping(), {"loader": "module"}, example=torch.randn(2, 4))
    for block in body.blocks:
        freeze(body.view(block))
    assert not body.train().module.training
    thaw(body.view(body.blocks[2]))
    assert body.train().module.training


def test_thawing_block_by_block_from_the_head() -> None:
    network = network_of("vit_tiny_patch16_224")
    depth = network.depth_modules()
    freeze(network.body)
    assert network.body_is_frozen()
    for _, modules in depth[-3:]:
        for module in modules:
            thaw(module)
    network.train()
    assert network.body.module.blocks[11].training and not network.body.module.blocks[9].training
    assert not network.body_is_frozen()
    names = set(frozen_names(network))
    assert {"body.module.cls_token", "body.module.blocks.9.mlp.fc1.weight"} <= names
    assert not {n for n in names if "blocks.11" in n or "blocks.10" in n or n.startswith("head")}


def test_blocks_frozen_one_by_one_freeze_the_body() -> None:
    network = network_of("bert")
    for _, modules in network.depth_modules()[:-1]:
        for module in modules:
            freeze(module)
    assert network.body_is_frozen()


def test_groups_hold_every_used_parameter_once() -> None:
    network = network_of("vit_tiny_patch16_224")
    groups = [(name, [p for m in modules for p in m.parameters()]) for name, modules in network.depth_modules()]
    assert [name for name, _ in groups] == [b.name for b in network.body.blocks] + ["head"]
    together = [id(p) for _, some in groups for p in some]
    assert len(together) == len(set(together)) and set(together) == {id(p) for p in network.parameters()}


def test_a_copy_of_a_frozen_network_is_frozen() -> None:
    import copy

    network = network_of("resnet18")
    freeze(network.body)
    other = copy.deepcopy(network).train()
    assert other.body_is_frozen() and not other.body.module.bn1.training
