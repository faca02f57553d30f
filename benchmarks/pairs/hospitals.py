"""Heart disease: Cleveland to each other hospital, 0 and 20 labels."""

from benchmarks.common import compare, data
from sterna import Source, load_domain

WITHOUT = ("source-only", "example-weighting", "coral", "rule-head")
WITH = (
    "scratch", "joint-training", "parameter-sharing", "task-nesting", "example-weighting", "coral", "weak-labels",
    "rule-penalty",
)  # fmt: skip


def main() -> None:
    def hospital(name: str):
        return load_domain(
            data("tab_heart_4hospitals.csv.gz"), label="disease", drop=["num"], domain_column="hospital", domain=name
        )

    known = Source(spec="cleveland", data=hospital("cleveland"))
    runs = [
        {"pair": f"heart, Cleveland → {name}", "source": known, "target": hospital(name), "method": method,
         "labels": labels, "metric": "balanced_accuracy"}
        for name in ("hungarian", "switzerland", "va_long_beach")
        for labels, methods in ((0, WITHOUT), (20, WITH)) for method in methods
    ]  # fmt: skip
    compare("hospitals", "Heart disease, Cleveland → other hospitals", runs)
