"""Gas sensors that drift over months: batch 1 to each later batch, no target labels."""

from benchmarks.common import compare, data
from sterna import Source, load_domain

METHODS = ("source-only", "domain-scaling", "coral", "deep-coral", "dann")


def main() -> None:
    path = data("tab_gas_sensor_drift.npz")
    known = Source(spec="batch 1", data=load_domain(path, domain_column="batch", domain="1"))
    runs = [
        {"pair": f"gas, batch 1 → {batch}", "source": known, "method": method, "metric": "accuracy",
         "target": load_domain(path, domain_column="batch", domain=str(batch)), "labels": 0}
        for batch in (2, 3, 4, 5, 6, 8, 9) for method in METHODS
    ]  # fmt: skip
    compare("gas", "Gas sensor drift, no target labels", runs)
