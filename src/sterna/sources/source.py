"""What is already known: a model, and the data or the task it comes with."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from sterna.errors import RequestError
from sterna.networks.views import Views

if TYPE_CHECKING:
    from torch import nn

    from sterna.domains import Domain, Inputs, Kind, Preparation
    from sterna.networks import Body
    from sterna.tasks import Task

SMALL = 64
"""Pixels: images up to this side are small."""

SMALL_SIZE = 96
"""Pixels a convolutional body gets small images at: the smallest size where its last blocks still see 3 × 3 places."""

_SAMPLE = 32
_POSITIONS = re.compile(r"(^|[._])(rel(ative)?_)?pos(itions?|itional)?(_|\.|$)")
_NOUN = {"images": "images", "text": "texts", "table": "table rows", "audio": "recordings"}


@dataclass(frozen=True, eq=False)
class Source:
    """What is already known.

    Attributes
    ----------
    spec
        How it was asked for, such as ``timm/resnet50.a1_in1k``.
    body
        The network up to its features, if there is a model.
    preparation
        How the body takes raw inputs.
    head
        From the body's features ``(n, width)`` to answers ``(n, o)``, where the source answers a task already.
    task
        What `head` answers.
    data
        Labelled data of the source, if any.
    card
        What a person should know of it: licence, origin, parameters.
    views
        How the model sees a batch when it answers.
    """

    spec: str
    body: Body | None = None
    preparation: Preparation | None = None
    head: nn.Module | None = None
    task: Task | None = None
    data: Domain | None = None
    card: Mapping[str, str] = field(default_factory=dict)
    views: Views = Views.ONE

    @property
    def kind(self) -> Kind | None:
        """The kind of inputs it takes."""
        if self.preparation is not None:
            return self.preparation.kind
        return None if self.data is None else self.data.kind

    def __repr__(self) -> str:
        about = "".join(f", {name}: {value}" for name, value in self.card.items())
        return f"Source({self.spec!r}, {self.kind or 'no inputs known'}{about})"

    def prepared(self, inputs: Inputs) -> Preparation:
        """The preparation for these inputs; see `for_inputs`."""
        preparation = self.for_inputs(inputs).preparation
        if preparation is None:
            raise RequestError(f"The source {self.spec!r} has no model, so there is nothing to prepare inputs for.")
        return preparation

    def carded(self, **about: str) -> Source:
        """The same source with more on its card."""
        return replace(self, card={**self.card, **about})

    def with_data(self, data: Domain) -> Source:
        """The same source with labelled data beside its model."""
        return replace(self, data=data)

    def for_inputs(self, inputs: Inputs) -> Source:
        """The source, made ready for these inputs.

        Small images (longest side of a sample at most 64 px) are prepared at 96 px for a convolutional body whose own
        input is larger: enlarging them further adds no knowledge and costs five times the work. A body with a fixed
        table of positions keeps its size. A speech encoder reads as much of a recording as these are long.

        Raises
        ------
        RequestError
            If the source takes another kind of input.
        """
        if self.body is None:
            return self
        if self.preparation is None:
            raise RequestError(
                f"How {self.spec!r} takes raw inputs is not known; give load_source(..., preparation=...), such as "
                "sterna.networks.ImagePreparation(size=224)."
            )
        if self.preparation.kind != inputs.kind:
            raise RequestError(
                f"The source {self.spec!r} takes {_NOUN[self.preparation.kind]}, but the target holds "
                f"{_NOUN[inputs.kind]}; choose a source for {_NOUN[inputs.kind]} (see: sterna sources)."
            )
        if inputs.kind == "audio":
            from sterna.networks.preparation_speech import SpeechPreparation

            own = self.preparation
            return replace(self, preparation=own.suited(inputs)) if isinstance(own, SpeechPreparation) else self
        size = getattr(self.preparation, "size", None)
        chosen = "size" in self.card  # the user said image_size=
        if inputs.kind != "images" or chosen or not isinstance(size, int) or size <= SMALL_SIZE or not len(inputs):
            return self
        if longest_side(inputs) > SMALL or not takes_any_size(self.body, self.preparation):
            return self
        return replace(self, preparation=resized(self.preparation, SMALL_SIZE))


def longest_side(inputs: Inputs) -> int:
    """The longest side of up to 32 images spread evenly over `inputs`, in pixels."""
    rows = np.unique(np.linspace(0, len(inputs) - 1, min(_SAMPLE, len(inputs))).astype(int))
    return int(max(max(inputs[int(row)].size) for row in rows))


def takes_any_size(body: Body, preparation: Preparation) -> bool:
    """Whether a body is convolutional, without a table of positions, and works on small images (it is tried)."""
    from torch import nn

    module = body.module
    names = [name for name, _ in module.named_parameters()] + [name for name, _ in module.named_buffers()]
    if any(_POSITIONS.search(name) for name in names) or not any(isinstance(m, nn.Conv2d) for m in module.modules()):
        return False
    return works_at(body, preparation, SMALL_SIZE)


def works_at(body: Body, preparation: Preparation, size: int) -> bool:
    """Whether a body gives features for an image of ``size × size`` pixels: it is tried on one."""
    import torch

    training, device = body.training, next(body.module.parameters()).device
    body.eval()
    try:
        with torch.inference_mode():
            image = torch.zeros(1, getattr(preparation, "channels", 3), size, size, device=device)
            return tuple(body(image).shape) == (1, body.width)
    except (RuntimeError, ValueError, AssertionError):  # what modules raise for a size they were not made for
        return False
    finally:
        body.train(training)


def resized(preparation: Preparation, size: int) -> Preparation:
    """The same image preparation for another input size."""
    from sterna.networks import preparation_from_state

    return preparation_from_state({**preparation.state(), "size": size})
