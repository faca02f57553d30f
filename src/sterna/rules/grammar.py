r"""Rules as text, one a line: ``IF age >= 60 AND thal IS MISSING THEN 1 (0.82)``.

.. code-block:: text

    rule      = "IF" condition { "AND" condition } "THEN" answer "(" confidence ")"
    condition = column ( ">=" | ">" | "<=" | "<" ) number
              | column ( "=" | "!=" ) value
              | column "IN" "(" value { "," value } ")"
              | column "IS" [ "NOT" ] "MISSING"
              | column [ "NOT" ] "CONTAINS" word
    last line = "OTHERWISE" answer "(" confidence ")"

Keywords may be written in any case. A name or a word with a space or another odd character, one that is a keyword, and
a category that looks like a number stand in double quotes, with the escapes of JSON. ``#`` begins a comment.
"""

from __future__ import annotations

import math
from pathlib import Path

from sterna.errors import RequestError, closest
from sterna.rules.ruleset import EQUALITIES, ORDERS, Condition, Rule, RuleSet, Value
from sterna.rules.tokens import NUMBER, Fault, Token, short, tokens_of

LARGEST_FILE = 10_000_000
"""Bytes of a file that are read."""


def parse_rules(text: str, name: str = "the rules") -> RuleSet:
    r"""Read rules.

    Parameters
    ----------
    text
        One rule a line.
    name
        How an error calls them: the file's name.

    Raises
    ------
    RequestError
        With the line and the column of the first fault, what was expected there, and how many other lines are wrong.

    Examples
    --------
    >>> parse_rules('if sex = m then ill (0.7)\notherwise well (0.6)').otherwise.answer
    'well'
    """
    rules: list[Rule] = []
    otherwise: Rule | None = None
    faults: list[str] = []
    for number, line in enumerate(text.removeprefix("\ufeff").split("\n"), 1):
        try:
            tokens = tokens_of(line)
            if len(tokens) == 1:
                continue
            if otherwise is not None:
                raise Fault(tokens[0].column, f"expected nothing after OTHERWISE (line {otherwise.line})")
            rule = _Line(tokens).rule(number)
            if rule.conditions:
                rules.append(rule)
            else:
                otherwise = rule
        except Fault as fault:
            faults.append(f"line {number}, column {fault.column}: {fault.sentence}")
    if faults:
        more = f"; {len(faults) - 1} more lines are wrong" if len(faults) > 1 else ""
        raise RequestError(f"{name}, {faults[0]}{more}.")
    if not rules and otherwise is None:
        raise RequestError(f"{name}: there is no rule; expected lines such as: IF age >= 60 THEN 1 (0.8).")
    return RuleSet(tuple(rules), otherwise)


def read_rules(path: str | Path) -> RuleSet:
    """Read a file of rules (UTF-8).

    Raises
    ------
    RequestError
        If there is none, it is no text, or a line is wrong.
    """
    return parse_rules(rules_text(path), Path(path).name)


def rules_text(path: str | Path) -> str:
    """The text of a file of rules, comments and all.

    Raises
    ------
    RequestError
        If there is none, or it is no text.
    """
    path = Path(path)
    if path.is_dir():
        raise RequestError(f"{str(path)!r} is a folder; expected a text file of rules.")
    try:
        with path.open("rb") as file:  # which may be a pipe: it does not say its size
            content = file.read(LARGEST_FILE + 1)
        if len(content) > LARGEST_FILE:
            raise RequestError(f"{str(path)!r} has more than {LARGEST_FILE:,} bytes; expected a text file of rules.")
    except FileNotFoundError:
        near = closest(path.name, [p.name for p in path.parent.iterdir()]) if path.parent.is_dir() else ""
        raise RequestError(f"There is no file of rules {str(path)!r}.{near}") from None
    except OSError as error:
        raise RequestError(f"The rules {str(path)!r} cannot be read ({error.strerror}).") from error
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise RequestError(f"{str(path)!r} is not UTF-8 text (line {line}); save the rules as UTF-8.") from None
    if "\0" in text:
        raise RequestError(f"{str(path)!r} is not text (it holds zero bytes); expected a file of rules.")
    return text


