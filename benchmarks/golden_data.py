"""Small data of every kind and small sources, for the golden numbers: all made here, or by scikit-learn, from seeds."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


# -- data -------------------------------------------------------------------------------------------


@cache
def digit_arrays() -> tuple[Array, Array]:
    """Grey digits of scikit-learn, ``(n, 8, 8)`` uint8, and their classes."""
    from sklearn.datasets import load_digits

    found = load_digits()
    return (found.images * 255 / 16).astype(np.uint8), found.target


def digits(first: int, rows: int, *, classes: Sequence[int] = (0, 1, 2), look: str = "grey") -> tuple[Array, Array]:
    """Some rows of these classes, from the `first` on: grey, ``inverted``, or in ``colour``."""
    images, labels = digit_arrays()
    chosen = np.flatnonzero(np.isin(labels, classes))[first : first + rows]
    images, labels = images[chosen], labels[chosen]
    if look == "inverted":
        images = 255 - images
    if look == "colour":
        random = np.random.default_rng(first)
        ink, paper = random.uniform(0.5, 1, (2, rows, 1, 1, 3)) * [[[[[1]]]], [[[[0.4]]]]]
        part = images[..., None] / 255
        images = (255 * (part * ink + (1 - part) * paper)).astype(np.uint8)
    return images, labels


def names_of(labels: Array) -> list[str]:
    return [f"digit {label}" for label in labels]


def pictures(name: str, first: int, rows: int, answer: str = "classes", splits: Any = None, **more: Any) -> Any:
    """A Domain of digits: their classes, two labels each (odd, large), or how much ink they take."""
    from sterna import Domain

    images, labels = digits(first, rows, **more)
    if answer == "labels":
        given = np.stack([labels % 2, labels > 1], axis=1).astype(float)
        return Domain.from_arrays(images, given, classes=("odd", "large"), name=name, splits=splits)
    if answer == "numbers":
        amount = images.reshape(rows, -1).mean(axis=1) / 7 + labels
        return Domain.from_arrays(images, amount, name=name, splits=splits)
    return Domain.from_arrays(images, names_of(labels), name=name, splits=splits)


def tiny_module(channels: int = 1, blocks: int = 2, seed: int = 77) -> Any:
    """Two blocks of convolution, batch norm and dropout, or up to four: features ``(n, 12)`` to ``(n, 24)``."""
    import torch
    from torch import nn

    def block(before: int, after: int) -> nn.Module:
        return nn.Sequential(
            nn.Conv2d(before, after, 3, padding=1, bias=False), nn.BatchNorm2d(after), nn.ReLU(), nn.Dropout(0.1)
        )

    with torch.random.fork_rng():
        torch.manual_seed(seed)
        module = nn.Sequential()
        for i, (before, after) in enumerate([(channels, 8), (8, 12), (12, 16), (16, 24)][:blocks]):
            module.add_module(f"block{i}", block(before, after))
        module.add_module("pool", nn.AdaptiveAvgPool2d(1))
        module.add_module("flat", nn.Flatten())
        module.train()
        for _ in range(20):  # statistics that are not those of a fresh layer
            module(torch.randn(16, channels, 8, 8) * 2 + 0.5)
    return module.eval()


def module_source(channels: int = 1, blocks: int = 2) -> Any:
    """A source with a body for images of 8 pixels and nothing else."""
    from sterna import load_source
    from sterna.networks import ImagePreparation

    mean, std = (0.5,) * channels, (0.25,) * channels
    preparation = ImagePreparation(size=8, mean=mean, std=std, crop=1.0, channels=channels)
    return load_source(tiny_module(channels, blocks), preparation=preparation)


WORDS = {
    "praise": ["great", "warm", "bright", "lovely", "careful", "quick", "solid", "honest"],
    "blame": ["dull", "cold", "broken", "careless", "slow", "weak", "noisy", "false"],
    "film": ["film", "actor", "scene", "story", "music", "camera"],
    "kitchen": ["kettle", "oven", "spoon", "recipe", "knife", "pan"],
    "filler": ["the", "a", "this", "that", "very", "quite", "and", "with", "again", "today"],
}


def text_rows(seed: int, rows: int, topic: str) -> tuple[list[str], Array]:
    """Short English texts of word lists, and how much praise is in each, from 0 to 1."""
    random = np.random.default_rng(seed)
    texts, praise = [], np.empty(rows)
    for i in range(rows):
        said = [str(random.choice(WORDS["praise" if random.random() < (i % 4) / 3 else "blame"])) for _ in range(4)]
        about = [str(v) for v in random.choice(WORDS[topic], 3)] + [str(v) for v in random.choice(WORDS["filler"], 4)]
        praise[i] = np.mean([word in WORDS["praise"] for word in said])
        words = np.array([*said, *about])
        texts.append(" ".join(random.permutation(words)))
    return texts, praise


def texts(seed: int, rows: int, topic: str, answer: str = "classes") -> Any:
    from sterna import Domain

    written, praise = text_rows(seed, rows, topic)
    if answer == "labels":
        long = np.array([len(text) > 60 for text in written])
        given = np.stack([praise > 0.5, long], axis=1).astype(float)
        return Domain.from_arrays(written, given, classes=("praise", "long"), name=topic)
    given = praise * 10 if answer == "numbers" else np.where(praise > 0.5, "good", "bad")
    return Domain.from_arrays(written, given, name=topic)


def table_frame(seed: int, rows: int, shift: float) -> tuple[Any, Array]:
    """Numbers, a category, a date and a yes or no, with gaps; and what the answers hang on, ``(n,)``."""
    import pandas as pd

    random = np.random.default_rng(seed)
    age, pressure = random.normal(50 + 5 * shift, 12, rows), random.normal(120 + 10 * shift, 15, rows)
    ward = random.choice(["north", "south", "west"], rows, p=[0.5, 0.3, 0.2])
    days = random.integers(0, 700, rows)
    risk = (age - 50) / 12 + 0.5 * (pressure - 120) / 15 + (ward == "south") + random.normal(0, 0.4, rows)
    frame = pd.DataFrame(
        {
            "age": np.where(random.random(rows) < 0.1, np.nan, age.round(1)),
            "pressure": pressure.round(),
            "ward": np.where(random.random(rows) < 0.05, None, ward),
            "seen": pd.Timestamp("2020-01-01") + pd.to_timedelta(days, unit="D"),
            "smoker": random.choice(["yes", "no"], rows),
        }
    )
    return frame, risk


def patients(name: str, seed: int, rows: int, shift: float = 0.0, answer: str = "classes", **more: Any) -> Any:
    from sterna import Domain

    frame, risk = table_frame(seed, rows, shift)
    if answer == "labels":
        given = np.stack([risk > 0.5, frame["pressure"] > 125], axis=1).astype(float)
        return Domain.from_arrays(frame, given, classes=("ill", "high"), name=name)
    given = risk * 20 + 100 if answer == "numbers" else np.where(risk > 0.5, "ill", "well")
    return Domain.from_arrays(frame.rename(columns=more.get("names", {})), given, name=name)


def plants(seed: int, rows: int, columns: str, answer: str = "classes") -> Any:
    """Two classes, or numbers, in as many numbers as there are letters, in other directions for each set of columns."""
    import pandas as pd

    from sterna import Domain

    direction = np.random.default_rng(len(columns)).normal(size=len(columns))
    x = np.random.default_rng(seed).normal(size=(rows, len(columns)))
    found = x @ direction
    given = found * 3 + 5 if answer == "numbers" else np.where(found > 0, "tall", "short")
    return Domain.from_arrays(pd.DataFrame(x, columns=list(columns)), given, name=f"plants {columns}")


def sounds(name: str, seed: int, rows: int, noise: float, answer: str = "classes") -> Any:
    """A tenth of a second of a low, a middle or a high tone in noise."""
    from sterna import Domain
    from sterna.domains import Sound

    random, rate = np.random.default_rng(seed), 8000
    time_of = np.arange(rate // 10) / rate
    made, pitches = [], np.empty(rows)
    for i in range(rows):
        pitches[i] = (300, 700, 1500)[i % 3] * random.uniform(0.8, 1.25)
        tone = 0.4 * np.sin(2 * np.pi * pitches[i] * time_of) + random.normal(0, noise, len(time_of))
        made.append(Sound(tone.astype(np.float32), rate))
    given = np.log2(pitches) if answer == "numbers" else np.array(["low", "middle", "high"])[np.arange(rows) % 3]
    return Domain.from_arrays(made, given, name=name)


# -- sources and targets ----------------------------------------------------------------------------

ROWS = 72


@cache
def folder() -> Path:
    """Of this process, gone with it: earlier runs, made models, and the cache of features."""
    path = Path(tempfile.mkdtemp(prefix="sterna-golden-"))
    atexit.register(shutil.rmtree, path, ignore_errors=True)
    return path


def data_only(data: Any) -> Any:
    from sterna import Source

    return Source(spec=data.name, data=data)


@cache
def earlier_run(kind: str) -> str:
    """The spec of a run that trained a small network on a source's data."""
    from sterna import transfer

    path = folder() / kind
    data = {
        "images": lambda: pictures("ours", 200, ROWS, look="inverted"),
        "others": lambda: pictures("others", 200, ROWS, classes=(5, 6, 7)),
        "table": lambda: patients("old", 1, ROWS),
        "text": lambda: texts(1, ROWS, "film"),
        "audio": lambda: sounds("quiet", 1, 36, 0.05),
    }[kind]()
    transfer(None, data, method="scratch", control="none", epochs=3, out=path)
    return f"run:{path}"


