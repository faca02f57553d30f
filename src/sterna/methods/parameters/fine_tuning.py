"""fine-tuning: start from the source's weights and train on the target."""

from __future__ import annotations

import copy
from typing import ClassVar

from pydantic import Field

from sterna.errors import RequestError, closest
from sterna.methods.method import Method, Needs
from sterna.methods.parameters.feature_extraction import FeatureExtraction
from sterna.methods.problem import Problem
from sterna.methods.tuning import few_validation_rows, score_of, tune
from sterna.networks.fusing import between
from sterna.networks.network import Network
from sterna.training.trainer import Trainer

SHARES = (1.0, 0.75, 0.5, 0.25, 0.0)
"""Shares of the tuned weights that are tried; among equals the larger."""


class FineTuning(Method):
    """Training goes on from the source's weights, gently: head first, then the deepest blocks, then all.

    What moves: every weight of the source's body, as a starting point. A linear probe first fits the head on the
    fixed body, so that the first steps do not spoil good features; then the blocks are thawed from the deepest up,
    each with a learning rate of ``learning_rate * layer_decay ** (distance from the head)``. With 100 validation rows
    or more they choose the epoch, and the mean of the weights over the last third of the epochs is kept where it is
    no worse; with fewer, that mean is kept. In the end the weights are W = γ W_tuned + (1 − γ) W_probe, where the
    validation rows choose γ: tuned weights alone are often too sure of themselves. With fewer than 100
    validation rows the training is then done once more with all labels, and the same γ. Batch normalisation stays the
    source's: statistics, factor and offset. Colour photographs are answered as the mean of the image and its mirror
    image.

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

    needs: ClassVar[Needs] = Needs.SOURCE_MODEL | Needs.TARGET_LABELS

    learning_rate: float = Field(1e-4, gt=0, le=1, description="peak learning rate of the head and the deepest block")
    layer_decay: float = Field(
        0.8, gt=0, le=1, description="factor on the learning rate from each block to the one before"
    )
    weight_decay: float = Field(0.01, ge=0, le=1, description="decoupled weight decay (AdamW)")
    epochs: int | None = Field(None, ge=1, description="passes over the training rows; 8 to 30 by their number if none")
    freeze_until: str | None = Field(None, description="this block and all before it never train")
    gradual: bool = Field(True, description="thaw the blocks from the deepest up over the first third of the epochs")
    linear_probe: bool = Field(True, description="fit the head on the fixed body first")
    label_smoothing: float = Field(0.0, ge=0, lt=1, description="share of each label spread over all classes")
    augment: bool = Field(True, description="change images at random while training")
    average: bool = Field(True, description="try the mean of the weights over the last third of the epochs")
    share: float | None = Field(
        None, ge=0, le=1, description="share γ of the tuned weights in the result, beside the probe's; chosen if none"
    )
    patience: int | None = Field(5, ge=1, description="epochs without a better validation score before it stops")

    def refits_on(self, problem: Problem) -> bool:
        chooses = self.linear_probe and self.share is None  # the share, and then it sees to all labels itself
        return few_validation_rows(problem) and not chooses

    def run(self, problem: Problem, trainer: Trainer) -> Network:
        return self.run_with_held_out(problem, trainer)[0]

    def run_with_held_out(self, problem: Problem, trainer: Trainer) -> tuple[Network, Network]:
        """The network, and the one that has seen no label of the validation rows.

        They are one, but where few validation rows choose γ and are then trained on as well.
        """
        if not self.linear_probe:
            if self.share is not None:
                raise RequestError("fine-tuning: share weighs the linear probe; leave it out, or linear_probe=false.")
            source = problem.source
            assert source is not None and problem.source_body is not None
            body = problem.source_body.copied()
            preparation, head = source.prepared(problem.inputs), problem.task.head(body.width)
            network = Network(preparation, body, head, task=problem.task, views=problem.source_views)
            network = self._tuned(network, problem, trainer, "fine-tuning")
            return network, network
        start = self._probe(problem, trainer)
        network = self._tuned(copy.deepcopy(start), problem, trainer, "fine-tuning")
        share = chosen_share(network, start, problem, trainer) if self.share is None else self.share
        between(network, start, share)
        held_out = network
        if self.share is None and few_validation_rows(problem) and len(problem.validation):
            problem = problem.joined()
            start = self._probe(problem, trainer)
            network = self._tuned(copy.deepcopy(start), problem, trainer, "fine-tuning-on-all")
            between(network, start, share)
        return network, held_out

    def _probe(self, problem: Problem, trainer: Trainer) -> Network:
        """A head fitted on the body as it is; the body is a copy that may be trained."""
        network = FeatureExtraction().run(problem, trainer)
        network.body = network.body.copied()
        return network

    def _tuned(self, network: Network, problem: Problem, trainer: Trainer, stage: str) -> Network:
        return tune(
            problem,
            trainer,
            network,
            stage=stage,
            epochs=self.epochs,
            learning_rate=self.learning_rate,
            layer_decay=self.layer_decay,
            weight_decay=self.weight_decay,
            label_smoothing=self.label_smoothing,
            augment=self.augment,
            average=self.average,
            patience=self.patience,
            frozen_blocks=self._frozen_blocks([block.name for block in network.body.blocks]),
            gradual=self.gradual,
            hold_statistics=True,
        )

    def _frozen_blocks(self, names: list[str]) -> int:
        if self.freeze_until is None:
            return 0
        if self.freeze_until not in names:
            raise RequestError(
                f"fine-tuning: the body has no block {self.freeze_until!r}.{closest(self.freeze_until, names)} "
                f"Its blocks, in depth order: {', '.join(names)}."
            )
        return names.index(self.freeze_until) + 1


def chosen_share(tuned: Network, start: Network, problem: Problem, trainer: Trainer) -> float:
    """The share of the tuned weights that does best on the validation rows; 1/2 where there are none.

    Few rows choose by their loss, which says more than how many of them are right; 100 or more by the metric first.
    """
    rows, first = problem.validation, int(few_validation_rows(problem))
    if not len(rows):
        return 0.5
    tried, scores = copy.deepcopy(tuned), {}
    for share in SHARES:
        between(tried, start, share, tuned)
        outputs = trainer.outputs(tried, problem.inputs, rows)
        scores[share] = score_of(problem, outputs, rows)[first:]
    best = max(SHARES, key=lambda share: scores[share])
    trainer.log.choose("validation", len(rows), "share of the tuned weights", best, problem.labels_of)
    return best
