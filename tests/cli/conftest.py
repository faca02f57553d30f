"""Small files of every kind, and the command as people type it, run in this process."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from sterna.cli import main


@pytest.fixture(scope="session")
def files(tmp_path_factory):
    """A folder with a space and Chinese characters in its name, and data of each kind in it."""
    folder = tmp_path_factory.mktemp("数据 of a user")
    random = np.random.default_rng(0)
    x = random.normal(size=(80, 3))
    table = pd.DataFrame(x, columns=["a", "b", "col c"]).assign(城市=random.choice(["北京", "上海"], 80))
    labelled = table.assign(y=np.where(x[:, 0] > 0, "yes", "no"))
    labelled.to_csv(folder / "t.csv", index=False)
    labelled.to_csv(folder / "t.tsv", index=False, sep="\t")
    labelled.to_parquet(folder / "t.parquet")
    labelled.to_json(folder / "t.jsonl.gz", orient="records", lines=True)
    table.to_csv(folder / "unlabelled.csv", index=False)
    labelled[["y", "城市", "col c", "b", "a"]].to_csv(folder / "order.csv", index=False)
    labelled.drop(columns="b").to_csv(folder / "lacking.csv", index=False)
    labelled.assign(y=np.where(x[:, 0] > 0, "maybe", "no")).to_csv(folder / "other-classes.csv", index=False)
    table.assign(price=x[:, 0] * 10 + 5).to_csv(folder / "prices.csv", index=False)
    words = [f"{'good 好' if i % 2 else 'bad 坏'} thing {i}" for i in range(40)]
    pd.DataFrame({"text": words, "label": ["np"[i % 2] for i in range(40)]}).to_csv(folder / "texts.csv", index=False)
    pictures = random.integers(0, 80, (24, 16, 16, 3)).astype(np.uint8)
    pictures[::2, :, :, 0] += 120
    np.savez(folder / "pictures.npz", images=pictures, labels=np.array(["红", "other"] * 12))
    for i, picture in enumerate(pictures):
        path = folder / "照片" / ("other" if i % 2 else "红") / f"{i}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture).save(path)
    return folder


@pytest.fixture
def sterna(files, monkeypatch, capfd):
    """``sterna("transfer", "t.csv", ...)`` from the folder of `files`: its code, output and errors."""
    monkeypatch.chdir(files)

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["sterna", *map(str, arguments)])
        capfd.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        out, error = capfd.readouterr()
        return SimpleNamespace(code=ended.value.code or 0, out=out, error=error)

    return run


@pytest.fixture(scope="session")
def runs(files, tmp_path_factory):
    """Finished runs of one step: on a table, on texts and on pictures."""
    import os

    import sterna

    folder, before = tmp_path_factory.mktemp("runs"), os.getcwd()
    options = {"method": "scratch", "steps": 1, "control": "none"}
    os.chdir(files)
    try:
        for name, read in (("table", {"spec": "t.csv", "label": "y"}), ("text", {"spec": "texts.csv", "text": "text"}),
                           ("images", {"spec": "照片"})):  # fmt: skip
            sterna.transfer(None, sterna.load_domain(**read), out=folder / name, **options)
    finally:
        os.chdir(before)
    return folder
