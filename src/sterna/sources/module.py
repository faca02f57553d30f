"""Any ``nn.Module`` from Python as a source."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from sterna.errors import RequestError
from sterna.sources import timm
from sterna.sources.source import Source, parameters

if TYPE_CHECKING:
    from torch import nn

    from sterna.domains import Preparation


USUAL_SIZE = 224


def load(module: Any, preparation: Preparation | None = None, image_size: int | None = None) -> Source:
    """Take a module that maps a batch to features as a source; the module itself is never changed.

    Parameters
    ----------
    module
        Any ``nn.Module``; where it ends in a linear layer, whatever that is called, this is taken for its head and left
        out. A `Body` or a `Network` is taken as it is; what compiles, spreads or averages a module is taken off.
    preparation
        How raw inputs become what it takes. By default: timm's configuration where the module carries one, else, for
        a module that starts with a convolution, images of 224 px normalised as for ImageNet.
    image_size
        To be used for 224 px there, where the module takes no others.

    Raises
    ------
    RequestError
        If it is no module, how it takes inputs cannot be known, or it does not run on an example.
    """
    from torch import nn

    from sterna.networks.body import Body
    from sterna.networks.network import Network
    from sterna.networks.wrappers import unwrapped

    spec = f"module {type(module).__name__}"
    if isinstance(module, Network):
        kept = module.preparation if preparation is None else preparation
        mapped = not isinstance(module.map, nn.Identity)
        head = nn.Sequential(module.map, module.head) if mapped else module.head
        card = {"parameters": parameters(module.body)}
        return Source(spec, module.body, kept, head, module.task, card=card, views=module.views)
    if isinstance(module, Body):
        return Source(spec, module, preparation, card={"parameters": parameters(module)})
    if not isinstance(module, nn.Module):
        raise RequestError(
            f"The source is a {type(module).__name__}; a spec such as 'timm/resnet50' or an nn.Module was expected; "
            "labelled data are given as load_domain(...)."
        )
    own = unwrapped(copy.deepcopy(module))
    return wrap(own, f"module {type(own).__name__}", preparation=preparation, image_size=image_size)


def wrap(
    module: nn.Module, spec: str, *, preparation: Preparation | None = None, recipe: Mapping[str, Any] | None = None,
    image_size: int | None = None,
) -> Source:  # fmt: skip
    """A source around a module of its own, which is changed: its classifier is taken off."""
    from sterna.networks.architectures import without
    from sterna.networks.last_layer import last_linear
    from sterna.networks.module_body import ModuleBody

    module.float()  # inputs and heads are float32, whatever precision the weights were kept in
    prepared = usual_preparation(module, spec, image_size) if preparation is None else preparation
    tried = example(prepared, spec)
    left_out = last_linear(module, tried)
    if left_out:
        without(module, left_out)
    full = {"loader": "module", "class": type(module).__name__, **(recipe or {})}
    if left_out:
        full["without"] = left_out
    module.eval()
    card = {"parameters": parameters(module)}
    if left_out:
        card["classifier"] = f"{left_out} left out"
    if preparation is None and not hasattr(module, "pretrained_cfg"):
        card["preparation"] = f"assumed: {image_size or USUAL_SIZE} px, normalised as for ImageNet"
    return Source(spec, ModuleBody(module, full, example=tried), prepared, card=card)


def usual_preparation(module: nn.Module, spec: str, image_size: int | None = None) -> Preparation:
    """What a module says of its inputs, or what a convolutional one most probably takes."""
    from torch import nn

    from sterna.preparations.image import ImagePreparation

    layers = [part for part in module.modules() if not any(part.children())]
    first = next((part for part in layers if any(p.ndim > 1 for p in part.parameters())), None)
    channels = first.in_channels if isinstance(first, nn.Conv2d) else None
    if channels not in (None, 1, 3):
        raise RequestError(
            f"The first layer of {spec!r} takes {channels} channels, but images have 1 (grey) or 3 (colours); give a "
            "module that takes one of them."
        )
    if hasattr(module, "pretrained_cfg"):
        built_for = getattr(getattr(module, "patch_embed", None), "img_size", None)
        if built_for and built_for[0] != built_for[1]:
            raise RequestError(
                f"{spec!r} is built for images of {built_for[0]} × {built_for[1]} px, but images are prepared as "
                f"squares; bring it to one: module.set_input_size({built_for[0]})."
            )
        return timm.preparation_of(module, built_for[0] if built_for else None, channels)
    if channels is not None:
        return ImagePreparation(size=image_size or USUAL_SIZE, channels=channels)
    begins = f" (it begins with {first})" if first is not None else ""
    raise RequestError(
        f"How {spec!r} takes raw inputs cannot be told{begins}; give load_source(..., preparation=...), such as "
        "sterna.networks.ImagePreparation(size=224) or a fitted sterna.domains.TablePreparation."
    )


def example(preparation: Preparation, spec: str) -> Any:
    """A small batch of what a preparation gives, to try the body on."""
    import torch

    found = preparation.example()
    if found is not None:
        return found
    width = getattr(preparation, "width", None)
    if isinstance(width, int) and width > 0:
        return torch.randn(2, width, generator=torch.Generator().manual_seed(0))
    raise RequestError(
        f"The preparation of {spec!r} gives no example batch; fit it first, or give it an example() method."
    )
