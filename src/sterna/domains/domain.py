"""A Domain: inputs, labels (some or all may be missing), splits, groups."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from sterna.domains.datasets import read_dataset
from sterna.domains.in_memory import inputs_from_arrays
from sterna.domains.inputs import Inputs, Kind, Rows
from sterna.domains.label_sets import combinations, holds_lists, of_lists
from sterna.domains.labels import as_labels, as_objects, as_times, summary
from sterna.domains.levels import checked
from sterna.domains.weights import as_weights, not_all_zero
from sterna.errors import RequestError, closest

SPLITS = ("train", "validation", "test")


@dataclass(frozen=True, eq=False, repr=False)
class Domain:
    """A named data set.

    Parameters
    ----------
    name
        What a person calls it.
    inputs
        One input a row, ``n`` of them.
    labels
        ``(n,)`` strings (classes; ``None`` is unlabelled), ``(n,)`` numbers (NaN is unlabelled), or ``(n, k)`` numbers
        for several labels a row (NaN is unlabelled), which may be given as a list of names a row; ``None`` when no row
        has a label.
    splits
        Row numbers of the splits that came with the data: any of ``train``, ``validation``, ``test``.
    groups
        ``(n,)``: rows of one group (a patient, a speaker) are never put on two sides of a split.
    classes
        Names of the classes, or of the ``k`` labels, where the data names them.
    notes
        What the reader repaired, skipped or shortened, one sentence each.
    times
        ``(n,)`` numbers or ``datetime64``: when each row was (NaN or NaT: not known); it is then split by time.
    reading
        The options it was read with, so that more of the same can be read in the same way.
    weights
        ``(n,)`` numbers of 0 or more: how much each row counts, in training and in scores.

    Raises
    ------
    RequestError
        If labels, groups, weights or splits do not fit the inputs.
    """

    name: str
    inputs: Inputs
    labels: np.ndarray | None = None
    splits: Mapping[str, Rows] = field(default_factory=dict)
    groups: np.ndarray | None = None
    classes: tuple[str, ...] | None = None
    notes: tuple[str, ...] = ()
    reading: Mapping[str, Any] = field(default_factory=dict)
    times: np.ndarray | None = None
    weights: np.ndarray | None = None

    def __post_init__(self) -> None:
        labels, classes = self.labels, self.classes
        if labels is not None and holds_lists(labels):
            labels, classes = of_lists(labels, classes)
        labels = None if labels is None else as_labels(labels, classes)
        groups = None if self.groups is None else as_objects(self.groups)
        times = None if self.times is None else as_times(self.times)
        weights = None if self.weights is None else as_weights(self.weights, f"weights of {self.name}")
        for what, values in (("labels", labels), ("groups", groups), ("times", times), ("weights", weights)):
            if values is not None and len(values) != len(self):
                raise RequestError(
                    f"{self.name} has {len(self)} rows but {len(values)} {what}; give one for each, in the same order."
                )
        object.__setattr__(self, "labels", labels)
        object.__setattr__(self, "classes", classes)
        object.__setattr__(self, "groups", groups)
        object.__setattr__(self, "times", times)
        object.__setattr__(self, "weights", weights)
        object.__setattr__(self, "reading", {**self.reading, **self.inputs.reading()})
        object.__setattr__(self, "splits", _checked_splits(self.name, self.splits, len(self)))

    @property
    def kind(self) -> Kind:
        """``images``, ``table``, ``text`` or ``audio``."""
        return self.inputs.kind

    def __len__(self) -> int:
        return len(self.inputs)

    def labelled(self) -> np.ndarray:
        """Which rows have a label, ``(n,)`` bool."""
        if self.labels is None:
            return np.zeros(len(self), dtype=bool)
        if self.labels.dtype == object:
            return np.array([label is not None for label in self.labels], dtype=bool)
        known = ~np.isnan(self.labels)
        return np.asarray(known if known.ndim == 1 else known.any(axis=1))

    def __repr__(self) -> str:
        known = int(self.labelled().sum())
        parts = [f"{len(self):,} rows"]
        if self.classes is not None:
            parts.append(f"{len(self.classes)} classes" if self.labels is None or self.labels.ndim == 1
                         else f"{len(self.classes)} labels a row")  # fmt: skip
        if known < len(self):
            parts.append(f"{known:,} labelled")
        parts += [f"{name} {len(rows):,}" for name, rows in self.splits.items()]
        return f"Domain({self.name!r}, {self.kind}: {', '.join(parts)})"

    def take(self, rows: Rows | Sequence[int]) -> Domain:
        """These rows only, in this order; nothing of the others is kept."""
        wanted = np.asarray(rows, dtype=np.int64)
        splits = {name: np.flatnonzero(np.isin(wanted, of_split)) for name, of_split in self.splits.items()}
        return Domain(
            name=self.name,
            inputs=self.inputs.take(wanted),
            labels=None if self.labels is None else self.labels[wanted],
            splits=splits,
            groups=None if self.groups is None else self.groups[wanted],
            classes=self.classes,
            notes=self.notes,
            reading=self.reading,
            times=None if self.times is None else self.times[wanted],
            weights=None if self.weights is None else self.weights[wanted],
        )

    def describe(self) -> str:
        """What was read, as text: rows, labels, splits, the columns of a table, and the reader's notes."""
        lines = [repr(self)]
        if self.labels is not None:
            lines.append(f"labels: {summary(self.labels, self.classes)}")
        if self.groups is not None:
            lines.append(f"groups: {len(set(self.groups.tolist())):,}")
        if self.weights is not None:
            lines.append(f"weights: {self.weights.min():g} to {self.weights.max():g}")
        schema = getattr(self.inputs, "schema", None)
        if schema is not None:
            lines.append(str(schema))
        lines += [f"note: {note}" for note in self.notes]
        return "\n".join(lines)

    @classmethod
    def from_arrays(
        cls,
        inputs: Any,
        labels: Any = None,
        *,
        name: str = "arrays",
        splits: Mapping[str, Any] | None = None,
        groups: Any = None,
        times: Any = None,
        classes: Sequence[str] | None = None,
        columns: Mapping[str, str] | None = None,
        drop: Sequence[str] = (),
        levels: Sequence[float] | None = None,
        weights: Any = None,
    ) -> Domain:
        """A Domain of what is already in memory.

        Parameters
        ----------
        inputs
            Array ``(n, height, width[, channels])`` or list of PIL images: images; DataFrame or number array
            ``(n, columns)``: a table; list, array or Series of strings: text.
        labels
            ``(n,)`` strings or numbers, ``(n, k)`` zeros and ones, or a list of names a row; ``None`` or NaN for rows
            without a label. With `classes`, whole numbers are class numbers, and −1 is unlabelled. Or the name of a
            DataFrame's column.
        splits
            Row numbers by split: any of ``train``, ``validation``, ``test``.
        groups
            ``(n,)``; rows of one group are never on two sides of a split.
        times
            ``(n,)`` numbers or dates: when each row was; the last rows are then the test split.
        classes
            Names of the classes, or of the ``k`` labels.
        columns
            Tables: kinds of columns that should not be guessed, ``{"zip": "category"}``.
        drop
            Tables: columns to leave out.
        levels
            Images that are not uint8: the values that are black and white; told from all of them where not given.
        weights
            ``(n,)`` numbers of 0 or more: how much each row counts, in training and in scores.
        """
        reading: dict[str, Any] = {}
        if isinstance(labels, str):
            column = labels
            if column not in getattr(inputs, "columns", ()):
                raise RequestError(
                    f"labels={column!r} is no column of the inputs; give a column's name, or one label a row."
                )
            inputs, labels = inputs.drop(columns=[column]), inputs[column]
            reading["label"] = column
        if classes is None and labels is not None and getattr(labels, "ndim", 1) == 2 and hasattr(labels, "columns"):
            classes = labels.columns
        given = None if levels is None else checked(levels)
        learnt = _not_test(splits)
        taken, notes = inputs_from_arrays(inputs, columns=columns, drop=drop, levels=given, learnt=learnt)
        made = cls(
            name=name,
            inputs=taken,
            labels=labels,
            splits=dict(splits or {}),
            groups=groups,
            times=times,
            weights=None if weights is None else not_all_zero(as_weights(weights), f"weights of {name}"),
            classes=None if classes is None else tuple(str(c) for c in classes),
            notes=tuple(notes),
            reading=reading,
        )
        written = set() if made.labels is None or made.labels.dtype != object else {*made.labels.tolist()} - {None}
        return replace(made, notes=(*made.notes, *(f"the label {said}" for said in combinations(written))))

    @classmethod
    def from_dataset(
        cls,
        dataset: Any,
        *,
        label: str | None = None,
        text: str | None = None,
        image: str | None = None,
        name: str = "dataset",
    ) -> Domain:
        """A Domain of a torch Dataset of ``(input, label)``, or of a Hugging Face Dataset or DatasetDict.

        Parameters
        ----------
        dataset
            Read lazily for images. The splits of a DatasetDict are kept.
        label, text, image
            Columns of a Hugging Face Dataset; found by their names and types where not given.
        name
            What to call it.
        """
        return cls(name, **read_dataset(dataset, label=label, text=text, image=image)._asdict())


