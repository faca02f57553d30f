"""Two networks side by side on the same rows, as one body; a network's answers as features."""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from sterna.errors import RequestError
from sterna.networks.blocks import Block
from sterna.networks.body import LAST, Body
from sterna.networks.estimator import EstimatorHead
from sterna.networks.freezing import thaw
from sterna.networks.pooling import side_by_side
from sterna.networks.preparation_pair import KEYS
from sterna.tasks.losses import at_least_float32
from sterna.tasks.task import Task


class Answers(nn.Module):
    """A head whose answers are features: what it says of a row, on a scale that suits a linear model.

    Class probabilities come as logarithms (no smaller than 0.001 counts), so that a linear head can repeat them as
    they are; several labels as their log-odds (at most ±6.9), numbers standardised.

    Parameters
    ----------
    head
        From features, or texts, to outputs ``(n, o)``.
    task
        What it answers.
    """

    def __init__(self, head: nn.Module, task: Task) -> None:
        super().__init__()
        self.head, self.task = head, task

    def forward(self, features: Any) -> Tensor:
        """Features ``(n, d)``, or n texts, to ``(n, o)`` float32."""
        return self.task.as_features(at_least_float32(self.head(features))).float()


class Beside(nn.Module):
    """Features with what a part makes of them beside them: ``x`` to ``[x; part(x)]``."""

    def __init__(self, part: nn.Module) -> None:
        super().__init__()
        self.part = part

    def forward(self, features: Tensor) -> Tensor:
        """Features ``(n, d)`` to ``(n, d + e)``."""
        return side_by_side([features, self.part(features)])


class _Compound(Body):
    """A body made of other modules, whose blocks are theirs."""

    def __init__(self, module: nn.Module, loader: str, blocks: Sequence[Block], width: int) -> None:
        nn.Module.__init__(self)
        self.module = module
        self.recipe = {"loader": loader}
        self._two_d, self._one_d, self._accepted = False, False, None
        self.blocks, self.outputs = tuple(blocks), (LAST,)
        self.widths = {**{block.name: block.width for block in blocks}, LAST: width}
        known = {id(p) for block in blocks for p in self.view(block).parameters()}
        self.unused = tuple(name for name, p in module.named_parameters() if id(p) not in known)

    def cut(self, block: str | int) -> None:
        """Never: what comes after a block of one part also needs the other."""


class _Parts(nn.Module):
    """Two modules under their names."""

    def __init__(self, **parts: nn.Module) -> None:
        super().__init__()
        for name, part in parts.items():
            self.add_module(name, part)


class PairBody(_Compound):
    """Two bodies side by side: ``[first(x); second(x)]``.

    Its inputs are the batches of a :class:`PairPreparation`. The blocks are those of both, the first's before the
    second's, with ``first.`` or ``second.`` before their names.
    """

    def __init__(self, first: Body, second: Body) -> None:
        halves = dict(zip(KEYS, (first, second), strict=True))
        blocks = [_below(f"{key}.module", block, f"{key}.") for key, half in halves.items() for block in half.blocks]
        super().__init__(_Parts(**halves), "pair", blocks, first.width + second.width)

    @property
    def halves(self) -> dict[str, Body]:
        """Both bodies by name."""
        return {key: self.module.get_submodule(key) for key in KEYS}  # type: ignore[misc]

    def _features(self, inputs: Any, names: Sequence[str | int]) -> dict[str, Tensor]:
        wanted = self._known(names)
        found: dict[str, Tensor] = {}
        ends = []
        for key, half in self.halves.items():
            own = [name.removeprefix(f"{key}.") for name in wanted if name.startswith(f"{key}.")]
            asked = tuple(dict.fromkeys([*own, *(half.outputs if LAST in wanted else ())]))
            if not asked:
                continue
            given = half.features(inputs[key], asked)
            found |= {f"{key}.{name}": given[name] for name in own}
            if LAST in wanted:
                ends.append(side_by_side([given[name] for name in half.outputs]))
        if LAST in wanted:
            found[LAST] = side_by_side(ends)
        return {str(asked): found[name] for asked, name in zip(names, wanted, strict=True)}

    def scratch(self, seed: int) -> PairBody:
        return PairBody(*(half.scratch(seed + i) for i, half in enumerate(self.halves.values())))

    def weights_fingerprint(self) -> str:
        return _digest(self.recipe, *(half.fingerprint() for half in self.halves.values()))


