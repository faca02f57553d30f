"""Heart disease, Cleveland's rows alone: the controls that later transfers must beat."""

from benchmarks.common import SEEDS, data, interval, row, write
from sterna import load_domain, transfer


def main() -> None:
    """Target-only and scratch, five seeds; and a hospital whose columns are nearly empty."""
    rows = []
    for hospital in ("cleveland", "switzerland"):
        target = load_domain(
            data("tab_heart_4hospitals.csv.gz"),
            label="disease",
            drop=["num"],
            domain_column="hospital",
            domain=hospital,
        )
        result = transfer(None, target, method="scratch", control="target-only", seeds=SEEDS)
        rows.append(row(result.evidence, "balanced_accuracy", "auroc", hospital=hospital))
        rows.append(
            {"hospital": hospital, "method": "target-only"}
            | {m: interval(result.controls["target-only"][m]) for m in ("balanced_accuracy", "auroc")}
        )
    write("heart", "Heart disease, one hospital's rows alone (no source)", rows)
