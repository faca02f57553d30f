"""coral, against matrix square roots of SciPy, and by what it promises: the target's covariance."""

import numpy as np
import pandas as pd
import pytest
from scipy.linalg import fractional_matrix_power, sqrtm
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from sterna import Domain, RequestError, Source
from sterna.methods.features.coral import Coral, covariance, power, recoloured
from sterna.methods.method import make_method
from sterna.networks import load_network, save_network
from sterna.preparations.table import TablePreparation


def samples(seed=0, d=5):
    random = np.random.default_rng(seed)
    x, y = random.normal(size=(80, d)) @ random.normal(size=(d, d)), random.normal(size=(60, d))
    return x - x.mean(0), (y @ random.normal(size=(d, d))) - (y @ random.normal(size=(d, d))).mean(0)


def test_it_is_the_closed_form_of_the_paper():
    source, target = samples()
    c_s, c_t = np.cov(source.T) + np.eye(5), np.cov(target.T) + np.eye(5)
    expected = source @ fractional_matrix_power(c_s, -0.5) @ sqrtm(c_t)
    np.testing.assert_allclose(recoloured(source, target, 1.0), expected.real, atol=1e-10)


def test_covariance_and_powers():
    source, _ = samples(1)
    np.testing.assert_allclose(covariance(source, 0.3), np.cov(source.T) + 0.3 * np.eye(5), atol=1e-12)
    root = power(np.cov(source.T), 0.5)
    np.testing.assert_allclose(root @ root, np.cov(source.T), atol=1e-10)
    np.testing.assert_allclose(root @ power(np.cov(source.T), -0.5), np.eye(5), atol=1e-10)


@pytest.mark.parametrize("seed", range(3))
def test_without_regularisation_the_covariance_becomes_the_targets(seed):
    source, target = samples(seed)
    np.testing.assert_allclose(np.cov(recoloured(source, target, 1e-12).T), np.cov(target.T), atol=1e-8)


def test_with_fewer_rows_than_features_and_hardly_any_regularisation_there_are_still_numbers():
    random = np.random.default_rng(0)
    source, target = random.normal(size=(10, 60)), random.normal(size=(12, 60))
    found = recoloured(source - source.mean(0), target - target.mean(0), 1e-300)
    assert np.isfinite(found).all() and np.abs(found).max() < 10


def test_a_domain_is_left_as_it_is_by_itself():
    source, _ = samples(2)
    np.testing.assert_allclose(recoloured(source, source, 1.0), source, atol=1e-10)


def turned(rows, seed, angle=0.0, order=None):
    """Two columns that are mixed by a turn; a third one is noise."""
    random = np.random.default_rng(seed)
    z = random.normal(size=(rows, 2)) * [2.0, 0.4]
    labels = np.where(z[:, 0] + z[:, 1] > 0, "yes", "no")
    mix = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    frame = pd.DataFrame(np.column_stack([z @ mix.T + 3, random.normal(size=rows)]), columns=list("abc"))
    order = np.arange(rows) if order is None else order
    return Domain.from_arrays(frame.iloc[order].reset_index(drop=True), labels[order])


def test_the_network_is_a_logistic_regression_on_mapped_rows(problem_of, trainer):
    source = Source("old", data=turned(150, 1))
    problem, _ = problem_of(source, turned(120, 2, angle=0.6), labels=0)
    coach = trainer()
    network = Coral(regularization=0.5).fit(problem, coach).network
    preparation = TablePreparation().fit(source.data.inputs)
    z_s, z_t = (
        StandardScaler().fit_transform(np.asarray(preparation.items(each), float))
        for each in (source.data.inputs, problem.target_inputs())
    )
    c_s, c_t = (np.cov(z.T) + 0.5 * np.eye(3) for z in (z_s, z_t))
    mapped = z_s @ np.linalg.inv(sqrtm(c_s).real) @ sqrtm(c_t).real
    scale = StandardScaler().fit(mapped)
    by_hand = LogisticRegression(C=2 / (150 * coach.log.chosen["penalty"]), max_iter=1000, tol=1e-8)
    by_hand.fit(scale.transform(mapped), problem.known.targets)
    found = problem.task.probabilities(trainer().outputs(network, problem.target_inputs()))
    np.testing.assert_allclose(found, by_hand.predict_proba(scale.transform(z_t)), atol=1e-3)


def test_the_order_of_source_rows_changes_rounding_only(problem_of, trainer):
    answers, penalties = [], []
    for order in (None, np.random.default_rng(0).permutation(150)):
        problem, _ = problem_of(Source("old", data=turned(150, 1, order=order)), turned(120, 2, 0.6), labels=0)
        coach = trainer()
        answers.append(trainer().outputs(Coral().fit(problem, coach).network, problem.target_inputs()))
        penalties.append(coach.log.chosen["penalty"])
    assert (answers[0].argmax(1) == answers[1].argmax(1)).mean() >= 0.98
    if penalties[0] == penalties[1]:
        np.testing.assert_allclose(answers[0], answers[1], atol=1e-3)


def test_it_works_on_features_of_a_body_and_survives_saving(source, digits, problem_of, trainer, tmp_path):
    known = source.with_data(digits(200))
    problem, _ = problem_of(known, digits(100), labels=0)
    network = Coral().fit(problem, trainer()).network
    assert not any(p.requires_grad for p in network.body.parameters())
    save_network(network, tmp_path / "network")
    again = load_network(tmp_path / "network")
    expected = trainer().outputs(network, problem.target_inputs())
    np.testing.assert_allclose(trainer().outputs(again, problem.target_inputs()), expected, atol=1e-5)


def test_no_regularisation_is_refused():
    with pytest.raises(RequestError, match="coral: setting regularization is 0"):
        make_method("coral", {"regularization": 0})
