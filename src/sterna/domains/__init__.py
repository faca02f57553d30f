"""What is seen: domains, one reader for each kind of data, splits, imbalance."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sterna.lazy import lazily

if TYPE_CHECKING:
    from sterna.domains.audio import AudioFiles as AudioFiles
    from sterna.domains.audio import AudioSequence as AudioSequence
    from sterna.domains.audio import Sound as Sound
    from sterna.domains.balance import class_weights as class_weights
    from sterna.domains.balance import is_imbalanced as is_imbalanced
    from sterna.domains.balance import sampler_weights as sampler_weights
    from sterna.domains.columns import Column as Column
    from sterna.domains.columns import Schema as Schema
    from sterna.domains.domain import Domain as Domain
    from sterna.domains.images import ImageArray as ImageArray
    from sterna.domains.images import ImageFiles as ImageFiles
    from sterna.domains.images import ImageSequence as ImageSequence
    from sterna.domains.inputs import Inputs as Inputs
    from sterna.domains.inputs import Items as Items
    from sterna.domains.inputs import Kind as Kind
    from sterna.domains.inputs import Preparation as Preparation
    from sterna.domains.inputs import Rows as Rows
    from sterna.domains.load import load_domain as load_domain
    from sterna.domains.splits import Splits as Splits
    from sterna.domains.splits import make_splits as make_splits
    from sterna.domains.tables import TableInputs as TableInputs
    from sterna.domains.text import TextInputs as TextInputs

_HOMES = {
    "Domain": "domain",
    "load_domain": "load",
    "make_splits": "splits",
    "Splits": "splits",
    "class_weights": "balance",
    "sampler_weights": "balance",
    "is_imbalanced": "balance",
    "Inputs": "inputs",
    "Items": "inputs",
    "Kind": "inputs",
    "Preparation": "inputs",
    "Rows": "inputs",
    "ImageArray": "images",
    "ImageFiles": "images",
    "ImageSequence": "images",
    "AudioFiles": "audio",
    "AudioSequence": "audio",
    "Sound": "audio",
    "TableInputs": "tables",
    "TextInputs": "text",
    "Schema": "columns",
    "Column": "columns",
}

_ABOVE = {"TablePreparation": "sterna.preparations.table"}
"""Names that moved to a room above, and are still found here."""

__all__ = [*_HOMES, *_ABOVE]

__getattr__, __dir__ = lazily(__name__, {**_HOMES, **_ABOVE})
