"""What a user should know of how columns were read, said once a matter and not once a column."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sterna.domains.column_kinds import mostly
from sterna.domains.columns import Column
from sterna.domains.date_forms import Dates, looks_clocked, looks_dated
from sterna.domains.number_forms import Numbers, looks_numeric
from sterna.domains.weights import weight_hint, weights_in
from sterna.errors import listed, quoted

_BESIDE = "|".join(
    (
        r"^[+-]?\d[\d.,]*\s*[^\d\s.,:/-][^\d]*$",  # 12.5 kg
        r"^\pL[\pL.$]{0,3}\s?[+-]?\d+([.,'\x{2019} ]\d+)+$",  # CHF 12.50
        r"^[^\pL\d\s#/:.,+-]{1,2}\s?[+-]?\d[\d.,' ]*[^\pL\d]{0,2}$",  # ~12.5, <12.5, [12.5]
        r"^[+-]?\d[\d.,]*\s?(\x{00B1}|\+/-|[x\x{00D7}*]\s?10)\s?\S{1,12}$",  # 12.5 ± 3, 1.2×10³
        r"^[+-]?\d{1,3}(_\d{3})*([.\x{00B7}]\d+)?$|^[+-]?\d+\x{00B7}\d+$",  # 12_500.5, 12·5
    )
)

_SLOTS = 24  # so many times of day may well be categories
_NUMBERS = "write numbers as 1234.5, with nothing beside them"


class Notes:
    """Sentences, collected while the columns of a table are read."""

    def __init__(self) -> None:
        self._said: list[str] = []
        self._forms: dict[str, list[str]] = {}

    @property
    def said(self) -> list[str]:
        """All of them."""
        return [*(f"numbers with {words}: {listed(names)}" for words, names in self._forms.items()), *self._said]

    def add(self, note: str) -> None:
        """One sentence more."""
        self._said.append(note)

    def of_schema(self, columns: Sequence[Column]) -> None:
        """Which columns no learner sees."""
        self._columns(
            "left out, a different value in every row as identifiers have (columns={'NAME': 'category'} keeps one)",
            [column.name for column in columns if column.identifier],
        )
        self._columns("without any value", [column.name for column in columns if column.kind == "empty"])
        numbers = [column.name for column in columns if column.kind == "number" and not column.identifier]
        weighty = weights_in(numbers)
        if weighty:
            what = "is an ordinary input" if len(weighty) == 1 else "are ordinary inputs"
            self.add(f"column{'s' * (len(weighty) > 1)} {quoted(weighty)} {what}; {weight_hint(weighty)}")

    def _columns(self, matter: str, names: list[str]) -> None:
        if names:
            self.add(f"column{'s' * (len(names) > 1)} {matter}: {listed(names)}")

    def form(self, name: str, numbers: Numbers) -> None:
        """How a column writes its numbers, and what else one of them could be."""
        words = numbers.form.words
        if words:
            self._forms.setdefault(words, []).append(name)
        if numbers.doubt is not None:
            cell, taken, other = numbers.doubt
            self.add(
                f"column {name!r}: {cell!r} is taken as {taken:.10g} and could be {other:.10g}; if that is wrong, "
                "write the numbers with a decimal point and with nothing between thousands"
            )

    def almost(
        self, name: str, cells: pa.Array, distinct: pa.Array, numbers: Numbers | None, dates: Dates | None
    ) -> bool:
        """A category that is nearly a column of numbers or dates is seldom meant: say what stands in the way."""
        why = _look(distinct, numbers, dates)
        for kind, odd in (
            ("number", None if numbers is None else numbers.odd),
            ("date", None if dates is None else dates.odd & ~dates.codes),
        ):
            if not why and odd is not None and odd.any() and not mostly(cells, odd):
                word = cells.filter(pa.array(odd))[0].as_py()
                why = (
                    f"is read as a category because it holds {word!r}; columns={{{name!r}: {kind!r}}} takes such values"
                )
                why += " as missing"
        if why:
            self.add(f"column {name!r} {why}")
        return bool(why)


def _look(distinct: pa.Array, numbers: Numbers | None, dates: Dates | None) -> str:
    """What a category looks like that may be something else; empty where it looks like one."""
    first = distinct[0].as_py()
    if dates is not None and dates.ambiguous:
        return "is read as a category: day and month cannot be told apart; write dates as 2024-01-31"
    if numbers is not None and 0 < numbers.odd.mean() < 0.75 and looks_numeric(distinct).all():
        return (
            f"looks like numbers ({first!r}), but not all are written in one way, and is read as a category; {_NUMBERS}"
        )
    if np.mean(looks_dated(distinct)) > 0.5 and (dates is None or dates.odd.mean() > 0.5):
        return f"looks like dates ({first!r}) and is read as a category; write dates as 2024-01-31"
    marked = len(distinct) > 1 and bool(pc.all(pc.match_substring_regex(distinct, _BESIDE)).as_py())
    if marked and not pc.all(pc.match_substring_regex(distinct, r"^\d+$")).as_py():  # codes such as 007 have no marks
        return f"looks like numbers with units or marks ({first!r}) and is read as a category; {_NUMBERS}"
    if len(distinct) > _SLOTS and looks_clocked(distinct):
        return f"looks like times of day or durations ({first!r}) and is read as a category; write them as numbers"
    return ""
