"""prototypes: the nearest class mean, exactly, with probabilities that mean something."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from sklearn.neighbors import NearestCentroid

from sterna import Domain, RequestError, Source, transfer
from sterna.methods.examples.prototypes import (
    Prototypes,
    class_means,
    closed_temperature,
    fitted_temperature,
    left_out_scores,
    nearest_mean_head,
)
from sterna.networks.saved import load_network, save_network
from sterna.record.choice import Choice


@pytest.fixture(scope="module")
def flat_digits():
    """Digits as a table of 64 columns, 600 rows."""
    from sklearn.datasets import load_digits

    x, y = load_digits(return_X_y=True)
    return Domain.from_arrays(pd.DataFrame(x[:600]), [f"d{v}" for v in y[:600]])


@pytest.mark.parametrize("normalize", [False, True])
@pytest.mark.parametrize("count", [1, 5])
def test_it_is_scikit_learns_nearest_centroid(flat_digits, problem_of, trainer, tmp_path, normalize, count):
    problem, _ = problem_of(None, flat_digits, labels_per_class=count)
    problem = problem.joined()
    network = Prototypes(normalize=normalize).fit(problem, trainer()).network
    x = np.asarray(network.preparation.items(flat_digits.inputs), dtype=np.float64)
    train = np.asarray(network.preparation.items(problem.inputs), dtype=np.float64)
    if normalize:
        x, train = (part / np.linalg.norm(part, axis=1, keepdims=True) for part in (x, train))
    by_hand = NearestCentroid().fit(train, problem.targets)
    outputs = trainer().outputs(network, flat_digits.inputs)
    np.testing.assert_array_equal(outputs.argmax(1), by_hand.predict(x))
    # differences of outputs are τ times differences of half squared distances
    distances = ((x[:, None] - by_hand.centroids_[None]) ** 2).sum(2) / 2
    ratio = (outputs[:, 1] - outputs[:, 0]) / (distances[:, 0] - distances[:, 1])
    np.testing.assert_allclose(ratio, np.median(ratio), rtol=1e-2)
    save_network(network, tmp_path / "kept")
    again = load_network(tmp_path / "kept")
    np.testing.assert_array_equal(trainer().outputs(again, flat_digits.inputs), outputs)


def test_more_labels_make_better_means_and_honest_probabilities(flat_digits, problem_of, trainer):
    right, confidence = {}, {}
    for count in (1, 5, 20):
        problem, _ = problem_of(None, flat_digits, labels_per_class=count)
        network = Prototypes().fit(problem.joined(), trainer()).network
        rest = problem.unlabelled.inputs
        names = dict(zip(flat_digits.inputs.keys(), flat_digits.labels, strict=True))
        keys = rest.keys()
        codes = problem.task.encode(np.array([names[key] for key in keys], dtype=object))
        likely = problem.task.probabilities(trainer().outputs(network, rest))
        right[count], confidence[count] = (likely.argmax(1) == codes).mean(), likely.max(1).mean()
    assert 0.4 < right[1] < right[5] < right[20] and right[20] > 0.8
    assert abs(confidence[20] - right[20]) < 0.1


@pytest.mark.parametrize("even", [True, False])
def test_scores_leave_the_row_out_of_its_own_mean(even):
    random = np.random.default_rng(0)
    x, codes, weights = random.normal(size=(12, 4)), np.arange(12) % 3, random.uniform(0.5, 3, 12) ** (not even)
    found = left_out_scores(x, codes, weights, class_means(x, codes, weights, 3))
    for i in range(12):
        keep = np.arange(12) != i
        means = np.stack([np.average(x[keep & (codes == c)], 0, weights[keep & (codes == c)]) for c in range(3)])
        np.testing.assert_allclose(found[i], -((x[i] - means) ** 2).sum(1) / 2)


def test_the_temperature_minimises_the_loss_and_stays_within_reason():
    random = np.random.default_rng(0)
    scores, codes = random.normal(size=(200, 3)), random.integers(0, 3, 200)
    scores[np.arange(200), codes] += 1.0
    found = fitted_temperature(scores, codes, np.ones(200), 1.0)
    wanted = np.full((200, 3), 1 / 203)
    wanted[np.arange(200), codes] = 201 / 203

    def loss(temperature):
        logits = temperature * scores
        return -(wanted * (logits - np.log(np.exp(logits).sum(1, keepdims=True)))).sum(1).mean()

    grid = np.exp(np.linspace(np.log(0.01), np.log(100), 4001))
    assert loss(found) <= min(map(loss, grid)) + 1e-7
    sure = fitted_temperature(np.eye(2)[[0, 1, 0, 1]], np.array([0, 1, 0, 1]), np.ones(4), 1.0)
    assert 1 / (1 + np.exp(-sure)) == pytest.approx(5 / 6, abs=1e-3)  # never surer than Platt's target


def test_without_repeats_a_row_at_a_mean_is_nine_tenths_sure():
    means = 3 * np.eye(5)  # all as far from each other
    head = nearest_mean_head(means, closed_temperature(means)).double()
    import torch

    likely = torch.softmax(head(torch.from_numpy(means)), dim=1).detach().numpy()
    np.testing.assert_allclose(np.diag(likely), 0.9, atol=1e-5)


def test_means_in_a_bodys_features_leave_the_body_as_it_was(source, digits, problem_of, trainer, weights_of):
    before = weights_of(source.body)
    problem, _ = problem_of(source, digits(150), labels_per_class=5)
    network = Prototypes(normalize=True).fit(problem, trainer()).network
    for name, value in weights_of(source.body).items():
        assert (value == before[name]).all()
    assert not any(p.requires_grad for p in network.body.parameters())


def test_the_sources_means_stand_in_where_the_target_has_none(flat_digits, problem_of, trainer):
    known = flat_digits.take(range(300, 600))
    problem, _ = problem_of(Source("known", data=known), flat_digits.take(range(300)), labels=0)
    coach = trainer()
    network = Prototypes().fit(problem, coach).network
    x = np.asarray(network.preparation.items(known.inputs), dtype=np.float64)
    by_hand = NearestCentroid().fit(x, problem.task.encode(known.labels))
    rest = problem.unlabelled.inputs
    outputs = trainer().outputs(network, rest)
    assert (outputs.argmax(1) == by_hand.predict(np.asarray(network.preparation.items(rest)))).all()
    assert coach.log.choices == [Choice("temperature", coach.log.chosen["temperature"], "leave-one-out", 300, "source")]

    some, _ = problem_of(Source("known", data=known), flat_digits.take(range(300)), labels_per_class=2)
    codes = some.targets
    without = replace(some, train=some.train[codes[some.train] != 3])
    coach = trainer()
    mixed = Prototypes().fit(without, coach).network
    assert coach.log.messages == ["Classes without a target label have the mean of source rows: d3."]
    weight, theirs = mixed.head.weight.detach().numpy(), by_hand.centroids_
    np.testing.assert_allclose(weight[3] / np.linalg.norm(weight[3]), theirs[3] / np.linalg.norm(theirs[3]), atol=1e-5)
    assert not np.allclose(weight[4] / np.linalg.norm(weight[4]), theirs[4] / np.linalg.norm(theirs[4]), atol=1e-2)


def test_bad_requests_are_one_sentence(flat_digits, problem_of, trainer):
    problem, _ = problem_of(None, flat_digits, labels_per_class=2)
    without = replace(problem, train=problem.train[problem.targets[problem.train] > 1])
    with pytest.raises(RequestError, match="no labelled row is of the class d0, d1; every class needs one"):
        Prototypes().fit(without, trainer())
    with pytest.raises(RequestError, match="prototypes needs labelled examples, of the target or of source data"):
        transfer(None, flat_digits, method="prototypes", labels=0, control="none", seeds=1)
    number = Domain.from_arrays(np.random.default_rng(0).normal(size=(50, 2)), np.linspace(0, 1, 50))
    with pytest.raises(RequestError, match="prototypes is for rows of one class each, but the task here is regression"):
        transfer(None, number, method="prototypes", control="none", task="regression", seeds=1)
