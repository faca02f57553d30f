"""Numbers that stay as they are while the code is changed: every method on small data of every kind it takes.

``python -m benchmarks.golden [NAME ...]`` runs the cases whose names hold one of the words (all by default) and says of
each whether it is equal to the bit to `benchmarks/results/golden.json`, or what differs and by how much; it ends with 1
if something differs. ``--write`` writes the cases into the file instead, ``--list`` names them.

Of each case: every score of the method and of its controls with its interval, every gain and its verdict, which labels
chose what, the validation scores, and of the network of the first seed a hash of its weights with their names, one
without the names (so that a renamed part can be told from another value), their norm, and hash and norm of its answers
to all rows of the target. A change in rounding moves the hashes and the last digits of the norms; any other moves more.
"""

from __future__ import annotations

import os

os.environ["OMP_NUM_THREADS"] = "1"  # sums in one order, on any number of cores; before numpy is imported

import atexit
import hashlib
import json
import platform
import shutil
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

FILE = Path(__file__).parent / "results" / "golden.json"
EPOCHS = 2
SHOWN = 12
"""Differences of a case that are printed; the others are counted."""

Case = Mapping[str, Any]
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


# -- cases ------------------------------------------------------------------------------------------

MODEL = ("feature-extraction", "fine-tuning", "knowledge-propagation", "weight-fusion", "transfer-network")
TRAINED = ("joint-training", "dan", "dann", "deep-coral")
FITTED = ("coral", "domain-scaling", "feature-mapping", "example-mining", "example-weighting")
TWO = (*TRAINED, "parameter-sharing", *FITTED, "task-nesting")
GIVEN = ("label-propagation", "prototypes")
CONTROLS = ("pooled", "scratch", "source-only", "target-only")
RULES = ("rule-head", "rule-penalty", "weak-labels")
BLIND = ("source-only", "coral", "dan", "dann", "deep-coral", "domain-scaling", "example-weighting", "prototypes")
"""Methods that need no label of the target."""


def cases() -> dict[str, Case]:
    """What is run, by name: METHOD/PAIR, and what is unlike the rest after a comma."""
    found: dict[str, Case] = {}

    def add(methods: Sequence[str], pairs: Sequence[str], more: str = "", **options: Any) -> None:
        for pair in pairs:
            for method in methods:
                name = f"{method}/{pair}" + (f",{more}" if more else "")
                assert name not in found, name
                main = pair in MAIN and not more
                first = not main and all(case["pair"] != pair for case in found.values())
                beside_all = first or (main and method in BESIDE_ALL)
                control = "auto" if beside_all or options.get("labels") == 0 else BESIDE.get(pair, "scratch")
                about = {"seeds": 3 if main else 1, "control": "auto" if method == control else control}
                found[name] = {"pair": pair, "method": method, "labels": 30, **about, **options}

    _of_images(add)
    _of_tables(add)
    _of_texts_and_audio(add)
    return found


MAIN = ("grey", "table", "text", "text-run", "audio")
"""Pairs that every method of their kind runs on, with three seeds; one seed for the others."""

BESIDE_ALL = ("joint-training", "coral", "rule-head")
"""They run beside all controls of ``auto``, which are the same whatever the method; as does the first of another pair.
The other methods have one cheap control."""

BESIDE = {pair: "target-only" for pair in ("text", "text-numbers", "text-labels", "text-run", "minilm")}
"""The control of the others, where it is not ``scratch``."""


