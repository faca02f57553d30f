"""What only POSIX systems have is not needed: here it is taken away before anything is imported."""

from __future__ import annotations

import inspect
import json
import os
import subprocess
import sys

import numpy as np

WITHOUT = """
import os, sys, types
sys.modules["fcntl"] = sys.modules["resource"] = None
for name in ("preadv", "pread", "pwritev", "pwrite"):
    delattr(os, name)
memory = types.SimpleNamespace(memory_info=lambda: types.SimpleNamespace(peak_wset=123_000_000))
sys.modules["psutil"] = types.SimpleNamespace(Process=lambda: memory)
"""

IMPORTS = """
import importlib, json, pkgutil
import sterna
names = [found.name for found in pkgutil.walk_packages(sterna.__path__, "sterna.") if "__main__" not in found.name]
for name in names:
    importlib.import_module(name)
"""


def small_transfer():
    import numpy as np
    import torch
    from sklearn.datasets import load_digits
    from torch import nn

    from sterna import Domain, load_source, transfer
    from sterna.networks import ImagePreparation

    torch.manual_seed(0)
    module = nn.Sequential(nn.Conv2d(1, 8, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(32, 4))
    source = load_source(module, preparation=ImagePreparation(size=8, mean=(0.5,), std=(0.25,), crop=1.0, channels=1))
    found = load_digits()
    digits = Domain.from_arrays((found.images[:150] * 15).astype(np.uint8), [str(v) for v in found.target[:150]])
    result = transfer(source, digits, method="feature-extraction", settings={"blocks": "last"}, control="none", seeds=1)
    return result.scores["accuracy"].value, result.record["peak_memory_bytes"]


def features_in(folder):
    """What the feature files of a cache hold, by name."""
    return {path.name: np.fromfile(path, "f4", offset=4096) for path in (folder / "features").glob("*.features")}


def test_all_is_imported_and_a_transfer_runs_without_what_windows_lacks(tmp_path, monkeypatch):
    code = WITHOUT + IMPORTS + inspect.getsource(small_transfer) + "print(json.dumps([names, small_transfer()]))"
    away, here = tmp_path / "away", tmp_path / "here"
    environment = {**os.environ, "STERNA_CACHE": str(away)}
    done = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True, cwd=tmp_path, env=environment
    )
    names, (score, memory) = json.loads(done.stdout.splitlines()[-1])
    assert {"sterna.training.feature_files", "sterna.store.environment", "sterna.cli.app"} <= set(names)
    assert memory == 123_000_000

    monkeypatch.setenv("STERNA_CACHE", str(here))
    monkeypatch.chdir(tmp_path)
    expected, real = small_transfer()
    assert score == expected and real > 10_000_000
    ours, theirs = features_in(away), features_in(here)
    assert ours and ours.keys() == theirs.keys()
    for name in ours:  # the keys behind the features are compared as numbers, too
        np.testing.assert_allclose(ours[name], theirs[name], rtol=1e-5, atol=1e-6)
