"""Gradient reversal and the domain classifier, by hand; the training they share is in test_adaptation.py."""

import math

import numpy as np
import pytest
import torch

from sterna.methods.features.dann import DomainClassifier, reverse, strength


def test_reversal_changes_nothing_forward_and_turns_the_gradient_back():
    x = torch.tensor([[1.0, -2.0], [0.5, 3.0]], requires_grad=True)
    turned = reverse(x, 0.3)
    torch.testing.assert_close(turned, x)
    (turned * torch.tensor([[1.0, 2.0], [3.0, 4.0]])).sum().backward()
    torch.testing.assert_close(x.grad, -0.3 * torch.tensor([[1.0, 2.0], [3.0, 4.0]]))


def test_reversal_of_nothing_stops_the_gradient():
    x = torch.ones(3, requires_grad=True)
    reverse(x, 0.0).sum().backward()
    assert (x.grad == 0).all()


@pytest.mark.parametrize("p", [0.0, 0.05, 0.3, 1.0])
def test_the_strength_follows_the_paper(p):
    assert strength(p) == pytest.approx(2 / (1 + math.exp(-10 * p)) - 1)
    assert strength(p) == pytest.approx(math.tanh(5 * p))


def test_the_classifier_goes_down_and_the_features_go_up_its_loss():
    torch.manual_seed(0)
    term = DomainClassifier(4)
    source, target = (torch.randn(n, 4, requires_grad=True) for n in (6, 5))
    found = term(source, target, 0.2)
    outputs = term.layers(torch.cat([source, target]))[:, 0]
    is_source = torch.tensor([1.0] * 6 + [0.0] * 5)
    by_hand = -(is_source * outputs.sigmoid().log() + (1 - is_source) * (1 - outputs.sigmoid()).log()).mean()
    torch.testing.assert_close(found, by_hand)
    parameters = list(term.parameters())
    ours = torch.autograd.grad(found, [source, target, *parameters], retain_graph=True)
    plain = torch.autograd.grad(by_hand, [source, target, *parameters])
    for reversed_, straight in zip(ours[:2], plain[:2], strict=True):
        torch.testing.assert_close(reversed_, -strength(0.2) * straight)
    for same, straight in zip(ours[2:], plain[2:], strict=True):
        torch.testing.assert_close(same, straight)


def test_it_learns_to_tell_what_can_be_told():
    torch.manual_seed(0)
    random = np.random.default_rng(0)
    source, target = (torch.as_tensor(random.normal(m, 1, (64, 3)), dtype=torch.float32) for m in (-1, 1))
    term = DomainClassifier(3)
    optimizer = torch.optim.Adam(term.parameters(), 1e-2)
    for _ in range(50):
        optimizer.zero_grad()
        loss = term(source, target, 1.0)
        loss.backward()
        optimizer.step()
    assert loss < 0.2
