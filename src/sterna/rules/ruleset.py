"""What a rule is: conditions on the columns of a row, the answer they lead to, and how sure it is; and its text.

The text reads back as the same rule: see :mod:`sterna.rules.grammar`.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace

from sterna.errors import RequestError
from sterna.rules.tokens import KEYWORDS, NUMBER

Value = float | str
"""What a condition compares with: a number, or a word."""

ORDERS = (">=", ">", "<=", "<")
EQUALITIES = ("=", "!=")
OPERATORS = (*ORDERS, *EQUALITIES, "IN", "IS MISSING", "IS NOT MISSING", "CONTAINS", "NOT CONTAINS")


@dataclass(frozen=True)
class Condition:
    """One test of one cell; only ``IS MISSING`` is true of a missing one.

    Parameters
    ----------
    column
        Its name; ``"text"`` in a text domain.
    operator
        One of :data:`OPERATORS`.
    values
        What the cell is compared with: a number for an order, a number or a word for ``=`` and ``!=``, one or more
        of them for ``IN``, a part of a text for ``CONTAINS``, nothing for ``IS MISSING``.

    Raises
    ------
    RequestError
        If operator and values do not go together.

    Examples
    --------
    >>> Condition("age", ">=", (60,))
    Condition(column='age', operator='>=', values=(60.0,))
    >>> print(Condition("chest pain", "IN", ("a", "4")))
    "chest pain" IN (a, "4")
    """

    column: str
    operator: str
    values: tuple[Value, ...] = ()

    def __post_init__(self) -> None:
        """Refuse what cannot be tested."""
        values = tuple(value if isinstance(value, str) else float(value) for value in self.values)
        object.__setattr__(self, "values", values)
        if not self.column:
            raise RequestError("A condition names an empty column; give the column's name.")
        if self.operator not in OPERATORS:
            raise RequestError(
                f"A condition has the operator {self.operator!r}; expected one of {', '.join(OPERATORS)}."
            )
        if any(isinstance(value, float) and not math.isfinite(value) for value in values):
            raise RequestError(f"A condition on {self.column!r} compares with {values}; expected finite numbers.")
        if not _fits(self.operator, values):
            raise RequestError(
                f"The condition {self.column!r} {self.operator} has the values {values}; expected {_NEEDED[self.kind]}."
            )

    @property
    def kind(self) -> str:
        """``order``, ``equality``, ``in``, ``missing`` or ``contains``."""
        return _KINDS[self.operator]

    def __str__(self) -> str:
        values = _TEXTS[self.kind](self.values)
        return f"{_word(self.column)} {self.operator}{' ' * bool(values)}{values}"


_KINDS = {
    **dict.fromkeys(ORDERS, "order"),
    **dict.fromkeys(EQUALITIES, "equality"),
    "IN": "in",
    "IS MISSING": "missing",
    "IS NOT MISSING": "missing",
    "CONTAINS": "contains",
    "NOT CONTAINS": "contains",
}
_NEEDED = {
    "order": "one number",
    "equality": "one number or word",
    "in": "one or more numbers or words",
    "missing": "none",
    "contains": "one text that is not empty",
}


_PLAIN = re.compile(r"[^\W\d][\w.]*")


def _word(word: str) -> str:
    """A name or a word, in quotes where it could be taken for something else."""
    plain = _PLAIN.fullmatch(word) and word.upper() not in KEYWORDS
    return word if plain else json.dumps(word, ensure_ascii=False)


def _number(number: float) -> str:
    """The shortest text that reads back as the same number: ``60``, ``0.82``."""
    return repr(float(number)).removesuffix(".0")


def _value(value: Value) -> str:
    return _word(value) if isinstance(value, str) else _number(value)


_TEXTS: dict[str, Callable[[tuple[Value, ...]], str]] = {
    "order": lambda values: _value(values[0]),
    "equality": lambda values: _value(values[0]),
    "in": lambda values: f"({', '.join(map(_value, values))})",
    "missing": lambda values: "",
    "contains": lambda values: json.dumps(values[0], ensure_ascii=False),
}


def _fits(operator: str, values: tuple[Value, ...]) -> bool:
    kind = _KINDS[operator]
    if kind == "missing":
        return not values
    if kind == "in":
        return len(values) > 0
    if len(values) != 1:
        return False
    if kind == "order":
        return isinstance(values[0], float)
    return kind == "equality" or (isinstance(values[0], str) and values[0] != "")


@dataclass(frozen=True)
class Rule:
    """If all conditions hold, then this answer.

    Parameters
    ----------
    conditions
        All must hold; none for what is said otherwise.
    answer
        A class, or a number as it is written.
    confidence
        How often the answer is right where the rule fires, in (0, 1].
    line
        Where it stands in its file, from 1; 0 where it comes from none. Not part of what makes two rules equal.

    Raises
    ------
    RequestError
        If the confidence is outside (0, 1], or the answer is empty.
    """

    conditions: tuple[Condition, ...]
    answer: str
    confidence: float
    line: int = field(default=0, compare=False)

    def __post_init__(self) -> None:
        """Refuse a confidence that is none, and an empty answer."""
        object.__setattr__(self, "conditions", tuple(self.conditions))
        if not 0 < self.confidence <= 1:
            raise RequestError(f"A rule has the confidence {self.confidence}; expected a number above 0, at most 1.")
        if not self.answer:
            raise RequestError("A rule has an empty prediction; expected a class or a number.")

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns it looks at, each once."""
        return tuple(dict.fromkeys(condition.column for condition in self.conditions))

    @property
    def when(self) -> str:
        """What stands between IF and THEN; empty for OTHERWISE."""
        return " AND ".join(map(str, self.conditions))

    def __str__(self) -> str:
        answer = self.answer if NUMBER.fullmatch(self.answer) else _word(self.answer)
        start = f"IF {self.when} THEN" if self.conditions else "OTHERWISE"
        return f"{start} {answer} ({_number(self.confidence)})"


