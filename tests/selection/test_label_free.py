"""Validators without target labels, beside brute force and other libraries."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn.metrics import mutual_info_score

from sterna.selection.label_free import (
    VALIDATORS,
    Answers,
    Beside,
    controlled_risk,
    density,
    entropies,
    information,
    nearest_to_mean,
    thresholded,
    transfer_loss,
    weighted_risk,
)


def probabilities(seed: int, rows: int, k: int = 3, sharp: float = 1.0) -> np.ndarray:
    return np.random.default_rng(seed).dirichlet(np.ones(k) / sharp, size=rows)


def answering(seed: int, n: int = 40, m: int = 50, sharp: float = 1.0) -> Answers:
    source, target = probabilities(seed, n, sharp=sharp), probabilities(seed + 100, m, sharp=sharp)
    labels = np.random.default_rng(7).integers(0, 3, n)
    return Answers(-np.log(source[np.arange(n), labels]), source.argmax(1) == labels, source, target)


def beside(n: int = 40) -> Beside:
    odds = np.random.default_rng(3).gamma(1.0, size=n)
    return Beside(odds / odds.mean())


def test_entropies_are_those_of_scipy() -> None:
    p = np.vstack([probabilities(0, 10), np.eye(3)])
    assert entropies(p) == pytest.approx(stats.entropy(p, axis=1))


def test_the_weighted_risk_is_the_mean_in_the_target_where_the_odds_are_right() -> None:
    """Rows of two values in other shares: weights p_t / p_s give the target's mean loss."""
    losses = np.repeat([0.2, 1.0], [30, 10])
    odds = np.repeat([0.25 / 0.75, 0.75 / 0.25], [30, 10])
    found = [Answers(losses, losses < 0.5, np.ones((40, 1)), np.ones((5, 1)))]
    assert weighted_risk(found, Beside(odds)) == pytest.approx([-(0.25 * 0.2 + 0.75 * 1.0)])


def test_the_control_variate_is_the_intercept_of_a_regression_on_the_weights() -> None:
    """The mean of w·l at the weight 1, by least squares on w."""
    one, common = answering(1), beside()
    line = stats.linregress(common.odds, common.odds * one.losses)
    assert controlled_risk([one], common) == pytest.approx([-(line.intercept + line.slope)])
    even = Beside(np.ones(40))
    assert controlled_risk([one], even) == pytest.approx(weighted_risk([one], even))


def test_information_of_sure_answers_is_that_of_their_labels() -> None:
    labels = np.array([0, 0, 1, 2, 2, 2])
    one = Answers(np.zeros(1), np.ones(1, bool), np.eye(3)[:1], np.eye(3)[labels])
    assert information([one], Beside(np.ones(1))) == pytest.approx([mutual_info_score(labels, labels)])


def test_density_is_that_of_a_plain_loop() -> None:
    p = torch.from_numpy(probabilities(5, 12))
    found = []
    for i in range(12):
        others = [torch.cosine_similarity(p[i], p[j], dim=0) / 0.05 for j in range(12) if j != i]
        found.append(torch.distributions.Categorical(logits=torch.stack(others)).entropy())
    assert density(p.numpy()) == pytest.approx(float(torch.stack(found).mean()))


def test_two_tight_clusters_are_denser_than_answers_that_scatter() -> None:
    tight = np.repeat(np.array([[0.98, 0.02], [0.02, 0.98]]), 20, axis=0)
    assert density(tight) > density(probabilities(0, 40, 2))


def test_the_candidate_nearest_to_the_mean_of_all_is_found() -> None:
    three = [answering(seed, sharp=5.0) for seed in (1, 1, 2)]
    found = nearest_to_mean(three, beside())
    assert found[0] == found[1] > found[2]


def test_the_transfer_loss_counts_errors_and_answers_that_changed() -> None:
    first, other = answering(1), answering(2)
    found = transfer_loss([first, other], beside())
    assert found[0] == pytest.approx(-(~first.right).mean())
    changed = (first.target.argmax(1) != other.target.argmax(1)).mean()
    assert found[1] == pytest.approx(-((~other.right).mean() + changed))


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 40))
def test_the_threshold_lets_as_many_source_rows_through_as_are_right(seed: int, n: int) -> None:
    random = np.random.default_rng(seed)
    scores, right = random.permutation(n) / n, random.random(n) < 0.6
    assert thresholded(scores, right, scores) == pytest.approx(right.mean())


def test_a_target_as_sure_as_the_source_is_as_right() -> None:
    one = answering(4)
    same = Answers(one.losses, one.right, one.source, one.source)
    for name in ("confidence threshold", "confidence difference"):
        assert VALIDATORS[name]([same], beside()) == pytest.approx([one.right.mean()])


@pytest.mark.parametrize("name", list(VALIDATORS))
def test_each_gives_a_number_for_each_candidate_in_any_order(name: str) -> None:
    found = [answering(seed, sharp=s) for seed, s in ((1, 1.0), (2, 4.0), (3, 0.5))]
    values = VALIDATORS[name](found, beside())
    turned = VALIDATORS[name](found[::-1], Beside(beside().odds, first=2))
    assert values.shape == (3,) and values == pytest.approx(turned[::-1])


def random_answers(random: np.random.Generator, labels: np.ndarray, accuracy: float) -> np.ndarray:
    """Sure answers for rows of two classes, right in this share of them whatever the row."""
    right = random.random(len(labels)) < accuracy
    return np.eye(2)[np.where(right, labels, 1 - labels)]


def test_accuracies_lie_on_the_line_of_agreements() -> None:
    """Candidates with independent mistakes; in the second target each is worse by half a unit."""
    random, rows = np.random.default_rng(0), 20_000
    ours, theirs = random.integers(0, 2, rows), random.integers(0, 2, rows)
    before = np.array([0.99, 0.97, 0.95, 0.9])
    found = []
    for accuracy in before:
        source, target = random_answers(random, theirs, accuracy), random_answers(random, ours, accuracy)
        found.append(Answers(np.zeros(rows), source.argmax(1) == theirs, source, target))
    assert VALIDATORS["agreement on the line"](found, beside()) == pytest.approx(before, abs=0.01)
    after = stats.norm.cdf(stats.norm.ppf(before) - 0.5)
    worse = [
        Answers(one.losses, one.right, one.source, random_answers(random, ours, a))
        for one, a in zip(found, after, strict=True)
    ]
    estimates = VALIDATORS["agreement on the line"](worse, beside())
    assert (estimates < before - 0.02).all() and (np.diff(estimates) < 0).all()


def test_moving_back_counts_what_is_right() -> None:
    one, other = answering(1), answering(2)
    back = np.arange(40) < 30
    found = [Answers(one.losses, one.right, one.source, one.target, back), other]
    assert VALIDATORS["moved back"](found, beside()) == pytest.approx([0.75, 0.0])
