"""fine-tuning: start from the source's weights and train on the target."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Literal

from pydantic import Field, model_validator

from sterna.bench import Bench, Fitted
from sterna.methods.method import Method, Needs
from sterna.networks.fusing import between
from sterna.networks.network import Network
from sterna.training.recipe import Recipe

SHARES = (1.0, 0.75, 0.5, 0.25, 0.0)
"""Shares of the tuned weights that are tried; among equals the larger."""


class FineTuning(Method):
    """Training goes on from the source's weights, gently: head first, then the deepest blocks, then all.

    What moves: every weight of the source's body, as a starting point. A linear probe first fits the head on the
    fixed body, so that the first steps do not spoil good features; then the blocks are unfrozen from the deepest up,
    each with a learning rate of ``learning_rate * layer_decay ** (distance from the head)``. With 100 validation rows
    or more they choose the epoch, and the mean of the weights over the last third of the epochs is kept where it is
    no worse; with fewer, that mean is kept. In the end the weights are W = γ W_tuned + (1 − γ) W_probe, where the
    validation rows choose γ: tuned weights alone are often too sure of themselves. With fewer than 100
    validation rows the training is then done once more with all labels, and the same γ. Batch normalisation stays the
    source's: statistics, factor and offset. The prediction of a colour photograph is the mean of
    those of the image and its mirror image.

    When to use it: some hundreds of labels or more, or a target unlike the source. When it hurts: a handful of
    labels, where ``feature-extraction`` is steadier and much faster.

    References
    ----------
    Kumar et al., "Fine-tuning can distort pretrained features and underperform out-of-distribution", ICLR 2022
    (linear probe first). Howard and Ruder, "Universal language model fine-tuning for text classification",
    ACL 2018 (layer-wise rates, gradual unfreezing). Izmailov et al., "Averaging weights leads to wider optima and
    better generalization", UAI 2018. Wortsman et al., "Robust fine-tuning of zero-shot models", CVPR 2022 (between
    the probe and the tuned weights).
    """

    needs = Needs.SOURCE_MODEL | Needs.TARGET_LABELS

    learning_rate: float = Field(1e-4, gt=0, le=1, description="peak learning rate of the head and the deepest block")
    layer_decay: float = Field(
        0.8, gt=0, le=1, description="factor on the learning rate from each block to the one before"
    )
    weight_decay: float = Field(0.01, ge=0, le=1, description="decoupled weight decay (AdamW)")
    epochs: int | None = Field(None, ge=1, description="passes over the training rows; 8 to 30 by their number if none")
    freeze_until: str | None = Field(None, description="this block and all before it never train")
    gradual: bool = Field(
        True, description="unfreeze the blocks from the deepest up over the first third of the epochs"
    )
    linear_probe: bool = Field(True, description="fit the head on the fixed body first")
    label_smoothing: float = Field(0.0, ge=0, lt=1, description="share of each label spread over all classes")
    augment: bool = Field(True, description="change images at random while training")
    average: bool = Field(True, description="try the mean of the weights over the last third of the epochs")
    share: float | None = Field(
        None, ge=0, le=1, description="share γ of the tuned weights in the result, beside the probe's; chosen if none"
    )
    patience: int | None = Field(5, ge=1, description="epochs without a better validation score before it stops")

    def validated(self) -> Literal["epoch", "kept"]:
        chooses = self.linear_probe and self.share is None  # the share, and then it sees to all labels itself
        return "kept" if chooses else "epoch"

    @model_validator(mode="after")
    def _share_of_a_probe(self) -> FineTuning:
        if not self.linear_probe and self.share is not None:
            raise ValueError("share weighs the linear probe, but linear_probe is false; leave one of the two out.")
        return self

    def run(self, bench: Bench) -> Fitted:
        if not self.linear_probe:
            return self._trained(bench, bench.pretrained(), "fine-tuning")
        start = bench.probe()
        tuned = self._tuned(bench, start.network, "fine-tuning")
        share, choices, rows = self.share, (*start.choices, *tuned.choices), bench.problem.validation
        if share is None and len(rows):
            tried = copy.deepcopy(tuned.network)
            choice = bench.validated(
                "share of the tuned weights",
                SHARES,
                lambda share: bench.outputs(between(tried, start.network, share, tuned.network), rows=rows),
            )
            share, choices = choice.value, (*choices, choice)
        share = 0.5 if share is None else share  # without validation rows to choose by
        network = between(tuned.network, start.network, share)
        if self.share is not None or not bench.validator.few or not len(rows):
            return Fitted(network, choices)
        every = bench.on(bench.problem.joined())
        start = every.probe()
        final = self._tuned(every, start.network, "fine-tuning-on-all")
        choices = (*choices, *start.choices, *final.choices)
        return Fitted(between(final.network, start.network, share), choices, held_out=network)

    def _tuned(self, bench: Bench, start: Network, stage: str) -> Fitted:
        """A network tuned from a probe, which stays as it is."""
        network = copy.deepcopy(start)
        network.body = network.body.copied()  # nothing of it frozen
        return self._trained(bench, network, stage)

    def _trained(self, bench: Bench, network: Network, stage: str) -> Fitted:
        recipe = self.recipe()
        if self.freeze_until is not None:
            names = [block.name for block in network.body.blocks]
            recipe = replace(recipe, frozen_blocks=names.index(network.body.block(self.freeze_until).name) + 1)
        return Fitted(network, bench.train(network, recipe, stage=stage))

    def recipe(self) -> Recipe:
        return Recipe(
            self.learning_rate,
            self.epochs,
            self.weight_decay,
            self.label_smoothing,
            self.augment,
            self.average,
            self.patience,
            self.layer_decay,
            gradual=self.gradual,
            hold_statistics=True,
        )