@dataclass(frozen=True)
class RuleSet:
    """Rules side by side: all that fire have a say.

    Parameters
    ----------
    rules
        In any order; each has at least one condition.
    otherwise
        What is answered where none of them fires; a rule without conditions, or ``None``.

    Raises
    ------
    RequestError
        If a rule has no condition, `otherwise` has one, or there is nothing at all.

    Examples
    --------
    >>> print(RuleSet((Rule((Condition("age", ">=", (60,)),), "ill", 0.8),)))
    IF age >= 60 THEN ill (0.8)
    """

    rules: tuple[Rule, ...]
    otherwise: Rule | None = None

    def __post_init__(self) -> None:
        """Refuse rules without conditions, and an empty set."""
        object.__setattr__(self, "rules", tuple(self.rules))
        if not self.rules and self.otherwise is None:
            raise RequestError("There is no rule; expected lines such as: IF age >= 60 THEN 1 (0.8).")
        if any(not rule.conditions for rule in self.rules):
            raise RequestError("A rule has no condition; what is predicted without one goes into OTHERWISE.")
        if self.otherwise is not None and self.otherwise.conditions:
            raise RequestError("OTHERWISE has conditions; expected a prediction alone.")

    def __len__(self) -> int:
        return len(self.rules)

    def __str__(self) -> str:
        every = self.rules if self.otherwise is None else (*self.rules, self.otherwise)
        return "\n".join(map(str, every))

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns the rules look at, each once, in the order they are met."""
        return tuple(dict.fromkeys(name for rule in self.rules for name in rule.columns))

    @property
    def answers(self) -> tuple[str, ...]:
        """The answers the rules give, each once, in the order they are met."""
        every = [*self.rules, *([self.otherwise] if self.otherwise is not None else [])]
        return tuple(dict.fromkeys(rule.answer for rule in every))

    def renamed(self, names: Mapping[str, str]) -> RuleSet:
        """The same rules on columns of other names."""
        return replace(self, rules=tuple(_renamed(rule, names) for rule in self.rules))

    def about(self, columns: Iterable[str]) -> tuple[Rule, ...]:
        """Those rules that look at no other columns than these."""
        known = set(columns)
        return tuple(rule for rule in self.rules if known.issuperset(rule.columns))


def _renamed(rule: Rule, names: Mapping[str, str]) -> Rule:
    return replace(rule, conditions=tuple(replace(c, column=names.get(c.column, c.column)) for c in rule.conditions))
