"""Heads and maps as JSON: linear layers, activations and fitted estimators, alone or in sequence."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from sterna.errors import RequestError
from sterna.networks.estimator import EstimatorHead
from sterna.networks.gate import Gate, Scaled
from sterna.networks.pair import Answers, Beside
from sterna.networks.rule_vote import RuleVote
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


_PLAIN: dict[str, type[nn.Module]] = {
    "identity": nn.Identity,
    "relu": nn.ReLU,
    "gelu": nn.GELU,
    "tanh": nn.Tanh,
    "flatten": nn.Flatten,
    "normalize": Normalize,
}
_BUILDERS: dict[str, Callable[[Description], nn.Module]] = {
    "linear": lambda part: nn.Linear(part["in"], part["out"], bias=part["bias"]),
    "dropout": lambda part: nn.Dropout(part["p"]),
    "layer-norm": lambda part: nn.LayerNorm(part["shape"], part["eps"], part["affine"]),
    "batch-norm": lambda part: nn.BatchNorm1d(part["width"], part["eps"], part["momentum"], part["affine"]),
    "columns": lambda part: Columns([0] * part["count"]),
    "rule-vote": lambda part: RuleVote(part["rules"], part["outputs"], part["mean"]),
    "number": lambda part: NumberHead(part["in"], Units(part["mean"], part["scale"])),
    "units": lambda part: Units(part["mean"], part["scale"]),
    "scaled": lambda part: Scaled(part["width"]),
    "gate": lambda part: Gate(part["source"], part["target"], part["width"]),
}


def describe_part(part: nn.Module, name: str, folder: Path) -> Description:
    """Say how a head or map is built; a fitted estimator is written into `folder`.

    Raises
    ------
    RequestError
        If it is of a type whose code would have to be kept.
    """
    for plain, cls in _PLAIN.items():
        if type(part) is cls:
            return {"type": plain}
    if type(part) is nn.Linear:
        return {"type": "linear", "in": part.in_features, "out": part.out_features, "bias": part.bias is not None}
    if isinstance(part, NumberHead):
        return {"type": "number", "in": part.in_features, "mean": part.units.mean, "scale": part.units.scale}
    if isinstance(part, Units):
        return {"type": "units", "mean": part.mean, "scale": part.scale}
    if type(part) is nn.Dropout:
        return {"type": "dropout", "p": part.p}
    if type(part) is nn.LayerNorm:
        shape = list(part.normalized_shape)
        return {"type": "layer-norm", "shape": shape, "eps": part.eps, "affine": part.elementwise_affine}
    if type(part) is nn.BatchNorm1d:
        known = {"width": part.num_features, "eps": part.eps, "momentum": part.momentum, "affine": part.affine}
        return {"type": "batch-norm", **known}
    if isinstance(part, Columns):
        return {"type": "columns", "count": len(part.order)}
    if isinstance(part, RuleVote):
        rules, outputs = part.values.shape
        return {"type": "rule-vote", "rules": rules, "outputs": outputs, "mean": part.mean}
    if type(part) is nn.Sequential:
        modules = list(part._modules.items())  # named_children would leave out a module that comes twice
        parts = [describe_part(each, f"{name}-{key}", folder) for key, each in modules]
        return {"type": "sequential", "names": [key for key, _ in modules], "parts": parts}
    if isinstance(part, Gate):
        return {"type": "gate", "source": part.sizes[0], "target": part.sizes[1], "width": part.gate.out_features}
    if isinstance(part, Scaled):
        return {"type": "scaled", "width": len(part.mean)}
    if isinstance(part, Answers):
        return {"type": "answers", "task": part.task.state(), "head": describe_part(part.head, f"{name}-head", folder)}
    if isinstance(part, Beside):
        return {"type": "beside", "part": describe_part(part.part, f"{name}-part", folder)}
    if isinstance(part, EstimatorHead):
        part.save(folder / name)
        return {"type": "estimator", "folder": name}
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
    kind = about["type"]
    if kind in _PLAIN:
        return _PLAIN[kind]()
    if kind in _BUILDERS:
        return _BUILDERS[kind](about)
    if kind == "sequential":
        parts = nn.Sequential()
        for name, part in zip(about["names"], about["parts"], strict=True):
            parts.add_module(name, build_part(part, folder))
        return parts
    if kind == "answers":
        return Answers(build_part(about["head"], folder), _answered(about))
    if kind == "beside":
        return Beside(build_part(about["part"], folder))
    if kind == "estimator":
        return EstimatorHead.load(folder / Path(about["folder"]).name)
    raise RequestError(f"{str(folder)!r} has a part of the type {kind!r}, which this Sterna does not know; upgrade it.")


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


def classifier_of(module: nn.Module) -> str | None:
    """Path of a module's last linear layer, where it is named as classifiers are; in a row of layers the last one."""
    for name in ("fc", "classifier", "head", "heads"):
        part = getattr(module, name, None)
        if isinstance(part, nn.Linear):
            return name
        if isinstance(part, nn.Sequential):
            linear = [key for key, each in part.named_children() if isinstance(each, nn.Linear)]
            if linear:
                return f"{name}.{linear[-1]}"
    return None


def without(module: nn.Module, path: str) -> None:
    """Put an identity in the place of a part, in place."""
    owner, _, last = path.rpartition(".")
    setattr(module.get_submodule(owner), last, nn.Identity())
