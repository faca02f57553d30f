"""What networks are compared by: few validation rows by the loss, many by the metric first."""

import numpy as np
import pytest
import torch
from torch import nn

from sterna.record.choice import Choice
from sterna.selection.validator import FEW, Validator
from sterna.tasks import Classification, Regression


@pytest.mark.parametrize("rows", [FEW - 1, FEW])
def test_classes_are_ranked_by_the_loss_or_by_how_many_are_right(rows):
    random = np.random.default_rng(0)
    targets, outputs = random.integers(0, 3, rows), random.normal(size=(rows, 3))
    validator = Validator(Classification(("a", "b", "c"), metric="accuracy"), targets)
    loss = float(nn.functional.cross_entropy(torch.from_numpy(outputs), torch.from_numpy(targets)))
    right = float((outputs.argmax(1) == targets).mean())
    assert validator.few is (rows < 100) and len(validator) == rows
    assert validator.score(outputs) == pytest.approx((right, -loss))
    assert validator.rank(outputs) == pytest.approx((-loss,) if rows < 100 else (right, -loss))
    assert validator.chose("epoch", 3) == Choice("epoch", 3, "validation", rows, "target")


def test_of_an_error_less_is_better():
    targets = np.arange(120.0)
    validator = Validator(Regression("mae", mean=5.0, scale=2.0), targets)
    outputs = (targets + np.where(targets < 60, 1.0, -3.0))[:, None]
    assert validator.rank(outputs) == pytest.approx((-2.0, -5.0))
    assert validator.rank(targets[:, None]) == (0.0, 0.0)
