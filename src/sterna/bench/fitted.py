"""What a method gives back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from sterna.networks.network import Network
from sterna.record.choice import Choice


@dataclass(frozen=True, eq=False)
class Fitted:
    """A network, and which labels chose what of it.

    Attributes
    ----------
    network
        Does the target's task.
    choices
        In the order they were made.
    candidates
        Of a method that tries others: one for each, with how it did and why it was left.
    held_out
        The network before it saw any label of the validation rows, where that is another than `network`.
    told
        What fits that had not seen their labels answered for the problem's rows, ``(n, o)``, where the method held rows
        out to choose by; NaN for rows that were not.
    told_fair
        Whether these are as good as by fits that did not choose by them: the best of several is not, by few rows.
    told_source
        The same for the source's labelled rows, ``(n_s, o)``, as the method brings them to the target.
    """

    network: Network
    choices: tuple[Choice, ...] = ()
    held_out: Network | None = None
    candidates: tuple[dict[str, Any], ...] = ()
    told: np.ndarray[Any, Any] | None = None
    told_fair: bool = True
    told_source: np.ndarray[Any, Any] | None = None
