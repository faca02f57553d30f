"""Features of one scale, and a head for them that takes features as they are."""

import numpy as np
import torch
from sklearn.preprocessing import StandardScaler

from sterna.tasks import Classification, Regression
from sterna.training.linear import behind, standardised


def test_the_folded_head_is_the_head_on_standardised_features():
    x = np.random.default_rng(0).normal(3, 5, (50, 6))
    x[:, 2] = 4.0  # does not vary
    z, mean, scale = standardised(x)
    np.testing.assert_allclose(z[:, [0, 1, 3, 4, 5]], StandardScaler().fit_transform(x)[:, [0, 1, 3, 4, 5]])
    assert (z[:, 2] == 0).all()
    for task in (Classification(("a", "b", "c")), Regression(mean=500.0, scale=40.0)):
        head = task.head(6)
        with torch.inference_mode():
            folded = behind(head, mean, scale, task)(torch.as_tensor(x, dtype=torch.float32))
            np.testing.assert_allclose(folded, head(torch.as_tensor(z, dtype=torch.float32)), atol=1e-4, rtol=1e-6)
