"""How often what a default run says is contradicted by many draws of the labels.

On each problem method and controls are fitted for 20 draws of the labels. A default run sees 5 draws in a row (3 where
a source model is trained), so there are 20 of them. ``helps`` is contradicted where the method's mean score over all 20
draws is not above that of every control, and ``hurts`` where it is not below one of them.
``make bench ONLY=contradictions``
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from benchmarks.common import DEFAULTS, data, fitted, write
from sterna import Source, load_domain, load_source
from sterna.experiment.evidence import evidence
from sterna.experiment.plan import DEAR_DRAWS
from sterna.experiment.plan import DRAWS as FEW_DRAWS

DRAWS = 20


def problems() -> Iterator[dict[str, Any]]:
    """Sets, labels and methods."""

    def hospital(name: str) -> Any:
        return load_domain(
            data("tab_heart_4hospitals.csv.gz"), label="disease", drop=["num"], domain_column="hospital", domain=name
        )

    def reviews(name: str, rows: int, domain: str | None = None) -> Any:
        columns = {"domain_column": "domain", "domain": domain} if domain else {}
        found = load_domain(data(name), text="review" if domain is None else "text", label="label", **columns)
        return found.take(np.arange(0, len(found), max(1, len(found) // rows)))

    known = Source(spec="Cleveland", data=hospital("cleveland"))
    for name in ("hungarian", "va_long_beach"):
        for method, labels in (("example-weighting", 10), ("example-weighting", 40), ("coral", 20)):
            yield {"set": f"heart, Cleveland → {name}", "source": known, "target": hospital(name), "method": method,
                   "labels": labels}  # fmt: skip
    takeaway = Source(spec="takeaway", data=reviews("text_zh_takeaway_waimai.csv.gz", 600))
    hotel = reviews("text_zh_hotel_chnsenticorp.csv.gz", 1500)
    for labels in (10, 40):
        yield {"set": "Chinese reviews, takeaway → hotel", "source": takeaway, "target": hotel, "method": "pooled",
               "labels": labels}  # fmt: skip
    books = Source(spec="books", data=reviews("text_en_amazon_multidomain.csv.gz", 500, "books"))
    yield {"set": "Amazon, books → kitchen", "source": books, "labels": 20, "method": "pooled",
           "target": reviews("text_en_amazon_multidomain.csv.gz", 1500, "kitchen")}  # fmt: skip
    bees, source = (
        load_domain(data("images_hymenoptera.zip")),
        load_source("packaged/efficientnet-lite0", image_size=96),
    )
    for labels in (5, 20, 40):
        yield {"set": "ImageNet → ants and bees", "source": source, "target": bees, "method": "feature-extraction",
               "labels": labels}  # fmt: skip
    path = data("tab_gas_sensor_drift.npz")
    first = Source(spec="batch 1", data=load_domain(path, domain_column="batch", domain="1"))
    for method in ("coral", "example-weighting"):
        yield {"set": "gas, batch 1 → 4", "source": first, "method": method, "labels": 24,
               "target": load_domain(path, domain_column="batch", domain="4")}  # fmt: skip


def means(plan: Any, units: Mapping[str, Sequence[Any]]) -> dict[str, float]:
    """The mean score of each over all draws."""
    metric, targets = plan.task.metric, plan.exam.targets
    ones = np.ones((1, len(targets)))
    return {
        name: float(np.mean([
            plan.task.metrics(plan.task.statistics(unit.outputs, targets, (metric,)), ones, (metric,))[metric][0]
            for unit in some
        ]))
        for name, some in units.items()
    }  # fmt: skip


def verdicts(plan: Any, name: str, units: Mapping[str, Sequence[Any]], count: int) -> Iterator[str]:
    """What each default run says."""
    for start in range(DRAWS):
        some = [(start + i) % DRAWS for i in range(count)]
        seen = {each: [found[i] for i in some] for each, found in units.items()}
        gain = evidence(plan.task, plan.exam, name, seen, plan.splits[start], plan.no_verdict).gain
        assert gain is not None
        yield gain.verdict


def main() -> None:
    """Measure."""
    rows: list[dict[str, Any]] = []
    for problem in problems():
        asked = {**DEFAULTS, **problem, "pair": problem["set"], "seeds": DRAWS}
        plan, method, units = fitted(asked, {})
        dear = method.recipe() is not None and problem["source"].body is not None
        found = list(verdicts(plan, method.id(), units, DEAR_DRAWS if dear else FEW_DRAWS))
        mean = means(plan, units)
        own = mean.pop(method.id())
        wrong = {"helps": own <= max(mean.values()), "hurts": own >= max(mean.values())}
        rows.append({
            "set": problem["set"], "labels": problem["labels"], "method": method.id(), "metric": plan.task.metric,
            "mean over all draws": own, "best control": max(mean, key=mean.__getitem__),
            "its mean": max(mean.values()), **{each: found.count(each) for each in ("helps", "hurts", "unclear")},
            "contradicted": sum(wrong.get(each, False) for each in found), "runs": len(found),
        })  # fmt: skip
        write("contradictions", "Default runs beside 20 draws of the labels", rows, quiet=True)
        print(rows[-1], flush=True)


if __name__ == "__main__":
    main()
