"""rule-penalty: the target's network pays for every prediction that departs from the rules."""

from __future__ import annotations

import numpy as np
import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional

from sterna.bench import Bench, Fitted
from sterna.bench.drawn_rules import RuleSettings, RulesFound, rules_for
from sterna.bench.problem import Array
from sterna.bench.side_by_side import LAYER_DECAY, groups_of
from sterna.bench.tuning import BATCH, default_epochs, minimise
from sterna.domains.inputs import Inputs
from sterna.methods.method import Method, Needs
from sterna.networks.network import Network
from sterna.networks.statistics import hold_statistics
from sterna.tasks.losses import at_least_float32, weighted_mean
from sterna.tasks.task import Task
from sterna.training.batches import Batches, Stream, Streams
from sterna.training.objective import Objective
from sterna.training.recipe import Recipe
from sterna.training.together import whole_batch


class RulePenalty(RuleSettings, Method):
    """A network learns from the target's labels, with a penalty wherever its prediction departs from the rules' vote.

    What moves: rules (written, or extracted from the source) as a soft constraint. The loss is

    mean over labelled rows of loss(f(x), y)  +  λ · mean over rows where rules fire of KL(q(x) ‖ f(x))

    where q(x) is the vote of the rules on x and f(x) the network's prediction, on labelled and unlabelled rows alike;
    for numbers the squared distance, weighted by the mean confidence. The network is the source's body with a head, or
    a small one that suits the data; unlike with ``rule-head``, labels may overrule a rule.

    When to use it: some labels, many unlabelled rows, and rules that are mostly right. When it hurts: wrong rules with
    high confidence (lower `strength`), or hardly any label (``weak-labels`` is steadier).

    References
    ----------
    Hu et al., "Harnessing deep neural networks with logic rules", ACL 2016. Xu et al., "A semantic loss function for
    deep learning with symbolic knowledge", ICML 2018.
    """

    needs = Needs.TARGET_LABELS
    suits = Needs.RULES
    validation = "epoch"

    strength: float = Field(1.0, ge=0, le=1000, description="λ, the weight of the penalty")
    learning_rate: float | None = Field(
        None, gt=0, le=1, description="peak learning rate; 1e-4 for a source's body and 1e-3 for a small one if none"
    )
    epochs: int | None = Field(None, ge=1, description="passes over the rows; 8 to 30 by their number if none")

    def ablated(self) -> RulePenalty:
        return self.model_copy(update={"strength": 0.0})

    def run(self, bench: Bench) -> Fitted:
        found = rules_for(bench, self)
        start, pretrained = starting_network(bench)
        network = start.network
        streams = _streams(bench, network, found)
        peak = self.learning_rate or (1e-4 if pretrained else 1e-3)
        lead = next(iter(streams.streams.values()))
        kept = minimise(
            bench,
            network,
            Penalised(network, bench.task, self.strength),
            streams,
            groups_of([network], peak, LAYER_DECAY if pretrained else 1.0),
            stage="rule-penalty",
            epochs=self.epochs or default_epochs(len(lead.rows), lead.batch_size),
            # Statistics of small batches are worse than the source's.
            before_epoch=(lambda epoch: hold_statistics(network.body)) if pretrained else None,
        )
        return Fitted(network, (*found.choices, *start.choices, *kept))

    def recipe(self) -> Recipe:
        return Recipe(self.learning_rate or 1e-3, self.epochs, augment=False)


def starting_network(bench: Bench) -> tuple[Fitted, bool]:
    """The source's body with a fitted head, or a small network; and whether it is the first."""
    if bench.problem.source_body is None:
        return Fitted(bench.fresh(bench.problem.target_inputs())), False
    found = bench.component("feature-extraction")
    found.network.body = found.network.body.copied()  # nothing of it frozen
    return found, True


def _streams(bench: Bench, network: Network, found: RulesFound) -> Streams:
    """Labelled rows, and rows with a vote; the more numerous lead."""
    labelled = bench.stream(network.preparation, batch_size=BATCH)
    seen = bench.problem.target_inputs()
    voted = _voted(bench, network, found, seen)
    if voted is None:
        bench.say(f"No rule fires on any of the {len(seen)} target rows, so the rules change nothing.")
        return Streams(target=labelled)
    bench.say(f"Rules fire on {len(voted.rows)} of the {len(seen)} target rows that may be seen without labels.")
    if len(voted.rows) > len(labelled.rows):
        return Streams(rules=voted, target=labelled)
    return Streams(target=labelled, rules=voted)


def _voted(bench: Bench, network: Network, found: RulesFound, seen: Inputs) -> Stream | None:
    rows, fired = found.firing(seen)
    if not len(rows):
        return None
    votes = found.votes(bench)
    outputs = votes.outputs(fired)
    said: Array = outputs if votes.mean else bench.task.probabilities(outputs).astype(np.float32)
    weights = (fired @ votes.weights) / fired.sum(axis=1) if votes.mean else np.ones(len(rows))
    return bench.trainer.stream(network.preparation, seen.take(rows), said, weights=weights, batch_size=BATCH)


class Penalised(Objective):
    """The task's loss on labelled rows, and the distance from the rules' vote.

    Parameters
    ----------
    network
        Whose parameters are trained.
    task
        Gives the loss.
    strength
        λ.
    """

    def __init__(self, network: Network, task: Task, strength: float) -> None:
        super().__init__()
        self.network, self.task, self.strength = network, task, strength

    def forward(self, batch: Batches) -> dict[str, Tensor]:
        labelled = batch["target"]
        outputs = self.network(labelled.inputs)
        terms = {"task": self.task.loss(*whole_batch(outputs, labelled))}
        if "rules" in batch.of:
            voted = batch["rules"]
            answers, said, weights = whole_batch(self.network(voted.inputs), voted)
            terms["rules"] = self.strength * departure(answers, said, weights, self.task)
        return terms


def departure(outputs: Tensor, said: Tensor, weights: Tensor | None, task: Task) -> Tensor:
    r"""How far predictions are from what the rules say, a scalar.

    Of classes :math:`\frac1n \sum_i \sum_y q_{iy} \log (q_{iy} / p_{iy})`, whose gradient with respect to the logits of
    row i is :math:`(p_i - q_i)/n`; of numbers the weighted mean squared distance.

    Parameters
    ----------
    outputs
        Logits or numbers, ``(n, o)``.
    said
        Probabilities q of the vote, or its numbers, ``(n, o)``.
    weights
        Of the rows, ``(n,)``.
    task
        Which of the two it is.
    """
    if task.one_number:
        return weighted_mean(task.losses(outputs, said), weights)
    apart = functional.kl_div(torch.log_softmax(at_least_float32(outputs), dim=1), said, reduction="none").sum(dim=1)
    return weighted_mean(apart, weights)
