"""scratch: the same network from a random start."""

from __future__ import annotations

from pydantic import Field

from sterna.bench import Bench, Fitted, Problem
from sterna.methods.method import Method, Needs
from sterna.training.recipe import Recipe


class Scratch(Method):
    """The same network from a random start, trained on the target under the same budget.

    Nothing moves: what the source's knowledge is worth shows in the difference. Without a source the network is a
    small one that suits the data: convolutions for images and audio, a perceptron for tables, hashed n-grams for text.
    """

    needs = Needs.TARGET_LABELS
    validation = "epoch"

    learning_rate: float = Field(1e-3, gt=0, le=1, description="peak learning rate")
    weight_decay: float = Field(0.01, ge=0, le=1, description="decoupled weight decay (AdamW)")
    epochs: int | None = Field(None, ge=1, description="passes over the training rows; 8 to 30 by their number if none")
    label_smoothing: float = Field(0.0, ge=0, lt=1, description="share of each label spread over all classes")
    augment: bool = Field(True, description="change images at random while training")

    def run(self, bench: Bench) -> Fitted:
        problem = bench.problem
        own = problem.source_body
        if problem.source is not None and own is not None:
            network = bench.network(problem.source.prepared(problem.inputs), own.scratch(bench.seed))
        else:
            network = bench.fresh(problem.inputs.take(problem.train))
        return Fitted(network, bench.train(network, self._recipe(problem), stage="scratch"))

    def _recipe(self, problem: Problem) -> Recipe:
        """That of the method it stands beside, where it stands beside one that trains."""
        if problem.recipe is not None:
            return problem.recipe.from_random(self.learning_rate)
        return Recipe(self.learning_rate, self.epochs, self.weight_decay, self.label_smoothing, self.augment)
