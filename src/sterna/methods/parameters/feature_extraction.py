"""feature-extraction: the body stays, a head is fitted on its features."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from sterna.bench import Bench, Fitted
from sterna.bench.probe import probe
from sterna.methods.method import Method, Needs


class FeatureExtraction(Method):
    """The body stays as it is; a linear head is fitted to convergence on its features.

    What moves: every weight of the source's body, unchanged. The head minimises the task's mean loss on the
    labelled target rows plus λ/2 ‖W‖², on standardised features: logistic regression for classes, ridge for
    numbers. λ is chosen by cross-validation on the training labels, and so are the blocks whose pooled features
    the head sees: knowledge that a distant target can use often sits in the middle of the body.

    When to use it: few labels (up to some hundreds), little time, or a body that must not change. When it hurts:
    many labels and a target far from the source; then ``fine-tuning`` goes further.

    Each row goes through the body once, whatever the number of candidates, and its features are kept on disk.

    References
    ----------
    Kornblith, Shlens and Le, "Do better ImageNet models transfer better?", CVPR 2019 (linear heads on fixed
    features). Evci et al., "Head2Toe: utilizing intermediate representations", ICML 2022 (several blocks).
    """

    needs = Needs.SOURCE_MODEL | Needs.TARGET_LABELS

    blocks: Literal["last", "auto"] | tuple[str, ...] = Field(
        "auto", description="whose pooled features the head sees: the last, some by name, or chosen by cross-validation"
    )
    penalty: float | None = Field(
        None, gt=0, description="L2 penalty of the head on standardised features; chosen by cross-validation if none"
    )

    def run(self, bench: Bench) -> Fitted:
        return probe(bench, self.blocks, self.penalty)