def _of_images(add: Callable[..., None]) -> None:
    add((*CONTROLS, *MODEL, *TWO, *GIVEN), ("grey",))
    add(MODEL, ("chosen",), labels=None)
    add(BLIND, ("grey",), "blind", labels=0)
    add(("label-propagation",), ("grey",), "blind", labels=0, settings={"neighbours": 40})
    add(("scratch", "fine-tuning", "weight-fusion", "transfer-network", *TRAINED, "parameter-sharing"), ("colour",))
    add((*TRAINED, "parameter-sharing", "pooled"), ("mixed",))
    add(("pooled", "joint-training", "dann", "parameter-sharing", "task-nesting", "prototypes"), ("pictures",))
    add(("joint-training", "parameter-sharing", "task-nesting"), ("others",))
    add(("fine-tuning", "weight-fusion", "joint-training", "dan", "coral"), ("ink",))
    add(("feature-extraction", "knowledge-propagation", "transfer-network", "example-mining", "dan"), ("signs",))
    add(("source-only", "fine-tuning", "weight-fusion", "task-nesting", "dan"), ("run",))
    add(("fine-tuning", "task-nesting"), ("run-others",))
    add(("fine-tuning",), ("module",), "frozen", settings={"freeze_until": "block1", "gradual": False, "share": 0.5})
    add(("fine-tuning",), ("module",), "plain", settings={"linear_probe": False, "average": False, "augment": False})
    add(("fine-tuning",), ("module",), "weights", balance="weights")
    add(("fine-tuning",), ("module",), "sampler", balance="sampler")
    add(("fine-tuning",), ("module",), "curve", labels=None, curve=(2, 5))
    add(("feature-extraction",), ("module",), "last", settings={"blocks": "last", "penalty": 0.1}, labels_per_class=5,
        labels=None)  # fmt: skip
    add(("weight-fusion",), ("module",), "half", settings={"alpha": 0.5, "epochs_after": 1})
    add(("transfer-network",), ("module",), "gate", settings={"join": "gate", "train_source": True})
    add(("joint-training",), ("grey",), "upgrad", settings={"aggregator": "upgrad"})
    add(("parameter-sharing",), ("grey",), "fixed", settings={"mode": "fixed"})
    add(("parameter-sharing",), ("grey",), "gradients", settings={"mode": "gradients"})
    add(("prototypes",), ("grey",), "directions", settings={"normalize": True})
    add(("example-mining",), ("grey",), "odds", settings={"by": "odds"})


def _of_tables(add: Callable[..., None]) -> None:
    add((*CONTROLS, *TWO, *GIVEN, *RULES), ("table",))
    add(("source-only", "coral", "dan", "domain-scaling", "rule-head", "weak-labels"), ("table",), "blind", labels=0)
    add(("scratch", "pooled", "source-only", *TRAINED, "parameter-sharing", "example-mining", "task-nesting",
         *RULES), ("table-numbers",))  # fmt: skip
    add(("scratch", "pooled", "source-only", "dan", "parameter-sharing", "example-weighting", "task-nesting"),
        ("table-labels",))  # fmt: skip
    add((*MODEL, "task-nesting", "rule-head"), ("table-run",))
    add(("parameter-sharing", "feature-mapping"), ("columns",))
    add(("parameter-sharing",), ("columns-numbers",))
    add(("parameter-sharing",), ("columns",), "fixed", settings={"mode": "fixed"})
    add(("parameter-sharing",), ("columns",), "gradients", settings={"mode": "gradients"})
    named = {"columns": "age=years,pressure=mmHg,ward=unit"}
    add(("rule-head", "weak-labels"), ("renamed",), settings=named, labels=0)
    add(RULES, ("table",), "written", settings={"rules": TABLE_RULES})
    add(RULES, ("table-numbers",), "written", settings={"rules": NUMBER_RULES})


def _of_texts_and_audio(add: Callable[..., None]) -> None:
    add((*CONTROLS, *TRAINED, "parameter-sharing", "task-nesting"), ("text",))
    add((*MODEL, *FITTED, *GIVEN, "source-only"), ("text-run",))
    add(("source-only", "dann"), ("text",), "blind", labels=0)
    add(("coral", "prototypes"), ("text-run",), "blind", labels=0)
    add(("rule-head", "rule-penalty", "weak-labels"), ("text",), "written", settings={"rules": TEXT_RULES})
    add(("source-only", "joint-training", "task-nesting"), ("text-numbers",))
    add(("pooled", "deep-coral", "task-nesting"), ("text-labels",))
    add(("coral", "feature-extraction", "prototypes", "task-nesting"), ("minilm",))
    add(("fine-tuning",), ("minilm",), epochs=1)
    add((*CONTROLS, *TWO, *GIVEN), ("audio",))
    add(("dan", "prototypes"), ("audio",), "blind", labels=0)
    add(("joint-training", "source-only", "task-nesting"), ("audio-numbers",))
    add((*MODEL, "source-only", "coral"), ("audio-run",))
    add(("feature-extraction", "fine-tuning", "dann", "prototypes"), ("speech",))


