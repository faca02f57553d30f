"""knowledge-propagation: the source's weights are the start, and are added once more after tuning."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, field_validator
from torch import Tensor, nn

from sterna.bench import Bench, Fitted
from sterna.bench.weight_search import Setting
from sterna.methods.method import Method, Needs
from sterna.networks.fusing import add_states
from sterna.training.recipe import Recipe

BETAS = (0.0, 0.05, -0.05, 0.1, -0.1, 0.2, -0.2, 0.5)


class KnowledgePropagation(Method):
    """The target starts from the source's weights and is tuned; then W_t ← W_t + βW_s for the body.

    What moves: every weight of the source's body twice, as a starting point and as an addend. The head is the target's
    own and stays as it was tuned. β = 0 is ``fine-tuning``, bit for bit; a negative β takes some of the source away.

    What the sum means: W_t + βW_s = (1+β) · (αW_s + (1−α)W_t) with α = β/(1+β). So it is ``weight-fusion`` with
    that share (β = 0.1 is α = 0.09), and all parameters are 1+β times as large besides. The scale of a layer's input
    does not matter to batch normalisation, but its own factor and offset are scaled as well, so the features, and with
    them the outputs up to the head's bias, grow by about 1+β: probabilities become surer (β > 0) or less sure, and
    few predictions change for that alone. Without normalisation L layers grow the features by about (1+β)^L, and in
    transformers the scores of attention grow by (1+β)² or more: there only small β are sensible, and
    ``weight-fusion`` is the steadier choice. Statistics of batch normalisation are not added but recalibrated on
    up to 64 target inputs, without their labels, so that each layer gives values with the mean and spread that it
    gave in the tuned network. Other buffers stay the target's.

    ``search`` takes the best of eight β from -0.2 to 0.5, 0 among them, by the validation rows. When these are fewer
    than 100, β is found with a network tuned without them, and used for one tuned with them; without any it is 0.

    When to use it: few labels, and a body with batch normalisation. When it hurts: a deep body without
    normalisation, a large |β|, or probabilities that must be calibrated.

    References
    ----------
    Wortsman et al., "Robust fine-tuning of zero-shot models", CVPR 2022 (the mean of both, without the scale).
    Ilharco et al., "Editing models with task arithmetic", ICLR 2023 (weights added and taken away, as differences).
    """

    needs = Needs.SOURCE_MODEL | Needs.TARGET_LABELS
    validation = "kept"

    beta: Annotated[float, Field(gt=-1, le=1)] | Literal["search"] = Field(
        "search", description="factor of the source's weights; searched on the validation rows if search"
    )
    learning_rate: float = Field(1e-4, gt=0, le=1, description="peak learning rate of fine-tuning")
    epochs: int | None = Field(None, ge=1, description="epochs of fine-tuning; 8 to 30 by the rows if none")

    @field_validator("beta", mode="before")
    @classmethod
    def _known(cls, value: Any) -> Any:
        return Setting.asked(value, lambda number: -1 < number <= 1, "a number above -1 and up to 1")

    def ablated(self) -> KnowledgePropagation:
        return self.model_copy(update={"beta": 0.0})

    def run(self, bench: Bench) -> Fitted:
        # The statistics are to be as the tuned network's: the source has no share in them.
        setting = Setting("beta", added, (0.0,), lambda _: 0.0, BETAS, 0.0)
        tuned = bench.component("fine-tuning", learning_rate=self.learning_rate, epochs=self.epochs)
        return setting.mixed(bench, tuned, None if self.beta == "search" else self.beta)

    def recipe(self) -> Recipe:
        return Recipe(self.learning_rate, self.epochs, layer_decay=0.8, hold_statistics=True)


def added(tuned: dict[str, Tensor], source: nn.Module, beta: float) -> dict[str, Tensor]:
    """These weights with β times the source's parameters added; buffers are as they are here."""
    theirs = dict(source.named_parameters(remove_duplicate=False))
    return {**tuned, **add_states(theirs, {name: tuned[name] for name in theirs}, beta)}