@cache
def speech_model() -> str:
    """The spec of a tiny speech encoder with random weights."""
    import torch
    from transformers import Wav2Vec2Config, Wav2Vec2FeatureExtractor, Wav2Vec2Model
    from transformers.utils import logging

    logging.disable_progress_bar()
    path = folder() / "wav2vec2"
    config = Wav2Vec2Config(
        hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=24, conv_dim=(8, 8, 8),
        conv_kernel=(10, 8, 4), conv_stride=(8, 8, 5), num_feat_extract_layers=3, num_conv_pos_embeddings=16,
        num_conv_pos_embedding_groups=2, vocab_size=8, mask_time_prob=0.05, feat_extract_norm="layer",
        do_stable_layer_norm=True,
    )  # fmt: skip
    torch.manual_seed(0)
    Wav2Vec2Model(config).eval().save_pretrained(path)
    Wav2Vec2FeatureExtractor(do_normalize=True, return_attention_mask=True).save_pretrained(path)
    return f"hf/{path}"


def loaded(spec: str) -> Any:
    from sterna import load_source

    return load_source(spec)


def many_to_choose_by() -> Mapping[str, list[int]]:
    """Splits with as many validation rows as it takes to choose an epoch by them."""
    return {"train": list(range(40)), "validation": list(range(40, 140)), "test": list(range(140, 200))}


