"""A network tuned from the source's weights, put together with the source once more: what two methods share."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic_core import PydanticCustomError
from torch import Tensor, nn

from sterna.bench.fitted import Fitted
from sterna.bench.problem import Array
from sterna.networks.network import Network
from sterna.networks.pair import one_view
from sterna.networks.statistics import Standing, recalibrate, standings
from sterna.record.choice import Choice

if TYPE_CHECKING:
    from sterna.bench.bench import Bench

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

    @staticmethod
    def asked(value: Any, fits: Callable[[float], bool], expected: str) -> Any:
        """Let a setting through that is the word search, or a number that fits."""
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if value == "search" or (number and fits(float(value))):
            return value
        raise PydanticCustomError("number_or_search", "Expected {what}, or search", {"what": expected})

    def mixed(self, bench: Bench, tuned: Fitted, number: float | None) -> Fitted:
        """Put a network that was tuned from the source's weights together with the source's, body by body.

        Where the number is searched and the validation rows were trained on in the end, it is found with the network
        that was tuned without them (`Fitted.held_out`).

        Parameters
        ----------
        number
            ``None`` to search; without validation rows to search with it is the default.
        """
        choices = tuned.choices
        if number is None and len(bench.problem.validation):
            choice = _searched(_Mixture(bench, tuned.held_out or tuned.network, self))
            number, choices = choice.value, (*choices, choice)
        elif number is None:
            number = self.default
            bench.say(f"There are no validation rows to search {self.name} with, so it is {number:g}.")
        for network in (tuned.network, tuned.held_out):
            if network is not None:
                _Mixture(bench, network, self).put(number)
        return replace(tuned, choices=choices)


@dataclass(eq=False)
class _Mixture:
    """A tuned network whose body can be filled with any mixture."""

    bench: Bench
    network: Network
    setting: Setting
    tuned: State = field(init=False)
    ends: tuple[list[Standing], list[Standing]] | None = None

    def __post_init__(self) -> None:
        body = self.bench.problem.source_body
        assert body is not None
        self.source = body.module
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
        inputs = self.bench.problem.target_inputs()
        if len(inputs) < 2:
            return
        rows = np.random.default_rng(self.bench.problem.seed).permutation(len(inputs))[:ROWS]
        stream = self.bench.trainer.stream(self.network.preparation, inputs, None, rows=np.sort(rows))
        # All processes measure the same rows, and the user's batch size does not cut them up.
        stream.batch_size, stream.rank, stream.world = ROWS, 0, 1
        with self.bench.trainer.autocast():
            for batch in stream.epoch(0):
                yield batch.to(self.bench.trainer.torch_device).inputs


def _searched(mixture: _Mixture) -> Choice:
    """The number whose network is best on the validation rows."""
    bench, setting = mixture.bench, mixture.setting

    def answered(number: float) -> Array:
        mixture.put(number)
        return bench.outputs(mixture.network, rows=bench.problem.validation)

    choice = bench.validated(setting.name, setting.candidates, answered)
    mixture.put(setting.ends[0])
    return choice
