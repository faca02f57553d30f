"""Digits without target labels: MNIST to USPS, USPS to MNIST, MNIST to MNIST-M."""

import numpy as np

from benchmarks.common import compare, data
from benchmarks.pairs.digits import mnist
from sterna import Source, load_domain

METHODS = ("source-only", "coral", "deep-coral", "dan", "dann")
STEPS = 500  # by default a source of 10,000 rows gets about 3,000


def main() -> None:
    usps, whole = load_domain(data("digits_usps.npz")), load_domain(data("digits_mnist.npz"))
    some = whole.take(np.concatenate([whole.splits["train"][:10_000], whole.splits["test"][::5]]))
    pairs = {
        "MNIST → USPS": (mnist(), usps),
        "USPS → MNIST": (usps.take(usps.splits["train"]), some),
        "MNIST → MNIST-M": (mnist(), load_domain(data("digits_mnistm.npz"))),
    }
    runs = [
        {"pair": pair, "source": Source(spec="labelled digits", data=known), "target": target, "method": method,
         "labels": 0, "steps": STEPS}
        for pair, (known, target) in pairs.items() for method in METHODS
    ]  # fmt: skip
    # What random colours alone are worth, without anything that brings the domains together, and what patience is.
    colours = {run["method"]: run for run in runs if "MNIST-M" in run["pair"]}
    runs.append({**colours["deep-coral"], "settings": {"weight": 0.0}})
    runs.append({**colours["dann"], "pair": "MNIST → MNIST-M, 3,000 steps", "steps": 3000})
    compare("adaptation", "Digits, no target labels", runs)
