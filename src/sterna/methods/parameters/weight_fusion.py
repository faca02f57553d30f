"""weight-fusion: the weighted mean of the source's weights and of the target's, tuned from them."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator
from torch import Tensor, nn

from sterna.bench import Bench, Fitted
from sterna.bench.weight_search import Setting
from sterna.methods.method import Method, Needs
from sterna.networks.fusing import fuse_states
from sterna.training.recipe import Recipe

ALPHAS = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)


class WeightFusion(Method):
    """The body's weights are a weighted mean of the source's and the target's, W_f = αW_s + (1−α)W_t.

    What moves: a share α of every weight of the source's body. W_t is the target's network, tuned from the source's
    weights as ``fine-tuning`` does with ``share=1``. Two networks that were trained from one start lie in one valley
    of the loss, where the mean of their weights is a good network too; without a common start it means nothing, since
    units of equal place do not do equal work. The body alone is fused. The head is the target's own: it was
    fitted anew for the target and did not start from a head of the source, so even a source head for the same classes
    is not averaged with it. Because tuning begins with a head fitted on the source's features (linear probe), that
    head suits the bodies between W_s and W_t.

    α = 0 is the tuned network and α = 1 the source's body under the tuned head, both bit for bit. In between, whole
    numbers (counters, positions) are the target's, and batch normalisation is recalibrated on up to 64 target
    inputs, without their labels: its statistics are set so that each layer gives values with the mean and spread that
    it gave in the source's body and in the tuned one, averaged. Layers that should give standard values there would
    undo that fine-tuning keeps the source's statistics: on photographs of ants and bees that cost 20 points of
    accuracy, also without any fusion.

    ``search`` takes the best of eleven shares by the validation rows. When these are fewer than 100, the share is
    found with a network tuned without them, and used for one tuned with them; without any it is 1/2.

    When to use it: new rows may differ from the training rows (another camera, another year), or there are few
    labels; the mean often keeps what the source does well. When it hurts: a target so far from the source that tuning
    must go far; then the middle is worse than either end, and the search gives 0.

    References
    ----------
    Wortsman et al., "Robust fine-tuning of zero-shot models", CVPR 2022 (WiSE-FT). Neyshabur, Sedghi and Zhang, "What
    is being transferred in transfer learning?", NeurIPS 2020 (networks tuned from one start share a valley). Izmailov
    et al., "Averaging weights leads to wider optima and better generalization", UAI 2018, and Jordan et al., "REPAIR:
    renormalizing permuted activations for interpolation repair", ICLR 2023 (statistics of averaged weights).
    """

    needs = Needs.SOURCE_MODEL | Needs.TARGET_LABELS

    alpha: Annotated[float, Field(ge=0, le=1)] | Literal["search"] = Field(
        "search", description="share of the source's weights; searched on the validation rows if search"
    )
    learning_rate: float = Field(1e-4, gt=0, le=1, description="peak learning rate of fine-tuning")
    epochs: int | None = Field(None, ge=1, description="epochs of fine-tuning; 8 to 30 by the rows if none")
    epochs_after: int = Field(0, ge=0, description="epochs of training after the fusion")

    @field_validator("alpha", mode="before")
    @classmethod
    def _known(cls, value: Any) -> Any:
        return Setting.asked(value, lambda number: 0 <= number <= 1, "a number from 0 to 1")

    def validated(self) -> Literal["epoch", "kept"]:
        return "kept" if self.alpha == "search" else "epoch"

    def ablated(self) -> WeightFusion:
        return self.model_copy(update={"alpha": 0.0})

    def run(self, bench: Bench) -> Fitted:
        setting = Setting("alpha", fused, (0.0, 1.0), lambda alpha: alpha, ALPHAS, 0.5)
        asked: dict[str, Any] = {"learning_rate": self.learning_rate, "epochs": self.epochs, "share": 1.0}
        search = self.alpha == "search"
        tuned = (bench.component_apart if search else bench.component)("fine-tuning", **asked)
        fitted = setting.mixed(bench, tuned, None if self.alpha == "search" else self.alpha)
        if not self.epochs_after:
            return fitted
        rows = bench.on(bench.problem.joined()) if search and bench.validator.few else bench
        recipe = replace(self.recipe(), epochs=self.epochs_after)
        return replace(fitted, choices=(*fitted.choices, *rows.train(fitted.network, recipe, stage="after-fusion")))

    def recipe(self) -> Recipe:
        return Recipe(self.learning_rate, self.epochs, layer_decay=0.8, hold_statistics=True)


def fused(tuned: dict[str, Tensor], source: nn.Module, alpha: float) -> dict[str, Tensor]:
    """The weighted mean of a source's weights and these."""
    return fuse_states(source.state_dict(), tuned, alpha)
