"""A network tuned from the source's weights, put together with the source once more: what two methods share."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from pydantic_core import PydanticCustomError
from torch import Tensor, nn

from sterna.errors import RunError
from sterna.methods.parameters.fine_tuning import FineTuning
from sterna.methods.problem import Problem
from sterna.methods.tuning import few_validation_rows, score_of
from sterna.networks.network import Network
from sterna.networks.pair import one_view
from sterna.networks.statistics import Standing, recalibrate, standings
from sterna.training.log import Log
from sterna.training.trainer import Trainer

ROWS = 64
"""Target rows that batch normalisation is measured on, all at once: the same for all networks that are compared."""

State = dict[str, Tensor]
Mix = Callable[[State, nn.Module, float], State]
"""The weights of a module: ``mix(tuned weights, source module, number)``."""


@dataclass(frozen=True)
class Setting:
    """The number that says how much of the source comes in.

    Attributes
    ----------
    name
        Of the method's setting.
    mix
        How the weights are put together.
    ends
        Numbers at which the result is one of the two networks as it is.
    share
        The source's share in what batch normalisation's statistics should be, for a number.
    candidates
        Numbers that a search tries; among equals the first is taken.
    default
        The number where there are no validation rows to search with.
    """

    name: str
    mix: Mix
    ends: tuple[float, ...]
    share: Callable[[float], float]
    candidates: Sequence[float]
    default: float


def number_or_search(value: Any, fits: Callable[[float], bool], expected: str) -> Any:
    """Let a setting through that is the word search, or a number that fits."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if value == "search" or (number and fits(float(value))):
        return value
    raise PydanticCustomError("number_or_search", "Expected {what}, or search", {"what": expected})


def tuned_and_mixed(
    problem: Problem, trainer: Trainer, tuner: FineTuning, setting: Setting, number: float | None
) -> Network:
    """Tune a network from the source's weights, and put its body together with the source's.

    Where the number is searched and the validation rows are fewer than 100, it is found with a network that was tuned
    without them, and used for one that was tuned with them.

    Parameters
    ----------
    number
        ``None`` to search.
    """
    held_out: Network | None
    if number is not None or not few_validation_rows(problem):
        network = held_out = tuner.run(problem, trainer)
    elif tuner.share is None:  # then it sees to all labels by itself
        network, held_out = tuner.run_with_held_out(problem, trainer)
    else:
        hidden = replace(problem, validation=problem.validation[:0])
        held_out = tuner.run(hidden, _aside(trainer)) if len(problem.validation) else None
        network = tuner.run(problem.joined(), trainer)
    if number is None and len(problem.validation):
        assert held_out is not None
        number = searched(_Mixture(problem, trainer, held_out, setting))
    elif number is None:
        number = setting.default
        trainer.say(f"There are no validation rows to search {setting.name} with, so it is {number:g}.")
    _Mixture(problem, trainer, network, setting).put(number)
    return network


def _aside(trainer: Trainer) -> Trainer:
    """A trainer for a network that only serves to choose: what is told of the run is told of another."""
    folder = None if trainer.folder is None else trainer.folder / "held-out"
    return replace(trainer, folder=folder, log=Log())


@dataclass(eq=False)
class _Mixture:
    """A tuned network whose body can be filled with any mixture."""

    problem: Problem
    trainer: Trainer
    network: Network
    setting: Setting
    tuned: State = field(init=False)
    ends: tuple[list[Standing], list[Standing]] | None = None

    def __post_init__(self) -> None:
        assert self.problem.source_body is not None
        self.source = self.problem.source_body.module
        self.tuned = {name: tensor.detach().clone() for name, tensor in self.module.state_dict().items()}

    @property
    def module(self) -> nn.Module:
        return self.network.body.module

    def put(self, number: float) -> None:
        """Fill the body with the mixture of this number."""
        if number in self.setting.ends:
            self.module.load_state_dict(self.setting.mix(self.tuned, self.source, number))
            return
        if self.ends is None:
            self.ends = self._standings(self.source.state_dict()), self._standings(self.tuned)
        share = self.setting.share(number)
        self.module.load_state_dict(self.setting.mix(self.tuned, self.source, number))
        goals = [a.mixed(b, share) for a, b in zip(*self.ends, strict=True)]
        if goals:
            with one_view(self.network.body):  # measured as a whole before a statistic moves
                recalibrate(self.network.body, self._batches(), goals)

    def _standings(self, state: Any) -> list[Standing]:
        self.module.load_state_dict(state)
        with one_view(self.network.body):
            return standings(self.network.body, self._batches())

    def _batches(self) -> Iterator[Any]:
        """Target inputs as the body takes them, in random order; none where there are too few for statistics."""
        inputs = self.problem.target_inputs()
        if len(inputs) < 2:
            return
        rows = np.random.default_rng(self.problem.seed).permutation(len(inputs))[:ROWS]
        stream = self.trainer.stream(self.network.preparation, inputs, None, rows=np.sort(rows))
        # All processes measure the same rows, and the user's batch size does not cut them up.
        stream.batch_size, stream.rank, stream.world = ROWS, 0, 1
        with self.trainer.autocast():
            for batch in stream.epoch(0):
                yield batch.to(self.trainer.torch_device).inputs


def searched(mixture: _Mixture) -> float:
    """The number whose network is best on the validation rows: few choose by their loss, 100 or more by the metric."""
    problem, trainer, setting = mixture.problem, mixture.trainer, mixture.setting
    rows, first = problem.validation, int(few_validation_rows(problem))
    scores: dict[float, tuple[float, ...]] = {}
    for number in setting.candidates:
        mixture.put(number)
        try:
            outputs = trainer.outputs(mixture.network, problem.inputs, rows)
            scores[number] = score_of(problem, outputs, rows)[first:]
        except RunError:  # outputs that are not finite: no number to choose
            scores[number] = (-math.inf,)
    mixture.put(setting.ends[0])
    best = max(setting.candidates, key=lambda number: scores[number])
    trainer.log.choose("validation", len(rows), setting.name, best, problem.labels_of)
    return best
