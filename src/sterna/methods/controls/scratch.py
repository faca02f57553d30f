"""scratch: the same network from a random start."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from sterna.methods.method import Method, Needs
from sterna.methods.problem import Problem
from sterna.methods.tuning import few_validation_rows, tune
from sterna.networks.network import Network
from sterna.networks.small import small_body
from sterna.training.trainer import Trainer


class Scratch(Method):
    """The same network from a random start, trained on the target under the same budget.

    Nothing moves: what the source's knowledge is worth shows in the difference. Without a source the network is a
    small one that suits the data: convolutions for images and audio, a perceptron for tables, hashed n-grams for text.
    """

    needs: ClassVar[Needs] = Needs.TARGET_LABELS

    learning_rate: float = Field(1e-3, gt=0, le=1, description="peak learning rate")
    weight_decay: float = Field(0.01, ge=0, le=1, description="decoupled weight decay (AdamW)")
    epochs: int | None = Field(None, ge=1, description="passes over the training rows; 8 to 30 by their number if none")
    label_smoothing: float = Field(0.0, ge=0, lt=1, description="share of each label spread over all classes")
    augment: bool = Field(True, description="change images at random while training")

    def refits_on(self, problem: Problem) -> bool:
        return few_validation_rows(problem)

    def run(self, problem: Problem, trainer: Trainer) -> Network:
        source, own = problem.source, problem.source_body
        if source is not None and own is not None:
            preparation, body = source.prepared(problem.inputs), own.scratch(problem.seed)
        else:
            body, preparation = small_body(problem.inputs.take(problem.train), seed=problem.seed)
        return tune(
            problem,
            trainer,
            Network(preparation, body, problem.task.head(body.width), task=problem.task, views=problem.source_views),
            stage="scratch",
            epochs=self.epochs,
            learning_rate=self.learning_rate,
            layer_decay=1.0,
            weight_decay=self.weight_decay,
            label_smoothing=self.label_smoothing,
            augment=self.augment,
            average=True,
            patience=5,
        )
