"""Real processes, killed at every file operation: what they leave, and whether the next command ends as if undisturbed.

    make kills                          # the tests at every operation, then this
    python -m benchmarks.kills 10       # every tenth operation

Each process is forked when all is imported, runs one command, and ends by `os._exit` just before its k-th operation
that changes a file. Then the command is repeated (with --resume where it began a run, else with --overwrite), and the
folder must hold the same names, and the same weights and answers bit for bit, as after a run that nobody killed.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import nn

from sterna import Domain, RequestError, load_source, load_transfer, transfer
from sterna.files import atomic
from sterna.networks import ImagePreparation
from sterna.report import write_report
from sterna.sources import Source
from sterna.store.fusing_runs import fuse_runs

CHANGES = {"os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.chmod", "os.utime", "os.link"}
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT
KILLED = 77
Command = Callable[[Path, bool], None]
"""Does its work in a folder; again (with --resume, or --overwrite) or for the first time."""


def tables() -> Domain:
    random = np.random.default_rng(0)
    frame = pd.DataFrame({"a": random.normal(size=60), "b": random.normal(size=60)})
    return Domain.from_arrays(frame, (frame["a"] > 0).map({True: "yes", False: "no"}), name="table")


def texts() -> Domain:
    words = [f"{'good' if i % 2 else 'bad'} thing {i % 7} {'x' * (i % 5)}" for i in range(60)]
    return Domain.from_arrays(words, ["gb"[i % 2] for i in range(60)], name="texts")


def images() -> tuple[Source, Domain]:
    torch.manual_seed(0)
    module = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(16, 4))
    preparation = ImagePreparation(size=8, mean=(0.5,), std=(0.25,), crop=1.0, channels=1)
    pixels = (np.random.default_rng(0).random((60, 8, 8)) * 255).astype(np.uint8)
    domain = Domain.from_arrays(pixels, [str(i % 2) for i in range(60)], name="images")
    return load_source(module, preparation=preparation), domain


def run(source: Source | None, domain: Domain, method: str, over: bool = False, **more: Any) -> Command:
    """A transfer, over a finished run or not."""

    def command(place: Path, again: bool) -> None:
        asked = {"method": method, "control": "none", "epochs": 1, "out": place / "run", **more}
        if not again:
            transfer(source, domain, overwrite=over, **asked)
            return
        try:
            transfer(source, domain, resume=True, **asked)
        except RequestError:  # nothing was begun, or the run before it came back
            transfer(source, domain, overwrite=over, **asked)

    return command


def fuse(place: Path, again: bool) -> None:
    fuse_runs(place / "run", place / "other", 0.5, place / "fused", overwrite=True)


def report(place: Path, again: bool) -> None:
    write_report([place / "run"], place / "report.html")


def predict(place: Path, again: bool) -> None:
    answers = load_transfer(place / "run").predict(tables())
    with atomic(place / "answers.csv") as temporary:
        temporary.write_text("\n".join(map(str, answers)))


def forked(command: Command, place: Path, again: bool, limit: int | None) -> tuple[int, int]:
    """The exit status of a child that runs it, killed after so many operations, and how many there were."""
    end, other = os.pipe()
    child = os.fork()
    if child == 0:
        seen = [0]

        def watch(event: str, arguments: tuple[Any, ...]) -> None:
            if event in CHANGES or (event == "open" and isinstance(arguments[2], int) and arguments[2] & WRITING):
                if limit is not None and seen[0] >= limit:
                    os._exit(KILLED)
                seen[0] += 1

        sys.addaudithook(watch)
        status = 1
        try:
            command(place, again)
            status = 0
        except BaseException as error:
            print(f"  {type(error).__name__}: {error}", file=sys.stderr)
        os.write(other, str(seen[0]).encode())
        os._exit(status)
    os.close(other)
    with os.fdopen(end) as file:
        counted = file.read()
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), int(counted or 0)


def held(place: Path) -> dict[str, bytes | None]:
    """Every name, and what is in the files that are the same at each run."""
    same = (".safetensors", ".parquet", "answers.csv")
    found = sorted(path for path in place.rglob("*") if path.is_file())
    return {str(path.relative_to(place)): path.read_bytes() if path.name.endswith(same) else None for path in found}


def tried(name: str, command: Command, prepare: Callable[[Path], None], every: int, base: Path) -> int:
    """Kill it at each operation; gives how often the end was another than that of the undisturbed command."""
    start, whole, cut = base / "start", base / "whole", base / "cut"
    start.mkdir(parents=True)
    prepare(start)
    shutil.copytree(start, whole)
    status, operations = forked(command, whole, False, None)
    assert status == 0, name
    expected, wrong, began = held(whole), 0, time.monotonic()
    for k in range(0, operations, every):
        shutil.rmtree(cut, ignore_errors=True)
        shutil.copytree(start, cut)
        killed, _ = forked(command, cut, False, k)
        again, _ = forked(command, cut, True, None)
        if killed != KILLED or again != 0 or held(cut) != expected:
            wrong += 1
            print(f"  {name}: operation {k}: exit {again}, {sorted(set(held(cut)) ^ set(expected)) or 'other bytes'}")
    print(f"{name:32} {len(range(0, operations, every)):4} kills, {wrong} wrong, {time.monotonic() - began:.0f} s")
    return wrong


def main(every: int = 1) -> int:
    """Run all of it; the exit status."""
    torch.set_num_threads(1)  # a fork takes one thread along
    source, photos = images()
    table, text = tables(), texts()

    def finished(place: Path) -> None:
        run(None, table, "scratch", seed=7)(place, False)

    def two(place: Path) -> None:
        finished(place)
        shutil.copytree(place / "run", place / "other")
        shutil.copytree(place / "run", place / "fused")

    tuning = {"settings": {"linear_probe": False}}
    cases: dict[str, tuple[Command, Callable[[Path], None]]] = {
        "fine-tuning": (run(source, photos, "fine-tuning", **tuning), lambda place: None),
        "fine-tuning over a run": (run(source, photos, "fine-tuning", over=True, **tuning), finished),
        "fine-tuning, two seeds": (run(source, photos, "fine-tuning", seeds=2, **tuning), lambda place: None),
        "fine-tuning, a curve": (run(source, photos, "fine-tuning", curve=(5, 10), **tuning), lambda place: None),
        "target-only on texts": (run(None, text, "target-only"), lambda place: None),
        "scratch on a table": (run(None, table, "scratch", over=True), finished),
        "fuse": (fuse, two),
        "report": (report, finished),
        "predict": (predict, finished),
    }
    with tempfile.TemporaryDirectory(prefix="sterna-kills-") as folder:
        os.environ["STERNA_CACHE"] = str(Path(folder) / "cache")
        return sum(tried(name, *case, every, Path(folder) / str(i)) for i, (name, case) in enumerate(cases.items()))


if __name__ == "__main__":
    sys.exit(min(1, main(int(sys.argv[1]) if len(sys.argv) > 1 else 1)))
