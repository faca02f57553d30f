"""Peak memory: 20,000 and 100,000 image files through feature-extraction; a million table rows."""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

import numpy as np

from benchmarks.common import peak_of, write

TABLE = 1_000_000


def main() -> None:
    """Each in a process of its own."""
    sterna = str(Path(sys.executable).with_name("sterna"))
    rows = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for count in (20_000, 100_000):
            images = folder / str(count)
            make_images(images, count)
            command = [sterna, "transfer", str(images), "--source", "packaged/efficientnet-lite0", "--image-size", "32",
                       "--control", "none", "--out", f"{name}/run-{count}", "--json", "--quiet"]  # fmt: skip
            peak, seconds, output = peak_of(*command, STERNA_CACHE=name)
            accuracy = json.loads(output)["scores"]["accuracy"]["value"]
            rows.append({"what": f"{count:,} image files", "peak GiB": peak, "seconds": seconds, "accuracy": accuracy})
        table = folder / "table.csv"
        make_table(table)
        command = [sterna, "transfer", str(table), "--label", "label", "--method", "target-only", "--control", "none",
                   "--out", f"{name}/table", "--json", "--quiet"]  # fmt: skip
        peak, seconds, output = peak_of(*command, STERNA_CACHE=name)
        accuracy = json.loads(output)["scores"]["accuracy"]["value"]
        rows.append({"what": "1,000,000 x 20 table rows", "peak GiB": peak, "seconds": seconds, "accuracy": accuracy})
    write("memory", "Peak resident memory of a whole command", rows)


def make_images(folder: Path, count: int) -> None:
    """Small JPEG files of two classes: bright above, or bright below, under noise."""
    from PIL import Image

    random = np.random.default_rng(0)
    for code, name in enumerate(("above", "below")):
        (folder / name).mkdir(parents=True)
        for i in range(count // 2):
            pixels = random.integers(0, 128, (32, 32), dtype=np.uint8)
            pixels[16 * code : 16 * (code + 1)] += np.uint8(40)
            Image.fromarray(pixels).save(folder / name / f"{i}.jpg", quality=80)


def make_table(path: Path) -> None:
    """A CSV of 20 number columns and a label that depends on five of them."""
    random = np.random.default_rng(0)
    with path.open("w") as file:
        file.write(",".join(f"x{i}" for i in range(20)) + ",label\n")
        for _ in range(20):
            x = random.normal(size=(TABLE // 20, 20)).astype(np.float32)
            label = (x[:, :5].sum(1) + random.normal(size=len(x)) > 0).astype(int)
            np.savetxt(file, np.column_stack([x, label]), fmt=["%.4f"] * 20 + ["%d"], delimiter=",")
