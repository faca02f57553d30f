"""transfer-network: the source's network and a new one side by side."""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import Field
from torch import nn

from sterna.bench import Bench, Fitted
from sterna.bench.problem import Array
from sterna.bench.side_by_side import LAYER_DECAY, groups_of
from sterna.bench.tuning import BATCH, minimise
from sterna.domains.inputs import Inputs, Preparation
from sterna.methods.method import Method, Needs
from sterna.networks.body import Body
from sterna.networks.freezing import freeze
from sterna.networks.gate import Gate, GateWeight, Scaled
from sterna.networks.identity import identity_body
from sterna.networks.network import Network
from sterna.networks.pair import PairBody
from sterna.networks.small import small_body
from sterna.networks.statistics import hold_statistics
from sterna.networks.views import Views
from sterna.preparations.pair import PairInputs, PairPreparation
from sterna.record.choice import Choice
from sterna.training.activations import ActivationInputs, ActivationPreparation
from sterna.training.linear import standardised
from sterna.training.objective import Supervised
from sterna.training.recipe import Recipe


class TransferNetwork(Method):
    r"""The source's network and a new small one side by side: M = S ⊕ T.

    What moves: the source's body S, frozen (or trained gently as well), beside a small body T from a random start,
    which learns what S does not see. S and T may differ in kind and in how they take a row (colour photographs at 96
    pixels beside small grey ones). ⊕ is ``concatenate``: the head sees ``[s; t]``; or ``gate``:
    ``g ⊙ P_s s + (1 − g) ⊙ P_t t`` with ``g = σ(A [s; t] + a)`` for each row, and the mean of g on the training rows
    is told: how much of the prediction rests on the source.

    The features of S are standardised by the training rows and scaled so that S, however wide, does not learn faster
    than T: a head already fitted on S would leave nothing for T to learn. A frozen S runs once over the training rows,
    not once an epoch.

    When to use it: some hundreds of labels or more, and a target with details that the source's body ignores. When it
    hurts: a handful of labels: T learns them by heart, and ``feature-extraction`` is steadier.

    References
    ----------
    Rusu et al., "Progressive neural networks", arXiv 1606.04671, 2016 (a new column beside a frozen one). Arevalo et
    al., "Gated multimodal units for information fusion", ICLR workshop 2017 (the gate).
    """

    needs = Needs.SOURCE_MODEL | Needs.TARGET_LABELS
    validation = "epoch"

    join: Literal["concatenate", "gate"] = Field(
        "concatenate", description="how the two bodies' features come together"
    )
    train_source: bool = Field(False, description="train the source's body too, at a tenth of the learning rate")
    learning_rate: float = Field(1e-3, gt=0, le=1, description="peak learning rate of the new body and the head")
    epochs: int | None = Field(None, ge=1, description="passes over the training rows; 8 to 30 by their number if none")
    augment: bool = Field(True, description="change images at random while training")

    def recipe(self) -> Recipe:
        return Recipe(self.learning_rate, self.epochs, augment=self.augment)

    def run(self, bench: Bench) -> Fitted:
        problem, pretrained = bench.problem, bench.source_body()
        assert pretrained is not None
        prepared, source = pretrained
        hold_statistics(source) if self.train_source else freeze(source)
        target, own = small_body(problem.inputs.take(problem.train), seed=bench.seed)
        map = self._joined(bench, source, target, prepared)
        body, pair = PairBody(source, target, (problem.source_views, Views.ONE)), PairPreparation(prepared, own)
        head = bench.task.head(target.width if self.join == "gate" else body.width)
        network = Network(pair, body, head, map=map, task=bench.task)
        network.see_as_trained(problem.inputs, self.augment)
        choices = self._train(bench, network, body, pair)
        if self.join == "gate":
            choices = (*choices, _told(map, network, bench))
        return Fitted(network, choices)

    def _joined(self, bench: Bench, source: Body, target: Body, prepared: Preparation) -> nn.Sequential:
        """What comes between the bodies and the head."""
        problem = bench.problem
        features = bench.features(source, prepared, problem.inputs, source.outputs, problem.source_views)
        map = nn.Sequential(scaled(features.array(problem.train), target.width))
        if self.join == "gate":
            map.append(Gate(source.width, target.width, target.width))
        return map

    def _train(self, bench: Bench, network: Network, body: PairBody, pair: PairPreparation) -> tuple[Choice, ...]:
        trained = network
        if not self.train_source:
            trained, inputs = once(network, body, pair, bench)
            bench = bench.on(bench.problem.with_inputs(inputs))
        halves = list(body.halves.values())
        new = Network(pair, halves[1], network.head, map=network.map)
        groups = groups_of([new], self.learning_rate, 1.0)
        if self.train_source:
            old = Network(pair, halves[0], nn.Identity())
            groups += groups_of([old], self.learning_rate / 10, LAYER_DECAY)
        stream = bench.stream(trained.preparation, batch_size=BATCH, augment=self.augment)
        objective = Supervised(trained, bench.task)
        return minimise(bench, trained, objective, stream, groups, stage="transfer-network", epochs=self.epochs)


def scaled(features: Array, width: int) -> Scaled:
    """A layer that makes both halves learn at one pace, from the source's features of the training rows.

    An optimiser that moves every weight by about the same step changes the output by the sum of the absolute features.
    Standardised, and divided by how many there are for each of the other half, the source's sum is that of the other,
    however wide its body.

    Parameters
    ----------
    features
        Of the source on the training rows, ``(n, d)``.
    width
        Of the other half.
    """
    _, mean, scale = standardised(features)
    layer = Scaled(features.shape[1])
    layer.mean.copy_(torch.from_numpy(mean))
    layer.scale.copy_(torch.from_numpy(scale * max(1.0, features.shape[1] / width)))
    return layer


def once(network: Network, body: PairBody, preparation: PairPreparation, bench: Bench) -> tuple[Network, Inputs]:
    """The same network behind its frozen first half, and rows that hold what that half gives, computed once."""
    source, target = body.halves.values()
    inputs = bench.problem.inputs
    features = bench.features(source, preparation.first, inputs, source.outputs, body.views[0])
    stored = ActivationPreparation()
    stored.kind = preparation.kind  # type: ignore[misc]
    halves = PairBody(identity_body(features.width), target, (Views.ONE, body.views[1]))
    prepared = PairPreparation(stored, preparation.second)
    shorter = Network(prepared, halves, network.head, map=network.map, task=network.task, views=network.views)
    return shorter, PairInputs(ActivationInputs(inputs.kind, features, (features.width,)), inputs)


def _told(map: nn.Sequential, network: Network, bench: Bench) -> Choice:
    """How much weight the gate gives the source, which the user is told; no label has a part in this."""
    gate = map[1]
    assert isinstance(gate, Gate)
    task, views = network.task, network.views
    watched = Network(network.preparation, network.body, GateWeight(gate), map=map[0], task=task, views=views)
    share = float(bench.outputs(watched, rows=bench.problem.train).mean())
    bench.say(f"transfer-network: on the training rows the gate gives the source {share:.0%} of the weight.")
    return Choice("gate", share, "training", 0)
