"""Mirror images: whose rows mean the same in a mirror, and the networks that answer with the mean of both."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn

from sterna.domains.inputs import Inputs
from sterna.kinds.kind import kind_of

if TYPE_CHECKING:
    from sterna.networks.body import Body

MIRROR = "mirror"
"""In a body's recipe: whether, outside training, its features are the mean of an image's and of its mirror image's."""


def mirrored(inputs: Inputs) -> bool:
    """Whether rows are images that mean the same in a mirror: those that training mirrors, colour photographs."""
    return kind_of(inputs.kind).mirrored(inputs)


def mirror_image(batch: Any) -> Any:
    """A batch of images ``(n, c, h, w)``, also one in a batch of pairs, flipped from left to right."""
    if isinstance(batch, Mapping):
        return {name: mirror_image(value) for name, value in batch.items()}
    return batch.flip(-1) if isinstance(batch, Tensor) and batch.ndim == 4 else batch


def mirrors(module: nn.Module) -> list[Body]:
    """The bodies in a module that answer with the mean of each image and its mirror image."""
    from sterna.networks.body import Body

    return [part for part in module.modules() if isinstance(part, Body) and part.recipe.get(MIRROR)]


def forget(body: nn.Module) -> None:
    """Let no body in a module answer with mirror images, in place."""
    for part in mirrors(body):
        del part.recipe[MIRROR]


def set_mirror(body: Body, inputs: Inputs, augment: bool = True) -> None:
    """Let a body answer with the mean of each image and its mirror image, as training with `augment` prepares it for.

    With a linear head, the mean of features is the mean of answers. Where a mirror image is no kin of the image, it
    has no part in the answers, whatever the body was trained on before.
    """
    if not mirrored(inputs):
        forget(body)
    elif augment:
        body.recipe[MIRROR] = True


@contextmanager
def unmirrored(body: Body) -> Iterator[Body]:
    """The body with one pass for a batch, for as long as the block lasts."""
    parts = mirrors(body)
    forget(body)
    try:
        yield body
    finally:
        for part in parts:
            part.recipe[MIRROR] = True
