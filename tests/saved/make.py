"""Write small runs of every kind, with what they answer, as fixtures that later versions must still load.

``python tests/saved/make.py tests/saved/v2`` makes a new folder; what is in the older ones is never made again.
Runs are made in the folder, under names without a path, so that no path of a machine is in them.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from safetensors.torch import save_file

from sterna import Domain, Source, load_source, load_transfer, transfer
from sterna.domains.audio import Sound
from sterna.networks import ImagePreparation
from sterna.store.fusing_runs import fuse_runs

sys.path.insert(0, str(Path(__file__).parent))
import saved_bodies

RULES = "IF age > 60 THEN ill (0.9)\nIF age <= 60 AND city = 'north' THEN well (0.7)\nIF dose > 1 THEN ill (0.6)\n"


def people(rows, seed):
    """Rows with numbers, words, days and gaps."""
    random = np.random.default_rng(seed)
    age, dose = random.uniform(20, 90, rows).round(1), random.normal(size=rows).round(3)
    frame = pd.DataFrame(
        {
            "age": age,
            "dose": np.where(random.random(rows) < 0.1, np.nan, dose),
            "city": random.choice(["north", "south", "江"], rows),
            "seen": pd.date_range("2020-01-01", periods=rows, freq="11D").strftime("%Y-%m-%d"),
        }
    )
    return frame, age + 10 * np.nan_to_num(dose)


def target_of(labels):
    """A target of 120 people: ``labels(score)``."""
    frame, score = people(120, 0)
    return Domain.from_arrays(frame, labels(score), name="people")


def far(score):
    """Whether somebody is far from the middle: no line tells that."""
    return np.abs(score - 55) > 15


def ill(score):
    return np.where(score > 55, "ill", "well")


def pictures(rows, colour):
    from sklearn.datasets import load_digits

    found = load_digits()
    images = (found.images[:rows] * 255 / 16).astype(np.uint8)
    if colour:
        shade = np.linspace(0.3, 1, 8)  # a mirror image is another image
        images = np.stack([images * shade, images, images * shade[::-1]], axis=3).astype(np.uint8)
    return images, [f"{v}" for v in found.target[:rows]]


def small_source(name):
    """A body whose architecture a file of ours names: :mod:`saved_bodies`."""
    channels = {"grey": 1, "colour": 3}[name]
    torch.manual_seed(channels)
    Path("work").mkdir(exist_ok=True)
    save_file(getattr(saved_bodies, name)().state_dict(), f"work/{name}.safetensors")
    preparation = ImagePreparation(size=8, mean=(0.5,) * channels, std=(0.25,) * channels, crop=1.0, channels=channels)
    return load_source(f"file:work/{name}.safetensors", architecture=f"saved_bodies:{name}", preparation=preparation)


def texts(rows):
    random = np.random.default_rng(0)
    good, bad = ["fine", "great", "lovely", "好吃"], ["poor", "awful", "dull", "难吃"]
    stars = random.integers(0, 2, rows)
    return [" ".join(random.choice(good if s else bad, 3)) + f" {i}" for i, s in enumerate(stars)], stars


def sounds(rows):
    random = np.random.default_rng(0)
    pitch = random.integers(0, 2, rows)
    time = np.arange(1200) / 8000
    waves = [np.sin(2 * np.pi * (300 + 500 * p) * time) + random.normal(0, 0.1, 1200) for p in pitch]
    return [Sound(wave.astype(np.float32), 8000) for wave in waves], np.where(pitch, "high", "low")


def boosting():
    """Numbers far from 0, learnt by boosted trees, with two seeds and a control."""
    transfer(None, target_of(lambda score: 5e5 + 1e4 * far(score) + 10 * score), method="target-only",
             control="scratch", epochs=1, seeds=2, out="boosting")  # fmt: skip
    return people(20, 9)[0]


def labels():
    """Several labels a row."""
    marks = lambda score: pd.DataFrame({"old": score > 50, "very old": score > 70}).astype(int)
    transfer(None, target_of(marks), method="target-only", control="none", out="labels")
    return people(20, 9)[0]


def rules():
    transfer(None, target_of(ill), method="rule-head", settings={"rules": RULES}, control="none", out="rules")
    return people(20, 9)[0]


def nesting():
    """A source's answers beside the columns."""
    frame, score = people(160, 1)
    known = Source("older", data=Domain.from_arrays(frame, np.where(far(score), "far", "near"), name="older"))
    labels = lambda score: np.where(2.0 * far(score) + (score - 55) / 20 > 1, "risk", "none")
    transfer(known, target_of(labels), method="task-nesting", control="none", out="nesting")
    return people(20, 9)[0]


def sharing():
    """Numbers of a source and a target in other units, from columns of which some differ."""
    frame, score = people(120, 1)
    known = Source("older", data=Domain.from_arrays(frame.drop(columns="seen"), score * 7 - 3, name="older"))
    transfer(known, target_of(lambda score: score * 1000 + 5e5), method="parameter-sharing", control="none", epochs=2,
             out="sharing")  # fmt: skip
    return people(20, 9)[0]


