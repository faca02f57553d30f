"""What was given to a run, so that it goes on with nothing else."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Fingerprints:
    """Hashes of what was given: ``--resume`` goes on only with the same weights, rows and labels.

    The names of the splits that came with the data stand beside them; runs of older versions have none.
    """

    source_weights: str | None = None
    source_data: str | None = None
    target_inputs: str | None = None
    target_labels: str | None = None
    target_splits: str | None = None
    source_splits: str | None = None


GIVEN = {
    "source_weights": "source model (its weights)",
    "source_data": "content of the source data",
    "target_inputs": "content of the target (in a folder, names, sizes and times of files)",
    "target_labels": "set of the target's labels, groups, splits, times or weights",
    "target_splits": "list of the target's splits",
    "source_splits": "list of the source's splits",
}
"""What `Fingerprints` are of, in words."""
