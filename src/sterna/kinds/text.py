"""Texts: their vectors are learnt with the model on them (TF-IDF), or by a small network of hashed n-grams."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from sterna.domains.inputs import Inputs
from sterna.kinds.kind import Kind, Raw

if TYPE_CHECKING:
    from sterna.preparations.text import HashedTextPreparation


class Text(Kind):
    """Texts of any language."""

    noun, whole = "texts", "texts"
    controls = ("target-only",)
    """A text encoder trained from a random start on few texts is a weak control and a dear one: only when asked for."""

    readable = files = True

    def small(self, inputs: Inputs) -> tuple[HashedTextPreparation, dict[str, Any]]:
        from sterna.preparations.text import HashedTextPreparation

        preparation = HashedTextPreparation()
        return preparation, {"loader": "small", "name": "hashed", "size": preparation.size}

    def raw(self) -> Raw:
        """TF-IDF of words (one and two) and of characters (one to four)."""
        from sterna.preparations.text import RawText

        return Raw(RawText(), _vectoriser, lambda text: not text.strip())

    def told(self, inputs: Inputs, rows: Sequence[int]) -> list[str]:
        return [repr(str(inputs[row])[:40]) for row in rows]


WORDS = r"(?u)\b\w\w+\b|\A(?:(?!\w\w)[\s\S])*\Z"
"""Words of two letters or more, as scikit-learn takes them; a text without any (emoji, marks) is one word itself.

Without the second part such texts, or a fold of them, would leave no word to learn from, which is an error there.
"""


def _vectoriser() -> Any:
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.pipeline import FeatureUnion

    words = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, token_pattern=WORDS)
    characters = TfidfVectorizer(analyzer="char_wb", ngram_range=(1, 4), sublinear_tf=True, max_features=200_000)
    return FeatureUnion([("words", words), ("characters", characters)])
