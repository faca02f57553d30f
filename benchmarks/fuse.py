"""``sterna fuse`` beside a script that loads both files whole: two files of 500 MB, rates and peak memory."""

import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from benchmarks.common import ROOT, peak_of, write

ROUNDS, ALPHA, TENSORS = 6, 0.3, 25
MEGABYTES = 500

PLAIN = """
import json, sys, time
from safetensors.torch import load_file, save_file
started = time.perf_counter()
a, b = load_file(sys.argv[1]), load_file(sys.argv[2])
save_file({name: float(sys.argv[3]) * a[name] + (1 - float(sys.argv[3])) * b[name] for name in b}, sys.argv[4])
print(json.dumps(time.perf_counter() - started))
"""

OURS = """
import json, sys, time
from pathlib import Path
from sterna.store.fusing import fuse_files
started = time.perf_counter()
fuse_files(Path(sys.argv[1]), Path(sys.argv[2]), float(sys.argv[3]), Path(sys.argv[4]), overwrite=True)
print(json.dumps(time.perf_counter() - started))
"""


def main() -> None:
    """Rounds of both in turn, each in a process of its own; the files are in the system's cache for both.

    Before each, what earlier ones wrote goes to the disk and its own last result is removed, so that nobody waits for
    another's bytes; who begins changes from round to round, and the first round, which wakes the memory, counts not.
    """
    with tempfile.TemporaryDirectory() as name:
        a, b, ours, plain = (str(Path(name) / f"{n}.safetensors") for n in ("a", "b", "ours", "plain"))
        make_file(a, 0)
        make_file(b, 1)
        gigabytes = 3 * os.path.getsize(b) / 1e9  # two are read, one is written
        names = ("sterna fuse", "load, average, save")
        rates: dict[str, list[float]] = {each: [] for each in names}
        both = [(names[0], OURS, ours), (names[1], PLAIN, plain)]
        for number in range(ROUNDS + 1):
            for each, code, out in both if number % 2 else reversed(both):
                Path(out).unlink(missing_ok=True)
                os.sync()
                seconds = fusing_seconds(code, a, b, str(ALPHA), out)
                rates[each] += [gigabytes / seconds] * (number > 0)
        sterna = str(Path(sys.executable).with_name("sterna"))
        whole = {
            names[0]: (sterna, "fuse", a, b, "--alpha", str(ALPHA), "--out", ours, "--overwrite", "--json"),
            names[1]: (sys.executable, "-c", PLAIN, a, b, str(ALPHA), plain),
        }
        found = {each: [peak_of(*command) for _ in range(ROUNDS)] for each, command in whole.items()}
        rows: list[dict[str, object]] = [
            {
                "what": each,
                "median GB/s of the fusing": statistics.median(rates[each]),
                "median seconds of the command": statistics.median(seconds for _, seconds, _ in found[each]),
                "peak MB": max(peak for peak, _, _ in found[each]) * 2**30 / 1e6,
            }
            for each in names
        ]
        same = subprocess.run(("cmp", "-s", ours, plain)).returncode == 0 or same_tensors(ours, plain)
        ratio = statistics.median(rates[names[0]]) / statistics.median(rates[names[1]])
        rows.append({"what": "ratio of the median rates", "ratio": ratio, "same numbers, bit for bit": str(same)})
    write("fuse", f"Fusing two safetensors files of {MEGABYTES} MB (float32), {ROUNDS} rounds in turn", rows)


def make_file(path: str, seed: int) -> None:
    """A file of random weights."""
    from safetensors.numpy import save_file

    random = np.random.default_rng(seed)
    shape = (MEGABYTES * 10 // TENSORS, 25_000)  # 4 bytes each
    save_file({f"layer{i}.weight": random.standard_normal(shape, dtype=np.float32) for i in range(TENSORS)}, path)


def fusing_seconds(code: str, *arguments: str) -> float:
    """What a script measured, without the time its imports take."""
    done = subprocess.run(
        (sys.executable, "-c", code, *arguments), check=True, capture_output=True, text=True, cwd=ROOT
    )
    return float(json.loads(done.stdout))


def same_tensors(ours: str, plain: str) -> bool:
    """Whether two files hold the same numbers, tensor by tensor."""
    from safetensors import safe_open

    with safe_open(ours, "numpy") as one, safe_open(plain, "numpy") as other:
        names = set(one.keys())
        return names == set(other.keys()) and all(
            np.array_equal(one.get_tensor(name), other.get_tensor(name)) for name in names
        )
