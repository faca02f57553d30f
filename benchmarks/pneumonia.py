"""ImageNet to chest X-rays: the full, imbalanced training split."""

from benchmarks.common import data, row, write
from sterna import load_domain, load_source, transfer


def main() -> None:
    """Three methods, one control set."""
    target = load_domain(data("medical_pneumoniamnist_imbalanced.npz"))
    source = load_source("packaged/efficientnet-lite0")
    rows = []
    for method, control in (("feature-extraction", "target-only"), ("fine-tuning", "auto")):
        result = transfer(source, target, method=method, control=control, balance="auto", seeds=1, steps=120)
        rows.append(row(result.record, "balanced_accuracy", "auroc", balance=result.record["balance"]))
        for name, scores in result.record["controls"].items():
            if name == "scratch":
                rows.append({"method": name, **{m: scores[m] for m in ("balanced_accuracy", "auroc")}, "seeds": 1})
    write(
        "pneumonia",
        "ImageNet → chest X-rays (PneumoniaMNIST, 3,882 training images, one in ten normal); 120 steps of training",
        rows,
    )
