"""How long a person waits for the method's own score, and for the whole run, with 200 photographs.

``sterna transfer photos.zip --source packaged/efficientnet-lite0`` runs in a terminal of its own, with an empty cache
of features; the first score is the first number with an interval that is printed there. ``before`` is the last commit
of the version in which the scores came together at the end, and a network from a random start always ran.

``RUNS=3 python -m benchmarks.first_score``
"""

from __future__ import annotations

import os
import pty
import re
import statistics
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path

from benchmarks.common import ROOT, data, write

RUNS = int(os.environ.get("RUNS", "3"))
BEFORE = "5295988"
SCORE = re.compile(rb"\d\.\d{3} \[\d\.\d{3}, \d\.\d{3}\]")
MOST_S = 3600


def photos(folder: Path) -> Path:
    """A zip of 100 ants and 100 bees."""
    path, taken = folder / "photos.zip", {"ants": 0, "bees": 0}
    with zipfile.ZipFile(data("images_hymenoptera.zip")) as whole, zipfile.ZipFile(path, "w") as some:
        for name in whole.namelist():
            kind = Path(name).parent.name
            if taken.get(kind, 100) < 100 and not name.endswith("/"):
                taken[kind] += 1
                some.writestr(f"{kind}/{Path(name).name}", whole.read(name))
    assert set(taken.values()) == {100}
    return path


def timed(source: Path, target: Path, folder: Path) -> tuple[float, float, str]:
    """Seconds to the first score and to the end, and what was printed, of the code in `source`."""
    command = [sys.executable, "-m", "sterna", "transfer", str(target), "--source", "packaged/efficientnet-lite0"]
    environment = {**os.environ, "PYTHONPATH": str(source), "STERNA_CACHE": str(folder / "cache"), "COLUMNS": "200"}
    above, below = pty.openpty()
    started, first, printed = time.perf_counter(), 0.0, b""
    process = subprocess.Popen(
        [*command, "--out", str(folder / "run")], stdin=below, stdout=below, stderr=below, env=environment, cwd=folder
    )
    os.close(below)
    while True:
        try:
            part = os.read(above, 65536)
        except OSError:  # the other side is closed
            break
        if not part:
            break
        printed += part
        if not first and SCORE.search(printed):
            first = time.perf_counter() - started
    code = process.wait(MOST_S)
    os.close(above)
    if code or not first:
        raise RuntimeError(printed.decode(errors="replace")[-3000:])
    return first, time.perf_counter() - started, printed.decode(errors="replace")


def main() -> None:
    """Measure both versions in turn, and write the medians."""
    seconds: dict[str, list[tuple[float, float]]] = {"before": [], "now": []}
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        target, old = photos(folder), folder / "old"
        old.mkdir()
        packed = subprocess.run(["git", "archive", BEFORE, "src"], cwd=ROOT, check=True, capture_output=True).stdout
        subprocess.run(["tar", "-x", "-C", str(old)], input=packed, check=True)
        for number in range(RUNS):
            for name, source in (("now", ROOT / "src"), ("before", old / "src")):
                place = folder / f"{name}-{number}"
                place.mkdir()
                first, whole, _ = timed(source, target, place)
                seconds[name].append((first, whole))
                print(
                    name, f"first score {first:.1f} s, whole {whole:.1f} s, load {os.getloadavg()[0]:.1f}", flush=True
                )
    rows = []
    for name, some in seconds.items():
        first, whole = (statistics.median(values) for values in zip(*some, strict=True))
        rows.append({"version": name, "first score, s": round(first, 1), "whole run, s": round(whole, 1)})
    ratios = {key: round(rows[0][key] / rows[1][key], 1) for key in ("first score, s", "whole run, s")}  # type: ignore[operator]
    rows.append({"version": "before / now", **ratios})
    load = f"load {os.getloadavg()[0]:.0f} on {os.cpu_count()} cores at the end"
    write("first_score", f"Time to the first score, 200 photographs ({RUNS} runs in turn, medians; {load})", rows)


if __name__ == "__main__":
    main()