PAIRS: dict[str, Callable[[], tuple[Any, Any]]] = {
    # images: with a module and data, with data alone, in colour, grey beside colour, of other classes, from a run
    "grey": lambda: (
        module_source().with_data(pictures("inverted", 200, ROWS, look="inverted")), pictures("grey", 0, ROWS)),
    "module": lambda: (module_source(blocks=4), pictures("grey", 0, ROWS)),
    "chosen": lambda: (module_source(), pictures("grey", 0, 200, splits=many_to_choose_by())),
    "colour": lambda: (
        module_source(3).with_data(pictures("bright", 200, ROWS, look="colour")),
        pictures("coloured", 0, ROWS, look="colour")),
    "mixed": lambda: (
        module_source(3).with_data(pictures("bright", 200, ROWS, look="colour")), pictures("grey", 0, ROWS)),
    "pictures": lambda: (
        data_only(pictures("inverted", 200, ROWS, look="inverted")), pictures("grey", 0, ROWS)),
    "others": lambda: (
        module_source().with_data(pictures("others", 200, ROWS, classes=(5, 6, 7))), pictures("grey", 0, ROWS)),
    "ink": lambda: (
        module_source().with_data(pictures("inverted", 200, ROWS, "numbers", look="inverted")),
        pictures("grey", 0, ROWS, "numbers")),
    "signs": lambda: (
        module_source().with_data(pictures("inverted", 200, ROWS, "labels", look="inverted")),
        pictures("grey", 0, ROWS, "labels")),
    "run": lambda: (
        loaded(earlier_run("images")).with_data(pictures("inverted", 200, ROWS, look="inverted")),
        pictures("grey", 0, ROWS)),
    "run-others": lambda: (loaded(earlier_run("others")), pictures("grey", 0, ROWS)),
    # tables
    "table": lambda: (data_only(patients("old", 1, ROWS)), patients("new", 2, ROWS, 1.0)),
    "table-numbers": lambda: (
        data_only(patients("old", 1, ROWS, answer="numbers")), patients("new", 2, ROWS, 1.0, "numbers")),
    "table-labels": lambda: (
        data_only(patients("old", 1, ROWS, answer="labels")), patients("new", 2, ROWS, 1.0, "labels")),
    "table-run": lambda: (loaded(earlier_run("table")), patients("new", 2, ROWS, 1.0)),
    "columns": lambda: (data_only(plants(1, ROWS, "abcd")), plants(2, ROWS, "uvw")),
    "columns-numbers": lambda: (
        data_only(plants(1, ROWS, "abcd", "numbers")), plants(2, ROWS, "uvw", "numbers")),
    "renamed": lambda: (
        data_only(patients("old", 1, ROWS)),
        patients("new", 2, ROWS, 1.0, names={"age": "years", "pressure": "mmHg", "ward": "unit"})),
    # texts
    "text": lambda: (data_only(texts(1, ROWS, "film")), texts(2, ROWS, "kitchen")),
    "text-numbers": lambda: (
        data_only(texts(1, ROWS, "film", "numbers")), texts(2, ROWS, "kitchen", "numbers")),
    "text-labels": lambda: (
        data_only(texts(1, ROWS, "film", "labels")), texts(2, ROWS, "kitchen", "labels")),
    "text-run": lambda: (
        loaded(earlier_run("text")).with_data(texts(1, ROWS, "film")), texts(2, ROWS, "kitchen")),
    "minilm": lambda: (
        loaded("packaged/minilm-l6").with_data(texts(1, 60, "film")), texts(2, 60, "kitchen")),
    # audio
    "audio": lambda: (data_only(sounds("quiet", 1, 36, 0.05)), sounds("loud", 2, 48, 0.3)),
    "audio-numbers": lambda: (
        data_only(sounds("quiet", 1, 36, 0.05, "numbers")), sounds("loud", 2, 48, 0.3, "numbers")),
    "audio-run": lambda: (
        loaded(earlier_run("audio")).with_data(sounds("quiet", 1, 36, 0.05)), sounds("loud", 2, 48, 0.3)),
    "speech": lambda: (
        loaded(speech_model()).with_data(sounds("quiet", 1, 36, 0.05)), sounds("loud", 2, 48, 0.3)),
}  # fmt: skip
"""Sources and targets, by name; made anew for each case, so that no case can change those of another."""

TABLE_RULES = """
IF age > 55 AND pressure > 125 THEN ill (0.9)
IF age <= 45 THEN well (0.8)
IF ward = south THEN ill (0.7)
OTHERWISE well (0.6)
"""
NUMBER_RULES = "IF age > 55 THEN 120 (0.9)\nIF age <= 45 THEN 90 (0.8)\n"
TEXT_RULES = 'IF text CONTAINS "great" THEN good (0.9)\nIF text CONTAINS "broken" THEN bad (0.9)\n'
