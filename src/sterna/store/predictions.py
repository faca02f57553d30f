"""The test rows of a run, with what was answered: a table, and pictures of the worst mistakes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from sterna.domains.domain import Domain
from sterna.files import atomic
from sterna.kinds.kind import kind_of
from sterna.tasks.task import Task

Array = np.ndarray[Any, Any]
TEXT = 500  # characters of a text that are kept
MISTAKES = 12


def answer_columns(task: Task, outputs: Array) -> dict[str, Any]:
    """Columns ``answer`` and ``p_<class>`` for outputs ``(n, o)``; several labels are joined by ``|``."""
    columns: dict[str, Any] = {"answer": task.told(task.answers(outputs))}
    if task.classes:
        columns |= {f"p_{name}": p for name, p in zip(task.classes, task.probabilities(outputs).T, strict=True)}
    return columns


def prediction_table(
    task: Task,
    test: Domain,
    rows: Array,
    names: Sequence[str],
    seeds: Sequence[int],
    outputs: Sequence[Array],
    controls: Mapping[str, Sequence[Array]],
    known: Mapping[str, Array],
) -> pd.DataFrame:
    """One line for each test row and seed.

    Parameters
    ----------
    test
        The test rows.
    rows
        Their numbers in the whole Domain, ``(n,)``.
    names
        What a person would call them there, ``(n,)``.
    outputs
        Of the method, ``(n, o)`` for each seed; `controls` likewise.
    known
        What else is known of each row, by column, ``(n,)`` each.
    """
    frames = []
    for i, seed in enumerate(seeds):
        columns: dict[str, Any] = {"seed": seed, "row": rows, "name": names, "label": labels_of(task, test)}
        columns |= known
        columns |= answer_columns(task, outputs[i])
        columns |= {f"control_{k}": answer_columns(task, v[i])["answer"] for k, v in controls.items()}
        if kind_of(test.kind).readable:
            columns["text"] = [str(test.inputs[j])[:TEXT] for j in range(len(test))]
        frames.append(pd.DataFrame(columns))
    return pd.concat(frames, ignore_index=True)


def prediction_frame(task: Task, domain: Domain, outputs: Array) -> pd.DataFrame:
    """One line for each new input: its name, the table's own columns that name it, the answer and the probabilities.

    A file that could not be read has a line without them, and the reason in a column ``error``.
    """
    found = {"name": domain.inputs.names(), **answer_columns(task, outputs)}
    own = {f"input_{n}" if n in found else n: cells for n, cells in domain.inputs.identifiers().items()}
    frame = pd.DataFrame({"name": found.pop("name"), **own, **found})
    unread = domain.inputs.unread
    if not unread:
        return frame
    places = [one.place for one in unread]
    frame.index = pd.Index(np.setdiff1d(np.arange(len(frame) + len(unread)), places))
    broken = pd.DataFrame({"name": [one.name for one in unread], "error": [one.why for one in unread]}, index=places)
    return pd.concat([frame, broken]).sort_index().reset_index(drop=True)


def labels_of(task: Task, domain: Domain) -> Array:
    """The labels as a person would read them, ``(n,)``."""
    assert domain.labels is not None
    return task.told(task.decode(task.encode(domain.labels)))


def write_table(frame: pd.DataFrame, path: Path) -> None:
    """Write a Parquet file, whole or not at all."""
    with atomic(path) as temporary:
        frame.to_parquet(temporary, index=False)


def worst_mistakes(frame: pd.DataFrame, task: Task) -> pd.DataFrame:
    """The mistakes it was surest of (or the largest errors of a regression), of the first seed."""
    first = frame[frame["seed"] == frame["seed"].iloc[0]]
    if task.one_number:
        sure = (first["answer"].astype(float) - first["label"].astype(float)).abs()
        return pd.DataFrame(first.assign(sure=sure).nlargest(MISTAKES, "sure"))
    wrong = first[first["answer"].astype(str) != first["label"].astype(str)]
    sure = wrong[[c for c in wrong.columns if c.startswith("p_")]].max(axis=1)
    return pd.DataFrame(wrong.assign(sure=sure).nlargest(MISTAKES, "sure"))


def write_pictures(frame: pd.DataFrame, task: Task, test: Domain, rows: Array, folder: Path) -> None:
    """Small PNG pictures of the worst mistakes, named after their rows."""
    place = {int(row): i for i, row in enumerate(rows)}
    for row in worst_mistakes(frame, task)["row"]:
        picture = test.inputs[place[int(row)]].copy()
        picture.thumbnail((160, 160))
        with atomic(folder / f"{row}.png") as temporary:
            picture.save(temporary, format="PNG")
