"""Linear heads against scikit-learn and closed forms."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression, Ridge

from sterna.tasks.classification import Classification
from sterna.tasks.multilabel import MultiLabel
from sterna.tasks.regression import Regression
from sterna.training.cache import FeatureCache
from sterna.training.linear import as_layer, fit_layer_on, fit_linear, in_memory, moments, rotated


@pytest.fixture
def random():
    return np.random.default_rng(0)


def classes(random, n=120, d=7, k=3):
    x = random.normal(size=(n, d))
    return x, (x @ random.normal(size=(d, k)) + random.normal(size=(n, k))).argmax(1)


@pytest.mark.parametrize("penalty", [0.001, 0.1, 1.0])
@pytest.mark.parametrize("weighted", [False, True])
def test_logistic_equals_scikit_learn(random, penalty, weighted):
    x, y = classes(random)
    weights = random.uniform(0.2, 2, len(x)) if weighted else np.ones(len(x))
    ours = fit_linear(in_memory(x), y, Classification(("a", "b", "c")), weights, penalty)
    theirs = LogisticRegression(C=1 / (weights.sum() * penalty), tol=1e-10, max_iter=5000).fit(x, y, weights)
    logits = x @ ours[:, :-1].T + ours[:, -1]
    probabilities = torch.softmax(torch.from_numpy(logits), 1).numpy()
    np.testing.assert_allclose(probabilities, theirs.predict_proba(x), atol=2e-4)


@pytest.mark.parametrize("penalty", [0.001, 0.1, 1.0])
def test_regression_equals_ridge(random, penalty):
    x = random.normal(size=(80, 5))
    y = x @ random.normal(size=5) + random.normal(size=80)
    ours = fit_linear(in_memory(x), y, Regression(), np.ones(80), penalty)
    theirs = Ridge(alpha=80 * penalty / 2, solver="cholesky").fit(x, y)
    np.testing.assert_allclose(ours[0, :-1], theirs.coef_, atol=1e-4)
    np.testing.assert_allclose(ours[0, -1], theirs.intercept_, atol=1e-4)


def test_several_labels_equal_one_logistic_regression_each(random):
    x = random.normal(size=(150, 4))
    y = (x @ random.normal(size=(4, 2)) + random.normal(size=(150, 2)) > 0).astype(np.float32)
    task = MultiLabel(("a", "b"))
    ours = fit_linear(in_memory(x), y, task, np.ones(150), 0.01)
    # The mean over n rows and k labels plus λ/2 ‖W‖² is 1/k of: the mean over rows plus kλ/2 ‖w‖² of each label.
    strength = 1 / (150 * 2 * 0.01)
    for j in range(2):
        theirs = LogisticRegression(C=strength, tol=1e-10, max_iter=5000).fit(x, y[:, j])
        np.testing.assert_allclose(ours[j, :-1], theirs.coef_[0], atol=2e-3)


def test_chunks_of_any_size_give_the_same_answer(random):
    x, y = classes(random)
    task, weights = Classification(("a", "b", "c")), np.ones(len(x))

    def small():
        return ((i, x[i : i + 17]) for i in range(0, len(x), 17))

    whole = fit_linear(in_memory(x), y, task, weights, 0.01)
    np.testing.assert_allclose(fit_linear(small, y, task, weights, 0.01), whole, atol=1e-4)


def test_rows_of_weight_zero_do_not_exist(random):
    x, y = classes(random)
    task = Classification(("a", "b", "c"))
    weights = np.ones(len(x))
    weights[100:] = 0
    y[100:] = 2
    np.testing.assert_allclose(
        fit_linear(in_memory(x), y, task, weights, 0.01),
        fit_linear(in_memory(x[:100]), y[:100], task, np.ones(100), 0.01),
        atol=1e-4,
    )


def test_moments_equal_numpy_far_from_zero_and_in_chunks(random):
    x = (random.normal(size=(500, 3)) * [1, 1e-3, 5] + [1e4, -3, 0]).astype(np.float32)
    x = np.concatenate([x, np.full((500, 1), 7, np.float32)], axis=1)
    weights = (np.arange(500) % 3 > 0).astype(float)
    mean, scale = moments(lambda: ((i, x[i : i + 64]) for i in range(0, 500, 64)), weights)
    kept = x[weights > 0].astype(np.float64)
    np.testing.assert_allclose(mean, kept.mean(0), rtol=1e-9)
    np.testing.assert_allclose(scale[:3], kept.std(0)[:3], rtol=1e-5)
    assert scale[3] == 1


def test_rotation_keeps_inner_products_and_so_the_fit(random):
    x = random.normal(size=(30, 200))
    y = random.integers(0, 2, 30)
    small, basis = rotated(x)
    assert small.shape == (30, 30)
    np.testing.assert_allclose(small @ small.T, x @ x.T, atol=1e-9)
    task = Classification(("a", "b"))
    direct = fit_linear(in_memory(x), y, task, np.ones(30), 0.1)
    turned = fit_linear(in_memory(small), y, task, np.ones(30), 0.1)
    np.testing.assert_allclose(turned[:, :-1] @ basis, direct[:, :-1], atol=1e-4)


def test_as_layer_folds_the_standardisation(random):
    x, solution = random.normal(3, 5, (20, 4)), random.normal(size=(2, 5))
    mean, scale = x.mean(0), x.std(0)
    wanted = ((x - mean) / scale) @ solution[:, :-1].T + solution[:, -1]
    layer = as_layer(solution, mean, scale)
    np.testing.assert_allclose(layer(torch.from_numpy(x).float()).detach(), wanted, atol=1e-4)


def test_head_from_disk_equals_head_in_memory(random, tmp_path, monkeypatch):
    x, y = classes(random, n=300, d=12)
    cache = FeatureCache(tmp_path)
    keys = np.array([f"{row:016}" for row in range(300)], dtype="S16")
    features = cache.get("w", "p", keys, ["last"], lambda names, rows, write: write(rows, {"last": x[rows]}))
    task, weights = Classification(("a", "b", "c")), np.ones(300)
    inside = fit_layer_on(features, y, task, weights, 0.01)
    monkeypatch.setattr("sterna.training.linear.IN_MEMORY", 10)
    outside = fit_layer_on(features, y, task, weights, 0.01)
    torch.testing.assert_close(inside.weight, outside.weight, atol=1e-4, rtol=1e-3)
