"""Which rules fire on which rows, a whole column at a time."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any, TypeVar, cast

import numpy as np
import pandas as pd

from sterna.domains.column_kinds import as_kind
from sterna.domains.inputs import Inputs
from sterna.domains.table_cells import word, words
from sterna.errors import RequestError, closest
from sterna.rules.ruleset import Condition, RuleSet, Value

Mask = np.ndarray[Any, np.dtype[np.bool_]]
Array = np.ndarray[Any, Any]
T = TypeVar("T")

_ORDERS: dict[str, Callable[[Any, Any], Any]] = {
    ">=": operator.ge, ">": operator.gt, "<=": operator.le, "<": operator.lt,
}  # fmt: skip


def fires(rules: RuleSet, inputs: Inputs) -> Mask:
    """Say which rules fire on which rows.

    Parameters
    ----------
    rules
        r of them.
    inputs
        n rows of a table, or n texts (their one column is called ``text``).

    Returns
    -------
    ndarray of bool, shape (n, r)

    Raises
    ------
    RequestError
        If the table lacks a column, or a column that a rule compares with a number holds words.
    """
    cells = Cells(inputs)
    found = np.ones((len(inputs), len(rules)), dtype=np.bool_)
    known: dict[Condition, Mask] = {}
    for place, rule in enumerate(rules.rules):
        for condition in rule.conditions:
            if condition not in known:
                known[condition] = holds(condition, cells)
            found[:, place] &= known[condition]
    return found


class Cells:
    """Columns by name, each read once in each form that conditions ask for.

    Parameters
    ----------
    inputs
        A table, or texts: an empty text counts as missing.

    Raises
    ------
    RequestError
        If rules cannot speak of such rows.
    """

    def __init__(self, inputs: Inputs) -> None:
        columns = inputs.in_columns()
        if columns is None:
            raise RequestError(f"Rules speak of table columns and of texts, but came upon {inputs.kind}.")
        self.frame, self.asked, self._owner = columns
        self._kept: dict[tuple[str, str], Any] = {}

    def raw(self, name: str) -> pd.Series[Any]:
        """A column as strings, float64 or dates."""
        if name not in self.frame.columns:
            known = [str(c) for c in self.frame.columns]
            raise RequestError(
                f"The rules speak of the column {name!r}, which {self._owner} has not (it has "
                f"{', '.join(map(repr, known[:10]))}).{closest(name, known)}"
            )
        return self.frame[name]

    def missing(self, name: str) -> Mask:
        """Which cells are missing, ``(n,)``."""
        return self._once("missing", name, lambda: self.raw(name).isna().to_numpy(dtype=np.bool_))

    def ordered(self, name: str) -> Array:
        """A column of numbers, float64 ``(n,)``; refused where most cells are none."""
        where = f"column {name!r}, which the rules compare with a number,"
        return self._once("ordered", name, lambda: as_kind(self.raw(name), "number", where).to_numpy(np.float64))

    def numbers(self, name: str) -> Array:
        """Cells as numbers, float64 ``(n,)``; NaN where they are none."""

        def read() -> Array:
            raw = self.raw(name)
            return np.asarray(
                pd.to_numeric(raw if raw.dtype == np.float64 else words(raw), errors="coerce"), np.float64
            )

        return self._once("numbers", name, read)

    def words(self, name: str) -> Array:
        """Cells as words, object ``(n,)``: 3.0 is ``"3"``; ``None`` where missing."""
        return self._once("words", name, lambda: _objects(words(self.raw(name))))

    def folded(self, name: str) -> Array:
        """Cells as texts without regard to case, object ``(n,)``; ``None`` where missing."""

        def read() -> Array:
            raw = self.raw(name)
            texts = _objects(raw if raw.dtype == "str" else words(raw))
            return np.array([None if text is None else text.casefold() for text in texts], dtype=object)

        return self._once("folded", name, read)

    def _once(self, form: str, name: str, read: Callable[[], T]) -> T:
        if (form, name) not in self._kept:
            self._kept[form, name] = read()
        return cast(T, self._kept[form, name])


def _objects(column: pd.Series[Any]) -> Array:
    found = column.astype(object)
    return np.asarray(found.where(found.notna(), None).to_numpy(), dtype=object)


def holds(condition: Condition, cells: Cells) -> Mask:
    """Whether a condition holds for each row, ``(n,)``."""
    name, sign = condition.column, condition.operator
    missing = cells.missing(name)
    if condition.kind == "missing":
        return missing if sign == "IS MISSING" else ~missing
    if condition.kind == "order":
        return np.asarray(_ORDERS[sign](cells.ordered(name), condition.values[0]), dtype=np.bool_)
    if condition.kind == "contains":
        part = str(condition.values[0]).casefold()
        inside = np.array([text is not None and part in text for text in cells.folded(name)], dtype=np.bool_)
        return inside if sign == "CONTAINS" else ~inside & ~missing
    same = np.zeros(len(missing), dtype=np.bool_)
    for value in condition.values:
        same |= _equal(cells, name, value)
    return ~same & ~missing if sign == "!=" else same & ~missing


def _equal(cells: Cells, name: str, value: Value) -> Mask:
    """A word is compared with the cell as a word, a number with its value."""
    if isinstance(value, str):
        return np.asarray(cells.words(name) == word(value), dtype=np.bool_)
    return np.asarray(cells.numbers(name) == value, dtype=np.bool_)