class _Line:
    """The pieces of one line, read from left to right."""

    def __init__(self, tokens: list[Token]) -> None:
        self.tokens, self.place = tokens, 0

    @property
    def next(self) -> Token:
        return self.tokens[self.place]

    def take(self) -> Token:
        token = self.next
        self.place += token.kind != "end"
        return token

    def fault(self, expected: str) -> Fault:
        token = self.next
        found = "the end of the line" if token.kind == "end" else repr(short(token.text))
        return Fault(token.column, f"expected {expected}, found {found}")

    def is_word(self, *words: str) -> bool:
        return self.next.kind in ("keyword", "sign") and self.next.text in words

    def need(self, word: str, expected: str | None = None) -> None:
        if not self.is_word(word):
            raise self.fault(expected or word)
        self.take()

    def rule(self, number: int) -> Rule:
        conditions: list[Condition] = []
        if self.is_word("OTHERWISE"):
            self.take()
        else:
            self.need("IF", "IF or OTHERWISE")
            conditions.append(self.condition())
            while self.is_word("AND"):
                self.take()
                conditions.append(self.condition())
            self.need("THEN", "AND or THEN")
        answer = self.word("a class or a number to predict")
        self.need("(", "the confidence in brackets, such as (0.8)")
        confidence = self.confidence()
        self.need(")")
        if self.next.kind != "end":
            raise self.fault("the end of the line")
        return Rule(tuple(conditions), answer, confidence, number)

    def condition(self) -> Condition:
        column = self.word("the name of a column")
        if self.is_word(*ORDERS):
            return Condition(column, self.take().text, (self.number(),))
        if self.is_word(*EQUALITIES):
            return Condition(column, self.take().text, (self.value(),))
        if self.is_word("IN"):
            self.take()
            return Condition(column, "IN", self.values())
        if self.is_word("IS"):
            self.take()
            negated = self.taken("NOT")
            self.need("MISSING", "MISSING" if negated else "MISSING or NOT MISSING")
            return Condition(column, "IS NOT MISSING" if negated else "IS MISSING")
        negated = self.taken("NOT")
        self.need("CONTAINS", "CONTAINS" if negated else "one of >= > <= < = != IN IS CONTAINS NOT")
        return Condition(column, "NOT CONTAINS" if negated else "CONTAINS", (self.word("the text to look for"),))

    def taken(self, word: str) -> bool:
        there = self.is_word(word)
        self.place += there
        return there

    def word(self, expected: str) -> str:
        if self.next.kind not in ("bare", "quoted") or not self.next.text:
            quoted = " (a keyword is quoted where it is a name)" if self.next.kind == "keyword" else ""
            raise self.fault(expected + quoted)
        return self.take().text

    def values(self) -> tuple[Value, ...]:
        self.need("(", "( and the values")
        found = [self.value()]
        while self.is_word(","):
            self.take()
            found.append(self.value())
        self.need(")", ", or )")
        return tuple(found)

    def value(self) -> Value:
        if self.next.kind == "quoted":
            return self.take().text
        if self.next.kind == "bare" and NUMBER.fullmatch(self.next.text):
            return self.number()
        return self.word("a number or a word")

    def number(self) -> float:
        token = self.next
        if token.kind != "bare" or not NUMBER.fullmatch(token.text) or not math.isfinite(float(token.text)):
            raise self.fault("a number")
        return float(self.take().text)

    def confidence(self) -> float:
        token = self.next
        if token.kind != "bare" or not NUMBER.fullmatch(token.text) or not 0 < float(token.text) <= 1:
            raise self.fault("a confidence above 0, at most 1")
        return float(self.take().text)


def format_rules(rules: RuleSet) -> str:
    """Rules as text that reads back as the same rules."""
    return str(rules)
