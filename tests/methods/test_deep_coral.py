"""The covariance distance of deep-coral, against NumPy; the training it shares is in test_adaptation.py."""

import numpy as np
import torch

from sterna.methods.features.coral import recoloured
from sterna.methods.features.deep_coral import covariance_distance


def samples(seed=0, n=20, m=15, d=4):
    random = np.random.default_rng(seed)
    return random.normal(size=(n, d)) @ random.normal(size=(d, d)), random.normal(3, 2, (m, d))


def test_it_is_the_squared_frobenius_distance_over_four_d_squared():
    source, target = samples()
    expected = np.linalg.norm(np.cov(source.T) - np.cov(target.T), "fro") ** 2 / (4 * 4**2)
    found = covariance_distance(torch.as_tensor(source), torch.as_tensor(target))
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_it_is_the_formula_of_the_paper_term_by_term():
    """C = (XᵀX − (1ᵀX)ᵀ(1ᵀX) / n) / (n − 1), written out as Sun and Saenko (2016) do."""
    source, target = samples(1)

    def covariance(x):
        ones = np.ones((1, len(x)))
        return (x.T @ x - (ones @ x).T @ (ones @ x) / len(x)) / (len(x) - 1)

    expected = ((covariance(source) - covariance(target)) ** 2).sum() / 64
    np.testing.assert_allclose(
        covariance_distance(torch.as_tensor(source), torch.as_tensor(target)), expected, rtol=1e-10
    )


def test_means_do_not_matter_and_recoloured_rows_have_no_distance():
    source, target = samples(2, n=60, m=50)
    source, target = source - source.mean(0), target - target.mean(0)
    assert covariance_distance(torch.as_tensor(source), torch.as_tensor(source + 7)) < 1e-20
    mapped = recoloured(source, target, 1e-12)
    assert covariance_distance(torch.as_tensor(mapped), torch.as_tensor(target)) < 1e-12


def test_its_gradient_is_right():
    source, target = (torch.as_tensor(x).requires_grad_() for x in samples(3, n=6, m=5, d=3))
    assert torch.autograd.gradcheck(covariance_distance, (source, target))
