"""Two processes started by torchrun write one run."""

import json
import os
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from sterna import load_transfer


@pytest.mark.slow
@pytest.mark.parametrize("epochs", [3])
def test_two_processes_write_one_run_folder(digits_arrays, tmp_path, epochs):
    images, labels = (part[:450] for part in digits_arrays)
    np.savez(tmp_path / "digits.npz", images=images, labels=labels)
    asked = [
        "transfer", str(tmp_path / "digits.npz"), "--method", "scratch", "--control", "target-only",
        "--control", "scratch", "--epochs", str(epochs), "--batch-size", "64", "--out", str(tmp_path / "run"), "--json",
    ]  # fmt: skip
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "sterna"]
    done = subprocess.run(
        [*command, *asked], env={**os.environ, "OMP_NUM_THREADS": "1"}, capture_output=True, text=True, timeout=240
    )
    assert done.returncode == 0, done.stderr[-2000:]
    record = json.loads(done.stdout)  # one object: only the first process prints
    assert record["run"] == str(tmp_path / "run")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["digits.npz", "run"]
    assert not (tmp_path / "run" / "work").exists()
    run = load_transfer(tmp_path / "run")
    assert run.record["scores"] == record["scores"]
    table = pd.read_parquet(tmp_path / "run" / "predictions.parquet")
    answers = run.predict(images[table["row"]])
    assert (answers == table["answer"].astype(str)).all()
    history = json.loads((tmp_path / "run" / "history.json").read_text())["scratch"]
    assert [row["epoch"] for row in history] == list(range(1, epochs + 1))
    assert history[-1]["loss"] < history[0]["loss"]