class AnswerBody(_Compound):
    """A whole network as a body: its features are its answers.

    Parameters
    ----------
    body
        Of the network.
    answers
        Its head (and map), as features.
    width
        How many answers there are.
    """

    def __init__(self, body: Body, answers: Answers, width: int) -> None:
        blocks = [_below("body.module", block, "") for block in body.blocks]
        if any(True for _ in answers.parameters()):
            blocks.append(Block("answers", ("answers",), (), "answers", width))
        super().__init__(_Parts(body=body, answers=answers), "answers", blocks, width)

    @property
    def body(self) -> Body:
        """The network's own body."""
        return self.module.get_submodule("body")  # type: ignore[return-value]

    @property
    def answers(self) -> Answers:
        """The network's head, as features."""
        return self.module.get_submodule("answers")  # type: ignore[return-value]

    def _features(self, inputs: Any, names: Sequence[str | int]) -> dict[str, Tensor]:
        wanted = self._known(names)
        inner = [name for name in wanted if name not in (LAST, "answers")]
        found = self.body.features(inputs, inner) if inner else {}
        if len(inner) < len(wanted):
            found[LAST] = found["answers"] = self.answers(self.body(inputs))
        return {str(asked): found[name] for asked, name in zip(names, wanted, strict=True)}

    def scratch(self, seed: int) -> AnswerBody:
        body = self.body.scratch(seed)
        answers = copy.deepcopy(self.answers)
        for name, part in list(answers.named_modules()):
            if isinstance(part, EstimatorHead):
                answers = _replaced(answers, name, _untrained(body, part.task))
        from sterna.networks.build import reset

        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            reset(answers)
        thaw(answers)
        return AnswerBody(body, answers, self.widths[LAST])

    def weights_fingerprint(self) -> str:
        """A hash of the recipe and all weights; that of an estimator may be another once it was saved and loaded."""
        import joblib  # type: ignore[import-untyped]

        fitted = [joblib.hash(p.estimator) for p in self.answers.modules() if isinstance(p, EstimatorHead)]
        weights = [joblib.hash(tensor.detach().cpu().numpy()) for tensor in self.answers.state_dict().values()]
        return _digest(self.recipe, self.body.fingerprint(), self.answers.task.id, *fitted, *weights)


def answer_body(body: Body, head: nn.Module, task: Task) -> AnswerBody:
    """A network's body and head as a body that gives its answers."""
    return AnswerBody(body, Answers(head, task), task.outputs)


def _below(path: str, block: Block, prefix: str) -> Block:
    """A block of a part as a block of the whole."""
    return replace(
        block,
        name=f"{prefix}{block.name}",
        modules=tuple(_joined(path, each) for each in block.modules),
        parameters=tuple(_joined(path, each) for each in block.parameters),
        output=_joined(path, block.output),
    )


def _joined(path: str, rest: str) -> str:
    return f"{path}.{rest}" if rest else path


def _digest(recipe: Mapping[str, Any], *parts: str) -> str:
    text = json.dumps([dict(recipe), *parts], sort_keys=True, default=str)
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def _untrained(body: Body, task: Task) -> nn.Module:
    """A head that knows nothing, in the place of a fitted estimator, which has no random start."""
    if not body.width:
        raise RequestError(
            "The source holds an estimator that reads texts, which has no random start; leave out the control scratch."
        )
    return task.head(body.width)


def _replaced(module: Any, path: str, part: nn.Module) -> Any:
    owner, _, last = path.rpartition(".")
    setattr(module.get_submodule(owner), last, part)
    return module
