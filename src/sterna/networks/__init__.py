"""What is learnt: a network of body, map and head; its blocks in depth order; small bodies for small data."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sterna.lazy import lazily

if TYPE_CHECKING:
    from sterna.networks.blocks import Block as Block
    from sterna.networks.body import Body as Body
    from sterna.networks.build import build_body as build_body
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
    from sterna.networks.saved import load_network as load_network
    from sterna.networks.saved import save_network as save_network
    from sterna.networks.small import small_body as small_body
    from sterna.networks.views import Views as Views
    from sterna.preparations.audio import LogMelPreparation as LogMelPreparation
    from sterna.preparations.audio import LogMelStatistics as LogMelStatistics
    from sterna.preparations.image import ImagePreparation as ImagePreparation
    from sterna.preparations.saved import preparation_from_state as preparation_from_state
    from sterna.preparations.speech import SpeechPreparation as SpeechPreparation
    from sterna.preparations.text import HashedTextPreparation as HashedTextPreparation
    from sterna.preparations.text import RawText as RawText
    from sterna.preparations.text import TextPreparation as TextPreparation

_HOMES = {
    "Block": "sterna.networks.blocks",
    "Body": "sterna.networks.body",
    "Network": "sterna.networks.network",
    "build_body": "sterna.networks.build",
    "preparation_from_state": "sterna.preparations.saved",
    "freeze": "sterna.networks.freezing",
    "thaw": "sterna.networks.freezing",
    "is_frozen": "sterna.networks.freezing",
    "frozen_names": "sterna.networks.freezing",
    "ImagePreparation": "sterna.preparations.image",
    "TextPreparation": "sterna.preparations.text",
    "HashedTextPreparation": "sterna.preparations.text",
    "RawText": "sterna.preparations.text",
    "LogMelPreparation": "sterna.preparations.audio",
    "LogMelStatistics": "sterna.preparations.audio",
    "SpeechPreparation": "sterna.preparations.speech",
    "EstimatorHead": "sterna.networks.estimator",
    "small_body": "sterna.networks.small",
    "identity_body": "sterna.networks.identity",
    "ModuleBody": "sterna.networks.module_body",
    "PairBody": "sterna.networks.pair",
    "AnswerBody": "sterna.networks.pair",
    "IdentityBody": "sterna.networks.identity",
    "Views": "sterna.networks.views",
    "save_network": "sterna.networks.saved",
    "load_network": "sterna.networks.saved",
}

__all__ = list(_HOMES)

__getattr__, __dir__ = lazily(__name__, _HOMES)
