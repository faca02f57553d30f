"""Which blocks train when, and at which rate."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from sterna.bench.tuning import layer_rates, unfrozen_at


@given(blocks=st.integers(1, 30), span=st.integers(0, 12))
def test_unfreezing_only_ever_opens_blocks_and_opens_all(blocks, span):
    opened = [unfrozen_at(epoch, blocks, span) for epoch in range(span + 2)]
    assert opened == sorted(opened) and opened[0] >= 1
    assert opened[max(span - 1, 0)] == blocks


@given(count=st.integers(1, 40), rate=st.floats(1e-6, 1), decay=st.floats(0.1, 1))
def test_layer_rates_are_a_geometric_row(count, rate, decay):
    rates = layer_rates(count, rate, decay)
    assert rates[-1] == rate and len(rates) == count
    np.testing.assert_allclose(np.array(rates[:-1]), np.array(rates[1:]) * decay)
