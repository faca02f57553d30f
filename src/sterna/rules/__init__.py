"""Knowledge one can read: rules as text, what they say of rows, and how they are extracted from a model."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sterna.lazy import lazily

if TYPE_CHECKING:
    from sterna.rules.answering import answer as answer
    from sterna.rules.extraction import Extraction as Extraction
    from sterna.rules.extraction import extract_rules as extract_rules
    from sterna.rules.firing import fires as fires
    from sterna.rules.grammar import format_rules as format_rules
    from sterna.rules.grammar import parse_rules as parse_rules
    from sterna.rules.grammar import read_rules as read_rules
    from sterna.rules.judgement import Judgement as Judgement
    from sterna.rules.judgement import judge as judge
    from sterna.rules.renaming import column_map as column_map
    from sterna.rules.renaming import translated as translated
    from sterna.rules.ruleset import Condition as Condition
    from sterna.rules.ruleset import Rule as Rule
    from sterna.rules.ruleset import RuleSet as RuleSet

_HOMES = {
    "Condition": "ruleset",
    "Rule": "ruleset",
    "RuleSet": "ruleset",
    "parse_rules": "grammar",
    "format_rules": "grammar",
    "read_rules": "grammar",
    "fires": "firing",
    "extract_rules": "extraction",
    "Extraction": "extraction",
    "answer": "answering",
    "judge": "judgement",
    "Judgement": "judgement",
    "column_map": "renaming",
    "translated": "renaming",
}

__all__ = list(_HOMES)

__getattr__, __dir__ = lazily(__name__, _HOMES)
