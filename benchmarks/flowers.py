"""ImageNet to five kinds of flowers, at 5, 20 and 100 labels a class."""

from benchmarks.common import SEEDS, data, row, write
from sterna import load_domain, load_source, transfer


def main() -> None:
    """The method's own choice of blocks beside the last features, and fine-tuning once."""
    target = load_domain(data("images_flowers5.zip"))
    source = load_source("packaged/efficientnet-lite0")
    rows = []
    for k in (5, 20, 100):
        for blocks in ("last", "auto"):
            result = transfer(
                source, target, settings={"blocks": blocks}, labels_per_class=k, control="target-only", seeds=SEEDS
            )
            rows.append(row(result.evidence, "accuracy", **{"labels a class": k, "blocks": blocks}))
    write("flowers", "ImageNet → five flowers, few labels", rows)
