"""How a network sees a batch when it answers: once, or also in a mirror, with the mean of the features of both."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import Enum
from typing import TYPE_CHECKING, Any, Protocol

from sterna.kinds.kind import kind_of

if TYPE_CHECKING:
    from torch import Tensor

    from sterna.domains.inputs import Inputs


class Featured(Protocol):
    """A body, or a part of one: gives named features of a batch."""

    training: bool

    def features(self, inputs: Any, names: Sequence[str]) -> Mapping[str, Tensor]: ...


class Views(Enum):
    """The views of a batch whose mean features are answered with, outside training.

    With a linear head, the mean of features is the mean of answers.
    """

    ONE = "one"
    """The batch as it is."""

    MIRRORED = "mirrored"
    """Each image, and its mirror image."""

    def of(self, batch: Any) -> list[Any]:
        """The batch as each view shows it."""
        return [batch] if self is Views.ONE else [batch, mirror_image(batch)]

    def features(self, body: Featured, inputs: Any, names: Sequence[str]) -> dict[str, Tensor]:
        """A body's features ``(n, w)`` by name: outside training, the mean of those of each view."""
        if self is Views.ONE or body.training:
            return dict(body.features(inputs, names))
        found = [body.features(each, names) for each in self.of(inputs)]
        return {name: self.mean([each[name] for each in found]) for name in found[0]}

    def mean(self, features: Sequence[Tensor]) -> Tensor:
        """Of the features ``(n, d)`` of each view, in the order of :meth:`of`, the mean ``(n, d)``."""
        return features[0] if self is Views.ONE else (features[0] + features[1]) / 2


def mirrored(inputs: Inputs) -> bool:
    """Whether rows are images that mean the same in a mirror: those that training mirrors, colour photographs."""
    return kind_of(inputs.kind).mirrored(inputs)


def mirror_image(batch: Any) -> Any:
    """A batch of images ``(n, c, h, w)``, also one in a batch of pairs, flipped from left to right."""
    from torch import Tensor  # here, since a source names its views without torch

    if isinstance(batch, Mapping):
        return {name: mirror_image(value) for name, value in batch.items()}
    return batch.flip(-1) if isinstance(batch, Tensor) and batch.ndim == 4 else batch
