"""ImageNet to chest X-rays: the full, imbalanced training split."""

from benchmarks.common import data, interval, row, write
from sterna import load_domain, load_source, transfer

SEEDS, STEPS = 3, 240
METRICS = ("balanced_accuracy", "auroc")


def main() -> None:
    """Three methods; fine-tuning and scratch get the same number of steps, about one pass over the rows."""
    target = load_domain(data("medical_pneumoniamnist_imbalanced.npz"))
    source = load_source("packaged/efficientnet-lite0")
    rows = []
    for method, control in (("feature-extraction", "target-only"), ("fine-tuning", "auto")):
        record = transfer(
            source, target, method=method, control=control, balance="auto", seeds=SEEDS, steps=STEPS
        ).evidence
        rows.append(row(record, *METRICS, balance=record.balance))
        if "scratch" in record.controls:
            scores = record.controls["scratch"]
            rows.append({"method": "scratch", **{name: interval(scores[name]) for name in METRICS}, "seeds": SEEDS})
    title = f"ImageNet → chest X-rays (PneumoniaMNIST, 3,882 training images, one in ten normal); {STEPS} steps"
    write("pneumonia", title, rows)
