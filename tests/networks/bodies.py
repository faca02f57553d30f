"""Bodies that several tests look at; small, with random weights."""

from __future__ import annotations

from functools import cache
from typing import Any

import torch
from torch import Tensor, nn

from sterna.networks import Body, ModuleBody, build_body

TIMM = ("tf_efficientnet_lite0", "resnet18", "vit_tiny_patch16_224", "convnext_atto", "swin_tiny_patch4_window7_224")
HF = ("bert", "distilbert", "vit")
PLAIN = ("sequential", "wrapped", "shared", "loose", "classifier")


def hf_config(name: str) -> dict[str, Any]:
    import transformers

    if name == "bert":
        config: Any = transformers.BertConfig(
            hidden_size=32, num_hidden_layers=3, num_attention_heads=2, intermediate_size=64, vocab_size=100
        )
    elif name == "distilbert":
        config = transformers.DistilBertConfig(dim=32, n_layers=3, n_heads=2, hidden_dim=64, vocab_size=100)
    else:
        config = transformers.ViTConfig(
            hidden_size=32,
            num_hidden_layers=3,
            num_attention_heads=2,
            intermediate_size=64,
            image_size=32,
            patch_size=8,
        )
    return dict(config.to_dict())


class Shared(nn.Module):
    """One ReLU, one pooling and one dropout used in several places, defined in the wrong order."""

    def __init__(self) -> None:
        super().__init__()
        self.last = nn.Linear(8, 6)
        self.relu, self.pool, self.dropout = nn.ReLU(), nn.MaxPool2d(2), nn.Dropout(0.5)
        self.second = nn.Conv2d(4, 8, 3)
        self.norm2 = nn.BatchNorm2d(8)
        self.first = nn.Conv2d(3, 4, 3)
        self.norm1 = nn.BatchNorm2d(4)

    def forward(self, x: Tensor) -> Tensor:
        x = self.dropout(self.pool(self.relu(self.norm1(self.first(x)))))
        x = self.dropout(self.pool(self.relu(self.norm2(self.second(x)))))
        return self.relu(self.last(x.mean((2, 3))))


class Loose(nn.Module):
    """Parameters that hang on the module itself, and a layer whose weights are used without a call."""

    def __init__(self) -> None:
        super().__init__()
        self.token = nn.Parameter(torch.randn(1, 1, 12))
        self.layers = nn.ModuleList([nn.TransformerEncoderLayer(12, 2, 24, batch_first=True) for _ in range(3)])
        self.lookup = nn.Linear(12, 5, bias=False)
        self.embed = nn.Linear(4, 12)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.cat([self.token.expand(len(x), 1, 12), self.embed(x)], 1)
        for layer in self.layers:
            x = layer(x)
        return nn.functional.linear(x[:, 0], self.lookup.weight)


class WithClassifier(nn.Module):
    """Gives features, although it has a classifier, which runs, and another, which does not."""

    def __init__(self) -> None:
        super().__init__()
        self.backbone = nn.Sequential(nn.Linear(5, 7), nn.BatchNorm1d(7), nn.ReLU(), nn.Linear(7, 6), nn.ReLU())
        self.classifier = nn.Linear(6, 2)
        self.idle = nn.Linear(6, 2)

    def forward(self, x: Tensor) -> Tensor:
        features: Tensor = self.backbone(x)
        self.scores = self.classifier(features.detach())
        return features


def convolutional() -> nn.Sequential:
    return nn.Sequential(
        nn.Sequential(nn.Conv2d(3, 6, 3), nn.BatchNorm2d(6), nn.ReLU()),
        nn.Sequential(nn.Conv2d(6, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Dropout(0.5)),
        nn.Conv2d(8, 9, 3),
        nn.BatchNorm2d(9),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(9, 5),
        nn.Tanh(),
    )


class Wrapped(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.net = convolutional()

    def forward(self, x: Tensor) -> Tensor:
        features: Tensor = self.net(x)
        return features


@cache
def plain(name: str) -> Body:
    torch.manual_seed(0)
    made: dict[str, tuple[Any, Tensor]] = {
        "sequential": (convolutional, torch.randn(2, 3, 12, 12)),
        "wrapped": (Wrapped, torch.randn(2, 3, 12, 12)),
        "shared": (Shared, torch.randn(2, 3, 18, 18)),
        "loose": (Loose, torch.randn(2, 6, 4)),
        "classifier": (WithClassifier, torch.randn(2, 5)),
    }
    module, example = made[name]
    return ModuleBody(module(), {"loader": "module"}, example=example)


@cache
def any_body(name: str) -> Body:
    """One of the above; shared by tests, which must leave it as it is."""
    if name in PLAIN:
        return plain(name).eval()
    torch.manual_seed(0)
    if name in HF:
        return build_body({"loader": "hf", "config": hf_config(name)}).eval()
    options = {"vit": {"img_size": 48}, "swi": {"img_size": 64, "window_size": 4}}.get(name[:3], {})
    size = options.get("img_size", 64)
    shapes = {"shape": [3, size, size], "whole": False}
    return build_body({"loader": "timm", "name": name, "options": options, "input": shapes}).eval()


def batch(body: Body, rows: int = 3) -> Any:
    """A batch for it, of its example's shape."""
    shapes = body.recipe["input"]
    random = torch.Generator().manual_seed(1)
    if "shape" in shapes:
        return torch.randn(rows, *shapes["shape"], generator=random)
    ids = torch.randint(0, 100, (rows, 9), generator=random)
    mask = torch.ones_like(ids)
    mask[1, 4:] = 0
    return {"input_ids": ids, "attention_mask": mask}
