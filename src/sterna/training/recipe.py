"""How a network is trained, whatever it starts from."""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Recipe:
    """How a network is trained: what a method and the controls beside it have in common, and what is its own.

    Attributes
    ----------
    learning_rate
        Peak learning rate of the head and the deepest block.
    epochs
        Passes over the training rows; by their number if ``None``.
    weight_decay
        Decoupled weight decay (AdamW).
    label_smoothing
        Share of each label spread over all classes.
    augment
        Change images and recordings at random while training.
    average
        Try the mean of the weights over the last third of the epochs.
    patience
        Epochs without a better validation score before it stops.
    layer_decay
        Factor on the learning rate from each block to the one before.
    frozen_blocks
        How many of the first blocks never train.
    gradual
        Unfreeze the others from the deepest up, over the first third of the epochs.
    hold_statistics
        Keep batch normalisation whole as it is, factor and offset too: statistics of small batches of a few images are
        worse than a source's.
    """

    learning_rate: float
    epochs: int | None = None
    weight_decay: float = 0.01
    label_smoothing: float = 0.0
    augment: bool = True
    average: bool = True
    patience: int | None = 5
    layer_decay: float = 1.0
    frozen_blocks: int = 0
    gradual: bool = False
    hold_statistics: bool = False

    def from_random(self, learning_rate: float) -> Recipe:
        """The same for a network from a random start: all of it trains from the first step on, at one rate."""
        return replace(
            self, learning_rate=learning_rate, layer_decay=1.0, frozen_blocks=0, gradual=False, hold_statistics=False
        )
