"""A candidate that was tried on labelled rows, and what an interrupted run kept of it."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from sterna.bench import Bench, Fitted, Problem
from sterna.files import atomic
from sterna.methods.candidates import Candidate
from sterna.selection.cross_validation import Trial
from sterna.training.log import Log

Array = np.ndarray[Any, Any]

KEPT = "outputs.npy"

OVER, BEHIND = "the budget was over", "behind the best of before"
KNOWN = "its source learnt from labels that choose"
FEW, CHANCE = "its training takes long, and too few rows validate", "on the validation rows not better than by chance"


@dataclass(eq=False)
class Tried:
    """A candidate, and how it did on rows whose labels it had not seen.

    Attributes
    ----------
    candidate
        What was tried.
    outputs
        For every labelled row, ``(n, o)``; NaN where it was not asked.
    seconds, ended
        How long it took, and when it was done, in seconds of `time.monotonic`.
    left
        Why it was left before all rows were asked; empty if it was not.
    done
        Whether it was asked for all rows that it was to be asked for.
    part
        Whether these are the validation rows alone.
    fitted, log
        Fitted on all labels, and what was said; ``None`` where that was not made, or something else was better.
    """

    candidate: Candidate
    outputs: Array
    seconds: float = 0.0
    ended: float = 0.0
    left: str = ""
    done: bool = False
    part: bool = False
    fitted: Fitted | None = None
    log: Log | None = None

    @property
    def asked(self) -> Array:
        """The rows that it was asked for."""
        return np.flatnonzero(~np.isnan(self.outputs).any(axis=1))

    def trial(self, problem: Problem, rows: Array) -> Trial:
        """Its losses of these rows."""
        task, targets = problem.task, problem.targets[rows]
        losses = task.losses(torch.from_numpy(self.outputs[rows]), torch.as_tensor(targets)).numpy()
        return Trial(0.0, losses, problem.row_weights()[rows], problem.units[rows])

    def line(self, problem: Problem, chosen: Candidate) -> dict[str, Any]:
        """What a leader board says of it."""
        task, rows = problem.task, self.asked
        found = {
            "method": self.candidate.method.id(), "settings": self.candidate.settings(),
            "source": self.candidate.spec(problem), "seconds": round(self.seconds, 3), "rows": len(rows),
            "score": None, "loss": None, "chosen": self.candidate is chosen, "left": self.left,
        }  # fmt: skip
        if self.part and self.done and self.candidate is not chosen:
            found["left"] = CHANCE  # its loss is of fewer rows than those it would stand beside
        if not len(rows):
            return found
        statistics = task.statistics(self.outputs[rows], problem.targets[rows])
        score = task.metrics(statistics, problem.given_weights[rows][None])[task.metric][0]
        return {**found, "score": float(score), "loss": self.trial(problem, rows).loss}


def keep(bench: Bench, outputs: Array) -> None:
    """Write answers, so that a resumed run need not ask again."""
    if bench.trainer.folder is not None:
        written = io.BytesIO()
        np.save(written, outputs)
        with atomic(bench.trainer.folder / KEPT) as temporary:
            temporary.write_bytes(written.getbuffer())


def kept(bench: Bench, shape: tuple[int, ...]) -> Array | None:
    """The answers that an interrupted run kept; ``None`` where there are none of this shape."""
    folder = bench.trainer.folder
    if not bench.trainer.resume or folder is None or not (folder / KEPT).is_file():
        return None
    try:
        found = np.load(folder / KEPT, allow_pickle=False)
    except (OSError, ValueError):
        return None
    return found if found.shape == shape and found.dtype.kind == "f" else None
