"""Uneven classes: what weights and thresholds are worth by balanced accuracy and AUROC.

``none``: rows count as they come. ``threshold``: the same, and the probabilities divided by the shares of the classes.
``weights``: classes weighted evenly, and nothing else. ``auto``, the default: weights, and intercepts fitted to
held-out predictions. ``make bench ONLY=imbalance``
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import numpy as np

from benchmarks.common import DEFAULTS, SEEDS, data, fitted, interval, write
from sterna import Domain, Source, load_domain, load_source
from sterna.bench import plain
from sterna.evaluation import score
from sterna.selection import cross_validation
from sterna.selection.calibration import Calibration

WAYS = ("none", "threshold", "weights", "auto")
METRICS = ("balanced_accuracy", "auroc")


def problems() -> Iterator[dict[str, Any]]:
    """Sets, labels and methods."""
    credit = load_domain(data("tab_credit_taiwan.csv.gz"), label="default_next_month")
    credit = credit.take(np.arange(0, len(credit), 6))
    hotel = load_domain(data("text_zh_hotel_chnsenticorp.csv.gz"), label="label", text="review")
    hotel = hotel.take(np.arange(0, len(hotel), 2))
    rays = load_domain(data("medical_pneumoniamnist_imbalanced.npz"))
    with np.load(data("digits_mnist.npz")) as file:
        images, digits = file["train_images"], file["train_labels"]
    threes, fives = (np.flatnonzero(digits == digit) for digit in (3, 5))
    rows = np.r_[threes[:5000], fives[:100]]
    cut = Domain.from_arrays(images[rows], digits[rows].astype(str), name="digits 3 and 5, 50:1")
    packaged = load_source("packaged/efficientnet-lite0")
    takeaway = load_domain(data("text_zh_takeaway_waimai.csv.gz"), label="label", text="review")
    known = Source("takeaway", data=takeaway.take(np.arange(0, len(takeaway), 10)))
    for name, target, labels, source in (
        ("credit, Taiwan (1:3.5)", credit, (100, 1000), None),
        ("hotel reviews, Chinese (1:2)", hotel, (100, 400), known),
        ("X-rays (1:9)", rays, (200, 1000), packaged),
        ("digits 3 and 5 (50:1)", cut, (500,), packaged),
    ):
        for count in labels:
            moving = [] if source is None else ["pooled" if source.body is None else "feature-extraction"]
            for method in ("target-only", *moving):
                yield {
                    "pair": name, "target": target, "labels": count, "method": method,
                    "source": None if method == "target-only" else source, "control": "none", "seeds": SEEDS,
                }  # fmt: skip


@contextmanager
def without_calibration() -> Iterator[None]:
    """As if held-out predictions said nothing of intercepts."""

    def nothing(outputs: Any, targets: Any, weights: Any, task: Any, **_: Any) -> Calibration:
        return Calibration(1.0, np.zeros(task.outputs))

    with patch.object(plain, "calibration", nothing), patch.object(cross_validation, "calibration", nothing):
        yield


def outputs_of(asked: dict[str, Any], way: str) -> tuple[Any, list[Any]]:
    """Plan and outputs on the test rows, one a draw."""
    asked = {**DEFAULTS, **asked, "metric": "balanced_accuracy", "balance": {"threshold": "none"}.get(way, way)}
    if way == "auto":
        plan, method, units = fitted(asked, {})
    else:
        with without_calibration():
            plan, method, units = fitted(asked, {})
    found = [unit.outputs for unit in units[method.id()]]
    if way == "threshold":
        codes = plan.task.matched(asked["target"])[0]
        shares = [np.bincount(codes[s.train], minlength=plan.task.outputs) / len(s.train) for s in plan.splits]
        found = [each - np.log(np.maximum(share, 1e-9)) for each, share in zip(found, shares, strict=True)]
    return plan, found


def main() -> None:
    """Measure."""
    rows = []
    for asked in problems():
        for way in WAYS:
            plan, outputs = outputs_of(asked, way)
            scores = score(plan.task, outputs, plan.exam.targets, groups=plan.exam.groups)
            about = {"set": asked["pair"], "labels": asked["labels"], "method": asked["method"], "balance": way}
            rows.append({**about, **{name: interval(scores[name]) for name in METRICS}, "draws": len(outputs)})
            write("imbalance", "Uneven classes: weights and thresholds", rows, quiet=True)
            print(rows[-1], flush=True)
    write("imbalance", "Uneven classes: weights and thresholds", rows)


if __name__ == "__main__":
    main()
