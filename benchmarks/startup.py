"""How long ``import sterna`` and ``sterna --help`` take, warm."""

import statistics
import sys
from pathlib import Path

from benchmarks.common import timed, write


def main() -> None:
    """The median of nine, after one to warm up; and Python itself for comparison."""
    sterna = str(Path(sys.executable).with_name("sterna"))
    commands = {
        "python -c pass": (sys.executable, "-c", "pass"),
        "import sterna": (sys.executable, "-c", "import sterna"),
        "sterna --help": (sterna, "--help"),
    }
    rows = []
    for name, command in commands.items():
        seconds = [timed(*command) for _ in range(10)][1:]
        rows.append({"what": name, "median seconds": statistics.median(seconds), "most seconds": max(seconds)})
    write("startup", "Start-up", rows)
