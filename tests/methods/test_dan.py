"""The kernel distance of dan, against loops and scikit-learn; the training it shares is in test_adaptation.py."""

import numpy as np
import pytest
import torch
from sklearn.metrics.pairwise import euclidean_distances, rbf_kernel

from sterna.methods.features.dan import BANDWIDTHS, squared_mmd


def samples(seed=0, n=9, m=7, d=3, apart=1.0):
    random = np.random.default_rng(seed)
    return random.normal(size=(n, d)), random.normal(apart, 1.5, (m, d))


def found(source, target, **more):
    return float(squared_mmd(torch.as_tensor(source), torch.as_tensor(target), **more))


def test_it_is_a_loop_over_pairs():
    source, target = samples()
    both = np.concatenate([source, target])
    mean = np.mean([((x - y) ** 2).sum() for i, x in enumerate(both) for j, y in enumerate(both) if i != j])
    k = lambda x, y: np.mean([np.exp(-((x - y) ** 2).sum() / (b * mean)) for b in BANDWIDTHS])
    within = [
        np.mean([k(x, y) for i, x in enumerate(part) for j, y in enumerate(part) if i != j])
        for part in (source, target)
    ]
    across = np.mean([k(x, y) for x in source for y in target])
    assert found(source, target) == pytest.approx(sum(within) - 2 * across, abs=1e-12)


def test_it_is_the_mean_of_kernels_of_scikit_learn():
    source, target = samples(1, n=40, m=30, d=6)
    both = np.concatenate([source, target])
    squared = euclidean_distances(both, squared=True)
    mean = squared.sum() / (70 * 69)
    expected = 0.0
    for b in BANDWIDTHS:
        k_ss, k_tt, k_st = (
            rbf_kernel(x, y, gamma=1 / (b * mean)) for x, y in ((source, source), (target, target), (source, target))
        )
        unbiased = [(k.sum() - np.trace(k)) / (len(k) * (len(k) - 1)) for k in (k_ss, k_tt)]
        expected += (sum(unbiased) - 2 * k_st.mean()) / len(BANDWIDTHS)
    assert found(source, target) == pytest.approx(expected, abs=1e-10)


def test_it_is_unbiased():
    """Over samples of one distribution its mean is zero, which that of the biased estimate is not."""
    values = []
    for x in np.random.default_rng(0).normal(size=(1500, 12, 3)):
        values.append(found(x[:6], x[6:], bandwidths=(1.0,)))
    assert abs(np.mean(values)) < 4 * np.std(values) / np.sqrt(len(values))
    assert min(values) < 0 < max(values)


def test_it_grows_with_the_distance_and_depends_on_neither_unit_nor_place():
    values = [found(*samples(2, n=50, m=50, apart=apart)) for apart in (0.5, 1.0, 2.0, 4.0)]
    assert values == sorted(values)
    source, target = samples(3)
    assert found(source * 1e3 + 5e3, target * 1e3 + 5e3) == pytest.approx(found(source, target), abs=1e-8)


def test_its_gradient_is_right_with_the_bandwidth_held():
    source, target = (torch.as_tensor(x).requires_grad_() for x in samples(4))
    squared_mmd(source, target).backward()
    with torch.no_grad():
        both = torch.cat([source, target])
        mean = torch.cdist(both, both).square().sum() / (16 * 15)

    def held(source, target):
        k = lambda x, y: torch.stack([(-((x[:, None] - y) ** 2).sum(2) / (b * mean)).exp() for b in BANDWIDTHS]).mean(0)
        off = lambda k: (k.sum() - k.diagonal().sum()) / (len(k) * (len(k) - 1))
        return off(k(source, source)) + off(k(target, target)) - 2 * k(source, target).mean()

    expected = torch.autograd.grad(held(source, target), (source, target))
    torch.testing.assert_close(source.grad, expected[0])
    torch.testing.assert_close(target.grad, expected[1])


def test_equal_rows_give_numbers():
    x = torch.ones(4, 3, requires_grad=True)
    value = squared_mmd(x, torch.ones(5, 3))
    value.backward()
    assert value == 0 and torch.isfinite(x.grad).all()
