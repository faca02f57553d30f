"""Credit: Taiwan to Germany, whose columns are others, 100 labels."""

from pathlib import Path

import numpy as np

from benchmarks.common import compare, data
from sterna import Source, load_domain

COLUMNS = Path(__file__).parent.parent / "columns_taiwan_german.yaml"


def main() -> None:
    taiwan = load_domain(data("tab_credit_taiwan.csv.gz"), label="default_next_month")
    taiwan = taiwan.take(np.arange(0, len(taiwan), 6))
    german = load_domain(data("tab_credit_german.csv.gz"), label="bad_credit")
    known = Source(spec="Taiwan", data=taiwan)
    runs = [
        {"pair": "credit, Taiwan → Germany", "source": known, "target": german, "method": method, "labels": 100,
         "metric": "auroc", "settings": settings}
        for method, settings in (
            ("scratch", {}), ("parameter-sharing", {}), ("parameter-sharing", {"mode": "fixed"}),
            ("feature-mapping", {}), ("weak-labels", {"columns": str(COLUMNS)}),
        )
    ]  # fmt: skip
    compare("credit", "Credit, Taiwan → Germany, 100 labels", runs)
