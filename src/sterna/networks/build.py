"""From a recipe to a body with random weights; code in a file is never run."""

from __future__ import annotations

from pathlib import Path

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
        - ``python``: ``function``, as ``module:function``, which gives the module for the keywords ``options``;
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
