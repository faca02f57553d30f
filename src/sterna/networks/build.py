"""From a recipe to a body with random weights, and from a state to a preparation; code in a file is never run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from sterna.domains.inputs import Preparation
from sterna.errors import RequestError
from sterna.networks.body import Body, Description
from sterna.networks.identity import IdentityBody
from sterna.networks.module_body import ModuleBody
from sterna.networks.pair import AnswerBody, PairBody

BODIES: dict[str, type[Body]] = {"pair": PairBody, "answers": AnswerBody, "identity": IdentityBody}
"""Who builds a body again, by the recipe's loader or the name of a small body; all others are modules."""


def build_body(recipe: Description, folder: Path | None = None) -> Body:
    """Build the architecture of a recipe, with random weights.

    Parameters
    ----------
    recipe
        ``loader`` and what it needs:

        - ``timm``: ``name``, and ``options`` for ``timm.create_model`` (``num_classes`` is 0);
        - ``hf``: ``config``, the dict of a transformers configuration, and ``options`` for ``AutoModel.from_config``,
          and ``"part": "encoder"`` for that of Whisper;
        - ``small``: ``name`` and the arguments of one of Sterna's small bodies;
        - ``python``: ``function``, as ``module:function``, which gives the module;
        - ``pair`` and ``answers``: the bodies in it, as a saved network describes them.
    folder
        Of a saved network: where parts lie that are not JSON (fitted estimators).

    Raises
    ------
    RequestError
        If the recipe cannot be followed here.
    """
    loader = str(recipe.get("loader"))
    kind = BODIES.get(str(recipe.get("name")) if loader == "small" else loader, ModuleBody)
    return kind.rebuilt(recipe, folder, build_body)


def preparation_from_state(state: Mapping[str, Any], folder: str | Path | None = None) -> Preparation:
    """Rebuild a preparation.

    Parameters
    ----------
    state
        What its ``state()`` gave.
    folder
        Where its ``save_assets(folder)`` wrote, for those that have one (a tokenizer's files).

    Raises
    ------
    RequestError
        If the type is not known, or the files are missing.
    """
    from sterna.domains.preparation_table import TablePreparation
    from sterna.networks.preparation_audio import LogMelPreparation, LogMelStatistics
    from sterna.networks.preparation_image import ImagePreparation
    from sterna.networks.preparation_rules import RulePreparation, TextRulePreparation
    from sterna.networks.preparation_speech import SpeechPreparation
    from sterna.networks.preparation_text import HashedTextPreparation, RawText, TextPreparation

    simple: dict[str, Callable[[Mapping[str, Any]], Preparation]] = {
        "table": TablePreparation.from_state,
        "image": ImagePreparation.from_state,
        "hashed-text": HashedTextPreparation.from_state,
        "raw-text": RawText.from_state,
        "table-rules": RulePreparation.from_state,
        "text-rules": TextRulePreparation.from_state,
        "log-mel": LogMelPreparation.from_state,
        "log-mel-statistics": LogMelStatistics.from_state,
        "speech": SpeechPreparation.from_state,
    }
    kind = state.get("type")
    if kind in simple:
        return simple[kind](state)
    if kind == "text":
        return TextPreparation.from_state(state, None if folder is None else Path(folder))
    if kind == "pair":
        from sterna.networks.preparation_pair import PairPreparation

        return PairPreparation.from_state(state, None if folder is None else Path(folder))
    raise RequestError(f"A preparation of the type {kind!r} is not known to this Sterna; upgrade it.")
