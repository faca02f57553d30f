"""What is learnt: a network of body, map and head; its blocks in depth order; small bodies for small data."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sterna.networks.blocks import Block as Block
    from sterna.networks.body import Body as Body
    from sterna.networks.build import build_body as build_body
    from sterna.networks.build import preparation_from_state as preparation_from_state
    from sterna.networks.estimator import EstimatorHead as EstimatorHead
    from sterna.networks.freezing import freeze as freeze
    from sterna.networks.freezing import frozen_names as frozen_names
    from sterna.networks.freezing import is_frozen as is_frozen
    from sterna.networks.freezing import thaw as thaw
    from sterna.networks.identity import IdentityBody as IdentityBody
    from sterna.networks.identity import identity_body as identity_body
    from sterna.networks.module_body import ModuleBody as ModuleBody
    from sterna.networks.network import Network as Network
    from sterna.networks.pair import AnswerBody as AnswerBody
    from sterna.networks.pair import PairBody as PairBody
    from sterna.networks.preparation_audio import LogMelPreparation as LogMelPreparation
    from sterna.networks.preparation_audio import LogMelStatistics as LogMelStatistics
    from sterna.networks.preparation_image import ImagePreparation as ImagePreparation
    from sterna.networks.preparation_speech import SpeechPreparation as SpeechPreparation
    from sterna.networks.preparation_text import HashedTextPreparation as HashedTextPreparation
    from sterna.networks.preparation_text import RawText as RawText
    from sterna.networks.preparation_text import TextPreparation as TextPreparation
    from sterna.networks.saved import load_network as load_network
    from sterna.networks.saved import save_network as save_network
    from sterna.networks.small import small_body as small_body
    from sterna.networks.views import Views as Views

_HOMES = {
    "Block": "blocks",
    "Body": "body",
    "ModuleBody": "module_body",
    "PairBody": "pair",
    "AnswerBody": "pair",
    "IdentityBody": "identity",
    "Network": "network",
    "Views": "views",
    "build_body": "build",
    "preparation_from_state": "build",
    "freeze": "freezing",
    "thaw": "freezing",
    "is_frozen": "freezing",
    "frozen_names": "freezing",
    "ImagePreparation": "preparation_image",
    "TextPreparation": "preparation_text",
    "HashedTextPreparation": "preparation_text",
    "RawText": "preparation_text",
    "LogMelPreparation": "preparation_audio",
    "LogMelStatistics": "preparation_audio",
    "SpeechPreparation": "preparation_speech",
    "EstimatorHead": "estimator",
    "small_body": "small",
    "identity_body": "identity",
    "save_network": "saved",
    "load_network": "saved",
}

__all__ = list(_HOMES)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'sterna.networks' has no attribute {name!r}")
    value = getattr(importlib.import_module(f"sterna.networks.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
