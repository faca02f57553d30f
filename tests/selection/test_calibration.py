"""What held-out outputs say of a classifier's intercepts and sureness."""

import numpy as np
import pytest
import torch
from scipy.optimize import minimize
from scipy.special import log_softmax
from sklearn.datasets import load_digits
from sklearn.metrics import balanced_accuracy_score

from sterna.selection.calibration import calibration
from sterna.selection.cross_validation import fit_head
from sterna.tasks import Classification, MultiLabel, Regression
from sterna.training.linear import fit_layer

TASK = Classification(("a", "b", "c"))


def held(counts, seed=0):
    random = np.random.default_rng(seed)
    targets = np.repeat([0, 1, 2], counts)
    outputs = random.normal(size=(len(targets), 3)) + 2 * np.eye(3)[targets] + [1.0, 0.0, -1.0]
    return outputs, targets, (len(targets) / (3 * np.array(counts)))[targets]


@pytest.mark.parametrize("scaled", [True, False])
def test_it_minimises_the_weighted_loss_under_a_normal_prior(scaled):
    outputs, targets, weights = held((60, 20, 10))
    found = calibration(outputs, targets, weights, TASK, scaled=scaled)

    def value(flat):
        likely = log_softmax(np.exp(flat[0] * scaled) * outputs + flat[1:], axis=1)[np.arange(90), targets]
        return -np.average(likely, weights=weights) + (flat @ flat) / 180

    best = minimize(
        value, np.zeros(4), method="Nelder-Mead", options={"xatol": 1e-6, "fatol": 1e-12, "maxiter": 5000}
    ).x
    np.testing.assert_allclose(found.offset, best[1:], atol=2e-3)
    assert found.scale == pytest.approx(np.exp(best[0]), abs=2e-3) if scaled else found.scale == 1.0
    assert found.offset[0] < -0.3 < 0.3 < found.offset[2]  # what was added above is taken away
    torch.testing.assert_close(found.of(torch.ones(1, 3).double()), torch.from_numpy(found.scale + found.offset)[None])


def test_even_classes_and_what_is_no_class_are_left_as_they_are():
    outputs, targets, weights = held((30, 30, 29))
    assert not calibration(outputs, targets, weights, TASK).offset.any()
    assert not calibration(outputs, targets, weights, TASK, scaled=True).offset.any()
    for task, wanted in ((Regression(), targets * 1.0), (MultiLabel(("x", "y", "z")), np.eye(3)[targets])):
        found = calibration(outputs[:, : task.outputs], wanted, weights, task, scaled=True)
        assert found.scale == 1.0 and not found.offset.any()
    rows = np.zeros(len(targets), dtype=bool)
    assert calibration(outputs, targets, weights, TASK, scaled=True, usable=rows).scale == 1.0


def test_a_head_on_more_columns_than_rows_no_longer_says_the_large_class():
    """Weights cannot: the training rows are parted whatever they are. Held-out outputs can."""
    x, y = load_digits(return_X_y=True)
    task, gains = Classification(("3", "8")), []
    for seed in range(5):
        random = np.random.default_rng(seed)
        often, rare = (random.permutation(np.flatnonzero(y == digit)) for digit in (3, 8))
        rows, codes = np.r_[often[:45], rare[:5]], np.repeat([0, 1], [45, 5])
        wide = random.normal(size=(64, 400)) / 8
        noisy = x @ wide + 4 * random.normal(size=(len(x), 400))
        weights = np.where(codes == 0, 50 / 90, 50 / 10)
        head, penalty, _ = fit_head(noisy[rows], codes, task, weights)
        plain = fit_layer(noisy[rows], codes, task, weights, penalty)
        test, truth = np.r_[often[45:], rare[5:]], np.repeat([0, 1], [len(often) - 45, len(rare) - 5])
        scores = [
            balanced_accuracy_score(truth, each(torch.from_numpy(noisy[test]).float()).argmax(1))
            for each in (head, plain)
        ]
        gains.append(scores[0] - scores[1])
        np.testing.assert_allclose(head.weight.detach(), plain.weight.detach())
    assert np.mean(gains) > 0.05


def test_a_class_with_one_row_says_nothing_of_intercepts():
    """Held out, it was unseen: whatever is said of it then is no reason to predict it everywhere."""
    random = np.random.default_rng(0)
    x, codes, task = random.normal(size=(50, 80)), np.r_[1, np.zeros(49, dtype=int)], Classification(("a", "b"))
    weights = np.where(codes == 1, 25.0, 50 / 98)
    head, penalty, _ = fit_head(x, codes, task, weights)
    np.testing.assert_allclose(head.bias.detach(), fit_layer(x, codes, task, weights, penalty).bias.detach())
