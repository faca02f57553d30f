from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from torch import nn

from sterna.domains import Domain, ImageArray, ImageSequence, Inputs, Preparation, TextInputs
from sterna.networks import ImagePreparation, Network, RawText, build_body, identity_body, small_body


def table() -> Inputs:
    random = np.random.default_rng(0)
    frame = pd.DataFrame({"a": random.normal(size=30), "b": random.choice(["x", "y"], 30)})
    return Domain.from_arrays(frame).inputs


INPUTS = {
    "digits": lambda: ImageArray(np.random.default_rng(0).integers(0, 256, (6, 28, 28), dtype=np.uint8)),
    "tiny": lambda: ImageArray(np.random.default_rng(0).integers(0, 256, (6, 8, 8, 3), dtype=np.uint8)),
    "photos": lambda: ImageSequence([Image.new("RGB", (400, 300), (i, 9, 9)) for i in range(4)]),
    "table": table,
    "text": lambda: TextInputs(["a good bird", "很好吃", "", "a bad bird"] * 3),
}
BLOCKS = {
    "digits": ["stem", "stage1", "stage2", "stage3"],
    "tiny": ["stem", "stage1", "stage2", "stage3"],
    "photos": ["stem", "stage1", "stage2", "stage3"],
    "table": ["layer1", "layer2"],
    "text": ["embedding", "layer"],
}


def prepared(preparation: Preparation, inputs: Inputs) -> torch.Tensor:
    items = preparation.items(inputs)
    batch = preparation.collate([items[i] for i in range(len(items))])
    assert isinstance(batch, torch.Tensor)
    return batch


@pytest.mark.parametrize("name", INPUTS)
def test_a_small_body_suits_its_inputs(name: str) -> None:
    inputs = INPUTS[name]()
    body, preparation = small_body(inputs, seed=1)
    batch = prepared(preparation, inputs)
    body.eval()
    with torch.no_grad():
        found = body(batch)
    assert found.shape == (len(inputs), body.width) == (len(inputs), 128) and torch.isfinite(found).all()
    assert [b.name for b in body.blocks] == BLOCKS[name]
    if isinstance(preparation, ImagePreparation):
        assert preparation.size == {"digits": 28, "tiny": 16, "photos": 96}[name]
        assert preparation.channels == (1 if name == "digits" else 3)


@pytest.mark.parametrize("name", INPUTS)
def test_it_follows_the_seed_and_its_recipe(name: str) -> None:
    inputs = INPUTS[name]()
    state = torch.get_rng_state()
    a, b, c = (small_body(inputs, seed=s)[0] for s in (1, 1, 2))
    assert torch.equal(state, torch.get_rng_state())
    assert a.fingerprint() == b.fingerprint() != c.fingerprint()
    rebuilt = build_body(a.recipe)
    rebuilt.load_state_dict(a.state_dict())
    assert rebuilt.fingerprint() == a.fingerprint() != a.scratch(5).fingerprint()


def test_a_small_network_learns_digits() -> None:
    images, codes = load_digits(return_X_y=True)
    inputs = ImageArray((images.reshape(-1, 8, 8) * 15.9).astype(np.uint8)[:600])
    body, preparation = small_body(inputs, seed=0)
    batch, targets = prepared(preparation, inputs), torch.as_tensor(codes[:600])
    torch.manual_seed(0)
    network = Network(preparation, body, nn.Linear(128, 10)).train()
    optimizer = torch.optim.AdamW(network.parameters(), lr=2e-3)
    for epoch in range(6):
        optimizer.param_groups[0]["lr"] = 2e-3 * (1 - epoch / 6)
        for part in torch.randperm(400).split(20):
            optimizer.zero_grad()
            nn.functional.cross_entropy(network(batch[part]), targets[part]).backward()
            optimizer.step()
    with torch.no_grad():
        accuracy = (network.eval()(batch[400:]).argmax(1) == targets[400:]).double().mean()
    assert accuracy > 0.9


def test_hashed_text_is_the_mean_of_the_grams_and_ignores_padding() -> None:
    body, _ = small_body(INPUTS["text"](), seed=0)
    bag = body.module.embedding.weight
    numbers = torch.tensor([[3, 5, 0, 0], [7, 8, 9, 10]])
    body.eval()
    with torch.no_grad():
        found = body.features(numbers, ["embedding"])["embedding"]
        torch.testing.assert_close(found[0], (bag[3] + bag[5]) / 2)
        torch.testing.assert_close(body(numbers[:1]), body(numbers[:1, :2]))


def test_hashed_text_tells_chinese_reviews_apart() -> None:
    texts = TextInputs(["很好吃,送得快", "太难吃了,送得慢", "好吃好吃", "难吃"] * 5)
    body, preparation = small_body(texts, seed=0)
    with torch.no_grad():
        features = body.eval()(prepared(preparation, texts)).numpy()
    codes = np.array([0, 1, 0, 1] * 5)
    assert LogisticRegression(C=100).fit(features, codes).score(features, codes) == 1


def test_identity_gives_what_it_gets() -> None:
    preparation = ImagePreparation(8, crop=1.0)
    inputs = ImageArray(np.random.default_rng(0).integers(0, 256, (3, 8, 8, 3), dtype=np.uint8))
    body = identity_body(192)
    items = preparation.items(inputs)
    expected = np.stack([np.asarray(items[i]).ravel() for i in range(3)])
    found = body(preparation.collate([items[i] for i in range(3)]))
    np.testing.assert_array_equal(found.numpy(), expected)
    assert body.width == 192 and body.blocks == () and list(body.parameters()) == []
    assert identity_body(None)(["a", "b"]) == ["a", "b"]
    rebuilt = build_body(identity_body(192).recipe).selecting(("last",))
    assert rebuilt.width == 192 and torch.equal(rebuilt(found), found)
    assert build_body(identity_body(None).recipe).selecting(("last",))(["a"]) == ["a"]


def test_a_network_with_an_identity_is_frozen_when_it_is_frozen() -> None:
    from sterna.networks import freeze

    network = Network(RawText(), identity_body(None), nn.Identity())
    freeze(network)
    assert network.train().body_is_frozen() and network.forward(["a"]) == ["a"]
