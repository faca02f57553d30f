"""Heads and maps as JSON: linear layers, activations and fitted estimators, alone or in sequence.

A package adds its own with an entry point of the group ``sterna.parts``: the name is the type in the JSON, and it
gives a :class:`Part`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from sterna.errors import RequestError
from sterna.networks.answers import Answers, Beside, Mean
from sterna.networks.estimator import EstimatorHead
from sterna.networks.gate import Gate, Scaled
from sterna.networks.rule_vote import RuleVote
from sterna.registry import Registry
from sterna.tasks import task_from_state
from sterna.tasks.task import Task
from sterna.tasks.units import NumberHead, Units

Description = dict[str, Any]


class Columns(nn.Module):
    """Pick columns of outputs ``(n, o)``, in a given order: ``outputs[:, order]``."""

    order: Tensor

    def __init__(self, order: list[int]) -> None:
        super().__init__()
        self.register_buffer("order", torch.tensor(order, dtype=torch.int64))

    def forward(self, outputs: Tensor) -> Tensor:
        """Outputs ``(n, o)`` to ``(n, len(order))``."""
        return outputs[:, self.order]


class Normalize(nn.Module):
    """Features ``(n, d)`` at length 1."""

    def forward(self, features: Tensor) -> Tensor:
        """``x / ‖x‖`` of each row; a row of zeros stays."""
        return nn.functional.normalize(features, dim=1)


@dataclass(frozen=True)
class Part:
    """How parts of one type are kept.

    Attributes
    ----------
    cls
        Their class.
    describe
        From a part, its name and the folder to what `build` needs, as JSON; what is not JSON is written into the folder
        under the name.
    build
        From that, and the folder, to the part with random weights.
    """

    cls: type[nn.Module]
    describe: Callable[[Any, str, Path], Description]
    build: Callable[[Description, Path], nn.Module]


def _plain(cls: type[nn.Module]) -> Part:
    """A part that nothing has to be said of."""
    return Part(cls, lambda part, name, folder: {}, lambda about, folder: cls())


def _sizes(
    cls: type[nn.Module], describe: Callable[[Any], Description], build: Callable[[Description], nn.Module]
) -> Part:
    """A part that a few numbers tell of."""
    return Part(cls, lambda part, name, folder: describe(part), lambda about, folder: build(about))


def _describe_sequence(parts: nn.Sequential, name: str, folder: Path) -> Description:
    modules = list(parts._modules.items())  # named_children would leave out a module that comes twice
    described = [describe_part(each, f"{name}-{key}", folder) for key, each in modules if each is not None]
    return {"names": [key for key, _ in modules], "parts": described}


def _build_sequence(about: Description, folder: Path) -> nn.Sequential:
    parts = nn.Sequential()
    for name, part in zip(about["names"], about["parts"], strict=True):
        parts.add_module(name, build_part(part, folder))
    return parts


def _describe_estimator(part: EstimatorHead, name: str, folder: Path) -> Description:
    part.save(folder / name)
    return {"folder": name}


_PARTS: dict[str, Part] = {
    "identity": _plain(nn.Identity),
    "relu": _plain(nn.ReLU),
    "gelu": _plain(nn.GELU),
    "tanh": _plain(nn.Tanh),
    "flatten": _plain(nn.Flatten),
    "normalize": _plain(Normalize),
    "linear": _sizes(
        nn.Linear,
        lambda part: {"in": part.in_features, "out": part.out_features, "bias": part.bias is not None},
        lambda about: nn.Linear(about["in"], about["out"], bias=about["bias"]),
    ),
    "dropout": _sizes(nn.Dropout, lambda part: {"p": part.p}, lambda about: nn.Dropout(about["p"])),
    "layer-norm": _sizes(
        nn.LayerNorm,
        lambda part: {"shape": list(part.normalized_shape), "eps": part.eps, "affine": part.elementwise_affine},
        lambda about: nn.LayerNorm(about["shape"], about["eps"], about["affine"]),
    ),
    "batch-norm": _sizes(
        nn.BatchNorm1d,
        lambda part: {"width": part.num_features, "eps": part.eps, "momentum": part.momentum, "affine": part.affine},
        lambda about: nn.BatchNorm1d(about["width"], about["eps"], about["momentum"], about["affine"]),
    ),
    "columns": _sizes(Columns, lambda part: {"count": len(part.order)}, lambda about: Columns([0] * about["count"])),
    "rule-vote": _sizes(
        RuleVote,
        lambda part: {
            "rules": part.values.shape[0],
            "outputs": part.values.shape[1],
            "mean": part.mean,
            "prior": part.prior.tolist(),
            "overlap": part.overlap,
        },
        lambda about: RuleVote(
            about["rules"], about["outputs"], about["mean"], about.get("prior"), about.get("overlap", 0.0)
        ),
    ),
    "gate": _sizes(
        Gate,
        lambda part: {"source": part.sizes[0], "target": part.sizes[1], "width": part.gate.out_features},
        lambda about: Gate(about["source"], about["target"], about["width"]),
    ),
    "number": _sizes(
        NumberHead,
        lambda part: {"in": part.in_features, "mean": part.units.mean, "scale": part.units.scale},
        lambda about: NumberHead(about["in"], Units(about["mean"], about["scale"])),
    ),
    "units": _sizes(
        Units,
        lambda part: {"mean": part.mean, "scale": part.scale},
        lambda about: Units(about["mean"], about["scale"]),
    ),
    "scaled": _sizes(Scaled, lambda part: {"width": len(part.mean)}, lambda about: Scaled(about["width"])),
    "sequential": Part(nn.Sequential, _describe_sequence, _build_sequence),
    "answers": Part(
        Answers,
        lambda part, name, folder: {
            "task": part.task.state(),
            "head": describe_part(part.head, f"{name}-head", folder),
        },
        lambda about, folder: Answers(build_part(about["head"], folder), _answered(about)),
    ),
    "mean": Part(
        Mean,
        lambda part, name, folder: {"task": part.task.state(), "count": len(part.weights)},
        lambda about, folder: Mean(torch.zeros(about["count"]), task_from_state(about["task"])),
    ),
    "beside": Part(
        Beside,
        lambda part, name, folder: {"part": describe_part(part.part, f"{name}-part", folder)},
        lambda about, folder: Beside(build_part(about["part"], folder)),
    ),
    "estimator": Part(
        EstimatorHead,
        _describe_estimator,
        lambda about, folder: EstimatorHead.load(folder / Path(about["folder"]).name),
    ),
}


_OTHERS = Registry("sterna.parts", "part of networks", {})
"""Of other packages."""


def _known() -> Iterator[tuple[str, Part]]:
    """All types and how they are kept: those of Sterna, then those of other packages."""
    yield from _PARTS.items()
    for name in _OTHERS.names():
        yield name, _OTHERS.find(name)


def describe_part(part: nn.Module, name: str, folder: Path) -> Description:
    """Say how a head or map is built; a fitted estimator is written into `folder`.

    Raises
    ------
    RequestError
        If it is of a type whose code would have to be kept.
    """
    for kind, known in _known():
        if type(part) is known.cls:
            return {"type": kind, **known.describe(part, name, folder)}
    raise RequestError(
        f"The {name} is a {type(part).__name__}, which cannot be saved without its code; use nn.Linear, activations, "
        "an nn.Sequential of them, or an EstimatorHead."
    )


def build_part(about: Description, folder: Path) -> nn.Module:
    """Build a head or map from its description, with random weights; an estimator is read from `folder`.

    Raises
    ------
    RequestError
        If the description names a type that this version does not know.
    """
    for kind, known in _known():
        if about["type"] == kind:
            return known.build(about, folder)
    raise RequestError(
        f"{str(folder)!r} has a part of the type {about['type']!r}, which this Sterna does not know; upgrade it, "
        "or install the package that adds it."
    )


def _answered(about: Description) -> Task:
    """What answers that are features answer; format 1 kept the id alone, and its numbers were standardised already."""
    if "task" in about:
        return task_from_state(about["task"])
    names = {} if about["kind"] == "regression" else {"classes": ["0", "1"]}
    return task_from_state({"id": about["kind"], **names})


def in_users_units(head: nn.Module, task: Task) -> nn.Module:
    """A head of format 1, whose numbers are standardised, with the last layer that heads have since format 2."""
    last = task.last_layer()
    if type(head) is nn.Linear and isinstance(last, Units):
        found = NumberHead(head.in_features, last)
        found.weight, found.bias = head.weight, head.bias
        return found
    return nn.Sequential(head, last) if isinstance(last, Units) else head
