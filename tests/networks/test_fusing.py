"""Weights put together name by name, against plain arithmetic; statistics of batch normalisation against numpy."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from sterna import RequestError
from sterna.networks.fusing import add_states, fuse_states
from sterna.networks.statistics import Standing, recalibrate, standings


def states(dtype=torch.float32, other=None):
    random = torch.Generator().manual_seed(0)
    found = []
    for kind in (other or dtype, dtype):
        found.append(
            {
                "w": torch.randn(5, 7, generator=random).to(kind),
                "b": (torch.randn(3, generator=random) * 1e-3).to(kind),
                "count": torch.tensor(len(found) + 5),
                "mask": torch.tensor([bool(found), True]),
            }
        )
    return found


@settings(deadline=None)
@given(alpha=st.floats(0, 1))
def test_it_is_the_weighted_mean(alpha):
    source, target = states()
    fused = fuse_states(source, target, alpha)
    for name in ("w", "b"):
        expected = alpha * source[name].double().numpy() + (1 - alpha) * target[name].double().numpy()
        np.testing.assert_allclose(fused[name], expected, rtol=1e-5, atol=1e-6)
        assert fused[name].dtype == torch.float32
    end = source if alpha == 1 else target
    assert all(torch.equal(fused[name], end[name]) for name in ("count", "mask"))


@pytest.mark.parametrize(("alpha", "end"), [(0, 1), (1, 0), (0.0, 1), (1.0, 0)])
def test_the_ends_are_exact_also_for_what_arithmetic_would_change(alpha, end):
    both = states()
    for state in both:
        state["w"][0, :4] = torch.tensor([float("inf"), float("nan"), -0.0, 1e-45])
    fused = fuse_states(*both, alpha)
    for name, value in both[end].items():
        assert fused[name].numpy().tobytes() == value.numpy().tobytes(), name
        assert fused[name].data_ptr() != value.data_ptr()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_the_mean_is_computed_in_float32_or_wider(dtype):
    source, target = states(dtype)
    fused = fuse_states(source, target, 0.3)
    wide = torch.float64 if dtype == torch.float64 else torch.float32
    assert torch.equal(fused["w"], (source["w"].to(wide) * 0.3 + target["w"].to(wide) * 0.7).to(dtype))
    large = {"w": torch.full((2,), 60000.0, dtype=torch.float16)}
    assert torch.equal(fuse_states(large, large, 0.9)["w"], large["w"])


def test_types_of_real_numbers_may_differ_and_the_targets_is_kept():
    source, target = states(torch.float16, other=torch.float32)
    fused = fuse_states(source, target, 0.25)
    assert fused["w"].dtype == torch.float16
    assert torch.equal(fused["w"], (source["w"] * 0.25 + target["w"].float() * 0.75).half())
    target["count"] = torch.tensor(1.0)
    with pytest.raises(RequestError, match=r"1 differ in number type \(count int64 and float32\)"):
        fuse_states(source, target, 0.5)


@settings(deadline=None)
@given(alpha=st.floats(0.01, 0.99))
def test_equal_networks_stay_and_sides_may_be_swapped(alpha):
    source, target = states(torch.float64)
    torch.testing.assert_close(fuse_states(source, source, alpha)["w"], source["w"])
    torch.testing.assert_close(
        fuse_states(source, target, alpha)["w"], fuse_states(target, source, 1 - alpha)["w"], rtol=1e-12, atol=1e-12
    )


@pytest.mark.parametrize("alpha", [-0.1, 1.1, float("nan"), float("inf")])
def test_a_share_out_of_bounds_is_refused(alpha):
    with pytest.raises(RequestError, match=r"alpha is .*; expected a number from 0 \(all target\) to 1 \(all source\)"):
        fuse_states(*states(), alpha)


def test_what_does_not_match_is_counted_and_named():
    source, target = states()
    source |= {"only": torch.ones(1), "b": torch.ones(4)}
    target |= {f"x{i}": torch.ones(1) for i in range(5)}
    with pytest.raises(RequestError) as error:
        fuse_states(source, target, 0.5)
    for words in (
        "5 of the target are not in the source (first: x0, x1, x2, ...)",
        "1 of the source are not in the target (only)",
        "1 differ in shape (b (4,) and (3,))",
    ):
        assert words in str(error.value)


@pytest.mark.parametrize("beta", [-0.5, 0.1, 1.0])
def test_the_sum_is_the_mean_scaled(beta):
    source, target = states(torch.float64)
    alpha = beta / (1 + beta)
    found = add_states(source, target, beta)
    expected = (1 + beta) * (alpha * source["w"] + (1 - alpha) * target["w"])
    torch.testing.assert_close(found["w"], expected)
    assert found["count"] == target["count"]
    assert all(torch.equal(v, target[n]) for n, v in add_states(source, target, 0).items())


def small_network(seed=0):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Dropout(0.5), nn.Flatten(),
                         nn.Linear(4 * 36, 6), nn.BatchNorm1d(6, momentum=0.3))  # fmt: skip


def kept(network):
    return [(network[i].running_mean.clone(), network[i].running_var.clone()) for i in (1, 6)]


def test_statistics_are_the_mean_of_those_of_the_batches():
    network = small_network()
    batches = [torch.randn(16, 1, 8, 8) + i for i in range(3)]
    network[1].num_batches_tracked.fill_(41)
    before = {n: p.clone() for n, p in network.named_parameters()}
    assert recalibrate(network, batches) == 2
    with torch.no_grad():
        values = [network[0](batch).numpy() for batch in batches]
    np.testing.assert_allclose(network[1].running_mean, np.mean([v.mean((0, 2, 3)) for v in values], 0), atol=1e-5)
    variances = [v.transpose(1, 0, 2, 3).reshape(4, -1).var(1, ddof=1) for v in values]
    np.testing.assert_allclose(network[1].running_var, np.mean(variances, 0), rtol=1e-4)
    assert network[1].num_batches_tracked == 41 and network[6].momentum == 0.3
    assert not any(part.training for part in network.modules())
    assert all(torch.equal(p, before[n]) for n, p in network.named_parameters())
    again = kept(network)
    recalibrate(network, batches)  # dropout is off, and what was there before does not matter
    assert all(
        torch.equal(a, b) for old, new in zip(again, kept(network), strict=True) for a, b in zip(old, new, strict=True)
    )


def test_on_one_batch_they_are_those_of_torch():
    ours, theirs, batch = small_network(), small_network(), torch.randn(40, 1, 8, 8) * 2 + 1
    recalibrate(ours, [batch])
    theirs.eval()
    for part in (theirs[1], theirs[6]):
        part.reset_running_stats()
        part.momentum, part.training = None, True
    theirs(batch)
    for a, b in zip(kept(ours), kept(theirs), strict=True):
        torch.testing.assert_close(a, b, rtol=2e-3, atol=2e-4)  # torch divides by n there, not by n - 1
    for found in standings(ours, [batch]):  # and then the layers give standard values
        torch.testing.assert_close(found.shift, torch.zeros_like(found.shift), atol=1e-5, rtol=0)
        torch.testing.assert_close(found.ratio, torch.ones_like(found.ratio), atol=1e-4, rtol=0)


def test_without_batches_or_statistics_nothing_changes():
    network = small_network()
    before = {n: t.clone() for n, t in network.state_dict().items()}
    assert recalibrate(network, []) == 0 and standings(network, []) == []
    assert recalibrate(nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2, track_running_stats=False)), [1]) == 0
    assert all(torch.equal(t, before[n]) for n, t in network.state_dict().items())


def test_a_networks_own_standings_change_nothing():
    network = small_network().eval()
    for part in (network[1], network[6]):
        part.running_mean.normal_()
        part.running_var.uniform_(0, 3)
    batches, before = [torch.randn(30, 1, 8, 8) for _ in range(2)], kept(network)
    recalibrate(network, batches[:1], standings(network, batches[:1]))
    for a, b in zip(kept(network), before, strict=True):
        torch.testing.assert_close(a, b, atol=1e-5, rtol=1e-4)


def test_goals_make_a_changed_network_give_what_it_gave():
    network, batch = small_network().eval(), torch.randn(50, 1, 8, 8)
    network[1].running_mean.fill_(0.3)
    goals, expected = standings(network, [batch]), network(batch)
    with torch.no_grad():
        for part in (network[0], network[5]):
            part.weight.mul_(1.7)
            part.bias.mul_(1.7).add_(4)
    assert not torch.allclose(network(batch), expected, atol=0.5)
    recalibrate(network, [batch], goals)
    torch.testing.assert_close(network(batch), expected, atol=1e-3, rtol=1e-3)


def test_standings_are_means_of_standardised_values():
    network, batch = small_network().eval(), torch.randn(50, 1, 8, 8)
    network[1].running_mean.copy_(torch.arange(4.0))
    network[1].running_var.copy_(torch.arange(4.0))  # a channel that never varied among them
    z = nn.functional.batch_norm(network[0](batch), network[1].running_mean, network[1].running_var)
    found = standings(network, [batch])[0]
    torch.testing.assert_close(found.shift, z.mean((0, 2, 3)), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(found.ratio[1:], z.var((0, 2, 3))[1:], rtol=1e-4, atol=1e-4)
    half = found.mixed(Standing(torch.zeros(4), torch.ones(4)), 0.25)
    torch.testing.assert_close(half.shift, found.shift / 4)
    torch.testing.assert_close(half.ratio, found.ratio / 4 + 0.75)
