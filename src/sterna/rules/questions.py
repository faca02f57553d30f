"""What a surrogate tree may ask of a row: numbers as they are, categories and words by yes and no."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.feature_selection import chi2

from sterna.domains.inputs import Inputs
from sterna.domains.tables import TableInputs
from sterna.domains.text import TextInputs
from sterna.errors import RequestError
from sterna.rules.firing import Cells
from sterna.rules.ruleset import TEXT

Array = np.ndarray[Any, Any]

MOST_WORDS = 300
MOST_CATEGORIES = 50
"""Words, and categories of a column, that may be asked for: the most telling, and the most frequent."""

_CANDIDATES = 3000
_NO_SPACES = re.compile(r"[⺀-鿿가-힯]+")
_RUNS = re.compile(r"[⺀-鿿가-힯]+|[^\W\d_]{2,}")


@dataclass(frozen=True)
class Question:
    """One feature of the tree.

    Attributes
    ----------
    column
        Which it is about.
    kind
        ``number``; ``category`` (is it `word`?); ``text`` (does it contain `word`?).
    word
        What is asked for.
    """

    column: str
    kind: Literal["number", "category", "text"]
    word: str = ""


@dataclass(frozen=True, eq=False)
class Questions:
    """Questions and their answers.

    Attributes
    ----------
    asked
        q of them.
    features
        ``(n, q)`` float32: a number, NaN where missing; 1 or 0 for yes and no, all 0 where the cell is missing.
    missing
        Which cells are missing, by column, ``(n,)``.
    numbers
        The numbers before they became float32, by column, ``(n,)``.
    """

    asked: tuple[Question, ...]
    features: Array
    missing: dict[str, Array]
    numbers: dict[str, Array]

    def take(self, rows: Array) -> Questions:
        """The same questions, with the answers of these rows."""
        missing, numbers = ({k: v[rows] for k, v in of.items()} for of in (self.missing, self.numbers))
        return replace(self, features=self.features[rows], missing=missing, numbers=numbers)


def table_questions(inputs: Inputs, targets: Array, columns: Collection[str] | None = None) -> Questions:
    """What can be asked of table rows; dates, texts, identifiers and empty columns are left aside.

    Parameters
    ----------
    inputs
        n rows.
    targets
        Not looked at: all columns may be asked for.
    columns
        Which to use; all by default.
    """
    assert isinstance(inputs, TableInputs)
    cells = Cells(inputs)
    asked: list[Question] = []
    parts: list[Array] = []
    numbers: dict[str, Array] = {}
    for name, kind in inputs.kinds.items():
        if kind not in ("number", "category") or (columns is not None and name not in columns):
            continue
        if cells.missing(name).all():
            continue
        if kind == "number":
            numbers[name] = cells.ordered(name)
            asked.append(Question(name, "number"))
            parts.append(numbers[name])
        else:
            words = cells.words(name)
            for word in _frequent(words):
                asked.append(Question(name, "category", word))
                parts.append(words == word)
    if not asked:
        which = "" if columns is None else " that both sides have"
        raise RequestError(f"There is no column of numbers or categories{which}, so no rule can be drawn.")
    missing = {question.column: cells.missing(question.column) for question in asked}
    return Questions(tuple(asked), _stacked(parts), missing, numbers)


def _frequent(words: Array) -> list[str]:
    """The commonest words of a column, sorted."""
    found, counts = np.unique([word for word in words if word is not None], return_counts=True)
    return sorted(str(word) for word in found[np.argsort(-counts, kind="stable")[:MOST_CATEGORIES]])


def text_questions(inputs: Inputs, targets: Array, columns: Collection[str] | None = None) -> Questions:
    """Which words texts contain: of the frequent ones those whose presence tells most about the answers.

    In scripts without spaces the words are runs of two to four characters.

    Parameters
    ----------
    inputs
        n texts.
    targets
        The answers, ``(n,)``.
    columns
        Not looked at: there is one column.
    """
    assert isinstance(inputs, TextInputs)
    texts = [text.casefold() for text in inputs.texts]
    least = max(2, round(0.005 * len(texts)))
    vectors = CountVectorizer(analyzer=words_of, binary=True, min_df=least, max_features=_CANDIDATES)
    try:
        present = vectors.fit_transform(texts)
    except ValueError:
        raise RequestError("The texts have no word in common, so no rule can be drawn from them.") from None
    telling = _telling(present, targets)
    words = vectors.get_feature_names_out()[np.argsort(-telling, kind="stable")[:MOST_WORDS]]
    # A rule looks for a part of a text, not for a word of it, so the tree has to learn from parts as well.
    parts = [np.array([word in text for text in texts]) for word in words]
    asked = tuple(Question(TEXT, "text", str(word)) for word in words)
    return Questions(asked, _stacked(parts), {TEXT: Cells(inputs).missing(TEXT)}, {})


def _telling(present: Any, targets: Array) -> Array:
    """Chi-squared of each word's presence ``(n, w)`` and the classes; numbers are cut at their median, ``(w,)``."""
    groups = targets if targets.dtype.kind in "iu" else targets > np.median(targets)
    if len(np.unique(groups)) < 2:
        return np.zeros(present.shape[1])
    return np.asarray(np.nan_to_num(chi2(present, groups)[0]))


def words_of(text: str) -> list[str]:
    """Words of a text; of a run in a script without spaces every two to four characters of it.

    Examples
    --------
    >>> words_of("very 好吃 a")
    ['very', '好吃']
    """
    found: list[str] = []
    for run in _RUNS.findall(text.casefold()):
        if _NO_SPACES.match(run):
            found += [run[i : i + size] for size in (2, 3, 4) for i in range(len(run) - size + 1)]
        else:
            found.append(run)
    return found


def _stacked(parts: list[Array]) -> Array:
    return np.stack([np.asarray(part, dtype=np.float32) for part in parts], axis=1)
