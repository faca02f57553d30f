"""Why MNIST and USPS differ: a digit of USPS fills its frame. What cutting and augmentation are worth.

A network trained on MNIST answers for USPS, unchanged; no label of USPS is used.
"""

from dataclasses import replace

import numpy as np
from PIL import Image

from benchmarks.common import data, row, trained, write
from benchmarks.pairs.digits import mnist
from sterna import Domain, load_domain, transfer

SEEDS, STEPS, AUGMENTED = 3, 150, ("no", "yes")


def main() -> None:
    usps, digits = load_domain(data("digits_usps.npz")), mnist()
    rows = []
    for source, framed in ((digits, "no"), (cut(digits), "yes")):
        for augment in (False, True):
            for seed in range(SEEDS):
                model = trained(source, seed, steps=STEPS, settings={"augment": augment})
                known = replace(model, data=None)
                found = transfer(known, usps, method="source-only", labels=0, control="none").evidence
                one = row(found, "accuracy")["accuracy"]["value"]
                about = {"source → target": "MNIST → USPS", "cut to its ink": framed, "augmented": AUGMENTED[augment]}
                rows.append({**about, "steps": STEPS, "seed": seed, "accuracy": one})
                print(rows[-1], flush=True)
    write("frames", "Digits that fill their frame: a network trained on MNIST answers for USPS", means(rows))


def means(rows: list[dict]) -> list[dict]:
    """The mean over seeds of each setting, with the least and the most."""
    settings = list(dict.fromkeys(tuple((k, v) for k, v in r.items() if k not in ("seed", "accuracy")) for r in rows))
    found = []
    for setting in settings:
        values = [r["accuracy"] for r in rows if setting == tuple((k, r[k]) for k, _ in setting)]
        mean = float(np.mean(values))
        found.append({**dict(setting), "accuracy, mean": mean, "least": min(values), "most": max(values)})
    return found


def cut(domain: Domain) -> Domain:
    """Each digit cut to the square around its ink, as large as its frame."""
    images = np.stack([_cut(np.asarray(domain.inputs[i].convert("L"))) for i in range(len(domain))])
    return Domain.from_arrays(images, domain.labels, splits=dict(domain.splits), name=f"{domain.name}, cut")


def _cut(pixels: np.ndarray) -> np.ndarray:
    rows, columns = (np.flatnonzero((pixels > 64).any(axis=axis)) for axis in (1, 0))
    if not len(rows):
        return pixels
    side = max(rows[-1] - rows[0], columns[-1] - columns[0]) + 1
    middle = (rows[0] + rows[-1] + 1) / 2, (columns[0] + columns[-1] + 1) / 2
    box = (middle[1] - side / 2, middle[0] - side / 2, middle[1] + side / 2, middle[0] + side / 2)
    framed = Image.fromarray(np.pad(pixels, 28)).resize(
        pixels.shape[::-1], Image.Resampling.BILINEAR, tuple(v + 28 for v in box)
    )
    return np.asarray(framed)
