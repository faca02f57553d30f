"""MNIST to USPS, to street digits and to Fashion-MNIST (other classes), 10 labels a class."""

import numpy as np

from benchmarks.common import compare, data, trained
from sterna import Domain, load_domain

ROWS = 10_000
METHODS = (
    "feature-extraction", "fine-tuning", "weight-fusion", "knowledge-propagation",
    "transfer-network", "parameter-sharing", "joint-training", "task-nesting",
    "example-mining", "label-propagation", "prototypes",
)  # fmt: skip
OTHER_CLASSES = tuple(m for m in METHODS if m != "example-mining")  # which needs the target's classes
STEPS = {"joint-training": 150, "parameter-sharing": 150}
"""Of methods whose epoch is a pass over the source's 10,000 rows."""


def mnist(rows: int = ROWS) -> Domain:
    """The first rows of MNIST's training split."""
    whole = load_domain(data("digits_mnist.npz"))
    return whole.take(whole.splits["train"][:rows]).take(np.arange(rows))


def main() -> None:
    source = trained(mnist(), epochs=4)
    targets = {
        "MNIST → USPS": load_domain(data("digits_usps.npz")),
        "MNIST → street digits": load_domain(data("digits_street_chars74k.npz")),
        "MNIST → Fashion-MNIST (other classes)": smaller(load_domain(data("fashion_mnist_20k.npz"))),
    }
    runs = []
    for pair, target in targets.items():
        for method in METHODS if "Fashion" not in pair else OTHER_CLASSES:
            more = {"steps": STEPS[method]} if method in STEPS else {}
            runs.append({"pair": pair, "source": source, "target": target, "method": method, "labels_per_class": 10,
                         **more})  # fmt: skip
    compare("digits", "MNIST → other small images, 10 labels a class", runs)


def smaller(domain: Domain) -> Domain:
    """The domain with 2,000 training and 2,000 test rows."""
    return domain.take(np.concatenate([domain.splits["train"][::5], domain.splits["test"][::5]]))
