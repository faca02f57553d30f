from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.base import BaseEstimator
from sklearn.ensemble import (
    ExtraTreesClassifier,
    ExtraTreesRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
)
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import FeatureUnion, Pipeline

from sterna.errors import RequestError
from sterna.networks import EstimatorHead
from sterna.tasks import Classification, MultiLabel, Regression

RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(90, 4)).astype(np.float32)
CODES = np.digitize(X[:, 0], [-0.5, 0.5])
LABELS = (X[:, :2] > 0).astype(int)
TEXTS = [f"{('bad', 'fair', 'good')[c]} bird {i % 7}" for i, c in enumerate(CODES)]
CLASSES = ("a", "b", "c")


def vectors() -> FeatureUnion:
    words = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True)
    characters = TfidfVectorizer(analyzer="char_wb", ngram_range=(1, 4), sublinear_tf=True, max_features=500)
    return FeatureUnion([("words", words), ("characters", characters)])


CASES: dict[str, tuple[Any, Any, Any, Any]] = {
    "boosting": (HistGradientBoostingClassifier(max_iter=10, min_samples_leaf=2), X, CODES, Classification(CLASSES)),
    "boosting of two": (HistGradientBoostingClassifier(max_iter=5), X, CODES > 0, Classification(("no", "yes"))),
    "boosting a number": (HistGradientBoostingRegressor(max_iter=10), X, X[:, 0], Regression()),
    "trees": (ExtraTreesClassifier(5, min_samples_leaf=2), X, CODES, Classification(CLASSES)),
    "trees of a number": (ExtraTreesRegressor(5, min_samples_leaf=2), X, X[:, 0], Regression()),
    "logistic": (LogisticRegression(), X, CODES, Classification(CLASSES)),
    "ridge": (Ridge(), X, X[:, 1], Regression()),
    "labels": (OneVsRestClassifier(LogisticRegression()), X, LABELS, MultiLabel(("u", "v"))),
    "text": (Pipeline([("v", vectors()), ("m", LogisticRegression())]), TEXTS, CODES, Classification(CLASSES)),
}


def head_of(name: str) -> tuple[EstimatorHead, Any]:
    estimator, x, y, task = CASES[name]
    estimator.fit(x, np.asarray(y).astype(int) if task.id == "classification" else y)
    return EstimatorHead(estimator, task), x if isinstance(x, list) else torch.from_numpy(x)


@pytest.mark.parametrize("name", CASES)
def test_outputs_are_the_estimators_own(name: str) -> None:
    head, x = head_of(name)
    estimator, raw, _, task = CASES[name]
    outputs = head(x).numpy()
    assert outputs.shape == (90, task.outputs) and np.isfinite(outputs).all()
    if task.id == "regression":
        np.testing.assert_allclose(outputs[:, 0], estimator.predict(raw))
    else:
        np.testing.assert_allclose(task.probabilities(outputs), estimator.predict_proba(raw), atol=1e-6)


@pytest.mark.parametrize("name", CASES)
def test_saved_and_loaded_it_answers_the_same(name: str, tmp_path: Path) -> None:
    head, x = head_of(name)
    head.save(tmp_path / "head")
    again = EstimatorHead.load(tmp_path / "head")
    assert torch.equal(again(x), head(x)) and again.task.state() == head.task.state()


def test_a_class_without_training_rows_gets_the_smallest_probability() -> None:
    rows = CODES != 1
    head = EstimatorHead(LogisticRegression().fit(X[rows], CODES[rows]), Classification(CLASSES))
    outputs = head(torch.from_numpy(X)).numpy()
    assert np.isfinite(outputs).all() and (outputs[:, 1] < -15).all()
    np.testing.assert_allclose(np.exp(outputs).sum(1), 1)
    np.testing.assert_allclose(np.exp(outputs[:, [0, 2]]), head.estimator.predict_proba(X), atol=1e-6)


class Foreign(BaseEstimator):
    pass


def test_a_file_with_a_foreign_type_is_refused(tmp_path: Path) -> None:
    EstimatorHead(Foreign(), Regression()).save(tmp_path)
    with pytest.raises(RequestError, match=r"holds types that Sterna does not load \(.*Foreign\), so it was refused"):
        EstimatorHead.load(tmp_path)


def test_a_file_that_names_a_system_function_is_refused(tmp_path: Path) -> None:
    head, _ = head_of("ridge")
    head.save(tmp_path)
    path = tmp_path / "estimator.skops"
    with zipfile.ZipFile(path) as archive:
        content = {name: archive.read(name) for name in archive.namelist()}
    schema = json.loads(content["schema.json"])
    schema.update(__class__="system", __module__="os", __loader__="FunctionNode", content="system")
    content["schema.json"] = json.dumps(schema).encode()
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in content.items():
            archive.writestr(name, data)
    with pytest.raises(RequestError, match="so it was refused|damaged"):
        EstimatorHead.load(tmp_path)


