"""Why MNIST and USPS differ: a digit of USPS fills its frame. What cutting, augmentation and longer training are worth.

A network trained on one set answers for the other, unchanged; no label of the other is used.
"""

from dataclasses import replace

import numpy as np
from PIL import Image

from benchmarks.common import data, row, trained, write
from benchmarks.pairs.digits import mnist
from sterna import Domain, load_domain, transfer

SEEDS, SHORT, LONG = 3, 150, 450


def main() -> None:
    usps, digits = load_domain(data("digits_usps.npz")), mnist()
    whole = load_domain(data("digits_mnist.npz"))
    asked = whole.take(np.concatenate([whole.splits["train"][:10], whole.splits["test"][::5]]))
    known = usps.take(usps.splits["train"])
    directions = {
        "MNIST → USPS": (digits, usps, cut(digits), usps),
        "USPS → MNIST": (known, asked, known, cut(asked)),
    }
    rows = []
    for pair, (source, target, framed_source, framed_target) in directions.items():
        for framed in (False, True):
            for augment, steps in ((False, SHORT), (True, SHORT), (True, LONG)):
                for seed in range(SEEDS):
                    model = trained(
                        framed_source if framed else source, seed, steps=steps, settings={"augment": augment}
                    )
                    found = transfer(
                        replace(model, data=None), framed_target if framed else target, method="source-only", labels=0,
                        control="none",
                    ).record  # fmt: skip
                    one = row(found, "accuracy")["accuracy"]["value"]
                    rows.append({"source → target": pair, "MNIST cut to its ink": framed, "augmented": augment,
                                 "steps": steps, "seed": seed, "accuracy": one})  # fmt: skip
                    print(rows[-1], flush=True)
    write("frames", "Digits that fill their frame: one set's network answers for the other", means(rows))


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
