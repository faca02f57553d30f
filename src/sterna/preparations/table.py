"""Table rows into float32: gaps filled and marked, numbers standardised, categories one-hot, dates taken apart."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self, cast

import numpy as np
import pandas as pd
from pydantic import TypeAdapter

from sterna.domains.agreement import unknown_words
from sterna.domains.columns import ColumnKind
from sterna.domains.inputs import Inputs, Kind, Preparation
from sterna.domains.tables import TableInputs
from sterna.errors import RequestError, closest, quoted

if TYPE_CHECKING:
    import torch

Array = np.ndarray[Any, Any]

_MOST_CATEGORIES = 50
_LARGEST = 1e150  # what is larger is cut here: its square still fits a float64
_FARTHEST = 1e6  # in standard deviations; a value farther from the training mean is cut here, so that float32 holds it


@dataclass(frozen=True)
class FittedColumn:
    """What the training rows said about one column.

    Attributes
    ----------
    name, kind
        As in the schema; ``empty`` when no training row has a value: it gives no feature then.
    medians, means, scales
        For a number one of each; for a date four (year, month, day of week, days since 1970).
    words
        Categories with a feature of their own, sorted.
    rare
        Categories that share one feature, sorted.
    gaps
        Whether training rows had missing cells: then one more feature marks them.
    """

    name: str
    kind: ColumnKind
    medians: tuple[float, ...] = ()
    means: tuple[float, ...] = ()
    scales: tuple[float, ...] = ()
    words: tuple[str, ...] = ()
    rare: tuple[str, ...] = ()
    gaps: bool = False

    @property
    def width(self) -> int:
        """How many features it gives."""
        return len(self.means) + len(self.words) + bool(self.rare) + self.gaps

    @property
    def features(self) -> list[str]:
        """What its features are called, in order."""
        parts = [self.name] if self.kind == "number" else [f"{self.name}: {part}" for part in _DATE_PARTS]
        own = parts if self.means else [f"{self.name} = {word}" for word in self.words]
        rare = [f"{self.name} = (rare)"] if self.rare else []
        return own + rare + ([f"{self.name} missing"] if self.gaps else [])


class TablePreparation(Preparation):
    """Tables as float32 features, by statistics of the training rows alone.

    - A number: missing cells take the training median, then (x − mean) / standard deviation (of the filled column).
    - A category: one feature a word. Words in fewer than 1 % of the rows (from 1000 rows on: fewer than 10 rows) share
      one feature, and so do all but the 50 most frequent; a word never seen in training is zero everywhere.
    - A date: year, month, day of week (Monday is 0), days since 1970-01-01; each as a number.
    - Any column with missing training cells: one feature more, 1 where missing.
    - Texts, identifiers and columns without any training value give no feature.

    The same as scikit-learn's ``SimpleImputer(strategy="median", add_indicator=True)``, ``StandardScaler`` (the marks
    left as 0 and 1) and ``OneHotEncoder(handle_unknown="ignore")``.

    Parameters
    ----------
    columns
        What the training rows said about each; ``None`` before `fit`.

    Examples
    --------
    >>> from sterna.domains.schema import infer_schema
    >>> schema, frame, _ = infer_schema(pd.DataFrame({"age": [30.0, 50.0], "sex": ["f", "m"]}))
    >>> inputs = TableInputs(frame, schema)
    >>> TablePreparation().fit(inputs).items(inputs)
    array([[-1.,  1.,  0.],
           [ 1.,  0.,  1.]], dtype=float32)
    """

    kind: ClassVar[Kind] = "table"

    def __init__(self, columns: Sequence[FittedColumn] | None = None) -> None:
        self.columns = None if columns is None else tuple(columns)

    @property
    def width(self) -> int:
        """How many features a row has."""
        return sum(column.width for column in self._fitted())

    @property
    def features(self) -> list[str]:
        """The names of the features in order."""
        return [feature for column in self._fitted() for feature in column.features]

    def fit(self, inputs: Inputs) -> TablePreparation:
        """Learn medians, means, scales and categories from these rows.

        Raises
        ------
        RequestError
            If the inputs are no table, or no column gives a feature.
        """
        table = _table(inputs)
        kinds = {name: kind for name, kind in table.kinds.items() if kind != "text"}
        fitted = TablePreparation([_FIT[kind](name, table.frame[name]) for name, kind in kinds.items()])
        if not fitted.width:
            held = ", ".join(f"{c.name} ({'identifier' if c.identifier else c.kind})" for c in table.schema)
            raise RequestError(
                f"No column of the table gives a feature: {held or 'it has none'}; texts are read with text=COLUMN, "
                "and columns={'NAME': 'category'} says what a column holds."
            )
        return fitted

    def items(self, inputs: Inputs) -> Array:
        """All rows as features, float32 ``(n, width)``.

        Raises
        ------
        RequestError
            If the table lacks a column, or one holds another kind of value than in training.
        """
        table, columns = _table(inputs), self._fitted()
        self._check_columns(table)
        features = np.zeros((len(table), self.width), np.float32)
        start = 0
        for column in columns:
            if column.width:
                values = table.column(column.name, column.kind, f"column {column.name!r} of the table")
                _fill(features[:, start : start + column.width], values, column)
                start += column.width
        return features

    def unknown(self, inputs: Inputs) -> list[str]:
        """Which columns hold words that no training row had."""
        table, notes = _table(inputs), []
        for column in self._fitted():
            if column.kind == "category" and column.name in table.frame.columns:
                words = table.column(column.name, column.kind, f"column {column.name!r} of the table")
                found = unknown_words(words, {*column.words, *column.rare})
                if found is not None:
                    notes.append(
                        f"column {column.name!r}: {found[0]} values that no training row had, {found[1]}, count as no "
                        "category"
                    )
        return notes

    def collate(self, items: Sequence[Any]) -> torch.Tensor:
        import torch

        return torch.from_numpy(np.array(items, dtype=np.float32))

    def example(self, rows: int = 2) -> torch.Tensor:
        """Noise of the shape the body takes."""
        import torch

        return torch.randn(rows, self.width, generator=torch.Generator().manual_seed(0))

    def state(self) -> dict[str, Any]:
        return {"type": "table", "columns": [asdict(c) for c in self._fitted()]}

    @classmethod
    def from_state(cls, state: Mapping[str, Any], folder: Path | None = None) -> Self:
        """Build it again from `state`, also after a round trip through JSON."""
        columns = TypeAdapter(list[FittedColumn]).validate_python(state["columns"])
        for column in columns:
            parts = {"number": 1, "date": len(_DATE_PARTS)}.get(column.kind, 0)
            if {len(each) for each in (column.medians, column.means, column.scales)} != {parts}:
                raise ValueError(f"the column {column.name!r} should have {parts} medians, means and scales")
            if not np.isfinite([*column.medians, *column.means, *column.scales]).all() or not all(column.scales):
                raise ValueError(f"the column {column.name!r} has statistics that none can have")
        return cls(columns)

    def __repr__(self) -> str:
        return f"TablePreparation({'not fitted' if self.columns is None else f'width={self.width}'})"

    def _fitted(self) -> tuple[FittedColumn, ...]:
        if self.columns is None:
            raise RequestError("This TablePreparation is not fitted; call fit(training inputs) and use what it gives.")
        return self.columns

    def _check_columns(self, table: TableInputs) -> None:
        """A column without features may be missing, and a further column is ignored: neither changes an answer."""
        needed = [c.name for c in self._fitted() if c.width]
        missing = [name for name in needed if name not in table.frame.columns]
        if missing:
            other = [name for name in table.kinds if name not in needed]
            raise RequestError(
                f"The table lacks {quoted(missing)}"
                f"{f' and has {quoted(other)} instead' if other else ', which was learnt from; add it, even if empty'}."
                f"{closest(missing[0], other)}"
            )


def _table(inputs: Inputs) -> TableInputs:
    if not isinstance(inputs, TableInputs):
        raise RequestError(f"A table preparation takes a table, but came upon {inputs.kind}.")
    return inputs


_DATE_PARTS = ("year", "month", "day of week", "days")


def _numbers_of(values: pd.Series[Any]) -> list[Array]:
    numbers = values.to_numpy(np.float64)
    return [np.where(np.isfinite(numbers), np.clip(numbers, -_LARGEST, _LARGEST), np.nan)]


def _dates_of(values: pd.Series[Any]) -> list[Array]:
    moments = values.to_numpy("datetime64[us]")
    index = pd.DatetimeIndex(moments)
    days = np.where(np.isnat(moments), np.nan, moments.astype(np.int64) / 86_400e6)
    return [*(np.array(part, dtype=np.float64) for part in (index.year, index.month, index.day_of_week)), days]


def _fit_numbers(name: str, kind: ColumnKind, parts: Sequence[Array]) -> FittedColumn:
    """Median of what is there; mean and deviation of the filled column."""
    gaps = np.isnan(parts[0])
    if gaps.all():
        return FittedColumn(name, "empty")
    medians, means, scales = [], [], []
    for part in parts:
        median = float(np.median(part[~gaps]))
        filled = np.where(gaps, median, part)
        deviation = float(filled.std())
        medians.append(median)
        means.append(float(filled.mean()))
        # Rounding leaves a constant column a deviation of some units in the last place.
        scales.append(deviation if deviation > 1e-12 * float(np.abs(filled).max()) else 1.0)
    return FittedColumn(name, kind, tuple(medians), tuple(means), tuple(scales), gaps=bool(gaps.any()))


def _fit_words(name: str, values: pd.Series[Any]) -> FittedColumn:
    counts = values.value_counts()
    if not len(counts):
        return FittedColumn(name, "empty")
    enough = min(10, int(np.ceil(0.01 * len(values))))
    ordered = sorted(((str(word), int(n)) for word, n in counts.items()), key=lambda pair: (-pair[1], pair[0]))
    words = [word for word, n in ordered[:_MOST_CATEGORIES] if n >= enough]
    rare = {word for word, _ in ordered} - set(words)
    return FittedColumn(
        name, "category", words=tuple(sorted(words)), rare=tuple(sorted(rare)), gaps=bool(values.isna().any())
    )


_FIT: dict[str, Callable[[str, pd.Series[Any]], FittedColumn]] = {
    "number": lambda name, values: _fit_numbers(name, "number", _numbers_of(values)),
    "date": lambda name, values: _fit_numbers(name, "date", _dates_of(values)),
    "category": _fit_words,
    "empty": lambda name, values: FittedColumn(name, "empty"),
}


def _fill(out: Array, values: pd.Series[Any], column: FittedColumn) -> None:
    """Write one column's features into ``out (n, column.width)``, which is zero."""
    missing = values.isna().to_numpy()
    if column.gaps:
        out[:, -1] = missing
    if column.kind == "category":
        places = {word: i for i, word in enumerate(column.words)} | dict.fromkeys(column.rare, len(column.words))
        codes, distinct = pd.factorize(values)
        place = np.array([*(places.get(str(word), -1) for word in distinct), -1], dtype=np.int64)[codes]
        rows = np.flatnonzero(place >= 0)
        out[rows, place[rows]] = 1.0
        return
    parts = _numbers_of(values) if column.kind == "number" else _dates_of(values)
    for i, part in enumerate(parts):
        part[np.isnan(part)] = column.medians[i]
        scaled = (part - column.means[i]) / column.scales[i]
        out[:, i] = cast(Array, np.clip(scaled, -_FARTHEST, _FARTHEST))
