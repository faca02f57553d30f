"""What the metrics need of each row, so that the outputs themselves need not be kept."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar, cast

import numpy as np

Made = TypeVar("Made")


class Statistics:
    """Named columns, one entry a row; what is computed batch by batch is put together with `joined`.

    Parameters
    ----------
    columns
        Arrays whose first axis are the rows, ``(n, ...)`` each.

    Examples
    --------
    >>> first, second = Statistics({"error": np.array([1.0, 2.0])}), Statistics({"error": np.array([3.0])})
    >>> Statistics.joined([first, second])["error"]
    array([1., 2., 3.])
    """

    def __init__(self, columns: Mapping[str, np.ndarray[Any, Any]]) -> None:
        self._columns = dict(columns)
        self._made: dict[str, Any] = {}

    @classmethod
    def joined(cls, parts: Sequence[Statistics]) -> Statistics:
        """The rows of all parts, in order."""
        return cls({name: np.concatenate([part[name] for part in parts]) for name in parts[0]._columns})

    def __len__(self) -> int:
        return len(next(iter(self._columns.values())))

    def __getitem__(self, name: str) -> np.ndarray[Any, Any]:
        return self._columns[name]

    def once(self, name: str, make: Callable[[], Made]) -> Made:
        """What does not depend on the weights, such as an order by score: made when first asked for, then kept."""
        if name not in self._made:
            self._made[name] = make()
        return cast("Made", self._made[name])
