"""The contract of a kind of data, and the kinds by their ids."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, NamedTuple

import numpy as np

from sterna.domains.inputs import Inputs, Preparation
from sterna.registry import Registry

Array = np.ndarray[Any, Any]

KINDS = Registry(
    "sterna.kinds",
    "kind of data",
    {
        "images": "sterna.kinds.images:Images",
        "table": "sterna.kinds.table:Table",
        "text": "sterna.kinds.text:Text",
        "audio": "sterna.kinds.audio:Audio",
    },
)
"""Classes by the ``kind`` of inputs."""


class Vectors(NamedTuple):
    """What stands for rows where there is no source: one vector a row.

    Attributes
    ----------
    preparation
        Gives the vectors, fitted.
    width
        Numbers in a vector.
    called
        What they are, in a sentence: ``"12 columns"``.
    columns
        Of a table: the columns that they come from.
    """

    preparation: Preparation
    width: int
    called: str
    columns: tuple[str, ...] = ()

    def of(self, inputs: Inputs) -> Array:
        """The rows as vectors, ``(n, width)``, in the number type of the prepared rows."""
        return flat(self.preparation, inputs)


class Raw(NamedTuple):
    """What stands for rows whose vectors are learnt together with the model on them.

    Attributes
    ----------
    preparation
        Gives the rows as they are.
    vectoriser
        Makes a scikit-learn union of transformers, not fitted, from rows to vectors.
    empty
        Whether a row holds nothing: from such rows alone no vectors can be learnt.
    """

    preparation: Preparation
    vectoriser: Callable[[], Any]
    empty: Callable[[Any], bool] = lambda row: False


class Kind(ABC):
    """One kind of data: all that differs from kind to kind beside how rows are read and prepared.

    A kind answers what its rows are called without a heavy library, so its preparations are imported where used.

    Attributes
    ----------
    noun
        What its rows are called: ``"table rows"``.
    whole
        What a set of them is called: ``"a table"``.
    controls
        Controls without a source that run by themselves, by their ids.
    dear
        Whether a network that is trained anew takes far longer than all else.
    files
        Whether a row may be a file, so that a folder or a zip holds a set of them.
    decoded
        Whether a row is decoded when asked for, which takes so long that many rows are worth processes of their own.
    pictured, readable
        Whether a row is a picture, or words, that can be shown beside what was answered.
    learnt
        Whether a small network that learns its features from labelled rows is better than a linear model on vectors.
    boosting
        Whether trees on vectors (gradient boosting, extra trees) are plain learners.
    """

    noun: ClassVar[str]
    whole: ClassVar[str]
    controls: ClassVar[tuple[str, ...]] = ("target-only", "scratch")
    dear: ClassVar[bool] = False
    files: ClassVar[bool] = False
    decoded: ClassVar[bool] = False
    pictured: ClassVar[bool] = False
    readable: ClassVar[bool] = False
    learnt: ClassVar[bool] = False
    boosting: ClassVar[bool] = False

    @property
    def counted(self) -> str:
        """What its rows are called behind a number, where it is plain what they are of: ``"rows"`` of a table."""
        return self.noun

    @abstractmethod
    def small(self, inputs: Inputs) -> tuple[Preparation, dict[str, Any]]:
        """What a small body for these (training) rows takes, fitted on them, and the recipe of the body.

        The recipe is one of Sterna's small modules, or names a function of the kind's own package that gives a module:
        ``{"loader": "python", "function": "module:function", "options": {...}, "input": {"shape": [...], "whole":
        False}}`` with the shape of a row. See :func:`sterna.networks.build_body`.
        """

    def vectors(self, inputs: Inputs) -> Vectors | None:
        """What stands for rows without a source, fitted on these; ``None`` where no vector says enough of a row."""
        return None

    @property
    def compares(self) -> bool:
        """Whether vectors stand for its rows without a source."""
        return type(self).vectors is not Kind.vectors

    def compared(self, inputs: Inputs) -> Vectors | None:
        """As `vectors`, but for these rows alone: they are only compared, and no other rows follow."""
        return self.vectors(inputs)

    def raw(self) -> Raw | None:
        """Where vectors are learnt together with the model on them, how; else ``None``."""
        return None

    def mirrored(self, inputs: Inputs) -> bool:
        """Whether these rows mean the same in a mirror."""
        return False

    def told(self, inputs: Inputs, rows: Sequence[int]) -> list[str]:
        """What to call these rows in a message; empty where rows have no names."""
        names = inputs.names()
        return [names[row] for row in rows]


def kind_of(name: str) -> Kind:
    """The kind of data of this id, the ``kind`` of inputs and of preparations."""
    found: Kind = KINDS.find(name)()
    return found


def flat(preparation: Preparation, inputs: Inputs) -> Array:
    """Prepared rows as vectors, ``(n, d)``."""
    items = preparation.items(inputs)
    if isinstance(items, np.ndarray):
        return items.reshape(len(items), -1)
    return np.stack([np.asarray(items[row]).ravel() for row in range(len(items))])
