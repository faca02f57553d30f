"""rule-penalty: the target's network pays for every answer that departs from the rules."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from sterna.domains.inputs import Inputs
from sterna.methods.method import Method, Needs
from sterna.methods.parameters.feature_extraction import FeatureExtraction
from sterna.methods.problem import Array, Problem
from sterna.methods.rule_source import (
    ColumnsSetting,
    DepthSetting,
    LeavesSetting,
    RulesSetting,
    rows_with_votes,
    rules_for,
    target_votes,
)
from sterna.methods.tuning import (
    BATCH,
    default_epochs,
    few_validation_rows,
    layer_rates,
    parameter_groups,
    validation_score,
)
from sterna.networks.freezing import freeze
from sterna.networks.network import Network
from sterna.networks.small import small_body
from sterna.rules.ruleset import RuleSet
from sterna.tasks.losses import at_least_float32, weighted_mean
from sterna.tasks.task import Task
from sterna.training.batches import Batches, Stream, Streams
from sterna.training.objective import Objective
from sterna.training.trainer import Trainer


class RulePenalty(Method):
    """A network learns from the target's labels, with a penalty wherever its answer departs from the rules' vote.

    What moves: rules (written, or drawn out of the source) as a soft constraint. The loss is

    mean over labelled rows of loss(f(x), y)  +  λ · mean over rows where rules fire of KL(q(x) ‖ f(x))

    where q(x) is the vote of the rules on x and f(x) the network's answer, on labelled and unlabelled rows alike; for
    numbers the squared distance, weighted by the mean confidence. The network is the source's body with a head, or a
    small one that suits the data; unlike with ``rule-head``, labels may overrule a rule.

    When to use it: some labels, many unlabelled rows, and rules that are mostly right. When it hurts: wrong rules with
    high confidence (lower `strength`), or hardly any label (``weak-labels`` is steadier).

    References
    ----------
    Hu et al., "Harnessing deep neural networks with logic rules", ACL 2016. Xu et al., "A semantic loss function for
    deep learning with symbolic knowledge", ICML 2018.
    """

    needs: ClassVar[Needs] = Needs.TARGET_LABELS

    rules: RulesSetting = None
    columns: ColumnsSetting = None
    strength: float = Field(1.0, ge=0, le=1000, description="λ, the weight of the penalty")
    learning_rate: float | None = Field(
        None, gt=0, le=1, description="peak learning rate; 1e-4 for a source's body and 1e-3 for a small one if none"
    )
    epochs: int | None = Field(None, ge=1, description="passes over the rows; 8 to 30 by their number if none")
    depth: DepthSetting = 4
    leaves: LeavesSetting = 16

    def refits_on(self, problem: Problem) -> bool:
        return few_validation_rows(problem)

    def run(self, problem: Problem, trainer: Trainer) -> Network:
        rules = rules_for(
            problem, trainer, rules=self.rules, columns=self.columns, depth=self.depth, leaves=self.leaves
        )
        network, pretrained = starting_network(problem, trainer)
        streams = _streams(problem, trainer, network, rules)
        blocks = network.depth_modules()
        peak = self.learning_rate or (1e-4 if pretrained else 1e-3)
        rates = layer_rates(len(blocks), peak, 0.8 if pretrained else 1.0)
        groups: list[dict[str, Any]] = []
        for (_, modules), rate in zip(blocks, rates, strict=True):
            groups += parameter_groups(modules, rate, 0.01)

        def before_epoch(epoch: int) -> None:
            if pretrained:  # statistics of small batches are worse than the source's
                for part in network.body.modules():
                    if isinstance(part, nn.modules.batchnorm._BatchNorm):
                        freeze(part)

        few = few_validation_rows(problem)
        lead = next(iter(streams.streams.values()))
        kept = trainer.fit(
            Penalised(network, problem.task, self.strength),
            streams,
            groups,
            stage="rule-penalty",
            epochs=trainer.budget.epochs or self.epochs or default_epochs(len(lead.rows), lead.batch_size),
            before_epoch=before_epoch,
            validate=None if few else lambda: validation_score(problem, trainer, network),
            patience=None if few else 5,
            average=True,
        )
        if not few:
            trainer.log.choose("validation", len(problem.validation), "epoch", kept)
        return network


def starting_network(problem: Problem, trainer: Trainer) -> tuple[Network, bool]:
    """The source's body with a fitted head, or a small network; and whether it is the first."""
    if problem.source_body is not None:
        network = FeatureExtraction().run(problem, trainer)
        network.body = network.body.copied()
        return network, True
    body, preparation = small_body(problem.target_inputs(), seed=problem.seed)
    return Network(preparation, body, problem.task.head(body.width), task=problem.task), False


def _streams(problem: Problem, trainer: Trainer, network: Network, rules: RuleSet) -> Streams:
    """Labelled rows, and rows with a vote; the more numerous lead."""
    labelled = trainer.stream(
        network.preparation, problem.inputs, problem.targets, rows=problem.train, weights=problem.weights,
        draw=None if problem.draw is None else problem.draw[problem.train], batch_size=BATCH,
    )  # fmt: skip
    seen = problem.target_inputs()
    voted = _voted(problem, trainer, network, rules, seen)
    if voted is None:
        trainer.say(f"No rule fires on any of the {len(seen)} target rows, so the rules change nothing.")
        return Streams(target=labelled)
    trainer.say(f"Rules fire on {len(voted.rows)} of the {len(seen)} target rows that may be seen without labels.")
    if len(voted.rows) > len(labelled.rows):
        return Streams(rules=voted, target=labelled)
    return Streams(target=labelled, rules=voted)


def _voted(problem: Problem, trainer: Trainer, network: Network, rules: RuleSet, seen: Inputs) -> Stream | None:
    rows, fired = rows_with_votes(rules, seen)
    if not len(rows):
        return None
    votes = target_votes(rules, problem)
    outputs = votes.outputs(fired)
    said: Array = outputs if votes.mean else problem.task.probabilities(outputs).astype(np.float32)
    weights = (fired @ votes.weights) / fired.sum(axis=1) if votes.mean else np.ones(len(rows))
    return trainer.stream(network.preparation, seen.take(rows), said, weights=weights, batch_size=BATCH)


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
        assert labelled.targets is not None
        terms = {"task": self.task.loss(outputs, labelled.targets, labelled.weights)}
        if "rules" in batch.of:
            voted = batch["rules"]
            assert voted.targets is not None
            outputs = self.network(voted.inputs)
            terms["rules"] = self.strength * departure(outputs, voted.targets, voted.weights, self.task)
        return terms


def departure(outputs: Tensor, said: Tensor, weights: Tensor | None, task: Task) -> Tensor:
    r"""How far answers are from what the rules say, a scalar.

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
