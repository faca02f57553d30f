"""Each score against another way to the same number."""

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.stats import multivariate_normal
from sklearn.covariance import LedoitWolf
from sklearn.model_selection import LeaveOneOut, cross_val_score
from sklearn.neighbors import KNeighborsClassifier

from sterna.errors import RequestError
from sterna.selection import products
from sterna.selection.transferability import h_score, leep, logme, nce, neighbour_accuracy, transrate

SHAPES = [(60, 5), (12, 30)]


def drawn(n: int, d: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    codes = np.arange(n) % 3
    return random.normal(size=(n, d)) + 3 + random.normal(size=(3, d))[codes], codes


def evidence(x: np.ndarray, y: np.ndarray) -> float:
    """The evidence at its maximum over log α and log β, found by a general optimiser, from several starts."""

    def loss(logs: np.ndarray) -> float:
        alpha, beta = np.exp(np.clip(logs, -30, 30))
        covariance = np.eye(len(x)) / beta + x @ x.T / alpha
        return -float(multivariate_normal(np.zeros(len(x)), covariance, allow_singular=True).logpdf(y))

    starts = [(0.0, 0.0), (4.0, 2.0)]
    return -min(minimize(loss, start, method="Nelder-Mead").fun for start in starts) / len(x)


@pytest.mark.parametrize(("n", "d"), SHAPES)
def test_logme_is_the_evidence_at_its_maximum(n, d):
    x, codes = drawn(n, d)
    expected = np.mean([evidence(x, (codes == code).astype(float)) for code in range(3)])
    assert logme(x, codes) == pytest.approx(expected, abs=1e-4)
    numbers = x @ np.linspace(-1, 1, d) + np.random.default_rng(1).normal(size=n)
    assert logme(x, numbers) == pytest.approx(evidence(x, numbers), abs=1e-4)
    assert logme(x, np.column_stack([numbers, codes == 0])) == pytest.approx(
        (evidence(x, numbers) + evidence(x, (codes == 0).astype(float))) / 2, abs=1e-4
    )


def test_logme_does_not_mind_the_unit_of_the_features_nor_names_of_classes():
    x, codes = drawn(60, 5)
    assert logme(1000 * x, codes) == pytest.approx(logme(x, codes), abs=1e-5)
    assert logme(x, codes * 7 + 2) == pytest.approx(logme(x, codes), abs=1e-12)


@pytest.mark.parametrize(("n", "d"), SHAPES)
def test_h_score_is_the_trace_of_the_covariances(n, d):
    x, codes = drawn(n, d)
    found = LedoitWolf().fit(x)
    means = np.stack([x[codes == code].mean(0) for code in codes])
    between = np.cov(means, rowvar=False, bias=True)
    expected = np.trace(np.linalg.inv(found.covariance_) @ between) * (1 - found.shrinkage_)
    assert h_score(x, codes) == pytest.approx(expected, rel=1e-9)
    assert 0 < h_score(x, codes) < 2


def test_h_score_of_features_that_do_not_vary_is_zero():
    assert h_score(np.ones((6, 2)), np.arange(6) % 2) == 0.0
    assert transrate(np.ones((6, 2)), np.arange(6) % 2) == 0.0


def test_nce_and_leep_are_the_sums_of_their_definitions():
    random = np.random.default_rng(0)
    codes, theta = random.integers(0, 3, 40), random.dirichlet(np.ones(4), 40)
    classes = theta.argmax(1)
    entropy = 0.0
    for i in range(40):
        alike = classes == classes[i]
        entropy -= np.log((codes[alike] == codes[i]).mean()) / 40
    assert nce(classes, codes) == pytest.approx(-entropy, rel=1e-12)
    joint = np.zeros((3, 4))
    for i in range(40):
        joint[codes[i]] += theta[i] / 40
    likely = [sum(joint[codes[i], z] / joint[:, z].sum() * theta[i, z] for z in range(4)) for i in range(40)]
    assert leep(theta, codes) == pytest.approx(np.log(likely).mean(), rel=1e-12)


def test_a_source_that_tells_the_label_leaves_no_doubt():
    codes = np.arange(12) % 3
    assert nce(2 - codes, codes) == leep(np.eye(3)[2 - codes], codes) == 0.0
    assert nce(np.zeros(12, dtype=int), codes) == pytest.approx(-np.log(3))


@pytest.mark.parametrize(("n", "d"), SHAPES)
def test_transrate_is_the_published_listing_for_even_classes(n, d):
    x, codes = drawn(n, d)
    z = x - x.mean(0)
    z /= np.sqrt(np.trace(z @ z.T))

    def rate(rows: np.ndarray) -> float:
        return 0.5 * np.linalg.slogdet(np.eye(d) + rows.T @ rows / (len(rows) * 1e-4))[1]

    expected = rate(z) - sum(rate(z[codes == code]) for code in range(3)) / 3
    assert transrate(x, codes) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("neighbours", [1, 5])
def test_neighbour_accuracy_is_that_of_scikit_learn(neighbours):
    x, codes = drawn(60, 5, seed=3)
    found = cross_val_score(KNeighborsClassifier(neighbours), x, codes, cv=LeaveOneOut()).mean()
    assert neighbour_accuracy(x, codes, neighbours) == pytest.approx(found)


def test_rows_of_one_unit_do_not_vote_on_each_other():
    x, codes = np.random.default_rng(0).normal(size=(40, 3)), np.arange(40) % 2
    twice = (np.concatenate([x, x]), np.concatenate([codes, codes]))
    assert neighbour_accuracy(*twice, 1) == 1.0
    apart = neighbour_accuracy(*twice, 1, units=np.tile(np.arange(40), 2))
    assert apart == pytest.approx(neighbour_accuracy(x, codes, 1))


@pytest.mark.parametrize("score", [logme, h_score, transrate, neighbour_accuracy])
def test_single_precision_and_blocks_change_next_to_nothing(score, monkeypatch):
    x, codes = drawn(300, 6)
    x[:, 1] = 1e-2 * x[:, 1] + 50  # little spread around a large mean
    whole = score(x, codes)
    monkeypatch.setattr(products, "BLOCK", 6 * 70)
    assert score(x, codes) == pytest.approx(whole, rel=1e-9)
    assert score(x.astype(np.float32), codes) == pytest.approx(whole, rel=2e-3)


@pytest.mark.parametrize("score", [logme, h_score, transrate, neighbour_accuracy])
def test_bad_input_gets_one_sentence(score):
    x, codes = drawn(12, 4)
    with pytest.raises(RequestError, match="All 12 rows are of one class"):
        score(x, np.zeros(12, dtype=int))
    with pytest.raises(RequestError, match="12 rows of features, but 11 targets"):
        score(x, codes[:11])
    with pytest.raises(RequestError, match=r"shape \(12,\)"):
        score(x[:, 0], codes)
    x[3, 1] = np.nan
    with pytest.raises(RequestError, match="1 of 12 rows are not finite, the first of row 3"):
        score(x, codes)


def test_numbers_are_no_classes_and_probabilities_sum_to_one():
    x, codes = drawn(12, 4)
    with pytest.raises(RequestError, match="for classes"):
        h_score(x, codes.astype(float))
    with pytest.raises(RequestError, match="not finite numbers"):
        logme(x, np.full(12, np.nan))
    with pytest.raises(RequestError, match="of sum 1"):
        leep(np.ones((12, 2)), codes)
