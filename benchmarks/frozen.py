"""A frozen body: ``feature-extraction`` against the tutorial recipe, whole commands, in turn."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.common import ROOT, data, write

ROUNDS = 2


def main() -> None:
    """Two rounds of both, each with an empty feature cache."""
    archive = str(data("images_hymenoptera.zip"))
    sterna = str(Path(sys.executable).with_name("sterna"))
    ours, tutorial, ratios = [], [], []
    for _ in range(ROUNDS):
        with tempfile.TemporaryDirectory() as folder:
            started = time.perf_counter()
            command = [sterna, "transfer", archive, "--source", "packaged/efficientnet-lite0", "--control", "none",
                       "--out", f"{folder}/run", "--json", "--quiet"]  # fmt: skip
            done = subprocess.run(command, check=True, capture_output=True, text=True, env=_environment(folder))
            ours.append(time.perf_counter() - started)
            accuracy = json.loads(done.stdout)["scores"]["accuracy"]["value"]
        started = time.perf_counter()
        command = [sys.executable, "benchmarks/tutorial.py", archive]
        done = subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT)
        tutorial.append(time.perf_counter() - started)
        ratios.append(tutorial[-1] / ours[-1])
    rows = [
        {
            "command": "sterna transfer, feature-extraction",
            "median seconds": statistics.median(ours),
            "accuracy": accuracy,
        },
        {
            "command": "tutorial recipe, ten epochs",
            "median seconds": statistics.median(tutorial),
            "accuracy": float(done.stdout),
        },
        {"command": "times faster, median of the rounds", "median seconds": statistics.median(ratios)},
    ]
    write("frozen", "A frozen body on ants and bees: whole commands, no control, empty cache", rows)


def _environment(cache: str) -> dict[str, str]:
    import os

    return {**os.environ, "STERNA_CACHE": cache}
