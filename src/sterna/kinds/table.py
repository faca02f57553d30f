"""Tables: prepared columns, learnt from by boosting, a linear model or a small perceptron."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from sterna.domains.inputs import Inputs
from sterna.kinds.kind import Kind, Vectors

if TYPE_CHECKING:
    from sterna.preparations.table import TablePreparation


class Table(Kind):
    """Rows of named columns."""

    noun, whole = "table rows", "a table"
    boosting = True

    @property
    def counted(self) -> str:
        return "rows"

    def small(self, inputs: Inputs) -> tuple[TablePreparation, dict[str, Any]]:
        from sterna.preparations.table import TablePreparation

        preparation = TablePreparation().fit(inputs)
        return preparation, {"loader": "small", "name": "mlp", "width_in": preparation.width}

    def vectors(self, inputs: Inputs) -> Vectors:
        """Columns, standardised by these rows."""
        from sterna.preparations.table import TablePreparation

        table = TablePreparation().fit(inputs)
        used = tuple(column.name for column in table.columns or () if column.width)
        return Vectors(table, table.width, f"{len(used)} columns", used)

    def told(self, inputs: Inputs, rows: Sequence[int]) -> list[str]:
        return []
