"""ImageNet to ants and bees, at 10 and 100 labels a class."""

from benchmarks.common import compare, data
from sterna import load_domain, load_source

METHODS = (
    "feature-extraction", "fine-tuning", "weight-fusion", "knowledge-propagation", "transfer-network", "prototypes",
)  # fmt: skip

SIZE, STEPS = 128, 20
"""Pixels a side, and steps of the methods that train: small, so that all of it takes less than an hour on two cores;
``hymenoptera`` measures fine-tuning with the body's own size and the default budget."""


def main() -> None:
    source = load_source("packaged/efficientnet-lite0", image_size=SIZE)
    target = load_domain(data("images_hymenoptera.zip"))
    runs = [
        {"pair": "ImageNet → ants and bees", "source": source, "target": target, "method": method,
         "labels_per_class": labels, "steps": STEPS}
        for labels in (10, 100) for method in METHODS
    ]  # fmt: skip
    compare("photos", "ImageNet → ants and bees, 10 and 100 labels a class", runs)
