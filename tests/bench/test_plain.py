"""Plain learners on rows of which not all labels are known."""

from types import SimpleNamespace

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import Pipeline

from sterna.bench import plain
from sterna.bench.plain import fit_model, on_raw, raw_learners, tree_learners
from sterna.kinds.kind import kind_of
from sterna.tasks import Classification, MultiLabel


def texts(n=60):
    random = np.random.default_rng(0)
    has = random.random((n, 2)) < 0.5
    words = [" ".join(["the", *(w for w, yes in zip(("red", "blue"), row, strict=True) if yes)]) for row in has]
    return np.array(words, dtype=object), has.astype(np.float32)


def probabilities(x, targets):
    model = raw_learners(MultiLabel(("red", "blue")))[-1].model
    learner = on_raw(kind_of("text").raw(), model, x, targets, np.ones(len(x)))
    return learner, learner.predict_proba(list(x))


def test_each_label_is_learnt_of_the_rows_that_say_whether_it_applies():
    x, targets = texts()
    gaps = targets.copy()
    gaps[::2, 1] = np.nan
    learner, found = probabilities(x, gaps)
    _, before = probabilities(x, targets)
    np.testing.assert_array_equal(found[:, 0], before[:, 0])  # a label without gaps is learnt as before
    known = ~np.isnan(gaps[:, 1])
    alone = Pipeline([("vectors", learner[0]), ("model", LogisticRegression(C=learner[-1].estimator.C, max_iter=1000))])
    wanted = alone[-1].fit(learner[0].transform(list(x[known])), gaps[known, 1]).predict_proba(learner[0].transform(x))
    np.testing.assert_allclose(found[:, 1], wanted[:, 1], rtol=1e-6)
    assert ((found[:, 1] > 0.5) == targets[:, 1]).all()


def test_a_label_of_which_nothing_is_known_is_answered_by_one_half():
    x, targets = texts()
    targets[:, 1] = np.nan
    _, found = probabilities(x, targets)
    assert (found[:, 1] == 0.5).all() and ((found[:, 0] > 0.5) == targets[:, 0]).all()


def test_a_label_that_all_known_rows_have_is_always_answered():
    x, targets = texts()
    targets[:, 1] = np.where(np.arange(60) % 2, 1, np.nan)
    assert (probabilities(x, targets)[1][:, 1] == 1).all()


def test_trees_are_left_out_where_classes_are_very_many():
    names = tuple(f"c{i}" for i in range(51))
    assert tree_learners(Classification(names), 500) == []
    assert [type(each.model).__name__ for each in tree_learners(Classification(names[:50]), 500)] == [
        "HistGradientBoostingClassifier", "ExtraTreesClassifier",
    ]  # fmt: skip


def test_several_labels_are_learnt_with_the_weights_of_the_rows():
    random = np.random.default_rng(0)
    x, weights = random.normal(size=(60, 3)), random.exponential(size=60)
    labels = (x[:, :2] + random.normal(size=(60, 2)) > 0).astype(float)
    labels[::7, 1] = np.nan
    model = fit_model(OneVsRestClassifier(LogisticRegression()), x, labels, weights)
    for column, found in zip(labels.T, model.estimators_, strict=True):
        known = ~np.isnan(column)
        expected = LogisticRegression().fit(x[known], column[known], weights[known])
        np.testing.assert_allclose(found.coef_, expected.coef_)
    even = fit_model(OneVsRestClassifier(LogisticRegression()), x, np.nan_to_num(labels), np.full(60, 0.3))
    plain = OneVsRestClassifier(LogisticRegression()).fit(x, np.nan_to_num(labels))
    assert all((a.coef_ == b.coef_).all() for a, b in zip(even.estimators_, plain.estimators_, strict=True))


def test_a_linear_model_of_fewer_rows_than_columns_is_fitted_in_the_space_of_the_rows(monkeypatch):
    random = np.random.default_rng(0)
    targets, rows = np.repeat([0, 1], 20), np.arange(40)
    x = random.normal(size=(40, 200)) + targets[:, None]
    problem = SimpleNamespace(
        task=Classification(("a", "b")), train=rows[::2], targets=targets, units=rows, seed=0,
        target=SimpleNamespace(kind="images"), row_weights=lambda: np.ones(40), train_weights=lambda: np.ones(40),
    )  # fmt: skip
    widths, fit = [], plain.fit_linear
    monkeypatch.setattr(plain, "fit_linear", lambda x, *a: widths.append(next(x())[1].shape[1]) or fit(x, *a))
    found, _ = plain._best_on_vectors(x, problem)
    monkeypatch.setattr(plain, "rotated", lambda x: (x, None))
    expected, _ = plain._best_on_vectors(x, problem)
    assert widths == [20, 200]
    inputs = torch.from_numpy(x).float()
    torch.testing.assert_close(found(inputs), expected(inputs), rtol=1e-3, atol=1e-3)
