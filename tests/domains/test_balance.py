from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.utils.class_weight import compute_class_weight

from sterna.domains import class_weights, is_imbalanced, sampler_weights

codes = st.lists(st.integers(-1, 4), min_size=1, max_size=60).map(np.array).filter(lambda c: (c >= 0).any())


@given(codes)
def test_class_weights_are_scikit_learns_balanced(codes):
    known = codes[codes >= 0]
    present = np.unique(known)
    weights = class_weights(codes)
    np.testing.assert_allclose(weights[present], compute_class_weight("balanced", classes=present, y=known))
    assert len(weights) == known.max() + 1 and np.count_nonzero(weights) == len(present)
    assert weights[known].mean() == pytest.approx(1)


@given(codes)
def test_the_sampler_draws_each_class_equally_often(codes):
    weights = sampler_weights(codes)
    assert weights.sum() == pytest.approx(1) and not weights[codes < 0].any()
    present = np.unique(codes[codes >= 0])
    for code in present:
        assert weights[codes == code].sum() == pytest.approx(1 / len(present))


@pytest.mark.parametrize(
    ("counts", "answer"),
    [((10, 10), False), ((14, 10), False), ((15, 10), True), ((5,), False), ((3, 0, 2), True), ((2, 0, 2), False)],
)
def test_imbalance_starts_at_one_and_a_half(counts, answer):
    assert is_imbalanced(np.repeat(np.arange(len(counts)), counts)) is answer


def test_unlabelled_rows_do_not_count():
    assert not is_imbalanced(np.array([-1, -1, -1, 0, 1]))
    assert sampler_weights(np.array([-1, -1])).tolist() == [0, 0]
