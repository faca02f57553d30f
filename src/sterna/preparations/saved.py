"""From a saved state to a preparation: Sterna's own, and those that other packages add."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sterna.domains.inputs import Preparation
from sterna.errors import RequestError
from sterna.registry import Registry

PREPARATIONS = Registry(
    "sterna.preparations",
    "preparation",
    {
        "image": "sterna.preparations.image:ImagePreparation",
        "table": "sterna.preparations.table:TablePreparation",
        "text": "sterna.preparations.text:TextPreparation",
        "hashed-text": "sterna.preparations.text:HashedTextPreparation",
        "raw-text": "sterna.preparations.text:RawText",
        "log-mel": "sterna.preparations.audio:LogMelPreparation",
        "log-mel-statistics": "sterna.preparations.audio:LogMelStatistics",
        "speech": "sterna.preparations.speech:SpeechPreparation",
        "table-rules": "sterna.preparations.rules:RulePreparation",
        "text-rules": "sterna.preparations.rules:TextRulePreparation",
        "pair": "sterna.preparations.pair:PairPreparation",
    },
)
"""Classes by the ``type`` in their state."""


def preparation_from_state(state: Mapping[str, Any], folder: str | Path | None = None) -> Preparation:
    """Rebuild a preparation.

    Parameters
    ----------
    state
        What its ``state()`` gave.
    folder
        Where its ``save_assets(folder)`` wrote, for those that need more (a tokenizer's files).

    Raises
    ------
    RequestError
        If the type is not known, or the files are missing.
    """
    name = state.get("type")
    if not isinstance(name, str) or name not in PREPARATIONS:
        raise RequestError(
            f"A preparation of the type {name!r} is not known to this Sterna; upgrade it, or install the "
            "package that adds it."
        )
    found: Preparation = PREPARATIONS.find(name).from_state(state, None if folder is None else Path(folder))
    return found
