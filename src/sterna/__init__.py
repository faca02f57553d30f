"""Sterna: transfer learning that says what the transfer was worth.

Names are imported when they are used, so that ``import sterna`` costs no torch and no pandas.

>>> import sterna
>>> target = sterna.load_domain("photos/")                          # doctest: +SKIP
>>> source = sterna.load_source("timm/resnet50.a1_in1k")            # doctest: +SKIP
>>> result = sterna.transfer(source, target, method="fine-tuning")  # doctest: +SKIP
>>> result.gain                                                     # doctest: +SKIP
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sterna.lazy import lazily

if TYPE_CHECKING:
    from sterna.domains import Domain as Domain
    from sterna.domains import load_domain as load_domain
    from sterna.errors import RequestError as RequestError
    from sterna.errors import RunError as RunError
    from sterna.errors import SternaError as SternaError
    from sterna.experiment import Transfer as Transfer
    from sterna.experiment import load_transfer as load_transfer
    from sterna.experiment import rank as rank
    from sterna.experiment import transfer as transfer
    from sterna.methods import list_methods as list_methods
    from sterna.sources import Source as Source
    from sterna.sources import list_sources as list_sources
    from sterna.sources import load_source as load_source

__version__ = "0.1.0"

_HOMES = {
    "Domain": "sterna.domains",
    "load_domain": "sterna.domains",
    "Source": "sterna.sources",
    "load_source": "sterna.sources",
    "list_sources": "sterna.sources",
    "list_methods": "sterna.methods",
    "rank": "sterna.experiment",
    "transfer": "sterna.experiment",
    "Transfer": "sterna.experiment",
    "load_transfer": "sterna.experiment",
    "SternaError": "sterna.errors",
    "RequestError": "sterna.errors",
    "RunError": "sterna.errors",
}

__all__ = [*_HOMES, "__version__"]

__getattr__, __dir__ = lazily(__name__, _HOMES)