def mirrored():
    """Colour images, which are answered with their mirror images."""
    images, names = pictures(120, colour=True)
    transfer(small_source("colour"), Domain.from_arrays(images[:100], names[:100], name="colour"), method="fine-tuning",
             settings={"linear_probe": False}, control="scratch", epochs=1, out="mirrored")  # fmt: skip
    return images[100:]


def grey():
    """Features of two blocks under a linear head."""
    images, names = pictures(120, colour=False)
    domain = Domain.from_arrays(images[:100], names[:100], name="grey")
    transfer(small_source("grey"), domain, method="feature-extraction", settings={"blocks": ["block0", "last"]},
             control="none", out="grey")  # fmt: skip
    return images[100:]


def fused():
    """Two runs of one body, the second tuned from the first."""
    images, names = pictures(120, colour=False)
    domain = Domain.from_arrays(images[:100], names[:100], name="grey")
    own = {"settings": {"linear_probe": False, "learning_rate": 0.01}, "control": "none", "epochs": 1}
    transfer(small_source("grey"), domain, method="fine-tuning", out="work/first", **own)
    transfer("run:work/first", domain, method="fine-tuning", out="work/second", **own)
    fuse_runs(Path("work/first"), Path("work/second"), 0.4, Path("fused"))
    return images[100:]


def words():
    """TF-IDF and logistic regression."""
    found, stars = texts(120)
    domain = Domain.from_arrays(found[:100], np.where(stars[:100], "up", "down"), name="reviews")
    transfer(None, domain, method="target-only", control="none", out="words")
    return found[100:]


def voices():
    """Log-mel statistics of recordings."""
    found, names = sounds(60)
    transfer(None, Domain.from_arrays(found[:50], names[:50], name="tones"), method="target-only", control="none",
             out="voices")  # fmt: skip
    return found[50:]


def speech():
    """Features of a tiny encoder of sounds under a linear head."""
    from transformers import Wav2Vec2Config, Wav2Vec2FeatureExtractor, Wav2Vec2Model

    torch.manual_seed(0)
    config = Wav2Vec2Config(
        hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=24, conv_dim=(8, 8, 8),
        conv_kernel=(10, 8, 4), conv_stride=(8, 8, 5), num_feat_extract_layers=3, num_conv_pos_embeddings=16,
        num_conv_pos_embedding_groups=2, vocab_size=8, feat_extract_norm="layer", do_stable_layer_norm=True,
    )  # fmt: skip
    Wav2Vec2Model(config).eval().save_pretrained("work/wav2vec2")
    Wav2Vec2FeatureExtractor(return_attention_mask=True).save_pretrained("work/wav2vec2")
    found, names = sounds(40)
    transfer(load_source("hf/work/wav2vec2"), Domain.from_arrays(found[:30], names[:30], name="tones"),
             method="feature-extraction", settings={"blocks": "last"}, control="none", out="speech")  # fmt: skip
    return found[30:]


RUNS = (boosting, labels, rules, nesting, sharing, mirrored, grey, fused, words, voices, speech)


def written(inputs):
    """Inputs as plain arrays: a table's columns by name."""
    if isinstance(inputs, pd.DataFrame):
        of = lambda column: column.to_numpy(float if pd.api.types.is_numeric_dtype(column) else str)
        return {f"column {name}": of(inputs[name]) for name in inputs}
    if isinstance(inputs, np.ndarray):
        return {"images": inputs}
    if isinstance(inputs[0], Sound):
        return {"sounds": np.stack([s.samples for s in inputs]), "rate": np.array(inputs[0].rate)}
    return {"texts": np.array(inputs)}


def read(arrays):
    """The inputs that :func:`written` wrote."""
    if "images" in arrays:
        return arrays["images"]
    if "texts" in arrays:
        return [str(text) for text in arrays["texts"]]
    if "sounds" in arrays:
        return [Sound(samples, int(arrays["rate"])) for samples in arrays["sounds"]]
    return pd.DataFrame({name.removeprefix("column "): arrays[name] for name in arrays if name.startswith("column ")})


def pack(path):
    """Write an archive again, compressed: the same files in it, a tenth of the size."""
    with zipfile.ZipFile(path) as file:
        parts = {name: file.read(name) for name in file.namelist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as file:
        for name, part in parts.items():
            file.writestr(name, part)


def main(folder):
    folder.mkdir(parents=True)
    os.chdir(folder)
    for make in RUNS:
        name, inputs = make.__name__, make()
        path = Path(name) / "manifest.json"
        record = json.loads(path.read_text(encoding="utf-8"))
        if "platform" in record.get("environment", {}):
            record["environment"]["platform"] = "any"
        path.write_text(json.dumps(record, indent=1, ensure_ascii=False), encoding="utf-8")
        for archive in Path(name).rglob("*.skops"):
            pack(archive)
        run = load_transfer(name)
        inputs = read(written(inputs))
        answers = np.asarray(run.predict(inputs))
        np.savez_compressed(
            f"{name}.npz", outputs=run.outputs(inputs),
            answers=answers.astype(str) if answers.dtype == object else answers, **written(inputs)
        )  # fmt: skip
    shutil.rmtree("work", ignore_errors=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
