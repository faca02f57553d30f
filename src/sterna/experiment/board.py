"""The leader board of a method that tries others: how each candidate did on held-out labels, and why it was left."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from sterna.record.record import CandidateRecord
from sterna.store.run import Unit

Line = dict[str, Any]


def board(units: Sequence[Unit]) -> tuple[CandidateRecord, ...]:
    """The candidates over all draws, those first that were chosen most often, and of the others the best."""
    found: dict[tuple[str, str, str], list[Line]] = {}
    for line in (line for unit in units for line in unit.log.candidates):
        found.setdefault((line["method"], _text(line["settings"]), line["source"]), []).append(line)
    return tuple(sorted(map(_summed, found.values()), key=lambda each: (-each.chosen, each.loss is None, each.loss)))


def _summed(lines: Sequence[Line]) -> CandidateRecord:
    """One candidate over its draws."""
    whole = [line for line in lines if line["score"] is not None and (not line["left"] or line["chosen"])]
    left = Counter(line["left"] for line in lines if not line["chosen"] and line["left"])
    return CandidateRecord(
        **{name: lines[0][name] for name in ("method", "settings", "source")},
        **{name: float(np.mean([line[name] for line in whole])) if whole else None for name in ("score", "loss")},
        draws=len(lines),
        chosen=sum(line["chosen"] for line in lines),
        seconds=sum(line["seconds"] for line in lines),
        left=left.most_common(1)[0][0] if left else "",
    )


def candidate_table(units: Sequence[Unit], seeds: Sequence[int], tests: int) -> pd.DataFrame:
    """Each candidate of each draw; the settings are written as JSON."""
    draws = [(seed, test + 1) for test in range(tests) for seed in seeds]
    rows = [
        {"seed": seed, "test_split": test, **line, "settings": _text(line["settings"])}
        for (seed, test), unit in zip(draws, units, strict=True)
        for line in unit.log.candidates
    ]
    return pd.DataFrame(rows).drop(columns=[] if tests > 1 else ["test_split"])


def _text(settings: Any) -> str:
    return json.dumps(settings, sort_keys=True)