def _not_test(splits: Mapping[str, Any] | None) -> Rows | None:
    """The rows of the given splits but for the test rows; ``None`` where none are given."""
    parts = [np.asarray(rows, dtype=np.int64) for name, rows in (splits or {}).items() if name != "test"]
    return np.concatenate(parts) if parts else None


def _checked_splits(name: str, splits: Mapping[str, Any], n: int) -> dict[str, Rows]:
    checked: dict[str, Rows] = {}
    owner = np.zeros(n, dtype=np.int8)
    for split, rows in splits.items():
        if split not in SPLITS:
            raise RequestError(
                f"{name} has a split {split!r}; train, validation or test was expected.{closest(split, SPLITS)}"
            )
        array = np.unique(np.asarray(rows, dtype=np.int64))
        if not len(array):
            continue
        if array[0] < 0 or array[-1] >= n:
            raise RequestError(f"The {split} split of {name} names row {array[-1] if array[0] >= 0 else array[0]}, "
                               f"but the rows go from 0 to {n - 1}.")  # fmt: skip
        if owner[array].any():
            row = int(array[owner[array] > 0][0])
            raise RequestError(
                f"Row {row} of {name} is in two splits, {SPLITS[owner[row] - 1]} and {split}; keep it in one."
            )
        owner[array] = SPLITS.index(split) + 1
        checked[split] = array
    return {split: checked[split] for split in SPLITS if split in checked}