def rewritten(path: Path, change) -> None:
    """A file of skops with another schema."""
    with zipfile.ZipFile(path) as archive:
        content = {name: archive.read(name) for name in archive.namelist()}
    content["schema.json"] = json.dumps(change(json.loads(content["schema.json"]))).encode()
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in content.items():
            archive.writestr(name, data)


@pytest.mark.parametrize(
    "node",
    [
        {"__loader__": "FunctionNode", "__module__": "numpy", "__class__": "add"},
        {"__loader__": "MethodNode", "__module__": "builtins", "__class__": "str", "content": {}},
        {"__loader__": "PartialNode", "__module__": "functools", "__class__": "partial", "content": {}},
        {"__loader__": "OperatorFuncNode", "__module__": "operator", "__class__": "methodcaller", "attrs": {}},
        {"__loader__": "ConstructorFromReduceNode", "__module__": "builtins", "__class__": "str", "content": {}},
    ],
    ids=lambda node: node["__loader__"],
)
def test_nothing_is_built_by_a_call(tmp_path: Path, node) -> None:
    head, _ = head_of("ridge")
    head.save(tmp_path)
    rewritten(tmp_path / "estimator.skops", lambda schema: {**schema, "extra": {"deeper": [node]}})
    with pytest.raises(RequestError, match=f"{node['__loader__']}.*so it was refused"):
        EstimatorHead.load(tmp_path)


def test_trees_that_lead_out_of_themselves_are_refused(tmp_path: Path) -> None:
    for change in ("left", "right", "feature_idx"):
        learner = HistGradientBoostingClassifier(max_iter=2).fit(X, CODES)
        learner._predictors[0][0].nodes[change][0] = 1000
        EstimatorHead(learner, Classification(CLASSES)).save(tmp_path)
        with pytest.raises(RequestError, match="is missing or damaged .*a tree"):
            EstimatorHead.load(tmp_path)


@pytest.mark.parametrize("inside", [False, True])
def test_trees_that_look_at_a_feature_that_there_is_not_are_refused(tmp_path: Path, inside: bool) -> None:
    learner = ExtraTreesClassifier(3).fit(X, CODES)
    (learner.estimators_[1] if inside else learner).n_features_in_ = 2
    EstimatorHead(learner, Classification(CLASSES)).save(tmp_path)
    with pytest.raises(RequestError, match="a tree looks at a feature"):
        EstimatorHead.load(tmp_path)


def test_a_file_that_unpacks_to_gigabytes_is_refused(tmp_path: Path) -> None:
    head, _ = head_of("ridge")
    head.save(tmp_path)
    with zipfile.ZipFile(tmp_path / "estimator.skops", "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("bomb.npy", bytes(150_000_000))
    with pytest.raises(RequestError, match="as only a bomb does"):
        EstimatorHead.load(tmp_path)


def test_a_damaged_or_missing_file_is_named(tmp_path: Path) -> None:
    head, _ = head_of("ridge")
    head.save(tmp_path)
    (tmp_path / "estimator.skops").write_bytes(b"PK\x03\x04 cut")
    with pytest.raises(RequestError, match="missing or damaged"):
        EstimatorHead.load(tmp_path)
    with pytest.raises(RequestError, match="missing or damaged"):
        EstimatorHead.load(tmp_path / "nowhere")


@pytest.mark.parametrize("code", [0, 2])
def test_boosting_that_saw_one_class_answers_that_class(code):
    learner = HistGradientBoostingClassifier(max_iter=3).fit(X, np.full(len(X), code))
    outputs = EstimatorHead(learner, Classification(CLASSES))(torch.from_numpy(X))
    assert outputs.shape == (90, 3) and (outputs.argmax(1) == code).all() and torch.isfinite(outputs).all()


def test_a_calibration_is_kept_and_one_that_is_none_is_named(tmp_path: Path) -> None:
    model, x = LogisticRegression().fit(X, CODES), torch.from_numpy(X)
    EstimatorHead(model, Classification(CLASSES), 0.5, [0.25, -1.0, 0.75]).save(tmp_path)
    again, plain = EstimatorHead.load(tmp_path)(x), EstimatorHead(model, Classification(CLASSES))(x)
    torch.testing.assert_close(again, 0.5 * plain + torch.tensor([0.25, -1.0, 0.75], dtype=torch.float64))
    wrong = [
        (-1, []),
        (0, []),
        (1, "123"),
        (1, {"1": 1, "2": 1, "3": 1}),
        (1, [1, 2]),
        (np.nan, []),
        (1, [1, 2, np.inf]),
    ]
    for scale, offset in wrong:
        (tmp_path / "calibration.json").write_text(json.dumps({"scale": scale, "offset": offset}))
        with pytest.raises(RequestError, match="should hold a scale above 0 and 3 offsets"):
            EstimatorHead.load(tmp_path)
    (tmp_path / "calibration.json").unlink()  # of runs without, and of those of older versions
    torch.testing.assert_close(EstimatorHead.load(tmp_path)(x), plain, rtol=0, atol=0)
