"""What is already known: a model, and the data or the task it comes with."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING

from sterna.errors import RequestError
from sterna.kinds.kind import kind_of
from sterna.networks.views import Views

if TYPE_CHECKING:
    from torch import nn

    from sterna.domains import Domain, Inputs, Kind, Preparation
    from sterna.domains.learnt import Learnt
    from sterna.networks import Body
    from sterna.tasks import Task

POSITIONS = re.compile(r"(^|[._])(rel(ative)?_)?pos(itions?|itional)?(_|\.|$)")
"""Names of tables with an entry for each place in an input."""


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
    learnt
        Which rows the model learnt from, where that is known.
    """

    spec: str
    body: Body | None = None
    preparation: Preparation | None = None
    head: nn.Module | None = None
    task: Task | None = None
    data: Domain | None = None
    card: Mapping[str, str] = field(default_factory=dict)
    views: Views = Views.ONE
    learnt: Learnt | None = None

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
            ours, theirs = kind_of(self.preparation.kind).noun, kind_of(inputs.kind).noun
            raise RequestError(
                f"The source {self.spec!r} takes {ours}, but the target holds {theirs}; choose a source for {theirs} "
                "(see: sterna sources)."
            )
        if "size" in self.card:  # the user said image_size=
            return self
        found = self.preparation.suited(inputs, partial(takes_other_sizes, self.body))
        return self if found is self.preparation else replace(self, preparation=found)


def takes_other_sizes(body: Body, preparation: Preparation) -> bool:
    """Whether a body is convolutional, without a table of positions, and works with this preparation (it is tried)."""
    from torch import nn

    module = body.module
    names = [name for name, _ in module.named_parameters()] + [name for name, _ in module.named_buffers()]
    if any(POSITIONS.search(name) for name in names) or not any(isinstance(m, nn.Conv2d) for m in module.modules()):
        return False
    return works_with(body, preparation)


def works_with(body: Body, preparation: Preparation) -> bool:
    """Whether a body gives features for an image that was prepared so: it is tried on one."""
    import torch

    training, device = body.training, next(body.module.parameters()).device
    body.eval()
    try:
        with torch.inference_mode():
            image = preparation.example(1).to(device)
            return tuple(body(image).shape) == (1, body.width)
    except (RuntimeError, ValueError, AssertionError):  # what modules raise for a size they were not made for
        return False
    finally:
        body.train(training)


def parameters(module: nn.Module) -> str:
    """The number of parameters, for people: ``3.4 million``."""
    count = sum(p.numel() for p in module.parameters())
    return f"{count / 1e6:.1f} million" if count >= 100_000 else f"{count:,}"


def named(sources: Sequence[Source]) -> list[Source]:
    """Several sources by specs of their own: with the name of their data, and numbered where one comes again."""
    if len(sources) < 2:
        return list(sources)
    found: list[Source] = []
    for source in sources:
        spec = source.spec if source.data is None or source.body is None else f"{source.spec} + {source.data.name}"
        again = sum(each.spec == spec or each.spec.startswith(f"{spec} (") for each in found)
        found.append(replace(source, spec=f"{spec} ({again + 1})" if again else spec))
    return found
