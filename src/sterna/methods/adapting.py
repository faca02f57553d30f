"""What the deep methods share that make the source's features look like the target's by a term of the loss."""

from __future__ import annotations

from typing import ClassVar, Self

from pydantic import Field

from sterna.bench import Bench, Fitted
from sterna.bench.adapting import DomainTerm
from sterna.methods.method import Method, Needs


class Adapting(Method):
    """Training on the source's labels with such a term.

    Attributes
    ----------
    term
        Made for the width of the features.
    """

    needs = Needs.LIKE_SOURCE
    validation = "kept"
    term: ClassVar[type[DomainTerm]]

    weight: float = Field(1.0, ge=0, description="factor on the term")
    epochs: int | None = Field(None, ge=1, description="passes over the source's rows; 4 to 30 by their number if none")
    learning_rate: float | None = Field(
        None, gt=0, le=1, description="peak learning rate of the body; 1e-3 for a new one, 1e-4 for a source's, if none"
    )

    def trains(self) -> bool:
        return True

    def ablated(self) -> Self:
        return self.model_copy(update={"weight": 0.0})

    def run(self, bench: Bench) -> Fitted:
        return bench.adapt(
            self.term, weight=self.weight, epochs=self.epochs, learning_rate=self.learning_rate, stage=self.id()
        )
