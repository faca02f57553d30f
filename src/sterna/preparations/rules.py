"""Rows as 0 and 1: which rules fire on them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import torch
from torch import Tensor

from sterna.domains.inputs import Inputs, Kind, Preparation
from sterna.errors import RequestError
from sterna.rules.firing import fires
from sterna.rules.grammar import format_rules, parse_rules
from sterna.rules.ruleset import RuleSet


class RulePreparation(Preparation):
    """Rows of a table as 0 and 1: which rules fire.

    Parameters
    ----------
    rules
        The rules, r of them.
    """

    kind: ClassVar[Kind] = "table"

    def __init__(self, rules: RuleSet) -> None:
        self.rules = rules

    def items(self, inputs: Inputs) -> np.ndarray[Any, Any]:
        """All rows, float32 ``(n, r)``.

        Raises
        ------
        RequestError
            If a column that the rules speak of is missing, or holds something else than they ask for.
        """
        if inputs.kind != self.kind:
            raise RequestError(f"These rules speak of a {self.kind} domain, but came upon {inputs.kind}.")
        return fires(self.rules, inputs).astype(np.float32)

    def collate(self, items: Sequence[Any]) -> Tensor:
        """Rows to one tensor ``(n, r)``."""
        return torch.from_numpy(np.array(items, dtype=np.float32))

    def state(self) -> dict[str, Any]:
        return {"type": f"{self.kind}-rules", "rules": format_rules(self.rules)}

    @classmethod
    def from_state(cls, state: Mapping[str, Any], folder: Path | None = None) -> Self:
        """Rebuild from `state`."""
        return cls(parse_rules(str(state["rules"]), "the network's rules"))


class TextRulePreparation(RulePreparation):
    """Texts as 0 and 1: which rules fire."""

    kind: ClassVar[Kind] = "text"


BY_KIND = {each.kind: each for each in (RulePreparation, TextRulePreparation)}
"""The preparation for rules on each kind of data that rules speak of."""