# -- what is kept of a run --------------------------------------------------------------------------


def run(case: Case) -> dict[str, Any]:
    """One transfer, and what of it must stay as it is."""
    import torch

    from sterna import transfer

    source, target = PAIRS[case["pair"]]()
    options = {"epochs": EPOCHS, "device": "cpu", **case}
    options = {name: value for name, value in options.items() if name != "pair"}
    torch.manual_seed(0)
    np.random.seed(0)
    result = transfer(source, target, **options)
    record, task = result.record, result.task
    answers = result.predict(target) if task.id == "regression" else result.predict_proba(target)
    kept = {
        "metric": record["task"]["metric"],
        "score": result.scores[record["task"]["metric"]].value,
        "scores": {name: _interval(found) for name, found in result.scores.items()},
        "controls": {
            control: {name: _interval(found) for name, found in scores.items()}
            for control, scores in result.controls.items()
        },
        "gain": None if result.gain is None else [result.gain.control, *_interval(result.gain), result.gain.verdict],
        "gains": {control: [*_interval(gain), gain.verdict] for control, gain in result.gains.items()},
        "selected_by": result.selected_by,
        "control_selected_by": record["control_selected_by"],
        "chosen": record["chosen"],
        "validation": record["validation"],
        "curve": [[point["labels_per_class"], point["scores"], point["gain"]] for point in record.get("curve", ())],
        "network": weights_of(result.network.state_dict()),
        "answers": {"sha256": _hash([answers]), "norm": float(np.linalg.norm(np.asarray(answers, dtype=np.float64)))},
    }
    return dict(json.loads(json.dumps(kept)))  # as it will be read


def _interval(found: Any) -> list[float]:
    return [found.value, found.low, found.high]


def weights_of(state: Mapping[str, Any]) -> dict[str, Any]:
    """Hashes of weights with and without their names, the norm of all that are no whole numbers, and their number."""
    arrays = {name: state[name].detach().cpu().contiguous().numpy() for name in sorted(state)}
    named = hashlib.sha256()
    for name, values in arrays.items():
        named.update(name.encode() + b"\0" + values.tobytes())
    floats = [values.astype(np.float64).ravel() for values in arrays.values() if values.dtype.kind == "f"]
    return {
        "sha256": named.hexdigest(),
        "sha256_without_names": hashlib.sha256(b"".join(sorted(_digest(v) for v in arrays.values()))).hexdigest(),
        "norm": float(np.sqrt(sum(float(values @ values) for values in floats))),
        "weights": int(sum(values.size for values in arrays.values())),
    }


def _digest(values: Array) -> bytes:
    return hashlib.sha256(repr(values.shape).encode() + values.tobytes()).digest()


def _hash(arrays: Sequence[Array]) -> str:
    return hashlib.sha256(b"".join(_digest(np.ascontiguousarray(values)) for values in arrays)).hexdigest()


# -- comparing --------------------------------------------------------------------------------------


def differences(old: Any, new: Any, at: str = "") -> Iterator[str]:
    """What differs between two kept runs: where, old and new value, and by how much."""
    if isinstance(old, dict) and isinstance(new, dict):
        for name in dict.fromkeys([*old, *new]):
            there = f"{at}.{name}" if at else str(name)
            if name not in old or name not in new:
                yield f"{there}: " + ("is new" if name not in old else "is gone")
            else:
                yield from differences(old[name], new[name], there)
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for i, (one, other) in enumerate(zip(old, new, strict=True)):
            yield from differences(one, other, f"{at}[{i}]")
    elif repr(old) != repr(new):
        numbers = all(isinstance(v, (int, float)) and not isinstance(v, bool) for v in (old, new))
        size = f" (by {new - old:+.3g})" if numbers else ""
        yield f"{at}: {_short(old)} → {_short(new)}{size}"


