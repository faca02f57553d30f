"""fine-tuning: start from the source's weights and train on the target."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from sterna.errors import RequestError, closest
from sterna.methods.method import Method, Needs
from sterna.methods.parameters.feature_extraction import FeatureExtraction
from sterna.methods.problem import Problem
from sterna.methods.tuning import few_validation_rows, tune
from sterna.networks.network import Network
from sterna.training.trainer import Trainer


class FineTuning(Method):
    """Training goes on from the source's weights, gently: head first, then the deepest blocks, then all.

    What moves: every weight of the source's body, as a starting point. A linear probe first fits the head on the
    fixed body, so that the first steps do not spoil good features; then the blocks are thawed from the deepest up,
    each with a learning rate of ``learning_rate * layer_decay ** (distance from the head)``. With 100 validation rows
    or more they choose the epoch, and the mean of the weights over the last third of the epochs is kept where it is
    no worse; with fewer, that mean is kept and all labels train. Batch normalisation keeps the source's statistics.
    Colour photographs are answered as the mean of the image and its mirror image.

    When to use it: some hundreds of labels or more, or a target unlike the source. When it hurts: a handful of
    labels, where ``feature-extraction`` is steadier and much faster.

    References
    ----------
    Kumar et al., "Fine-tuning can distort pretrained features and underperform out-of-distribution", ICLR 2022
    (linear probe first). Howard and Ruder, "Universal language model fine-tuning for text classification",
    ACL 2018 (layer-wise rates, gradual unfreezing). Izmailov et al., "Averaging weights leads to wider optima and
    better generalization", UAI 2018.
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
    patience: int | None = Field(5, ge=1, description="epochs without a better validation score before it stops")

    def refits_on(self, problem: Problem) -> bool:
        return few_validation_rows(problem)

    def run(self, problem: Problem, trainer: Trainer) -> Network:
        source = problem.source
        assert source is not None and source.body is not None
        frozen = self._frozen_blocks([block.name for block in source.body.blocks])
        if self.linear_probe:
            network = FeatureExtraction().run(problem, trainer)
            network.body = network.body.copied()
        else:
            body = source.body.copied()
            network = Network(source.prepared(problem.inputs), body, problem.task.head(body.width), task=problem.task)
        return tune(
            problem,
            trainer,
            network,
            stage="fine-tuning",
            epochs=self.epochs,
            learning_rate=self.learning_rate,
            layer_decay=self.layer_decay,
            weight_decay=self.weight_decay,
            label_smoothing=self.label_smoothing,
            augment=self.augment,
            average=self.average,
            patience=self.patience,
            frozen_blocks=frozen,
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
