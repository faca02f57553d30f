"""Two networks side by side on the same rows, as one body; a network's answers as features."""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from sterna.errors import RequestError
from sterna.networks.answers import Answers
from sterna.networks.blocks import Block
from sterna.networks.body import LAST, Body, Build, Description
from sterna.networks.estimator import EstimatorHead
from sterna.networks.freezing import thaw
from sterna.networks.pooling import side_by_side
from sterna.networks.random_start import reset
from sterna.networks.saved_parts import build_part, describe_part
from sterna.networks.views import Views
from sterna.preparations.pair import KEYS
from sterna.tasks.task import Task


class _Parts(nn.Module):
    """Two modules under their names."""

    def __init__(self, **parts: nn.Module) -> None:
        super().__init__()
        for name, part in parts.items():
            self.add_module(name, part)


class PairBody(Body):
    """Two bodies side by side: ``[first(x); second(x)]``.

    Its inputs are the batches of a :class:`PairPreparation`. The blocks are those of both, the first's before the
    second's, with ``first.`` or ``second.`` before their names.

    Parameters
    ----------
    first, second
        The halves.
    views
        How each half sees its part of a batch.
    """

    def __init__(self, first: Body, second: Body, views: Sequence[Views] = (Views.ONE, Views.ONE)) -> None:
        halves = dict(zip(KEYS, (first, second), strict=True))
        super().__init__(_Parts(**halves), {"loader": "pair"})
        self.views = tuple(views)
        blocks = [_below(f"{key}.module", block, f"{key}.") for key, half in halves.items() for block in half.blocks]
        self.blocks = tuple(blocks)
        self.widths = {**{block.name: block.width for block in blocks}, LAST: first.width + second.width}
        self.unused = _unused(self)

    @property
    def halves(self) -> dict[str, Body]:
        """Both bodies by name."""
        return {key: self.module.get_submodule(key) for key in KEYS}  # type: ignore[misc]

    def features(self, inputs: Any, names: Sequence[str | int]) -> dict[str, Tensor]:
        wanted = self.resolved(names)
        found: dict[str, Tensor] = {}
        ends: list[Tensor] = []
        for (key, half), views in zip(self.halves.items(), self.views, strict=True):
            own = [name.removeprefix(f"{key}.") for name in wanted if name.startswith(f"{key}.")]
            asked = tuple(dict.fromkeys([*own, *(half.outputs if LAST in wanted else ())]))
            if not asked:
                continue
            given = views.features(half, inputs[key], asked)
            found |= {f"{key}.{name}": given[name] for name in own}
            if LAST in wanted:
                ends.append(side_by_side([given[name] for name in half.outputs]))
        if LAST in wanted:
            found[LAST] = side_by_side(ends)
        return {str(asked): found[name] for asked, name in zip(names, wanted, strict=True)}

    def cut(self, block: str | int) -> None:
        """Never: what comes after a block of one half also needs the other."""

    def scratch(self, seed: int) -> PairBody:
        first, second = (half.scratch(seed + i) for i, half in enumerate(self.halves.values()))
        return PairBody(first, second, self.views)

    def weights_fingerprint(self) -> str:
        return _digest(self.recipe, *(half.fingerprint() for half in self.halves.values()), *_told(self.views))

    def described(self, name: str, folder: Path) -> Description:
        halves = zip(self.halves.items(), self.views, strict=True)
        return {
            **self.recipe,
            **{key: describe_body(half, f"{name}-{key}", folder, views) for (key, half), views in halves},
        }

    @classmethod
    def rebuilt(cls, about: Description, folder: Path | None, build: Build) -> PairBody:
        parts = [about[key] for key in KEYS]
        first, second = (described_body(part, folder, build) for part in parts)
        return cls(first, second, views=[described_views(part) for part in parts])


