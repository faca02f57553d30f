"""What a surrogate tree may ask of a row: numbers as they are, categories and words by yes and no."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.feature_selection import chi2

from sterna.domains.inputs import Inputs
from sterna.errors import RequestError
from sterna.rules.firing import Cells

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


def questions_of(inputs: Inputs, targets: Array, columns: Collection[str] | None = None) -> Questions:
    """What can be asked of rows; dates, identifiers, empty columns and a table's texts are left aside.

    Parameters
    ----------
    inputs
        n rows of a table, or n texts.
    targets
        The answers, ``(n,)``, which choose among the words of texts.
    columns
        Which to use; all by default.

    Raises
    ------
    RequestError
        If there is nothing to ask for, or the rows are neither of a table nor texts.
    """
    cells = Cells(inputs)
    asked: list[Question] = []
    parts: list[Array] = []
    for name, kind in cells.asked.items():
        if columns is None or name in columns:
            for question, part in _ASKED[kind](name, cells, targets):
                asked.append(question)
                parts.append(part)
    if not asked:
        which = "" if columns is None else " that both sides have"
        raise RequestError(f"There is no column of numbers or categories{which}, so no rule can be extracted.")
    missing = {question.column: cells.missing(question.column) for question in asked}
    numbers = {question.column: cells.ordered(question.column) for question in asked if question.kind == "number"}
    features = np.stack([np.asarray(part, dtype=np.float32) for part in parts], axis=1)
    return Questions(tuple(asked), features, missing, numbers)


Answered = Iterable[tuple[Question, Array]]
"""Questions, each with its answers ``(n,)``."""


def _number(name: str, cells: Cells, targets: Array) -> Answered:
    return [] if cells.missing(name).all() else [(Question(name, "number"), cells.ordered(name))]


def _categories(name: str, cells: Cells, targets: Array) -> Answered:
    """Is it this word? Of the commonest words of the column."""
    words = cells.words(name)
    return [(Question(name, "category", word), words == word) for word in _frequent(words)]


def _frequent(words: Array) -> list[str]:
    """The commonest words of a column, sorted."""
    found, counts = np.unique([word for word in words if word is not None], return_counts=True)
    return sorted(str(word) for word in found[np.argsort(-counts, kind="stable")[:MOST_CATEGORIES]])


def _words(name: str, cells: Cells, targets: Array) -> Answered:
    """Does it contain this word? Of the frequent ones those whose presence tells most about the answers.

    In scripts without spaces the words are runs of two to four characters.
    """
    texts = [text or "" for text in cells.folded(name)]
    least = max(2, round(0.005 * len(texts)))
    vectors = CountVectorizer(analyzer=words_of, binary=True, min_df=least, max_features=_CANDIDATES)
    try:
        present = vectors.fit_transform(texts)
    except ValueError:
        raise RequestError("The texts have no word in common, so no rule can be extracted from them.") from None
    telling = _telling(present, targets)
    words = vectors.get_feature_names_out()[np.argsort(-telling, kind="stable")[:MOST_WORDS]]
    # A rule looks for a part of a text, not for a word of it, so the tree has to learn from parts as well.
    return [(Question(name, "text", str(word)), np.array([word in text for text in texts])) for word in words]


_ASKED: dict[str, Callable[[str, Cells, Array], Answered]] = {
    "number": _number, "category": _categories, "text": _words,
}  # fmt: skip


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