def _short(value: Any) -> str:
    return f"{value[:12]}…" if isinstance(value, str) and len(value) == 64 else repr(value)


def machine() -> str:
    """What the values hang on beside the code."""
    packages = ("torch", "numpy", "scikit-learn", "scipy", "pandas", "transformers")
    return f"{platform.machine()}, Python {platform.python_version()}; " + ", ".join(
        f"{package} {version(package)}" for package in packages
    )


def write(kept: Mapping[str, Any]) -> None:
    """One line a case, so that a change of a few cases is a change of a few lines."""
    lines = [f" {json.dumps(name)}: {json.dumps(kept[name], ensure_ascii=False)}" for name in sorted(kept)]
    head = f'{{"machine": {json.dumps(machine())},\n"cases": {{\n'
    FILE.write_text(head + ",\n".join(lines) + "\n}}\n", encoding="utf-8")


def main(arguments: Sequence[str]) -> int:
    """Run the cases that are asked for; 1 if one differs from the file."""
    words = [word for word in arguments if not word.startswith("-")]
    unknown = {word for word in arguments if word.startswith("-")} - {"--write", "--list"}
    chosen = {name: case for name, case in cases().items() if not words or any(word in name for word in words)}
    if unknown or not chosen:
        what = f"no option {unknown.pop()}" if unknown else f"no case with {' or '.join(words)} in its name"
        print(f"There is {what}; usage: python -m benchmarks.golden [--write | --list] [NAME ...]", file=sys.stderr)
        return 2
    if "--list" in arguments:
        print("\n".join(chosen))
        return 0
    os.environ["STERNA_CACHE"] = str(folder() / "cache")
    import threadpoolctl
    import torch

    torch.set_num_threads(1)
    # With one thread there is nothing to limit; looking for it anew before each small fit takes half of the time.
    threadpoolctl.threadpool_limits = nullcontext  # type: ignore[misc,assignment]
    warnings.simplefilter("ignore")
    file = json.loads(FILE.read_text(encoding="utf-8")) if FILE.exists() else {"machine": machine(), "cases": {}}
    before = file["cases"]
    if file["machine"] != machine():
        print(f"The file was written with {file['machine']}; here are {machine()}: the last digits may differ.")
    counts = _run_all(chosen, before, "--write" in arguments)
    if not words:
        gone = [name for name in before if name not in chosen]
        print("".join(f"{name}: is in the file, but is no case any more\n" for name in gone), end="")
        counts["gone"] = len(gone)
    print(", ".join(f"{count} {what}" for what, count in counts.items()) + f"; {time.process_time():.0f} s of CPU")
    return int(any(count for what, count in counts.items() if what not in ("equal", "written")))


def _run_all(chosen: Mapping[str, Case], before: Mapping[str, Any], writing: bool) -> dict[str, int]:
    """Run each case and say how it compares, or write it; one that raises differs, and stops no other."""
    counts = {"written": 0, "failed": 0} if writing else {"equal": 0, "different": 0, "failed": 0, "new": 0}
    kept = {name: value for name, value in before.items() if name in cases()} if writing else {}
    for name, case in chosen.items():
        started = time.process_time()
        try:
            found = run(case)
        except Exception as error:
            print(f"{name}: failed, {type(error).__name__}: {error}", flush=True)
            counts["failed"] += 1
            continue
        lines = [] if writing or name not in before else list(differences(before[name], found))
        what = "written" if writing else "new" if name not in before else "different" if lines else "equal"
        counts[what] += 1
        print(f"{name}: {what} ({time.process_time() - started:.1f} s)", flush=True)
        print("".join(f"    {line}\n" for line in lines[:SHOWN]), end="")
        if len(lines) > SHOWN:
            print(f"    and {len(lines) - SHOWN} more")
        if writing:
            kept[name] = found
            write(kept)
    return counts


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