class AnswerBody(Body):
    """A whole network as a body: its features are its answers.

    Parameters
    ----------
    body
        Of the network.
    answers
        Its head (and map), as features.
    width
        How many answers there are.
    views
        How the network sees a batch when it answers.
    """

    def __init__(self, body: Body, answers: Answers, width: int, views: Views = Views.ONE) -> None:
        super().__init__(_Parts(body=body, answers=answers), {"loader": "answers"})
        self.views: tuple[Views, ...] = (views,)
        blocks = [_below("body.module", block, "") for block in body.blocks]
        if any(True for _ in answers.parameters()):
            blocks.append(Block("answers", ("answers",), (), "answers", width))
        self.blocks = tuple(blocks)
        self.widths = {**{block.name: block.width for block in blocks}, LAST: width}
        self.unused = _unused(self)

    @property
    def body(self) -> Body:
        """The network's own body."""
        return self.module.get_submodule("body")  # type: ignore[return-value]

    @property
    def answers(self) -> Answers:
        """The network's head, as features."""
        return self.module.get_submodule("answers")  # type: ignore[return-value]

    def features(self, inputs: Any, names: Sequence[str | int]) -> dict[str, Tensor]:
        wanted = self.resolved(names)
        inner = [name for name in wanted if name not in (LAST, "answers")]
        (views,) = self.views
        found = views.features(self.body, inputs, inner) if inner else {}
        if len(inner) < len(wanted):
            given = views.features(self.body, inputs, self.body.outputs)
            found[LAST] = found["answers"] = self.answers(side_by_side([given[name] for name in self.body.outputs]))
        return {str(asked): found[name] for asked, name in zip(names, wanted, strict=True)}

    def cut(self, block: str | int) -> None:
        """Never: the answers need the features as they are."""

    def scratch(self, seed: int) -> AnswerBody:
        body = self.body.scratch(seed)
        answers = copy.deepcopy(self.answers)
        for name, part in list(answers.named_modules()):
            if isinstance(part, EstimatorHead):
                answers = _replaced(answers, name, _untrained(body, part.task))
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            reset(answers)
        thaw(answers)
        return AnswerBody(body, answers, self.widths[LAST], *self.views)

    def weights_fingerprint(self) -> str:
        """A hash of the recipe and all weights; that of an estimator may be another once it was saved and loaded."""
        import joblib  # type: ignore[import-untyped]

        fitted = [joblib.hash(p.estimator) for p in self.answers.modules() if isinstance(p, EstimatorHead)]
        weights = [joblib.hash(tensor.detach().cpu().numpy()) for tensor in self.answers.state_dict().values()]
        parts = (self.body.fingerprint(), self.answers.task.id, *fitted, *weights, *_told(self.views))
        return _digest(self.recipe, *parts)

    def described(self, name: str, folder: Path) -> Description:
        inner = describe_body(self.body, f"{name}-body", folder, *self.views)
        answers = describe_part(self.answers, name, folder)
        return {**self.recipe, "body": inner, "answers": answers, "width": self.widths[LAST]}

    @classmethod
    def rebuilt(cls, about: Description, folder: Path | None, build: Build) -> AnswerBody:
        answers = build_part(about["answers"], folder or Path())
        assert isinstance(answers, Answers)
        body = described_body(about["body"], folder, build)
        return cls(body, answers, about["width"], described_views(about["body"]))


def answer_body(body: Body, head: nn.Module, task: Task, views: Views = Views.ONE) -> AnswerBody:
    """A network's body and head as a body that gives its answers."""
    return AnswerBody(body, Answers(head, task), task.outputs, views)


# -- how those inside see a batch ----------------------------------------------------------------------


def see_once(module: nn.Module) -> None:
    """Let no body inside a module's compound bodies answer with more than the batch as it is, in place."""
    for part in _seeing(module):
        part.views = (Views.ONE,) * len(part.views)


@contextmanager
def one_view(module: nn.Module) -> Iterator[None]:
    """All bodies inside a module with one pass for a batch, for as long as the block lasts."""
    before = [(part, part.views) for part in _seeing(module)]
    see_once(module)
    try:
        yield
    finally:
        for part, views in before:
            part.views = views


def sees_more(module: nn.Module) -> bool:
    """Whether a body inside a module's compound bodies answers with more than the batch as it is."""
    return any(views is not Views.ONE for part in _seeing(module) for views in part.views)


def _seeing(module: nn.Module) -> list[PairBody | AnswerBody]:
    return [part for part in module.modules() if isinstance(part, PairBody | AnswerBody)]


# -- a body, its outputs and its views, on disk --------------------------------------------------------


def describe_body(body: Body, name: str, folder: Path, views: Views) -> dict[str, Any]:
    """How a body is built again, which outputs it gives, and how its batches are seen."""
    told = {} if views is Views.ONE else {"views": views.value}
    return {"recipe": body.described(name, folder), "outputs": list(body.outputs), **told}


def described_body(about: Description, folder: Path | None, build: Build) -> Body:
    """The body that :func:`describe_body` tells of, with random weights."""
    recipe = {key: value for key, value in about["recipe"].items() if key != "mirror"}
    body = build(recipe, folder)
    return body if list(body.outputs) == about["outputs"] else body.selecting(about["outputs"])


def described_views(about: Description) -> Views:
    """The views that :func:`describe_body` tells of; format 1 has them as ``mirror`` in the recipe."""
    by_name = {views.value: views for views in Views}
    return by_name[about.get("views", "mirrored" if about["recipe"].get("mirror") else "one")]


def _unused(body: Body) -> tuple[str, ...]:
    known = {id(p) for block in body.blocks for p in body.view(block).parameters()}
    return tuple(name for name, p in body.module.named_parameters() if id(p) not in known)


def _told(views: Sequence[Views]) -> list[str]:
    """The views, for a fingerprint, where there is something to tell."""
    return [] if all(each is Views.ONE for each in views) else [each.value for each in views]


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
